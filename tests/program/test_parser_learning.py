"""Learning: the lexicon, the fit, leaving a record out, and the same result every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detectors.errors import InputError
from gqa_reasoner.program.parsing.fitting import Candidates, fit
from gqa_reasoner.program.parsing.learning import Example, canonical_draft, loose_draft
from gqa_reasoner.program.parsing.lexicon import Lexicon
from gqa_reasoner.program.parsing.morphology import gerund, plural, singular
from gqa_reasoner.program.parsing.tokens import tokenize
from gqa_reasoner.program.parsing.vocabulary import OntologyVocabulary
from gqa_reasoner.training.parser import name_evidence, train


def chain(*steps: tuple[str, str]) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
    return tuple((o, a, (place - 1,) if place else ()) for place, (o, a) in enumerate(steps))


PAIRS = [
    (
        "Who is wearing trousers?",
        chain(("select", "pants"), ("relate", "person,wearing,s"), ("query", "name")),
    ),
    ("What color are the trousers?", chain(("select", "pants"), ("query", "color"))),
    ("What color is the kid?", chain(("select", "child"), ("query", "color"))),
    ("Are there any kids?", chain(("select", "child"), ("exist", "?"))),
    ("Is the cup red or blue?", chain(("select", "cup"), ("choose color", "blue|red"))),
    (
        "What is the man holding?",
        chain(("select", "man"), ("relate", "_,holding,o"), ("query", "name")),
    ),
    (
        "Who wears the hat?",
        chain(("select", "hat"), ("relate", "person,wearing,s"), ("query", "name")),
    ),
]


def examples() -> list[Example]:
    return [Example(question, draft) for question, draft in PAIRS]


@pytest.fixture(scope="module")
def vocabulary() -> OntologyVocabulary:
    return OntologyVocabulary()


def test_synonyms_are_learned_from_pairs(vocabulary: OntologyVocabulary) -> None:
    learner = train(examples(), vocabulary, rounds=1)
    assert learner.lexicon.row("name", "trousers") == {"pants": 2}
    assert learner.lexicon.row("relation", "wears") == {"wearing": 1}


def test_training_is_deterministic_and_resumable(
    vocabulary: OntologyVocabulary, tmp_path: Path
) -> None:
    whole = train(examples(), vocabulary, rounds=2)
    state = tmp_path / "state.json"
    train(examples(), vocabulary, rounds=1, state=state)
    resumed = train(examples(), vocabulary, rounds=2, state=state, resume=True)
    assert resumed.weights == pytest.approx(whole.weights)
    with pytest.raises(InputError, match="state"):
        train(examples()[:2], vocabulary, rounds=2, state=state, resume=True)


def test_names_of_graphs_decide_which_synonyms_stay(vocabulary: OntologyVocabulary) -> None:
    entries = name_evidence(["sofa", "couch", "child", "zorb ball"], vocabulary)
    assert ("name", "sofa", "sofa") in entries
    assert ("name", "kid", "child") in entries
    assert ("compound", "zorb *", "1") in entries
    assert not any("zorb ball" in entry for entry in entries)


def test_a_broader_word_is_not_learned_as_a_synonym(vocabulary: OntologyVocabulary) -> None:
    pairs = [
        *PAIRS,
        ("What color is the thing?", chain(("select", "hair clip"), ("query", "color"))),
    ]
    learner = train([Example(*pair) for pair in pairs], vocabulary, rounds=1)
    assert "hair clip" not in learner.lexicon.row("name", "thing")


def test_lexicon_leaves_a_record_out_and_round_trips(tmp_path: Path) -> None:
    lexicon = Lexicon()
    entries = [("name", "kid", "child"), ("name", "kid", "child")]
    lexicon.add([*entries, ("name", "kid", "goat")])
    with lexicon.without(entries):
        assert lexicon.row("name", "kid") == {"goat": 1}
    assert lexicon.row("name", "kid") == {"child": 2, "goat": 1}
    lexicon.save(tmp_path / "lexicon.json")
    assert Lexicon.load(tmp_path / "lexicon.json").row("name", "kid") == {"child": 2, "goat": 1}


def test_fit_finds_the_maximum_of_a_small_likelihood() -> None:
    """Two outcomes with one feature each, 3 : 1; the penalty is negligible."""
    right, wrong = (("a", 1.0),), (("b", 1.0),)
    candidates = [Candidates([right, wrong], [True, False])] * 3
    candidates += [Candidates([right, wrong], [False, True])]
    weights, _ = fit(candidates, {}, {}, penalty=1e-6)
    assert weights["a"] - weights["b"] == pytest.approx(np.log(3), abs=1e-3)


def test_alternatives_and_halves_compare_in_any_order() -> None:
    one = (*chain(("select", "cup")), ("choose color", "red|blue", (0,)))
    other = (*chain(("select", "cup")), ("choose color", "blue|red", (0,)))
    assert canonical_draft(one) == canonical_draft(other)
    first = (
        ("select", "a", ()),
        ("exist", "?", (0,)),
        ("select", "b", ()),
        ("exist", "?", (2,)),
        ("or", "", (1, 3)),
    )
    second = (
        ("select", "b", ()),
        ("exist", "?", (0,)),
        ("select", "a", ()),
        ("exist", "?", (2,)),
        ("or", "", (1, 3)),
    )
    assert canonical_draft(first) != canonical_draft(second)
    assert loose_draft(first) == loose_draft(second)


@pytest.mark.parametrize(
    ("many", "one"),
    [("dogs", "dog"), ("hot dogs", "hot dog"), ("women", "woman"), ("glasses", "glasses"),
     ("buses", "bus"), ("knives", "knife"), ("boxes", "box"), ("cherries", "cherry"),
     ("shoes", "shoe")],
)  # fmt: skip
def test_number(many: str, one: str) -> None:
    assert singular(many) == one
    assert plural(one) == many
    assert singular(one) == one


@pytest.mark.parametrize(
    ("verb", "form"),
    [("wears", "wearing"), ("sit", "sitting"), ("lie", "lying"), ("rides", "riding"),
     ("watches", "watching")],
)  # fmt: skip
def test_gerund(verb: str, form: str) -> None:
    assert gerund(verb) == form


def test_tokens_split_clitics_and_drop_final_marks() -> None:
    assert tokenize("What's the man's T-shirt, red?!") == [
        "what", "'s", "the", "man", "'s", "t-shirt", ",", "red",
    ]  # fmt: skip
    assert tokenize("It isn't") == ["it", "is", "not"]
