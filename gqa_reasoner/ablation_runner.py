"""What `gqa-reasoner ablate` runs for one cell of its grid: the whole reasoner on a split.

Settings (the `settings:` of the YAML file): `images` or `scene_graphs`; `detector`; `weights`, a
folder in which `{seed}` and `{source}` are filled in, so that every cell may have weights of its
own; `triples`, `ontology`, `coclick`; `scenes`, a folder that keeps detected scenes;
`coclick_from_questions: true` makes the log of the other questions about each picture
(transductive, under the leak rules); `miss` drops that share of the detected objects at random.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from detectors.errors import InputError
from detectors.scene import Scene
from eval.ablation import Configuration, RunOutput

if TYPE_CHECKING:
    from eval.ablation import AblationConfig
    from gqa_reasoner.data.questions import Question
    from gqa_reasoner.pipeline import Reasoner

__all__ = ["RunnerSettings", "make_runner", "without_objects"]

_CONTROLS = {"random": "random", "shuffled": "shuffled", "matched": "empty"}
_SHARD = 50


class RunnerSettings(BaseModel):
    """The settings of the default runner; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: Path | None = None
    scene_graphs: Path | None = None
    detector: str = "default"
    weights: str | None = None
    triples: Path | None = None
    ontology: Path | None = None
    coclick: Path | None = None
    coclick_from_questions: bool = False
    scenes: Path | None = None
    miss: float = Field(default=0.0, ge=0.0, lt=1.0)


def make_runner(
    config: AblationConfig, settings: Mapping[str, Any]
) -> Callable[[Configuration], RunOutput]:
    """The function that answers all questions under one configuration.

    Raises:
        InputError: a setting is unknown or missing.
    """
    try:
        chosen = RunnerSettings(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"settings: {place}: {first['msg']}") from None
    if (chosen.images is None) == (chosen.scene_graphs is None):
        raise InputError("settings: give either images or scene_graphs")
    return _Runner(config, chosen)


class _Runner:
    def __init__(self, config: AblationConfig, settings: RunnerSettings) -> None:
        from gqa_reasoner.data.questions import read_questions

        self.settings = settings
        self.questions = list(read_questions(config.questions).values())
        self._scenes: dict[str, Scene] | None = None

    def __call__(self, configuration: Configuration) -> RunOutput:
        from gqa_reasoner.model.inference import predict_questions

        reasoner = self._reasoner(configuration)
        scenes = self._all_scenes(reasoner)
        if self.settings.miss:
            seed = configuration.seed
            scenes = {k: without_objects(v, self.settings.miss, seed) for k, v in scenes.items()}
        mode = self._mode(configuration)
        began = time.perf_counter()
        predictions = {
            item["questionId"]: item["prediction"]
            for item in predict_questions(reasoner, self.questions, scenes, expansion=mode)
        }
        seconds = time.perf_counter() - began
        tokens = self._tokens(reasoner, scenes, mode)
        return RunOutput(predictions, seconds, tokens, {"expansion": mode})

    def _mode(self, configuration: Configuration) -> str:
        if configuration.control == "real":
            return configuration.source
        if configuration.source != "triples":
            raise InputError(
                f"controls: {configuration.control!r} is defined for the source 'triples', not "
                f"{configuration.source!r} (set controls_of: [triples])"
            )
        return _CONTROLS[configuration.control]

    def _reasoner(self, configuration: Configuration) -> Reasoner:
        from gqa_reasoner.pipeline import Reasoner

        settings = self.settings
        weights = settings.weights
        if weights is not None:
            weights = weights.replace("{seed}", str(configuration.seed))
            weights = weights.replace("{source}", configuration.source)
        reasoner = Reasoner.from_pretrained(
            weights,
            detector_spec=settings.detector,
            store_path=settings.triples,
            ontology_path=settings.ontology,
            coclick_path=settings.coclick,
            seed=configuration.seed,
        )
        if settings.coclick_from_questions and configuration.source in ("coclick", "both"):
            from knowledge.coclick import CoClickLog

            reasoner.__dict__["coclick"] = CoClickLog.from_questions(self.questions)
        return reasoner

    def _all_scenes(self, reasoner: Reasoner) -> dict[str, Scene]:
        """Scenes of every picture that is asked about, detected once."""
        if self._scenes is None:
            wanted = sorted({question.image_id for question in self.questions})
            if self.settings.scene_graphs is not None:
                from gqa_reasoner.data.scene_graphs import read_scene_graphs

                found = read_scene_graphs(self.settings.scene_graphs)
                self._scenes = {key: found[key] for key in wanted if key in found}
            else:
                self._scenes = self._detect(reasoner, wanted)
        return self._scenes

    def _detect(self, reasoner: Reasoner, wanted: list[str]) -> dict[str, Scene]:
        from gqa_reasoner.training.scene_cache import read_scene_shard, write_scene_shard

        folder = self.settings.images or Path()
        scenes: dict[str, Scene] = {}
        for start in range(0, len(wanted), _SHARD):
            part = wanted[start : start + _SHARD]
            code = zlib.crc32("\n".join([self.settings.detector, *part]).encode())
            shard = self.settings.scenes / f"{code:08x}.npz" if self.settings.scenes else None
            if shard is not None and shard.is_file():
                found = read_scene_shard(shard)
            else:
                paths = [folder / f"{image_id}.jpg" for image_id in part]
                found = reasoner.detector.detect(paths, part)
                if shard is not None:
                    write_scene_shard(shard, found)
            scenes.update((scene.image_id, scene) for scene in found)
        return scenes

    def _tokens(self, reasoner: Reasoner, scenes: Mapping[str, Scene], mode: str) -> float:
        """Mean number of context words a question, over a sample of 200."""
        from gqa_reasoner.model.prepare_many import Tools

        tools = Tools.of(reasoner, mode)
        sample: list[Question] = self.questions[:: max(1, len(self.questions) // 200)]
        total = 0
        for question in sample:
            context = tools.expand(scenes[question.image_id], question.question, question.id)
            if context is not None:
                texts = [item.text for item in context.triples]
                texts += [item.text for item in context.queries]
                total += sum(len(text.split()) for text in texts)
        return total / max(len(sample), 1)


def without_objects(scene: Scene, share: float, seed: int) -> Scene:
    """The scene as a detector would give it that misses `share` of the objects (at random)."""
    generator = np.random.default_rng([seed, zlib.crc32(scene.image_id.encode())])
    kept = np.flatnonzero(generator.random(len(scene.objects)) >= share)
    ids = {scene.objects[place].id for place in kept}
    arrays = {
        name: None if values is None else values[kept]
        for name in ("features", "class_probabilities", "attribute_probabilities")
        for values in (getattr(scene, name),)
    }
    links = scene.relation_probabilities
    return Scene(
        image_id=scene.image_id,
        width=scene.width,
        height=scene.height,
        objects=[scene.objects[place] for place in kept],
        relations=[r for r in scene.relations if r.subject in ids and r.object in ids],
        scene_attributes=dict(scene.scene_attributes),
        relation_probabilities=None if links is None else links[np.ix_(kept, kept)],
        vocabulary=scene.vocabulary,
        detector=scene.detector,
        **arrays,
    )
