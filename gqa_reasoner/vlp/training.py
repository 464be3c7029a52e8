"""One loop that trains every recipe: pre-training, and fine-tuning for search or captions.

Everything random follows from (seed, step): batches come from one permutation per epoch, masks,
captions and dropout from generators seeded per step. So a run that was killed and resumed ends
with the weights of the run that was not.
"""

from __future__ import annotations

import copy
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from detectors.errors import InputError
from gqa_reasoner.training.checkpoints import MetricsLog, load_checkpoint, save_checkpoint
from gqa_reasoner.training.schedule import learning_rate
from gqa_reasoner.vlp.board import Board
from gqa_reasoner.vlp.checkpoint import save_model
from gqa_reasoner.vlp.corpus import CaptionCorpus
from gqa_reasoner.vlp.groups import Groups
from gqa_reasoner.vlp.masking import thinned
from gqa_reasoner.vlp.model import VisionLanguageModel
from gqa_reasoner.vlp.objectives import Guide, Objective, captioning_loss, retrieval_loss
from gqa_reasoner.vlp.optimizer import make_optimizer
from gqa_reasoner.vlp.reader_losses import reader_losses, total_loss
from gqa_reasoner.vlp.recipe import Recipe
from gqa_reasoner.vlp.targets import CellClasses
from gqa_reasoner.vlp.training_config import (
    OBJECTIVES,
    TrainingConfig,
    read_training_config,
    uses_bfloat16,
)

if TYPE_CHECKING:
    from gqa_reasoner.vlp.text import WordPieces

__all__ = ["OBJECTIVES", "Trainer", "TrainingConfig", "read_training_config", "train"]

CHECKPOINT = "checkpoint.pt"


class Trainer:
    """One run in an output folder: `checkpoint.pt`, `metrics.jsonl`, the model, TensorBoard.

    Args:
        config: see `TrainingConfig`.
        recipe: the model's.
        model: is trained in place.
        corpus: training pictures and texts.
        output: folder.
        held_out: pictures and texts to choose the best weights by, or None.
        classes: of cells, for the masked-class loss.
        guide: a dual encoder's embeddings of the corpus, for hard negatives.
        held_guide: of the held-out pictures; a reader is chosen by how it ranks beside it.
    """

    def __init__(
        self,
        config: TrainingConfig,
        recipe: Recipe,
        model: VisionLanguageModel,
        corpus: CaptionCorpus,
        output: Path,
        *,
        held_out: CaptionCorpus | None = None,
        classes: CellClasses | None = None,
        guide: Guide | None = None,
        held_guide: Guide | None = None,
    ) -> None:
        _check(config, recipe, model, guide)
        self.config, self.recipe, self.model, self.corpus = config, recipe, model, corpus
        self.output, self.held_out = output, held_out
        self.guide = guide if config.guided else None
        self.objective = Objective(recipe, model.config.vocabulary, classes, self.guide)
        self.held_guide = held_guide
        self.groups = _groups(config, recipe, guide)
        self.held_groups = _groups(config, recipe, held_guide)
        self.average = copy.deepcopy(model).eval()
        self.optimizer = make_optimizer(model, config)
        self.step = 0
        self.best: float | None = None
        self._alike: np.ndarray | None = None

    @property
    def pieces(self) -> WordPieces:
        """The corpus' word pieces."""
        return self.corpus.pieces

    # ---- one step --------------------------------------------------------------------------

    def order(self, step: int) -> list[int]:
        """Pictures of the batch of `step`: consecutive pieces of one permutation per epoch; in
        groups, every `group`-th of them brings the pictures most like it along."""
        size = min(self.config.batch_size, len(self.corpus))
        group = self.config.group if self.guide is not None else 1
        leaders = max(size // group, 1)
        per_epoch = max(len(self.corpus) // leaders, 1)
        epoch, place = divmod(step, per_epoch)
        rows = np.random.default_rng([self.config.seed, epoch]).permutation(len(self.corpus))
        chosen = rows[place * leaders : (place + 1) * leaders]
        if self.groups is not None:
            generator = np.random.default_rng([self.config.seed, 1, step])
            return self.groups.drawn(chosen.tolist(), generator)
        if group == 1:
            return chosen.tolist()
        near = self._neighbours()[chosen, : group - 1]
        together = np.concatenate([chosen[:, None], near], axis=1).ravel()
        return list(dict.fromkeys(together.tolist()))

    def _neighbours(self) -> np.ndarray:
        """(pictures, 32) the pictures most like each, by the guide."""
        if self._alike is None and self.guide is not None:
            images = self.guide.images
            found = []
            for start in range(0, len(images), 512):
                scores = images[start : start + 512] @ images.T
                here = torch.arange(len(scores))
                scores[here, here + start] = -2.0
                found.append(scores.topk(min(32, len(images) - 1), dim=1).indices)
            self._alike = torch.cat(found).numpy()
        if self._alike is None:
            raise InputError("training: groups of pictures alike need a guide")
        return self._alike

    def losses(
        self, model: VisionLanguageModel, corpus: CaptionCorpus, rows: list[int], seed: int
    ) -> tuple[Tensor, dict[str, float]]:
        """The total loss of some pictures, and its parts."""
        generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)
        batch = corpus.batch(rows, generator)
        config = self.config
        reader = self.recipe.plan == "prefix"
        if model.training and (
            reader or config.objective == "retrieval" or self.recipe.plan == "dual"
        ):  # a reader hides words by itself, since it predicts them all the same
            words = 0.0 if reader else config.word_dropout
            batch = thinned(batch, words, config.cell_dropout, generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=uses_bfloat16(config)):
            if reader:
                guide = self.guide if model.training else self.held_guide
                parts = reader_losses(model, batch, generator, config, guide)
                total = total_loss(parts, config)
            elif config.objective == "pretrain":
                parts = self.objective.losses(model, batch, generator)
                total = self.objective.total(parts)
            elif config.objective == "captioning":
                total = captioning_loss(model, batch, smoothing=config.smoothing)
                parts = {"next_token": total}
            else:
                guide = self.guide if model.training else None
                total = retrieval_loss(
                    model, batch, generator, negatives=config.negatives, guide=guide
                )
                parts = {"retrieval": total}
        return total, {name: float(value.detach()) for name, value in parts.items()}

    def train_step(self) -> dict[str, float]:
        """One optimizer step; returns the losses. Weights stay as they were if not finite."""
        self.model.train()
        seed = self.config.seed * 1_000_003 + self.step
        total, values = self.losses(self.model, self.corpus, self.order(self.step), seed)
        if math.isfinite(float(total.detach())):
            rate = learning_rate(self.config, self.step)
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group.get("speed", 1.0)
            self.optimizer.zero_grad(set_to_none=True)
            total.backward()
            clip = self.config.gradient_clip
            norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip)
            if bool(torch.isfinite(norm)):
                self.optimizer.step()
                self._update_average()
        values["loss"] = float(total.detach())
        self.step += 1
        return values

    @torch.no_grad()
    def _update_average(self) -> None:
        """Exponential average of all weights, faster in the beginning."""
        decay = min(self.config.average_decay, (1 + self.step) / (10 + self.step))
        ours, theirs = [], []
        for mine, other in zip(
            self.average.state_dict().values(), self.model.state_dict().values(), strict=True
        ):
            if mine.dtype.is_floating_point:
                ours.append(mine)
                theirs.append(other)
            else:
                mine.copy_(other)
        torch._foreach_lerp_(ours, theirs, 1 - decay)

    @torch.no_grad()
    def validate(self) -> float:
        """Mean loss of the averaged weights on the held-out pictures, always on equal batches."""
        if self.held_out is None:
            raise InputError("training: no held-out pictures")
        size = min(self.config.batch_size, len(self.held_out))
        starts = range(0, len(self.held_out) - size + 1, size)
        state = torch.get_rng_state()
        found = []
        for number, start in enumerate(starts):
            rows = list(range(start, start + size))
            if self.held_groups is not None:
                rows = self.held_groups.nearest(rows[:: self.config.group])
            found.append(float(self.losses(self.average, self.held_out, rows, 7 + number)[0]))
        torch.set_rng_state(state)
        return sum(found) / len(found)

    # ---- the run ---------------------------------------------------------------------------

    def run(self, *, resume: bool = False, stop_after: int | None = None) -> int:
        """Train to the end and save the model. Returns 0, or 1 after a loss that is not finite."""
        torch.set_num_threads(self.config.threads)
        self.output.mkdir(parents=True, exist_ok=True)
        checkpoint = self.output / CHECKPOINT
        if resume and checkpoint.is_file():
            self.restore(load_checkpoint(checkpoint), str(checkpoint))
        log = MetricsLog(self.output / "metrics.jsonl", resume_step=self.step if resume else None)
        board = Board(self.output / "tensorboard", self.step)
        last = min(self.config.steps, stop_after or self.config.steps)
        for record in self._steps(last):
            step = record["step"]
            if not math.isfinite(record["loss"]):
                print(
                    f"step {step}: the loss is {record['loss']}; stopped. "
                    f"The last good checkpoint is {checkpoint}",
                    file=sys.stderr,
                )
                return 1
            if step % self.config.log_every == 0 or step == last:
                log.write(record)
                board.write(record, step)
            if self.held_out is not None and (
                step % self.config.validate_every == 0 or step == self.config.steps
            ):
                self._choose(log, board)
            if step % self.config.checkpoint_every == 0 or step == last:
                save_checkpoint(checkpoint, self.state())
        board.close()
        if self.step >= self.config.steps and self.held_out is None:
            save_model(self.output / "model", self.average, self.pieces)
        return 0

    def _choose(self, log: MetricsLog, board: Board) -> None:
        """Save the averaged weights if they are the best so far on the held-out pictures."""
        loss = self.validate()
        better = self.best is None or loss < self.best
        if better:
            self.best = loss
            save_model(self.output / "model", self.average, self.pieces)
        log.write({"step": self.step, "held_out_loss": loss, "best": better})
        board.write({"held_out_loss": loss}, self.step)

    def _steps(self, last: int) -> Iterator[dict[str, Any]]:
        """Run steps up to `last`, giving a record of each."""
        started, first = time.monotonic(), self.step
        bar = tqdm(
            total=last,
            initial=self.step,
            desc=f"{self.config.objective} {self.recipe.name}",
            disable=None,
            file=sys.stderr,
        )
        while self.step < last:
            values = self.train_step()
            seconds = max(time.monotonic() - started, 1e-9)
            rate = (self.step - first) * self.config.batch_size / seconds
            bar.update(1)
            if self.step % self.config.log_every == 0:
                bar.set_postfix(loss=f"{values['loss']:.3f}", pictures_per_s=f"{rate:.0f}")
                if bar.disable:
                    parts = " ".join(f"{name} {value:.3f}" for name, value in values.items())
                    print(
                        f"step {self.step}/{self.config.steps} {parts} {rate:.0f} pictures/s",
                        file=sys.stderr,
                        flush=True,
                    )
            yield {
                "step": self.step,
                **{name: round(value, 6) for name, value in values.items()},
                "learning_rate": learning_rate(self.config, self.step - 1),
                "pictures_per_second": round(rate, 1),
            }
        bar.close()

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""
        return {
            "step": self.step,
            "recipe": self.recipe.name,
            "config": asdict(self.config),
            "model_config": self.model.config.to_json(),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
        }

    def restore(self, state: dict[str, Any], source: str) -> None:
        """Take over a checkpoint.

        Raises:
            InputError: it was made by another recipe, model or configuration.
        """
        ours = {
            "recipe": self.recipe.name,
            "model_config": self.model.config.to_json(),
            "config": asdict(self.config),
        }
        # settings that are younger than the checkpoint were at their defaults
        state = {**state, "config": {**asdict(TrainingConfig()), **state.get("config", {})}}
        for name, value in ours.items():
            if state.get(name) != value:
                raise InputError(f"{source}: {_difference(name, state.get(name), value)}")
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.best = int(state["step"]), state["best"]


def _difference(name: str, found: Any, wanted: Any) -> str:
    """One line on what a checkpoint has differently."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key, value in wanted.items():
            if found.get(key) != value:
                return f"made with {key} {found.get(key)!r}, this run has {value!r}"
    return f"made with {name} {found!r}, this run has {wanted!r}"


def _check(
    config: TrainingConfig, recipe: Recipe, model: VisionLanguageModel, guide: Guide | None
) -> None:
    """The objective must fit the plan."""
    if model.config.recipe != recipe.name:
        raise InputError(
            f"training: expected a model of recipe {recipe.name!r}, got {model.config.recipe!r}"
        )
    captioner = recipe.plan == "encoder_decoder"
    if config.objective == "captioning" and not captioner:
        raise InputError(f"recipe {recipe.name!r} cannot write captions; use xgpt")
    if config.objective == "retrieval" and captioner:
        raise InputError(f"recipe {recipe.name!r} writes captions; it cannot search")
    if config.guided and guide is None:
        raise InputError("training config: guided: expected a guide (--guide MODEL), got none")
    if config.group > 1 and not config.guided:
        raise InputError("training config: group: larger groups need guided: true")


def _groups(config: TrainingConfig, recipe: Recipe, guide: Guide | None) -> Groups | None:
    """Where a reader learns to rank, the groups that its batches are made of."""
    if guide is None or recipe.plan != "prefix" or config.objective != "retrieval":
        return None
    return Groups(guide, config.group, config.near)


def train(
    config: TrainingConfig,
    recipe: Recipe,
    model: VisionLanguageModel,
    corpus: CaptionCorpus,
    output: Path,
    *,
    resume: bool = False,
    stop_after: int | None = None,
    **parts: Any,
) -> int:
    """Run a `Trainer`; see there. Returns an exit status."""
    trainer = Trainer(config, recipe, model, corpus, output, **parts)
    return trainer.run(resume=resume, stop_after=stop_after)
