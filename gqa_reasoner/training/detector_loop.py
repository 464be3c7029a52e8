"""The training loop of the detector.

Everything random follows from (seed, step), so a resumed run repeats the uninterrupted one:
batches come from a permutation per epoch, flips, light and sampling from a generator per step.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from detectors.config import DetectorConfig, DetectorVocabulary, to_mapping
from detectors.errors import InputError
from detectors.faster_rcnn import FasterRCNN, TrainingSettings, build_detector
from detectors.mobilenet import MobileNetV2, load_mobilenet
from gqa_reasoner.training.checkpoints import MetricsLog, load_checkpoint, save_checkpoint
from gqa_reasoner.training.config_file import read_config_file
from gqa_reasoner.training.detector_augmentation import change_light, change_size
from gqa_reasoner.training.detector_data import (
    DetectorData,
    PictureSet,
    build_vocabulary,
    read_folder,
)
from gqa_reasoner.training.detector_parts import (
    check_parts,
    freeze_others,
    set_modes,
    start_model,
)
from gqa_reasoner.training.schedule import learning_rate, multiplies_in_bfloat16

__all__ = ["DetectorTraining", "DetectorTrainingConfig", "read_config"]

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class InferenceSettings:
    """What the exported configuration changes: more proposals than training can afford."""

    proposals_before_nms: int = 400
    proposals_after_nms: int = 200
    proposal_nms_threshold: float = 0.8
    duplicate_nms_threshold: float = 0.9


@dataclass(frozen=True)
class DetectorTrainingConfig:
    """Everything that shapes a training run besides data and seed."""

    steps: int = 6000
    batch_size: int = 16
    learning_rate: float = 2e-3
    warmup_steps: int = 200
    final_learning_rate_share: float = 0.01
    weight_decay: float = 0.02
    gradient_clip: float = 10.0
    frozen_maps: int = 0
    """Backbone layers up to this many of its maps stay as loaded (MobileNetV2 only)."""
    backbone_learning_rate_share: float = 1.0
    """Learning rate of the backbone over that of the rest."""
    trained_parts: tuple[str, ...] = ()
    """Parts that learn (see `detector_parts.PARTS`); none named: all. The others stay as they
    are in the weights to start from, bit by bit."""
    average_decay: float = 0.998
    """Decay of the exponential average of weights that is evaluated and exported."""
    precision: str = "auto"
    """`float32`, `bfloat16`, or `auto`: bfloat16 where the processor multiplies it natively."""
    threads: int = 2
    flip_probability: float = 0.5
    light_change: float = 0.12
    """Largest relative change of brightness and contrast; colours keep their names."""
    size_change: float = 0.0
    """Largest relative change of a picture's size; above 0 it also changes its place."""
    minimum_name_count: int = 5
    facts: tuple[str, ...] = ("location", "place", "weather")
    checkpoint_every: int = 200
    log_every: int = 20
    evaluate_every: int = 1000
    evaluation_images: int = 200
    sampling: TrainingSettings = field(default_factory=TrainingSettings)
    model: DetectorConfig = field(default_factory=DetectorConfig)
    inference: InferenceSettings = field(default_factory=InferenceSettings)

    def __post_init__(self) -> None:
        """Raise `InputError` for values that cannot be trained with."""
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise InputError(
                f"training config: precision: expected auto, float32 or bfloat16, "
                f"got {self.precision!r}"
            )
        check_parts(self.trained_parts)
        for name in ("steps", "batch_size", "threads", "checkpoint_every", "log_every"):
            if getattr(self, name) < 1:
                raise InputError(f"training config: {name}: expected at least 1")


def read_config(path: Path | None) -> DetectorTrainingConfig:
    """The configuration in a YAML file; None gives the defaults.

    Raises:
        InputError: missing file, bad YAML, unknown key or a value of the wrong type.
    """
    return read_config_file(DetectorTrainingConfig, path)


def uses_bfloat16(config: DetectorTrainingConfig) -> bool:
    """Whether this run multiplies in bfloat16."""
    return multiplies_in_bfloat16(config.precision)


class DetectorTraining:
    """One training run in an output folder.

    Args:
        config: see `DetectorTrainingConfig`.
        data: training pictures with their scenes, or a folder of them.
        validation: the same for validation, or None.
        output: where checkpoint, log and weights go.
        seed: of weights, order and augmentation.
        steps: overrides `config.steps`.
        image_limit: use only the first pictures.
        command: what the model card names as the command of this run.
        backbone: folder of published MobileNetV2 weights to begin with.
        start: folder of a detector's weights to begin with, with their sizes and names.
    """

    def __init__(
        self,
        config: DetectorTrainingConfig,
        *,
        data: Path | PictureSet,
        validation: Path | PictureSet | None,
        output: Path,
        seed: int,
        steps: int | None = None,
        image_limit: int | None = None,
        command: str = "",
        backbone: Path | None = None,
        start: Path | None = None,
    ) -> None:
        if steps is not None:
            config = replace(config, steps=steps)
        if config.trained_parts and start is None:
            raise InputError(
                "training config: trained_parts: needs weights to start from (--start DIR)"
            )
        output.mkdir(parents=True, exist_ok=True)
        self.output, self.seed, self.command = output, seed, command
        self.backbone, self.start = backbone, start
        self.pictures = read_folder(data, image_limit) if isinstance(data, Path) else data
        self.validation = read_folder(validation) if isinstance(validation, Path) else validation
        torch.set_num_threads(config.threads)
        started = None if start is None else start_model(start, config.model)
        names = self._names(config) if started is None else started.config.vocabulary
        model = replace(config.model, vocabulary=names) if started is None else started.config
        self.config = config = replace(config, model=model)
        scenes = self.pictures.scenes
        self.data = DetectorData(
            self.pictures.folder, scenes, names, config.model.image_size, output / "cache-train"
        )
        torch.manual_seed(seed)
        self.model = build_detector(config.model)
        if started is not None:
            self.model.load_state_dict(started.state_dict())
        _prepare_backbone(self.model, backbone, config.frozen_maps)
        freeze_others(self.model, config.trained_parts)
        self.average = build_detector(config.model)
        self.average.load_state_dict(self.model.state_dict())
        self.average.eval()
        self.optimizer = _optimizer(self.model, config)
        self.step = 0

    def _names(self, config: DetectorTrainingConfig) -> DetectorVocabulary:
        """What the training pictures call things.

        Raises:
            InputError: no class is frequent enough.
        """
        most = config.minimum_name_count
        names = build_vocabulary(self.pictures.scenes, minimum_count=most, facts=config.facts)
        if not names.classes:
            raise InputError(f"{self.pictures.name}: no class occurs {most} times or more")
        return names

    def order(self, step: int) -> np.ndarray:
        """Rows of the batch of `step`: consecutive pieces of one permutation per epoch."""
        size = min(self.config.batch_size, len(self.data))
        per_epoch = max(len(self.data) // size, 1)
        epoch, place = divmod(step, per_epoch)
        rows = np.random.default_rng([self.seed, epoch]).permutation(len(self.data))
        return rows[place * size : (place + 1) * size]

    def run(self, *, resume: bool = False, stop_after: int | None = None) -> int:
        """Train to the end, evaluate and export. Returns an exit status."""
        from gqa_reasoner.training.detector_export import export, validate

        checkpoint = self.output / CHECKPOINT
        if resume and checkpoint.is_file():
            self.restore(load_checkpoint(checkpoint), str(checkpoint))
        log = MetricsLog(self.output / "metrics.jsonl", resume_step=self.step if resume else None)
        last = min(self.config.steps, stop_after or self.config.steps)
        for record in self._steps(last):
            if not record["finite"]:
                print(
                    f"step {record['step']}: the loss is {record['loss']}; stopped. The last good "
                    f"checkpoint is {checkpoint}",
                    file=sys.stderr,
                )
                return 1
            if record["step"] % self.config.log_every == 0 or record["step"] == last:
                log.write({key: value for key, value in record.items() if key != "finite"})
            if record["step"] % self.config.checkpoint_every == 0 or record["step"] == last:
                save_checkpoint(checkpoint, self.state())
            due = record["step"] % self.config.evaluate_every == 0
            if due and record["step"] < last and self.validation is not None:
                scores = validate(self, self.config.evaluation_images)
                log.write({"step": record["step"], "validation": scores})
        if self.step >= self.config.steps:
            export(self, log)
        return 0

    def _steps(self, last: int) -> Iterator[dict[str, Any]]:
        """Run steps up to `last`, giving a record of each."""
        started, first = time.monotonic(), self.step
        bar = tqdm(
            total=last, initial=self.step, desc="train detector", disable=None, file=sys.stderr
        )
        while self.step < last:
            losses = self.train_step()
            total = sum(losses.values())
            seconds = time.monotonic() - started
            rate = (self.step - first) * self.config.batch_size / max(seconds, 1e-9)
            bar.update(1)
            if self.step % self.config.log_every == 0:
                bar.set_postfix(loss=f"{total:.3f}", images_per_s=f"{rate:.1f}")
                if bar.disable:
                    print(
                        f"step {self.step}/{self.config.steps} loss {total:.3f} "
                        + " ".join(f"{key} {value:.3f}" for key, value in losses.items())
                        + f" {rate:.1f} images/s",
                        file=sys.stderr,
                        flush=True,
                    )
            yield {
                "step": self.step,
                "loss": round(total, 5),
                **{key: round(value, 5) for key, value in losses.items()},
                "learning_rate": learning_rate(self.config, self.step - 1),
                "images_per_second": round(rate, 2),
                "finite": math.isfinite(total),
            }
        bar.close()

    def train_step(self) -> dict[str, float]:
        """One optimizer step; returns the losses. Weights stay as they were if not finite."""
        config = self.config
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.step)
        rows = self.order(self.step)
        flips = torch.rand(len(rows), generator=generator) < config.flip_probability
        pictures, targets = self.data.batch(rows.tolist(), flips.tolist())
        pictures, targets = change_size(pictures, targets, config.size_change, generator)
        set_modes(self.model, config.trained_parts)
        with torch.autocast("cpu", torch.bfloat16, enabled=uses_bfloat16(config)):
            losses = self.model.losses(
                change_light(pictures, config.light_change, generator),
                targets,
                config.sampling,
                generator,
            )
        total = torch.stack(list(losses.values())).sum()
        values = {key: float(value.detach()) for key, value in losses.items()}
        if math.isfinite(sum(values.values())):
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(config, self.step) * group["share"]
            self.optimizer.zero_grad(set_to_none=True)
            total.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.gradient_clip)
            self.optimizer.step()
            self._update_average()
        self.step += 1
        return values

    @torch.no_grad()
    def _update_average(self) -> None:
        """Exponential average of all weights and running statistics, faster in the beginning."""
        decay = min(self.config.average_decay, (1 + self.step) / (10 + self.step))
        for averaged, current in zip(
            self.average.state_dict().values(), self.model.state_dict().values(), strict=True
        ):
            if averaged.dtype.is_floating_point:
                averaged.lerp_(current, 1 - decay)
            else:
                averaged.copy_(current)

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""
        return {
            "step": self.step,
            "seed": self.seed,
            "config": to_mapping(self.config),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any], source: str) -> None:
        """Take over a checkpoint.

        The number of steps may differ: the learning rate then follows the new number from the
        checkpoint's step on.

        Raises:
            InputError: it belongs to another configuration or seed.
        """
        made_with = {**state.get("config", {}), "steps": self.config.steps}
        if state.get("seed") != self.seed or made_with != to_mapping(self.config):
            raise InputError(
                f"{source}: checkpoint: made with another seed, configuration or vocabulary; "
                "train into a new folder, or leave out --resume"
            )
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])


def _prepare_backbone(model: FasterRCNN, folder: Path | None, frozen_maps: int) -> None:
    """Load published weights and freeze the lower layers.

    Raises:
        InputError: the backbone is not MobileNetV2, or its files do not fit.
    """
    if folder is None and not frozen_maps:
        return
    backbone = model.backbone
    if not isinstance(backbone, MobileNetV2):
        raise InputError(
            "training config: a published backbone and frozen_maps need the architecture "
            f"'mobilenet_v2-fpn', got {model.config.architecture!r}"
        )
    if folder is not None:
        load_mobilenet(backbone, folder)
    backbone.freeze(frozen_maps)


def _optimizer(model: FasterRCNN, config: DetectorTrainingConfig) -> torch.optim.Optimizer:
    """AdamW without decay on biases and normalization (Loshchilov & Hutter 2019)."""
    groups: list[dict[str, Any]] = []
    own = set(model.backbone.parameters())
    for inside, share in ((False, 1.0), (True, config.backbone_learning_rate_share)):
        members = [p for p in model.parameters() if p.requires_grad and (p in own) == inside]
        for wide, decay in ((True, config.weight_decay), (False, 0.0)):
            part = [p for p in members if (p.dim() > 1) == wide]
            if part:
                groups.append({"params": part, "weight_decay": decay, "share": share})
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
