"""One whole run of the reasoner stage: data, vocabulary, trunk, mixture, export."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from detectors.config import DetectorConfig, from_mapping
from detectors.errors import InputError
from gqa_reasoner.model.peers.base import Peer, create_peer
from gqa_reasoner.model.prepare_many import Tools
from gqa_reasoner.model.reasoner import ReasonerConfig, ReasonerModel
from gqa_reasoner.model.vocabulary import ReasonerVocabulary
from gqa_reasoner.training.feature_scenes import feature_size
from gqa_reasoner.training.mapped_store import MappedShards
from gqa_reasoner.training.reasoner_config import ReasonerTrainingConfig, uses_bfloat16
from gqa_reasoner.training.reasoner_data import (
    DataSource,
    build_vocabulary,
    prepare_shards,
    read_source,
)
from gqa_reasoner.training.reasoner_engine import create_engine
from gqa_reasoner.training.reasoner_loop import ReasonerLoop
from gqa_reasoner.training.reasoner_measure import fit_mixture, measure

__all__ = ["read_detector_config", "train_reasoner"]


def train_reasoner(
    config: ReasonerTrainingConfig,
    *,
    data: Path,
    detector_weights: Path | None,
    output: Path,
    seed: int = 0,
    steps: int | None = None,
    image_limit: int | None = None,
    workers: int = 1,
    prepare_only: bool = False,
    resume: bool = False,
    stop_after: int | None = None,
    cache: Path | None = None,
    scenes: Path | None = None,
    model_name: str = "reasoner",
    graph_files: Sequence[Path] = (),
    question_files: Sequence[Path] = (),
    features: Path | None = None,
    class_names: Path | None = None,
) -> int:
    """Train and export; see the options of `train --stage reasoner`.

    Args:
        graph_files, question_files: instead of `data`'s; see `read_source`.
        model_name: `reasoner`, or one of `peers.base.PEERS`, which get the same data.

    Raises:
        InputError: unusable data, weights or configuration.
    """
    config = replace(config, steps=steps) if steps is not None else config
    output.mkdir(parents=True, exist_ok=True)
    data_seed = seed if config.data_seed is None else config.data_seed
    source = read_source(
        data,
        detector_weights,
        cache or output / "cache",
        config,
        data_seed,
        image_limit=image_limit,
        scenes=scenes,
        graph_files=graph_files,
        question_files=question_files,
        features=features,
        class_names=class_names,
    )
    detector = read_detector_config(detector_weights) if detector_weights else None
    engine = create_engine(config.engine, bfloat16=uses_bfloat16(config))
    with engine.main_first():
        vocabulary = _vocabulary(source, detector)
        shards = prepare_shards(source, vocabulary, workers=workers)
    if prepare_only:
        print(f"{len(shards)} shards of encoded questions in {source.cache}", file=sys.stderr)
        return 0
    torch.set_num_threads(config.threads)
    torch.manual_seed(seed)
    shard = MappedShards(shards)
    size = _feature_size(detector, features) if config.use_features else 0
    model = _create(model_name, replace(config.model, feature_size=size), vocabulary)
    loop = ReasonerLoop(model, shard, config, output, seed, engine)
    if not loop.training:
        raise InputError(f"{data}: questions.json: no question has an answer to train on")
    status = loop.run(resume=resume, stop_after=stop_after)
    if status or (stop_after is not None and stop_after < config.steps):
        return status
    if not loop.engine.main:
        return 0
    return _export(loop, shard, config, seed, output, data, detector)


def _feature_size(detector: DetectorConfig | None, features: Path | None) -> int:
    """The size of the objects' features; 0: they have none."""
    if features is not None:
        from detectors.features.opening import open_features

        reader = open_features(features)
        size = feature_size(reader)
        reader.close()
        return size
    return detector.feature_size if detector else 0


def _create(
    name: str, config: ReasonerConfig, vocabulary: ReasonerVocabulary
) -> ReasonerModel | Peer:
    if name == "reasoner":
        return ReasonerModel(config, vocabulary)
    return create_peer(name, config, vocabulary)


def read_detector_config(folder: Path) -> DetectorConfig:
    """The configuration of detector weights, without loading them.

    Raises:
        InputError: missing or unreadable.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a folder of detector weights")
    try:
        record = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error})") from None
    return from_mapping(DetectorConfig, record, str(path))


def _vocabulary(source: DataSource, detector: DetectorConfig | None) -> ReasonerVocabulary:
    """The run's vocabulary, made once and kept beside the cache."""
    path = source.cache / "vocabulary.json"
    if path.is_file():
        return ReasonerVocabulary.from_json(json.loads(path.read_text()))
    vocabulary = build_vocabulary(source, Tools.default(source.config.expansion), detector)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(vocabulary.to_json(), ensure_ascii=False) + "\n")
    return vocabulary


def _export(
    loop: ReasonerLoop,
    shard: MappedShards,
    config: ReasonerTrainingConfig,
    seed: int,
    output: Path,
    data: Path,
    detector: DetectorConfig | None,
) -> int:
    """Fit the mixture on the held-out pictures and write the weights with their card."""
    model = loop.averaged()
    fitted, tested = loop.held_out[::2], loop.held_out[1::2]
    figures: dict[str, float] = {}
    if fitted and not isinstance(model, ReasonerModel):
        figures = measure(model, shard, tested)
    elif fitted and isinstance(model, ReasonerModel):
        loss = fit_mixture(model, shard, fitted, steps=config.mixture_steps, seed=seed)
        figures = {"mixture_loss": loss, **measure(model, shard, tested)}
    if figures:
        print(f"held out: {json.dumps(figures)}", file=sys.stderr)
    weights = output / "weights"
    model.save_pretrained(weights, _card(loop, config, data, detector, figures, seed))
    (output / "summary.json").write_text(json.dumps({"steps": loop.step, **figures}) + "\n")
    size = sum(path.stat().st_size for path in weights.iterdir()) / 2**20
    print(f"wrote {weights} ({size:.1f} MB)", file=sys.stderr)
    return 0


def _card(
    loop: ReasonerLoop,
    config: ReasonerTrainingConfig,
    data: Path,
    detector: DetectorConfig | None,
    figures: dict[str, float],
    seed: int,
) -> str:
    """The model card."""
    parameters = sum(p.numel() for p in loop.model.parameters())
    scenes = detector.detector_name if detector else "annotated scene graphs"
    kind = [
        "# Reasoner weights",
        "",
        "A one-stream transformer over the expanded graph (question words, program steps, objects,",
        "triples), an answer head and a calibrated mixture with the executed program.",
    ]
    if isinstance(loop.model, Peer):
        kind = [f"# {loop.model.name} weights", "", "A peer of the reasoner: words and objects."]
    lines = [
        *kind,
        "",
        f"- {parameters:,} parameters, width {config.model.width}, {config.model.layers} layers;"
        " stored in half precision",
        f"- answers: {len(loop.model.vocabulary.answers)}; words: "
        f"{len(loop.model.vocabulary.words)}",
        f"- trained by `gqa-reasoner train --stage reasoner` on {_world(data)}, seed {seed},"
        f" {loop.step} steps of {config.batch_size} questions;"
        f" {len(loop.training):,} training questions",
        f"- scenes: {scenes}; on other detectors' scenes the executed program decides",
        *(
            []
            if not (data / "tinygqa.json").is_file()
            else ["- not trained on GQA or on photographs; its figures say nothing about them"]
        ),
        "",
    ]
    if figures:
        lines += ["| held-out questions | accuracy |", "| --- | --- |"]
        names = [name for name in ("neural", "executed", "mixture") if name in figures]
        lines += [f"| {name} | {figures[name]:.4f} |" for name in names]
        lines += [
            "",
            "Held out: pictures that the trunk did not see; half of their questions fitted the",
            "mixture, these figures are of the other half.",
        ]
    return "\n".join(lines) + "\n"


def _world(data: Path) -> str:
    """What the training pictures are, for the card."""
    if (data / "tinygqa.json").is_file():
        return f"TinyGQA, a synthetic world made by this project ({data.name})"
    return f"the scene graphs and questions of {data.name}"
