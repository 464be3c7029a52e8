"""Measures the knowledge room: building, look-ups, expansion, coverage.

Run: python benchmarks/bench_knowledge.py DATA [PART ...]; DATA holds `conceptnet/` and `gqa/`.
Times are CPU times of the process (and wall times where said), because the machine is shared.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from large_dump import write_large_dump

from detectors.scene import Scene, SceneObject
from knowledge.build import build_store
from knowledge.coclick import CoClickLog
from knowledge.concepts import normalize_relation
from knowledge.expansion import Expander
from knowledge.lemmas import STOP_WORDS, Lemmatizer, tokenize
from knowledge.ontology import Ontology
from knowledge.store import TripleStore

PARTS = ("build", "lookup", "expand", "coverage", "coclick", "ontology", "large")
JOIN = """
SELECT relation.name, one.text, two.text, edge.etc FROM label AS one
JOIN concept AS start ON start.label_id = one.id JOIN edge ON edge.start_id = start.id
JOIN relation ON relation.id = edge.relation_id
JOIN concept AS end ON end.id = edge.end_id JOIN label AS two ON two.id = end.label_id
WHERE one.text = ?
UNION ALL
SELECT relation.name, two.text, one.text, edge.etc FROM label AS one
JOIN concept AS end ON end.label_id = one.id JOIN edge ON edge.end_id = end.id
JOIN relation ON relation.id = edge.relation_id
JOIN concept AS start ON start.id = edge.start_id JOIN label AS two ON two.id = start.label_id
WHERE one.text = ?
"""


def timed(call: Callable[[], Any], repeat: int = 1) -> float:
    """Least CPU seconds of a call over some repeats."""
    best = float("inf")
    for _ in range(repeat):
        started = time.process_time()
        call()
        best = min(best, time.process_time() - started)
    return best


def quantiles(values: Sequence[float]) -> str:
    ordered = sorted(values)
    return (
        f"median {1e3 * statistics.median(ordered):.4f} ms, "
        f"p99 {1e3 * ordered[int(0.99 * (len(ordered) - 1))]:.4f} ms"
    )


def bench_build(data: Path, folder: Path) -> Path:
    dump = data / "conceptnet" / "conceptnet-assertions-cn100k.csv.gz"
    store = folder / "cn100k.triples"
    wall = time.perf_counter()
    seconds = timed(lambda: build_store([dump], store), 3)
    wall = (time.perf_counter() - wall) / 3
    built = TripleStore.open(store)
    print(
        f"build: {len(built)} triples, {built.concept_count} concepts: "
        f"{seconds:.2f} s CPU (mean wall {wall:.2f} s), {store.stat().st_size / 1e6:.1f} MB"
    )
    opening = [timed(lambda: TripleStore.open(store)) for _ in range(50)]
    print(f"open: {quantiles(opening)}; file {store}")
    default = timed(lambda: TripleStore.default.__wrapped__(TripleStore))  # type: ignore[attr-defined]
    print(f"shipped triples: {len(TripleStore.default())} loaded in {1e3 * default:.0f} ms CPU")
    return store


def bench_lookup(data: Path, folder: Path, store_path: Path) -> None:
    from knowledge.conceptnet_lite_backend import ConceptNetLite

    dump = data / "conceptnet" / "conceptnet-assertions-cn100k.csv.gz"
    database = folder / "cn100k.db"
    if not database.exists():
        seconds = timed(lambda: ConceptNetLite.load_dump(dump, database))
        print(f"conceptnet-lite loads the dump: {seconds:.1f} s CPU")
    store, live = TripleStore.open(store_path), ConceptNetLite(database)
    connection = sqlite3.connect(database)
    connection.execute("ANALYZE")
    rng = random.Random(0)
    by_concept = [store.concept_text(rng.randrange(store.concept_count)) for _ in range(100)]
    by_triple = [store.triple_at(rng.randrange(len(store))).head for _ in range(100)]
    concepts = by_concept + by_triple
    texts = {concept: concept.replace(" ", "_") for concept in concepts}
    calls: dict[str, Callable[[str], Any]] = {
        "conceptnet-lite": live.edges,
        "SQL join": lambda name: connection.execute(JOIN, (texts[name], texts[name])).fetchall(),
        "store": store.edges,
    }
    times = {name: [timed(partial(call, c)) for c in concepts] for name, call in calls.items()}
    different = compared = 0
    for concept in concepts:
        ours, theirs = store.edges(concept), live.edges(concept)
        joined = sorted(
            {
                (a.replace("_", " "), normalize_relation(r), b.replace("_", " "))
                for r, a, b, _ in calls["SQL join"](concept)
            }
        )
        compared += len(ours)
        different += ours != theirs or sorted((t.head, t.relation, t.tail) for t in ours) != joined
    print(
        f"equality: {len(concepts)} concepts, {compared} edges, {different} concepts differ "
        "from conceptnet-lite or the join"
    )
    times["store, second time"] = [timed(partial(store.edges, concept)) for concept in concepts]
    for name, values in times.items():
        print(f"look-up, {name}: {quantiles(values)}")
    halves = {"all 200": slice(None), "100 even": slice(100), "100 by triples": slice(100, None)}
    for label, part in halves.items():
        medians = {name: statistics.median(values[part]) for name, values in times.items()}
        print(
            f"ratio of medians, {label}: "
            f"conceptnet-lite / store = {medians['conceptnet-lite'] / medians['store']:.0f}, "
            f"SQL join / store = {medians['SQL join'] / medians['store']:.1f}"
        )


def random_scene(number: int, names: Sequence[str], size: int = 30) -> Scene:
    rng = random.Random(number)
    objects = [
        SceneObject(str(i), rng.choice(names), rng.uniform(0.3, 1), (0, 0, 9, 9))
        for i in range(size)
    ]
    return Scene(str(number), 100, 100, objects)


def bench_expand(data: Path, store_path: Path) -> None:
    graphs = json.loads((data / "gqa" / "train_sceneGraphs.json").read_text(encoding="utf-8"))
    names = [o["name"] for graph in graphs.values() for o in graph["objects"].values()]
    records = json.loads((data / "gqa" / "testdev_questions.json").read_text(encoding="utf-8"))
    questions = [record["question"] for record in records.values()]
    expander = Expander(TripleStore.open(store_path), Ontology.default())
    scenes = [random_scene(number, names) for number in range(250)]
    expander.expand(scenes[-1], questions[-1])
    first, again = (
        [timed(partial(expander.expand, scenes[i], questions[i + shift])) for i in range(200)]
        for shift in (0, 500)
    )
    sizes = [len(expander.candidates(scene).indices) for scene in scenes]
    print(
        f"expansion, 30 objects, {statistics.mean(sizes):.0f} candidates on average: new scene "
        f"{quantiles(first)}; known scene {quantiles(again)}"
    )
    pairs = [(scenes[i % 250], questions[i]) for i in range(1000)]
    fresh = Expander(expander.store, Ontology.default())
    seconds = timed(lambda: fresh.expand_batch(pairs))
    print(
        f"expansion, batch of 1,000 pairs (250 new scenes): {1000 / seconds:.0f} pairs per second"
    )


def graph_questions(data: Path) -> list[tuple[Scene, str, str]]:
    """(scene, question id, question) of the shared questions whose scene graphs are there."""
    folder = data / "gqa"
    scenes: dict[str, Scene] = {}
    for part in ("train", "val"):
        graphs = json.loads((folder / f"{part}_sceneGraphs.json").read_text(encoding="utf-8"))
        for image, graph in graphs.items():
            scenes[image] = Scene.from_gqa(graph, image, on_problem="repair")
    found: dict[str, tuple[Scene, str, str]] = {}
    for name in ("train_questions", "val_questions", "val_graph_questions"):
        records = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for question_id, record in records.items():
            if record["imageId"] in scenes:
                scene = scenes[record["imageId"]]
                found[question_id] = (scene, question_id, record["question"])
    return list(found.values())


def coverage(expander: Expander, items: Sequence[tuple[Scene, str, str]]) -> Counter[str]:
    """How each content word of the questions is linked to an object of its scene."""
    lemmatizer = Lemmatizer.default()
    counts: Counter[str] = Counter()
    for scene, _, question in items:
        exact = {
            lemma
            for item in scene.objects
            for text in (item.name, *item.attributes)
            for lemma in lemmatizer.lemmas(text)
        }
        exact |= {lemma for r in scene.relations for lemma in lemmatizer.lemmas(r.predicate)}
        context = expander.expand(scene, question)
        linked = {
            lemma
            for item in context.triples
            if item.object_ids
            for lemma in (*lemmatizer.lemmas(item.tail), *lemmatizer.lemmas(item.head))
        }
        any_link = False
        for word in dict.fromkeys(tokenize(question)):
            if word in STOP_WORDS:
                continue
            lemma = lemmatizer.lemma(word)
            kind = "exact" if lemma in exact else "triple" if lemma in linked else "none"
            any_link |= kind == "triple"
            counts[kind] += 1
        counts["questions"] += 1
        counts["questions with a link by triple only"] += any_link
    return counts


def bench_coverage(data: Path, store_path: Path, show: int = 0) -> None:
    items = graph_questions(data)
    stores = {"shipped triples": TripleStore.default(), "CN-100K": TripleStore.open(store_path)}
    for name, store in stores.items():
        expander = Expander(store, Ontology.default())
        counts = coverage(expander, items)
        words = counts["exact"] + counts["triple"] + counts["none"]
        print(
            f"coverage, {name}: {counts['questions']} questions, {words} content words: exact "
            f"{counts['exact'] / words:.1%}, by triple only {counts['triple'] / words:.1%}, "
            f"none {counts['none'] / words:.1%}; questions with a link by triple only: "
            f"{counts['questions with a link by triple only']}"
        )
        if show:
            for scene, _, question in random.Random(0).sample(items, min(show, len(items))):
                best = expander.expand(scene, question).triples[:4]
                print(f"  {question}  ||  {'; '.join(t.text for t in best)}")


def bench_coclick(data: Path) -> None:
    path = data / "gqa" / "testdev_questions.json"
    records = json.loads(path.read_text(encoding="utf-8"))
    items = list(records.items())[:1000]
    logs = {
        "leak rules on": CoClickLog.from_questions(records.items()),
        "leak rules off": CoClickLog.from_questions(records.items(), leak_rules=False),
    }
    for name, log in logs.items():
        shown = leaked = empty = 0
        started = time.process_time()
        for question_id, record in items:
            scene = Scene(record["imageId"], 1, 1)
            found = log.queries_for(scene, record["question"], question_id=question_id, k=12)
            related = {question_id, *record["equivalent"], *record["entailed"]}
            shown += len(found)
            empty += not found
            leaked += sum(
                item.question_id in related or question_id in records[item.question_id]["entailed"]
                for item in found
            )
        seconds = time.process_time() - started
        print(
            f"co-click, {name}: {log.query_count} queries, {log.image_count} images; for "
            f"{len(items)} questions {shown} queries shown, {leaked} of them the question or a "
            f"relative, {empty} questions without any; {1e3 * seconds / len(items):.2f} ms each"
        )


def bench_ontology(data: Path) -> None:
    """Agreement of the shipped ontology with what the shared gold programs teach."""
    from knowledge.ontology_induction import collect_evidence

    folder = data / "gqa"
    scenes = [
        Scene.from_gqa(graph, image, on_problem="repair")
        for part in ("train", "val")
        for image, graph in json.loads(
            (folder / f"{part}_sceneGraphs.json").read_text(encoding="utf-8")
        ).items()
    ]
    records = [
        record
        for name in ("train", "val", "testdev")
        for record in json.loads(
            (folder / f"{name}_questions.json").read_text(encoding="utf-8")
        ).values()
    ]
    ontology = Ontology.default()
    evidence = collect_evidence(records, scenes)
    tables = {
        "category facts": (evidence.memberships, ontology.is_a),
        "attribute-type facts": (
            evidence.attribute_types,
            lambda name, kind: kind in ontology.attribute_types(name),
        ),
    }
    for name, (facts, holds) in tables.items():
        right = sum(count for pair, count in facts.items() if holds(*pair))
        wrong = [pair for pair in facts if not holds(*pair)]
        total = sum(facts.values())
        print(f"ontology, {name} of {len(records)} programs: {right} of {total} agree; {wrong}")
    names = [item.name for scene in scenes for item in scene.objects]
    attributes = [word for scene in scenes for item in scene.objects for word in item.attributes]
    known = sum(map(ontology.knows, names))
    typed = sum(bool(ontology.attribute_types(word)) for word in attributes)
    print(
        f"ontology, names of {len(scenes)} real graphs: {known} of {len(names)} objects known, "
        f"{typed} of {len(attributes)} attributes typed"
    )
    calls = [(name, "furniture") for name in names]
    seconds = timed(lambda: [ontology.is_a(*call) for call in calls], 3)
    print(f"ontology, is_a: {1e6 * seconds / len(calls):.2f} us a call")


def bench_large(folder: Path, lines: int) -> None:
    dump = folder / "large.csv.gz"
    seconds = timed(lambda: write_large_dump(dump, lines))
    size = dump.stat().st_size / 1e6
    print(f"large dump: {lines} lines written in {seconds:.0f} s CPU, {size:.0f} MB")
    code = (
        "import resource, sys, time; from pathlib import Path\n"
        "from knowledge.build import build_store\n"
        "started = time.process_time()\n"
        "report = build_store([Path(sys.argv[1])], Path(sys.argv[2]))\n"
        "seconds = time.process_time() - started\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6\n"
        "print(report.read.lines, report.read.kept, round(seconds, 1), round(peak, 3))\n"
    )
    output = folder / "large.triples"
    done = subprocess.run(
        [sys.executable, "-c", code, str(dump), str(output)],
        capture_output=True,
        text=True,
        check=True,
    )
    read, kept, taken, peak = done.stdout.split()
    rate = int(read) / float(taken)
    store = TripleStore.open(output)
    opening = timed(lambda: TripleStore.open(output))
    look = [timed(lambda: store.edges(f"concept {i}")) for i in range(0, 3_000_000, 3_000)]  # noqa: B023
    print(
        f"large build: {read} lines, {kept} kept, {taken} s CPU, {rate:.0f} lines per second, "
        f"peak RSS {peak} GB"
    )
    print(f"projected: {34_074_917 / rate / 60:.1f} CPU minutes for the full 34,074,917 lines")
    print(
        f"large store: {len(store)} triples, {store.concept_count} concepts, "
        f"{output.stat().st_size / 1e6:.0f} MB, open {1e3 * opening:.2f} ms, "
        f"look-up {quantiles(look)}"
    )


def main() -> None:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--lines", type=int, default=5_000_000)
    parser.add_argument("--show", type=int, default=0, help="print so many expansions")
    arguments = parser.parse_args()
    parts = arguments.parts or list(PARTS)
    with tempfile.TemporaryDirectory(prefix="gqa_reasoner_bench_") as name:
        folder = Path(name)
        store = bench_build(arguments.data, folder)
        if "lookup" in parts:
            bench_lookup(arguments.data, folder, store)
        if "expand" in parts:
            bench_expand(arguments.data, store)
        if "coverage" in parts:
            bench_coverage(arguments.data, store, arguments.show)
        if "coclick" in parts:
            bench_coclick(arguments.data)
        if "ontology" in parts:
            bench_ontology(arguments.data)
        if "large" in parts:
            bench_large(folder, arguments.lines)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"peak RSS of this process: {peak:.2f} GB")


if __name__ == "__main__":
    main()
