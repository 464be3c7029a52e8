"""From pictures, scene graphs and questions to shards of encoded examples.

    images + detector -> scenes/NNNNN.npz        (detected once)
    scenes + questions -> encoded/NNNNN.npz      (parsed, executed, expanded, encoded once)

Both kinds are kept per group of pictures and written whole, so that a killed run goes on where it
stopped. A fingerprint of everything that shapes them refuses to mix runs.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from detectors.config import DetectorConfig
from detectors.errors import InputError
from detectors.scene import Scene
from gqa_reasoner.data.questions import Question
from gqa_reasoner.model.encode import EncodedScene, special_words
from gqa_reasoner.model.expanded_graph import split_words
from gqa_reasoner.model.prepare_many import Preparer, Tools
from gqa_reasoner.model.vocabulary import ReasonerVocabulary
from gqa_reasoner.program.operations import OPERATIONS
from gqa_reasoner.program.steps import Program
from gqa_reasoner.training.encoded_store import Example, Shard, write_shard
from gqa_reasoner.training.feature_scenes import (
    DETECTOR,
    UNNAMED,
    scene_of_regions,
)
from gqa_reasoner.training.reasoner_source import DataSource, held_out_images, read_source
from gqa_reasoner.training.scene_cache import (
    read_scene_shard,
    without_objects,
    write_scene_shard,
)

__all__ = [
    "DataSource",
    "build_vocabulary",
    "held_out_images",
    "prepare_shards",
    "read_source",
]


def build_vocabulary(
    source: DataSource, tools: Tools, detector: DetectorConfig | None
) -> ReasonerVocabulary:
    """All names of the training questions, their programs, the scenes and the triples."""
    words: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    types: Counter[str] = Counter()
    predicates: Counter[str] = Counter()
    names: Counter[str] = Counter()
    for group in source.groups:
        for image_id in group:
            if image_id in source.graphs:
                _count_names(source.graphs[image_id], names, predicates)
            for question in source.questions[image_id]:
                words.update(split_words(question.question))
                answers.update([question.answer] if question.answer else [])
                types.update([_type(question)])
                for step in question.semantic or ():
                    words.update(split_words(step["argument"]))
    for name in list(names) + list(answers):
        words.update(split_words(name))
    if tools.store is not None:
        for name in list(names):
            for triple in tools.store.edges(name, 20):
                words.update(split_words(f"{triple.head} {triple.tail}"))
    detectors = ["oracle"]
    if source.features is not None:
        detectors.insert(0, DETECTOR)
        for name in (UNNAMED, *source.class_names):
            words.update(split_words(name))
    if detector is not None:
        detectors.insert(0, detector.detector_name)
        vocabulary = detector.vocabulary
        predicates.update(vocabulary.predicates)
        for name in (*vocabulary.classes, *vocabulary.attributes):
            words.update(split_words(name))
    spelled = ReasonerVocabulary.commonest(words)
    return ReasonerVocabulary(
        special_words(OPERATIONS) + spelled,
        ReasonerVocabulary.commonest(answers, source.config.minimum_answer_count),
        ReasonerVocabulary.commonest(types),
        ReasonerVocabulary.commonest(predicates),
        tuple(detectors),
    )


def _count_names(scene: Scene, names: Counter[str], predicates: Counter[str]) -> None:
    """Add the names of a scene graph."""
    names.update(item.name for item in scene.objects)
    for item in scene.objects:
        names.update(item.attributes)
    predicates.update(relation.predicate for relation in scene.relations)
    for key in ("location", "place", "weather"):
        value = scene.scene_attributes.get(key)
        names.update([value] if isinstance(value, str) else [])


def _type(question: Question) -> str:
    return str((question.types or {}).get("detailed") or "other")


def prepare_shards(
    source: DataSource, vocabulary: ReasonerVocabulary, *, workers: int = 1
) -> list[Path]:
    """Detect, parse, execute, expand and encode what is not there yet; returns the shards.

    Raises:
        InputError: the cache was made with another configuration, detector or vocabulary.
    """
    check_fingerprint(source, vocabulary)
    paths = [source.cache / "encoded" / f"{n:05d}.npz" for n in range(len(source.groups))]
    todo = [number for number, path in enumerate(paths) if not path.is_file()]
    if not todo:
        return paths
    bar = tqdm(total=len(todo), desc="scenes and programs", unit="shard", disable=None)
    if workers <= 1:
        _start_worker(source, vocabulary)
        for number in todo:
            _make_shard(number)
            bar.update()
        return paths
    with ProcessPoolExecutor(
        workers, get_context("fork"), initializer=_start_worker, initargs=(source, vocabulary)
    ) as pool:
        for _ in pool.map(_make_shard, todo):
            bar.update()
    return paths


def fingerprint(source: DataSource, vocabulary: ReasonerVocabulary) -> dict[str, Any]:
    """What the shards depend on."""
    digest = hashlib.sha256(json.dumps(vocabulary.to_json(), sort_keys=True).encode()).hexdigest()
    weights = source.detector_weights
    detector = "oracle"
    if weights is not None:
        detector = hashlib.sha256((weights / "model.safetensors").read_bytes()).hexdigest()
    if source.features is not None:
        detector = str(source.features.resolve())
    config = source.config
    return {
        "data": " ".join(source.files) or str(source.folder.resolve()),
        "pictures": sum(len(group) for group in source.groups),
        "detector": detector,
        "vocabulary": digest,
        "seed": source.seed,
        "gold_programs": config.gold_programs,
        "oracle_scenes": config.oracle_scenes,
        "held_out": config.held_out,
        "expansion": config.expansion,
        "pictures_per_shard": config.pictures_per_shard,
        **({"missed_objects": config.missed_objects} if config.missed_objects else {}),
    }


def check_fingerprint(source: DataSource, vocabulary: ReasonerVocabulary) -> None:
    """Write the fingerprint into a new cache, or compare it with an old one's.

    Raises:
        InputError: they differ; the line names the first field that does.
    """
    path = source.cache / "fingerprint.json"
    now = fingerprint(source, vocabulary)
    if path.is_file():
        before = json.loads(path.read_text())
        for key, value in now.items():
            if before.get(key) != value:
                raise InputError(
                    f"{path}: {key}: the cache was made with {before.get(key)!r}, this run has "
                    f"{value!r}; choose another --output or remove the cache"
                )
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(now, indent=1) + "\n")


@dataclass
class _Worker:
    """What one process keeps between shards."""

    source: DataSource
    vocabulary: ReasonerVocabulary
    tools: Tools
    held_out: frozenset[str]
    detector: Any | None = None
    reader: Any | None = None


_state: list[_Worker] = []


def _start_worker(source: DataSource, vocabulary: ReasonerVocabulary) -> None:
    import torch

    torch.set_num_threads(1)
    tools = Tools.default(source.config.expansion, source.seed)
    if source.config.expansion in ("coclick", "both", "coclick_random"):
        from knowledge.coclick import CoClickLog

        asked = (question for group in source.questions.values() for question in group)
        tools.coclick = CoClickLog.from_questions(asked)
    _state[:] = [_Worker(source, vocabulary, tools, held_out_images(source))]


def _make_shard(number: int) -> int:
    """Make one shard of encoded examples; returns how many examples it has."""
    worker = _state[0]
    source = worker.source
    scenes = _detected(worker, number)
    random = np.random.default_rng([source.seed, 2, number])
    encoded: list[EncodedScene] = []
    examples: list[Example] = []
    missed = source.config.missed_objects
    for scene in scenes:
        held_out = scene.image_id in worker.held_out
        if missed and source.detector_weights is not None:
            scene = without_objects(scene, missed, source.seed)
        variants = [scene]
        graph = source.graphs.get(scene.image_id)
        if (
            graph is not None
            and scene is not graph
            and (held_out or random.random() < source.config.oracle_scenes)
        ):
            variants.append(graph)
        for variant in variants:
            questions = source.questions[variant.image_id]
            share = 0.0 if held_out else source.config.gold_programs
            programs = [
                Program.from_semantic(question.semantic).without_object_ids()
                if question.semantic and random.random() < share
                else None
                for question in questions
            ]
            preparer = Preparer(
                worker.vocabulary, worker.tools, {variant.image_id: variant}, kept_scenes=1
            )
            prepared = preparer.prepare(questions, programs)
            if not prepared:
                continue
            encoded.append(prepared[0].scene)
            examples += [
                _example(item.question, question, len(encoded) - 1, worker.vocabulary, held_out)
                for item, question in zip(prepared, questions, strict=True)
            ]
    write_shard(source.cache / "encoded" / f"{number:05d}.npz", Shard(encoded, examples))
    return len(examples)


def _example(
    encoded: Any, question: Question, scene: int, vocabulary: ReasonerVocabulary, held_out: bool
) -> Example:
    return Example(
        encoded,
        scene,
        vocabulary.answer_ids.get(question.answer or "", -1),
        vocabulary.type_ids.get(_type(question), -1),
        question.id,
        int(held_out),
        int(question.is_balanced is not False),
    )


def _detected(worker: _Worker, number: int) -> Sequence[Scene]:
    """The scenes of one group: from the cache, from the detector, or the graphs themselves."""
    source, ids = worker.source, worker.source.groups[number]
    if source.features is not None:
        if worker.reader is None:
            from detectors.features.opening import open_features

            worker.reader = open_features(source.features)
        read = (worker.reader.read(image_id) for image_id in ids)
        return [scene_of_regions(regions, source.class_names) for regions in read]
    if source.detector_weights is None:
        return [source.graphs[image_id] for image_id in ids]
    path = _scene_folder(source) / f"{number:05d}.npz"
    if path.is_file():
        return read_scene_shard(path)
    if worker.detector is None:
        from detectors.default import RegionDetector

        worker.detector = RegionDetector.from_pretrained(source.detector_weights)
    images = [source.folder / "images" / f"{image_id}.jpg" for image_id in ids]
    scenes = worker.detector.detect(images, list(ids))
    scenes = [
        replace(scene, image_id=image_id) for scene, image_id in zip(scenes, ids, strict=True)
    ]
    write_scene_shard(path, scenes)
    return scenes


def _scene_folder(source: DataSource) -> Path:
    """Where this run's detected scenes are; a shared folder has one part per detector and data."""
    if source.scenes is None or source.detector_weights is None:
        return source.cache / "scenes"
    digest = hashlib.sha256((source.detector_weights / "model.safetensors").read_bytes())
    digest.update((source.detector_weights / "config.json").read_bytes())
    digest.update(json.dumps([str(source.folder.resolve()), source.groups[0]]).encode())
    return source.scenes / digest.hexdigest()[:16]
