"""What a reasoner is trained on: questions, and the graphs, pictures or features they ask about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from detectors.errors import InputError
from detectors.scene import Scene
from gqa_reasoner.data.questions import Question, iterate_questions
from gqa_reasoner.data.scene_graphs import read_scene_graphs
from gqa_reasoner.training.feature_scenes import read_class_names
from gqa_reasoner.training.question_spool import QuestionSpool
from gqa_reasoner.training.reasoner_config import ReasonerTrainingConfig

__all__ = ["DataSource", "held_out_images", "read_source"]


@dataclass(frozen=True)
class DataSource:
    """Where pictures, scene graphs and questions lie, and what makes scenes of the pictures."""

    folder: Path
    detector_weights: Path | None
    """None: the scene graphs themselves are the scenes."""
    cache: Path
    config: ReasonerTrainingConfig
    seed: int
    groups: tuple[tuple[str, ...], ...] = ()
    """Image ids per shard."""
    scenes: Path | None = None
    """Folder of detected scenes that several caches share; None keeps them in the cache."""
    files: tuple[str, ...] = ()
    """Scene-graph and question files that were named instead of the folder's own."""
    features: Path | None = None
    """Region features that are the scenes."""
    class_names: tuple[str, ...] = ()
    graphs: dict[str, Scene] = field(default_factory=dict, repr=False)
    questions: Mapping[str, list[Question]] = field(default_factory=dict, repr=False)


def read_source(
    folder: Path,
    detector_weights: Path | None,
    cache: Path,
    config: ReasonerTrainingConfig,
    seed: int,
    *,
    image_limit: int | None = None,
    scenes: Path | None = None,
    graph_files: Sequence[Path] = (),
    question_files: Sequence[Path] = (),
    features: Path | None = None,
    class_names: Path | None = None,
) -> DataSource:
    """Read scene graphs and questions.

    Args:
        graph_files, question_files: read instead of the folder's sceneGraphs.json and
            questions.json; questions about other pictures than the graphs' are left out.
        features: a region-feature file whose pictures are the scenes; graphs may then be absent.

    Raises:
        InputError: a file is missing or unreadable, or no question belongs to a picture.
    """
    graphs: dict[str, Scene] = {}
    for path in graph_files or ([folder / "sceneGraphs.json"] if features is None else []):
        graphs.update(read_scene_graphs(path))
    asked = list(question_files) or [folder / "questions.json"]
    questions = QuestionSpool(
        (question for path in asked for question in iterate_questions(path)), cache
    )
    pictures: Iterable[str] = graphs
    if features is not None:
        from detectors.features.opening import open_features

        reader = open_features(features)
        pictures = reader.image_ids
        reader.close()
    ids = [image_id for image_id in pictures if image_id in questions][:image_limit]
    if not ids:
        of = features or "the graphs"
        raise InputError(f"{asked[0]}: no question is about a picture of {of}")
    size = config.pictures_per_shard
    groups = tuple(tuple(ids[start : start + size]) for start in range(0, len(ids), size))
    return DataSource(
        folder, detector_weights, cache, config, seed, groups, scenes,
        tuple(str(path.resolve()) for path in (*graph_files, *question_files)), features,
        read_class_names(class_names), graphs, questions,
    )  # fmt: skip


def held_out_images(source: DataSource) -> frozenset[str]:
    """The pictures that are kept from the trunk."""
    ids = [image_id for group in source.groups for image_id in group]
    random = np.random.default_rng([source.seed, 1])
    count = round(source.config.held_out * len(ids))
    return frozenset(ids[i] for i in random.permutation(len(ids))[:count])
