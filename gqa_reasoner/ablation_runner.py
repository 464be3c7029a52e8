"""What `gqa-reasoner ablate` runs for one cell of its grid: the whole reasoner on a split.

Settings (the `settings:` of the YAML file): `images` or `scene_graphs`; `detector`; `weights`, a
folder in which `{seed}` and `{source}` are filled in, so that every cell may have weights of its
own; `triples`, `ontology`, `coclick`; `scenes`, a folder that keeps detected scenes;
`coclick_from_questions: true` makes the log of the other questions about each picture
(transductive, under the leak rules); `miss` drops that share of the detected objects at random.
`training` trains the weights of every cell first, where they are not there yet: each source and
each control has weights of its own, trained with that context.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from detectors.errors import InputError
from detectors.scene import Scene
from eval.ablation import Configuration, RunOutput

if TYPE_CHECKING:
    from eval.ablation import AblationConfig
    from gqa_reasoner.data.questions import Question
    from gqa_reasoner.pipeline import Reasoner

__all__ = ["RunnerSettings", "TrainingSettings", "make_runner"]

_MODES = {
    ("triples", "random"): "random",
    ("triples", "shuffled"): "shuffled",
    ("triples", "matched"): "empty",
    ("coclick", "random"): "coclick_random",
}
"""The expansion mode of each control that is defined."""
_SHARD = 50


class TrainingSettings(BaseModel):
    """How each cell's own weights are trained; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Path
    """Folder with images/, sceneGraphs.json and questions.json; not the evaluated pictures."""
    output: Path
    """Folder of the runs; grids that name the same folder share their weights."""
    config: Path | None = None
    """Training configuration of the reasoner (YAML)."""
    images: int | None = None
    workers: int = 1


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
    training: TrainingSettings | None = None


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
    if chosen.training is not None and (chosen.weights is not None or chosen.detector != "default"):
        raise InputError("settings: training makes the weights: leave out weights and detector")
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
            from gqa_reasoner.training.scene_cache import without_objects

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
        mode = _MODES.get((configuration.source, configuration.control))
        if mode is None:
            known = ", ".join(f"{control} of {source}" for source, control in _MODES)
            raise InputError(
                f"controls: {configuration.control!r} of {configuration.source!r} is not defined "
                f"(defined: {known}; set controls and controls_of)"
            )
        return mode

    def _reasoner(self, configuration: Configuration) -> Reasoner:
        from gqa_reasoner.pipeline import Reasoner

        settings = self.settings
        weights = settings.weights
        if settings.training is not None:
            weights = str(self._trained(configuration, settings.training))
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
        reads_queries = self._mode(configuration) in ("coclick", "both", "coclick_random")
        if settings.coclick_from_questions and reads_queries:
            from knowledge.coclick import CoClickLog

            reasoner.__dict__["coclick"] = CoClickLog.from_questions(self.questions)
        return reasoner

    def _trained(self, configuration: Configuration, training: TrainingSettings) -> Path:
        """A weights folder whose reasoner was trained with this cell's context and seed."""
        from gqa_reasoner.pipeline import WEIGHTS
        from gqa_reasoner.training.reasoner_config import read_config
        from gqa_reasoner.training.reasoner_run import train_reasoner

        mode = self._mode(configuration)
        folder = training.output / f"{mode}-{configuration.seed}"
        if not (folder / "weights" / "model.safetensors").is_file():
            status = train_reasoner(
                replace(read_config(training.config), expansion=mode),
                data=training.data,
                detector_weights=WEIGHTS / "detector",
                output=folder,
                seed=configuration.seed,
                image_limit=training.images,
                workers=training.workers,
                resume=True,
                cache=training.output / "cache" / mode,
                scenes=training.output / "scenes",
            )
            if status:
                raise InputError(f"{folder}: training stopped with status {status}")
        linked = folder / "all"
        linked.mkdir(exist_ok=True)
        places = {name: WEIGHTS / name for name in ("detector", "parser")}
        for name, place in {**places, "reasoner": folder / "weights"}.items():
            if not (linked / name).exists():
                (linked / name).symlink_to(place.resolve(), target_is_directory=True)
        return linked

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
