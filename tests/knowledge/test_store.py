from __future__ import annotations

import pickle
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.errors import InputError
from knowledge.store import Triple, TripleStore
from knowledge.store_builder import StoreBuilder

TRIPLES = [
    ("dog", "IsA", "animal", 2.0),
    ("dog", "CapableOf", "bark", 1.0),
    ("dog", "AtLocation", "park", 3.0),
    ("cat", "IsA", "animal", 4.0),
    ("hot dog", "IsA", "food", 1.0),
    ("animal", "IsA", "living thing", 1.0),
    ("bench", "AtLocation", "park", 0.5),
    ("dog", "RelatedTo", "dog", 0.1),
]


@pytest.fixture(scope="module")
def store() -> TripleStore:
    return TripleStore.from_triples(TRIPLES)


def test_edges_are_listed_in_both_directions_best_weight_first(store: TripleStore) -> None:
    assert store.edges("dog") == [
        Triple("dog", "AtLocation", "park", 3.0),
        Triple("dog", "IsA", "animal", 2.0),
        Triple("dog", "CapableOf", "bark", 1.0),
        Triple("dog", "RelatedTo", "dog", 0.1),
    ]
    assert [t.head for t in store.edges("animal")] == ["cat", "dog", "animal"]
    assert [t.head for t in store.edges("animal", direction="in")] == ["cat", "dog"]
    assert [t.tail for t in store.edges("animal", direction="out")] == ["living thing"]


def test_k_best_are_the_first_of_all(store: TripleStore) -> None:
    every = store.edges("dog")
    for k in range(6):
        assert store.edges("dog", k) == every[:k]


def test_a_concept_is_found_by_its_forms(store: TripleStore) -> None:
    expected = store.edges("hot dog")
    for name in ("Hot Dog", "hot_dog", "/c/en/hot_dog", "hot dogs", "a hot dog", "/c/en/hot_dog"):
        assert store.edges(name) == expected, name
    assert store.edges("unicorn") == []
    assert store.edges("") == []
    assert "dogs" in store and "unicorn" not in store


def test_pairs_relations_and_paths(store: TripleStore) -> None:
    assert store.between("animal", "dog") == [Triple("dog", "IsA", "animal", 2.0)]
    assert store.between("dog", "dog") == [Triple("dog", "RelatedTo", "dog", 0.1)]
    assert store.has("dog", "IsA", "animal") and not store.has("animal", "IsA", "dog")
    assert [t.head for t in store.with_relation("IsA", 2)] == ["cat", "dog"]
    assert store.with_relation("NoSuchRelation") == []
    paths = store.paths("dog", "cat")
    assert [(p.middle, p.weight) for p in paths] == [("animal", 2.0)]
    assert store.paths("bench", "dog")[0].middle == "park"
    assert store.parents("dog") == ["animal"]


def test_iteration_networkx_and_pyg_hold_every_triple(store: TripleStore) -> None:
    assert sorted(tuple(t) for t in store) == sorted(TRIPLES)
    graph = store.to_networkx()
    assert graph.number_of_edges() == len(TRIPLES)
    assert graph["dog"]["park"][0]["relation"] == "AtLocation"
    data = store.to_pyg()
    assert tuple(data.edge_index.shape) == (2, len(TRIPLES))
    assert data.num_nodes == store.concept_count
    heads = [store.concept_text(int(i)) for i in data.edge_index[0]]
    assert sorted(heads) == sorted(h for h, _, _, _ in TRIPLES)


def test_equal_triples_keep_the_best_weight() -> None:
    store = TripleStore.from_triples([("a", "IsA", "b", 1.0), ("a", "IsA", "b", 5.0)])
    assert store.edges("a") == [Triple("a", "IsA", "b", 5.0)]


def test_an_empty_store_answers() -> None:
    store = TripleStore.from_triples([])
    assert len(store) == 0 and store.edges("dog") == [] and list(store) == []


def test_cyclic_isa_ends() -> None:
    store = TripleStore.from_triples([("a", "IsA", "b", 1.0), ("b", "IsA", "a", 1.0)])
    assert store.paths("a", "a") == [] or store.paths("a", "a")[0].middle == "b"
    assert store.parents("a") == ["b"]


def _random_triples(seed: int, count: int) -> list[tuple[str, str, str, float]]:
    rng = random.Random(seed)
    words = [f"word {i}" for i in range(60)] + ["été", "日本", "a" * 400]
    return [
        (
            rng.choice(words),
            rng.choice(["IsA", "UsedFor", "HasA"]),
            rng.choice(words),
            float(rng.randint(1, 40)),
        )
        for _ in range(count)
    ]


def test_spilled_runs_give_the_same_file_as_one_run(tmp_path: Path) -> None:
    triples = _random_triples(1, 2000)
    files = []
    for run_length in (10_000, 170):
        builder = StoreBuilder(run_length=run_length)
        builder.add_all(triples)
        path = tmp_path / f"{run_length}.triples"
        builder.write(path)
        files.append(path.read_bytes())
    assert files[0] == files[1]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["10000.triples", "170.triples"]


def test_lookups_agree_with_a_plain_list(tmp_path: Path) -> None:
    triples = _random_triples(2, 3000)
    best: dict[tuple[str, str, str], float] = {}
    for head, relation, tail, weight in triples:
        key = (head, relation, tail)
        best[key] = max(best.get(key, 0.0), weight)
    store = TripleStore.from_triples(triples)
    for word in ("word 3", "été", "日本", "a" * 400):
        expected = {(*k, w) for k, w in best.items() if word in (k[0], k[2])}
        found = store.edges(word)
        assert {tuple(t) for t in found} == expected and len(found) == len(expected)
        assert [t.weight for t in found] == sorted((t.weight for t in found), reverse=True)
        pair = {(*k, w) for k, w in best.items() if {k[0], k[2]} == {word, "word 5"}}
        assert {tuple(t) for t in store.between(word, "word 5")} == pair


texts = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="\n"), min_size=1, max_size=20
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(texts, st.sampled_from(["IsA", "HasA"]), texts), max_size=30))
def test_any_texts_come_back_exactly(rows: list[tuple[str, str, str]]) -> None:
    store = TripleStore.from_triples([(*row, 1.0) for row in rows])
    assert {(t.head, t.relation, t.tail) for t in store} == set(rows)
    for head, _, tail in rows:
        for text in (head, tail):
            number = store.concept_id(text)
            assert number is not None and store.concept_text(number) == text


def test_opened_files_verify_and_pickle_by_path(tmp_path: Path) -> None:
    path = tmp_path / "s.triples"
    builder = StoreBuilder()
    builder.add_all(TRIPLES)
    builder.write(path)
    store = TripleStore.open(path)
    store.verify()
    text = pickle.dumps(store)
    assert len(text) < 1000
    assert pickle.loads(text).edges("dog") == store.edges("dog")


@pytest.mark.parametrize("damage", ["empty", "short", "text", "version", "index", "tail", "longer"])
def test_files_that_are_no_whole_stores_are_refused_in_one_line(
    tmp_path: Path, damage: str
) -> None:
    builder = StoreBuilder()
    builder.add_all(TRIPLES)
    data = builder.to_bytes()
    broken = {
        "empty": b"",
        "short": data[:20],
        "text": b"dog\tIsA\tanimal\n" * 10,
        "version": data[:8] + (99).to_bytes(4, "little") + data[12:],
        "index": data[:-5] + b"xxxxx",
        "tail": data[: len(data) // 2],
        "longer": data + b"more",
    }[damage]
    path = tmp_path / "s.triples"
    path.write_bytes(broken)
    with pytest.raises(InputError) as caught:
        TripleStore.open(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    if damage == "version":
        assert "version 99" in str(caught.value)
    if damage in ("tail", "longer"):
        assert "truncated" in str(caught.value)


def test_a_damaged_section_is_found_by_verify(tmp_path: Path) -> None:
    builder = StoreBuilder()
    builder.add_all(TRIPLES)
    data = bytearray(builder.to_bytes())
    data[70] ^= 0xFF
    path = tmp_path / "s.triples"
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="damaged"):
        TripleStore.open(path).verify()


def test_the_shipped_triples_cover_every_tinygqa_class() -> None:
    from gqa_reasoner.tinygqa.catalogue import class_names

    store = TripleStore.default()
    assert len(store) >= 3000
    few = [name for name in class_names() if len(store.edges(name, direction="out")) < 6]
    assert few == []


def test_weights_are_plain_numbers(store: TripleStore) -> None:
    assert all(isinstance(t.weight, float) for t in store)
    assert store.weights.dtype == np.dtype("<f4")
