from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.matching import Match, SpacyMatcher, match_concepts, ontology_finder, store_finder
from knowledge.ontology import Ontology
from knowledge.store import TripleStore


def test_the_longest_names_are_found_in_any_form() -> None:
    find = ontology_finder(Ontology.default())
    found = match_concepts(
        "Are the traffic lights to the left of the hot dogs and two women?", find
    )
    assert [match.concept for match in found] == ["traffic light", "hot dog", "woman"]
    assert found[0] == Match(2, 4, "traffic light")


def test_concepts_of_a_store_are_found_too() -> None:
    store = TripleStore.from_triples([("ice cream cone", "IsA", "dessert", 1.0)])
    found = match_concepts("Two ice cream cones for dessert", store_finder(store))
    assert [match.concept for match in found] == ["ice cream cone", "dessert"]


@pytest.mark.parametrize(
    "text",
    [
        "Are the traffic lights to the left of the hot dogs?",
        "is the woman in front of the couch holding an umbrella",
        "What color is the food on the red object left of the small girl?",
        "nothing known here xyzzy",
        "",
    ],
)
def test_spacy_finds_the_same_names(text: str) -> None:
    ontology = Ontology.default()
    names = ["traffic light", "hot dog", "woman", "couch", "umbrella", "girl", "food"]
    slow = SpacyMatcher(ontology, names).match(text)
    find = ontology_finder(ontology)
    fast = [match for match in match_concepts(text, find) if match.concept in names]
    assert [match.concept for match in slow] == [match.concept for match in fast]


@given(st.text(max_size=300))
def test_any_text_is_matched_in_order_without_overlaps(text: str) -> None:
    found = match_concepts(text, ontology_finder(Ontology.default()))
    ends = [0, *(match.end for match in found)]
    assert all(
        before <= match.start < match.end for before, match in zip(ends, found, strict=False)
    )


def test_the_ask_path_imports_no_heavy_package() -> None:
    code = (
        "import sys; import knowledge.expansion, knowledge.coclick, knowledge.ontology; "
        "from knowledge.store import TripleStore; TripleStore.default(); "
        "print(sorted({'spacy','torch','transformers','torch_geometric','pandas','scipy',"
        "'networkx','conceptnet_lite'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
