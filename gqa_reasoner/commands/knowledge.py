"""`knowledge build`, `knowledge edges`, `knowledge paths` and `knowledge expand`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_build(actions)
    edges = actions.add_parser("edges", help="the triples of a concept")
    edges.add_argument(
        "store", help="store file, 'default' for the shipped triples, or a conceptnet-lite database"
    )
    edges.add_argument("concept")
    edges.add_argument("--k", type=int, metavar="N", help="only the N best by weight")
    edges.add_argument("--direction", choices=("both", "out", "in"), default="both")
    edges.add_argument("--json", action="store_true", help="print JSON")
    paths = actions.add_parser("paths", help="two-hop paths between two concepts")
    paths.add_argument("store", help="store file, or 'default' for the shipped triples")
    paths.add_argument("start")
    paths.add_argument("end")
    paths.add_argument("--k", type=int, default=10, metavar="N")
    paths.add_argument("--json", action="store_true", help="print JSON")
    _add_expand(actions)


def _add_build(actions: Any) -> None:
    build = actions.add_parser(
        "build", help="build a store from ConceptNet dumps, conceptnet-lite databases or TSV"
    )
    build.add_argument(
        "sources",
        nargs="+",
        type=Path,
        metavar="SOURCE",
        help="without --output the last one is STORE",
    )
    build.add_argument("--output", "-o", type=Path, metavar="STORE", help="file to write")
    build.add_argument(
        "--format", choices=("dump", "lite", "tsv"), help="default: look at the file"
    )
    build.add_argument(
        "--columns", default="", metavar="NAMES", help="of TSV files, e.g. relation,head,tail"
    )
    build.add_argument(
        "--languages", default="en", metavar="CODES", help="comma-separated, or 'all' (default: en)"
    )
    build.add_argument(
        "--relations", default="", metavar="NAMES", help="comma-separated; default all"
    )
    build.add_argument("--min-weight", type=float, default=0.0, metavar="W")
    build.add_argument("--vocabulary", type=Path, metavar="FILE", help="concepts, one a line")
    build.add_argument("--vocabulary-ends", choices=("any", "both"), default="any")
    build.add_argument("--senses", choices=("strip", "keep"), default="strip")
    build.add_argument("--strict", action="store_true", help="refuse broken lines")
    build.add_argument(
        "--run-length",
        type=int,
        default=500_000,
        metavar="N",
        help="triples kept in memory at a time",
    )
    build.add_argument("--json", action="store_true", help="print the counts as JSON")


def _add_expand(actions: Any) -> None:
    from knowledge.context import MODES

    expand = actions.add_parser("expand", help="what knowledge adds to a scene and a question")
    source = expand.add_mutually_exclusive_group(required=True)
    source.add_argument("--scene-graph", type=Path, metavar="FILE", help="GQA scene graphs")
    source.add_argument("--image", type=Path, metavar="PICTURE", help="a detector makes the scene")
    expand.add_argument("--detector", default="default", metavar="SPEC", help="for --image")
    expand.add_argument("--image-id", metavar="ID", help="default: the file's only scene")
    expand.add_argument("--question", required=True)
    expand.add_argument(
        "--question-id", metavar="ID", help="for the leak rules of --coclick-questions"
    )
    expand.add_argument("--store", type=Path, metavar="STORE", help="default: the shipped triples")
    expand.add_argument("--ontology", type=Path, metavar="FILE", help="default: the shipped one")
    expand.add_argument("--mode", "--expansion", dest="mode", choices=MODES, default="triples")
    expand.add_argument("--coclick", type=Path, metavar="LOG.tsv", help="query, image, clicks")
    expand.add_argument(
        "--coclick-questions", type=Path, metavar="Q", help="make the log from GQA questions"
    )
    expand.add_argument(
        "--encoder",
        type=Path,
        metavar="DIR",
        help="score by a sentence encoder from a local folder",
    )
    expand.add_argument("--k", type=int, default=12, metavar="N")
    expand.add_argument("--token-budget", type=int, default=96, metavar="N")
    expand.add_argument("--gate", type=float, default=0.0, metavar="R", help="least relevance kept")
    expand.add_argument("--seed", type=int, default=0)
    expand.add_argument(
        "--retrieved", type=int, default=0, metavar="N", help="also show the N best candidates"
    )
    expand.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run one of the actions."""
    actions = {"build": _build, "edges": _edges, "paths": _paths, "expand": _expand}
    return actions[arguments.action](arguments)


def _build(arguments: argparse.Namespace) -> int:
    from detectors.errors import InputError
    from knowledge.build import build_store, read_vocabulary
    from knowledge.conceptnet import ReadFilter
    from knowledge.concepts import normalize_relation
    from knowledge.store_format import is_store

    relations = [
        normalize_relation(name) for name in arguments.relations.split(",") if name.strip()
    ]
    languages = [code.strip() for code in arguments.languages.split(",") if code.strip()]
    keep = ReadFilter(
        languages=None if languages == ["all"] else frozenset(languages),
        relations=frozenset(relations) or None,
        min_weight=arguments.min_weight,
        vocabulary=read_vocabulary(arguments.vocabulary) if arguments.vocabulary else None,
        vocabulary_ends=arguments.vocabulary_ends,
        senses=arguments.senses,
        language=languages[0] if languages and languages != ["all"] else "en",
    )
    sources, output = arguments.sources, arguments.output
    if output is None:
        *sources, output = sources
        if not sources:
            raise InputError("build: expected SOURCE and STORE, or --output STORE")
        if output.exists() and not is_store(output):
            raise InputError(f"{output}: exists and is no triple store; name it by --output STORE")
    report = build_store(
        sources,
        output,
        source_format=arguments.format,
        columns=tuple(name for name in arguments.columns.split(",") if name),
        keep=keep,
        strict=arguments.strict,
        run_length=arguments.run_length,
        progress=True,
    )
    record = {"output": str(output), **report.to_json()}
    if arguments.json:
        print(json.dumps(record, ensure_ascii=False))
    else:
        for line in record.pop("first_broken"):
            print(f"broken: {line}", file=sys.stderr)
        print("\n".join(f"{key.replace('_', ' ')}: {value}" for key, value in record.items()))
    return 0


def _open(name: str) -> Any:
    from knowledge.store import TripleStore

    if name == "default":
        return TripleStore.default()
    path = Path(name)
    with path.open("rb") as stream:
        is_database = stream.read(15) == b"SQLite format 3"
    if is_database:
        from knowledge.conceptnet_lite_backend import ConceptNetLite

        return ConceptNetLite(path)
    return TripleStore.open(path)


def _edges(arguments: argparse.Namespace) -> int:
    store = _open(arguments.store)
    found = store.edges(arguments.concept, arguments.k, direction=arguments.direction)
    if arguments.json:
        records = [
            {
                "start": triple.head.replace(" ", "_"),
                "relation": triple.relation,
                "end": triple.tail.replace(" ", "_"),
                "weight": triple.weight,
            }
            for triple in found
        ]
        print(json.dumps(records, ensure_ascii=False))
        return 0
    for triple in found:
        print(f"{triple.weight:g}\t{triple.head}\t{triple.relation}\t{triple.tail}")
    if not found:
        print(f"no triple of {arguments.concept!r} in {arguments.store}", file=sys.stderr)
    return 0


def _paths(arguments: argparse.Namespace) -> int:
    from detectors.errors import InputError

    store = _open(arguments.store)
    if not hasattr(store, "paths"):
        raise InputError(f"{arguments.store}: paths need a store built by 'knowledge build'")
    found = store.paths(arguments.start, arguments.end, arguments.k)
    if arguments.json:
        records = [
            {
                "middle": path.middle,
                "weight": path.weight,
                "edges": [list(path.first), list(path.second)],
            }
            for path in found
        ]
        print(json.dumps(records, ensure_ascii=False))
        return 0
    for path in found:
        steps = [f"{t.head} {t.relation} {t.tail}" for t in (path.first, path.second)]
        print(f"{path.weight:g}\t{'; '.join(steps)}")
    return 0


def _expand(arguments: argparse.Namespace) -> int:
    from knowledge.expansion import Expander
    from knowledge.ontology import Ontology
    from knowledge.store import TripleStore

    scene = _scene(arguments)
    ontology = Ontology.load(arguments.ontology) if arguments.ontology else Ontology.default()
    scorer = None
    if arguments.encoder:
        from knowledge.embedding import EmbeddingScorer

        scorer = EmbeddingScorer(arguments.encoder)
    expander = Expander(
        TripleStore.open(arguments.store) if arguments.store else TripleStore.default(),
        ontology,
        coclick=_coclick(arguments),
        scorer=scorer,
        k=arguments.k,
        token_budget=arguments.token_budget,
        gate=arguments.gate,
    )
    context = expander.expand(
        scene,
        arguments.question,
        mode=arguments.mode,
        seed=arguments.seed,
        question_id=arguments.question_id,
    )
    retrieved = (
        expander.retrieved(scene, arguments.question, arguments.retrieved)
        if arguments.retrieved
        else []
    )
    if arguments.json:
        record = {"image_id": scene.image_id, "question": arguments.question, **context.to_json()}
        record["candidates"] = len(expander.candidates(scene).indices)
        if retrieved:
            record["retrieved"] = [item.to_json() for item in retrieved]
        print(json.dumps(record, ensure_ascii=False))
        return 0
    _print_context(context, scene)
    kept = {(item.head, item.relation, item.tail) for item in context.triples}
    for item in retrieved:
        state = "kept" if (item.head, item.relation, item.tail) in kept else "left out"
        print(f"retrieved {item.relevance:.3f}  {item.text}  [{state}]")
    return 0


def _scene(arguments: argparse.Namespace) -> Any:
    """The scene of --image or of --scene-graph."""
    from detectors.errors import InputError
    from gqa_reasoner.data.scene_graphs import find_scene_graph, iterate_scene_graphs

    if arguments.image is not None:
        from detectors.factory import create_detector

        return create_detector(arguments.detector).detect([arguments.image])[0]
    if arguments.image_id:
        return find_scene_graph(arguments.scene_graph, arguments.image_id)
    scene = next(iterate_scene_graphs(arguments.scene_graph), None)
    if scene is None:
        raise InputError(f"{arguments.scene_graph}: no scene graph in the file")
    return scene


def _coclick(arguments: argparse.Namespace) -> Any:
    if arguments.coclick is None and arguments.coclick_questions is None:
        return None
    from knowledge.coclick import CoClickLog

    if arguments.coclick is not None:
        return CoClickLog.read(arguments.coclick)
    from gqa_reasoner.data.questions import iterate_questions

    return CoClickLog.from_questions(iterate_questions(arguments.coclick_questions))


def _print_context(context: Any, scene: Any) -> None:
    names = {item.id: item.name for item in scene.objects}
    note = " (transductive: queries of the picture itself)" if context.transductive else ""
    print(f"mode: {context.mode}{note}")
    for item in context.triples:
        parts = " ".join(f"{name}={value:.2f}" for name, value in item.parts.items())
        objects = ", ".join(f"{names.get(i, '?')} {i}" for i in item.object_ids)
        print(f"{item.relevance:.3f}  {item.text}  [{parts}]  -> {objects}")
    for item in context.queries:
        print(
            f"{item.relevance:.3f}  {item.text!r}  [{item.source}, image {item.image_id}, "
            f"{item.clicks:g} clicks]"
        )
