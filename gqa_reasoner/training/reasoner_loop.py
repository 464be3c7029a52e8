"""The training loop of the reasoner and its peers.

Everything random follows from (seed, step), so that a resumed run repeats the uninterrupted one.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from detectors.errors import InputError
from gqa_reasoner.model.batch import Batch, collate, drop_sources
from gqa_reasoner.model.encode import EncodedScene
from gqa_reasoner.model.expanded_graph import Sources
from gqa_reasoner.model.losses import IGNORED, attention_guidance, masked_ids
from gqa_reasoner.model.peers.base import Peer
from gqa_reasoner.model.reasoner import ReasonerModel, ReasonerOutput
from gqa_reasoner.training.checkpoints import MetricsLog, load_checkpoint, save_checkpoint
from gqa_reasoner.training.encoded_store import Example
from gqa_reasoner.training.example_order import batches_from
from gqa_reasoner.training.mapped_store import MappedShards
from gqa_reasoner.training.reasoner_config import (
    ReasonerTrainingConfig,
    uses_bfloat16,
)
from gqa_reasoner.training.reasoner_engine import PlainEngine, create_engine
from gqa_reasoner.training.reasoner_measure import measure
from gqa_reasoner.training.reasoner_pretraining import (
    PretrainingBatch,
    PretrainingHeads,
    make_batch,
)
from gqa_reasoner.training.schedule import learning_rate

__all__ = ["ReasonerLoop"]

CHECKPOINT = "checkpoint.pt"
_NO_LIMIT = 10**9
_STREAM_DROPOUT = 11
_NAMES = ("loss", "answer_loss", "guidance_loss", "accuracy")


class Trainee(nn.Module):
    """The model with the heads of its pre-training, as one module to distribute."""

    def __init__(self, model: ReasonerModel | Peer, heads: PretrainingHeads | None) -> None:
        super().__init__()
        self.model, self.heads = model, heads

    def forward(self, given: Batch | PretrainingBatch, keep_attention: bool = False) -> Any:
        """A `ReasonerOutput`, or the pre-training's losses."""
        if isinstance(given, PretrainingBatch):
            assert self.heads is not None and isinstance(self.model, ReasonerModel)
            return self.heads(self.model, given)
        return self.model(given, keep_attention=keep_attention)


class ReasonerLoop:
    """One training run in an output folder."""

    def __init__(
        self,
        model: ReasonerModel | Peer,
        data: MappedShards,
        config: ReasonerTrainingConfig,
        output: Path,
        seed: int,
        engine: PlainEngine | None = None,
    ) -> None:
        self.model, self.data, self.config = model, data, config
        self.output, self.seed = output, seed
        index = data.index
        self.training = data.examples(~index.held_out & (index.answer >= 0))
        self.held_out = data.examples(index.held_out)
        self.average = {k: v.detach().clone() for k, v in model.state_dict().items()}
        heads = None
        if config.compile:
            if not isinstance(model, ReasonerModel):
                raise InputError("training config: compile: only the reasoner's trunk is compiled")
            model.trunk.compile_blocks()
        if config.pretraining.steps:
            if not isinstance(model, ReasonerModel):
                raise InputError("training config: pretraining: only the reasoner is pre-trained")
            heads = PretrainingHeads(model.config.width, len(model.words.weight))
        self.guides = config.guidance_weight > 0 and model.config.guided
        self.trainee = Trainee(model, heads)
        self.engine = engine or create_engine(config.engine, bfloat16=uses_bfloat16(config))
        self.callee, self.optimizer = self.engine.prepare(self.trainee, self._optimizer())
        self.step = 0
        self.spent, self.began = 0.0, time.process_time()

    def _optimizer(self) -> torch.optim.Optimizer:
        decayed = [p for p in self.trainee.parameters() if p.dim() > 1]
        other = [p for p in self.trainee.parameters() if p.dim() <= 1]
        return torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": self.config.weight_decay},
                {"params": other, "weight_decay": 0.0},
            ],
            lr=self.config.learning_rate,
            betas=(0.9, 0.98),
        )

    def run(self, *, resume: bool = False, stop_after: int | None = None) -> int:
        """Train; 0 done, 1 stopped by a loss that is not finite (the last checkpoint is good)."""
        checkpoint = self.output / CHECKPOINT
        if resume and checkpoint.is_file():
            self._restore(load_checkpoint(checkpoint))
        log = self._log()
        limit = _NO_LIMIT if self.config.minutes else self.config.steps
        last = min(limit, stop_after or limit)
        quiet = None if self.engine.main else True
        bar = tqdm(total=last, initial=self.step, desc="reasoner", unit="step", disable=quiet)
        started, sums, since = time.monotonic(), np.zeros(len(_NAMES)), 0
        for chosen in self._order():
            if self.step >= last or (self._share() or 0.0) >= 1:
                break
            losses = self._update(chosen)
            if losses is None:
                self._say_not_finite(chosen, checkpoint)
                return 1
            self.step += 1
            sums, since = sums + losses, since + 1
            bar.update()
            if self.step % self.config.log_every == 0:
                record = self._record(sums / since)
                log.write(record)
                bar.set_postfix(loss=record["loss"], accuracy=record["accuracy"])
                sums, since = np.zeros(len(_NAMES)), 0
            if self.step % self.config.evaluate_every == 0 and self.held_out and self.engine.main:
                log.write({"step": self.step, **self._evaluate(self.held_out[:2000])})
            if self.step % self.config.checkpoint_every == 0 or self.step == last:
                self._save(checkpoint)
        if self.config.minutes:
            self._save(checkpoint)
        bar.close()
        if self.engine.main:
            seconds = time.monotonic() - started
            print(f"{self.step} steps, {seconds:.0f} s in this process", file=sys.stderr)
        return 0

    def _say_not_finite(self, chosen: Sequence[Example], checkpoint: Path) -> None:
        ids = ", ".join(item.question_id for item in chosen[:5])
        print(
            f"step {self.step}: the loss is not finite; stopped, {checkpoint} holds the "
            f"last good state; the batch begins with questions {ids}",
            file=sys.stderr,
        )

    def _log(self) -> MetricsLog:
        """`metrics.jsonl`, and TensorBoard where the configuration asks; the main process's."""
        board = self.output / "tensorboard" if self.config.tensorboard else None
        return MetricsLog(
            self.output / "metrics.jsonl", resume_step=self.step or None, board=board,
            silent=not self.engine.main,
        )  # fmt: skip

    def averaged(self) -> ReasonerModel | Peer:
        """The model with the averaged weights."""
        model = copy.deepcopy(self.model).cpu()
        model.load_state_dict(self.average)
        return model.eval()

    def _order(self) -> Iterator[list[Example]]:
        """Batches of similar length from a permutation per epoch, from the current step on.

        The last `balanced_share` of the steps draws from the balanced questions alone.
        """
        config, training = self.config, self.training.places
        turn = config.steps - round(config.balanced_share * config.steps)
        balanced = training[self.data.index.balanced[training]]
        phases = [(training, 0, turn), (balanced, turn, _NO_LIMIT)]
        if not config.balanced_share or not len(balanced):
            phases = [(training, 0, _NO_LIMIT)]
        for number, (pool, begin, end) in enumerate(phases):
            if self.step >= end:
                continue
            batches = batches_from(
                self.data.index, pool, size=config.batch_size, seed=self.seed, phase=number,
                window=config.shuffle_shards, skip=self.step - begin,
            )  # fmt: skip
            while self.step < end:
                yield [self.data.example(int(place)) for place in next(batches)]

    def _update(self, chosen: Sequence[Example]) -> np.ndarray | None:
        """One step of the optimizer; the figures of `_NAMES`, or None: not finite."""
        random = np.random.default_rng([self.seed, _STREAM_DROPOUT, self.step])
        torch.manual_seed(int(random.integers(2**62)) + self.engine.rank)
        kept = [_dropped(random, self.config.source_dropout) for _ in chosen]
        mine = self.engine.share(list(zip(chosen, kept, strict=True)))
        parts = min(self.config.accumulate, len(mine))
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        total = np.zeros(len(_NAMES))
        for start in range(parts):
            part = mine[start::parts]
            share = len(part) / len(mine)
            loss, figures = self._loss(part, random)
            if not self.engine.everywhere(bool(torch.isfinite(loss))):
                return None
            self.engine.backward(loss * share)
            total += share * figures
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, self.step, self._share())
        self.engine.clip(self.trainee, self.config.gradient_clip)
        self.optimizer.step()
        self._average()
        return total

    def _loss(
        self, part: Sequence[tuple[Example, Sources]], random: np.random.Generator
    ) -> tuple[Tensor, np.ndarray]:
        """The loss of some examples and the figures of `_NAMES`."""
        chosen = [item for item, _ in part]
        if self.step < self.config.pretraining.steps:
            return self._pretraining_loss(chosen, random)
        device = next(self.model.parameters()).device
        batch = drop_sources(self._batch(chosen, guidance=True), [kept for _, kept in part])
        labels = torch.tensor([item.answer for item in chosen], device=device)
        types = torch.tensor(
            [item.type if item.type >= 0 else IGNORED for item in chosen], device=device
        )
        with self.engine.autocast():
            output: ReasonerOutput = self.callee(batch.to(device), keep_attention=self.guides)
        logits = output.logits.float()
        answer = functional.cross_entropy(logits, labels, label_smoothing=0.02)
        loss = answer + self.config.type_weight * masked_ids(output.type_logits.float(), types)
        guided = torch.zeros(())
        if output.attention is not None and batch.guided is not None:
            guided = attention_guidance(output.attention.float(), batch.guided.to(device))
            loss = loss + self.config.guidance_weight * guided
        right = (logits.argmax(-1) == labels).float().mean()
        return loss, np.asarray([float(v.detach()) for v in (loss, answer, guided, right)])

    def _pretraining_loss(
        self, chosen: Sequence[Example], random: np.random.Generator
    ) -> tuple[Tensor, np.ndarray]:
        """The weighted objectives; answers are not looked at."""
        config = self.config.pretraining
        given = make_batch(
            [item.question for item in chosen],
            self._scenes(chosen),
            random,
            config,
            words=len(self.model.words.weight),
            feature_size=self.model.config.feature_size,
        )
        device = next(self.model.parameters()).device
        moved = PretrainingBatch(given.batch.to(device), *(part.to(device) for part in given[1:]))
        with self.engine.autocast():
            losses = self.callee(moved)
        loss = sum((getattr(config, name) * value for name, value in losses.items()),
                   torch.zeros((), device=device))  # fmt: skip
        self._objectives = {name: float(value.detach()) for name, value in losses.items()}
        return loss, np.asarray([float(loss.detach()), 0.0, 0.0, 0.0])

    def _average(self) -> None:
        """Exponential average of the weights, shorter at the beginning."""
        decay = min(self.config.average_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                self.average[name].lerp_(value.to(self.average[name].device), 1 - decay)

    def _batch(self, chosen: Sequence[Example], *, guidance: bool = False) -> Batch:
        return collate(
            [item.question for item in chosen],
            self._scenes(chosen),
            feature_size=self.model.config.feature_size,
            guidance=guidance,
        )

    def _scenes(self, chosen: Sequence[Example]) -> list[EncodedScene]:
        """The scene of each example; examples about one picture share one object."""
        found = {place: self.data.scene(place) for place in {item.scene for item in chosen}}
        return [found[item.scene] for item in chosen]

    def _record(self, means: np.ndarray) -> dict[str, Any]:
        rounded = {name: round(float(v), 5) for name, v in zip(_NAMES, means, strict=True)}
        rate = learning_rate(self.config, self.step - 1, self._share())
        record = {"step": self.step, **rounded, "learning_rate": rate}
        if self.step <= self.config.pretraining.steps:
            record |= {f"{name}_loss": round(v, 5) for name, v in self._objectives.items()}
        return record

    def _share(self) -> float | None:
        """The share of `minutes` that this run has spent; None where the steps tell."""
        if not self.config.minutes:
            return None
        return (self.spent + time.process_time() - self.began) / (60 * self.config.minutes)

    def _evaluate(self, examples: Sequence[Example]) -> dict[str, float]:
        figures = measure(self.averaged(), self.data, examples)
        return {f"held_out_{name}": round(value, 4) for name, value in figures.items()}

    def _save(self, checkpoint: Path) -> None:
        if self.engine.main:
            save_checkpoint(checkpoint, self._state())

    def _state(self) -> dict[str, Any]:
        heads = self.trainee.heads
        return {
            "step": self.step,
            "seed": self.seed,
            "spent": self.spent + time.process_time() - self.began,
            "model": self.model.state_dict(),
            "heads": heads.state_dict() if heads is not None else {},
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "config": asdict(self.config),
        }

    def _restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint.

        The number of steps may differ: the learning rate then follows the new number.

        Raises:
            InputError: it belongs to a run with another configuration, seed or kind of model.
        """
        path = self.output / CHECKPOINT
        default = asdict(ReasonerTrainingConfig())
        now = {"seed": self.seed, **asdict(self.config)}
        before = {"seed": state["seed"], **default, **state["config"]}
        for key, value in now.items():
            if key not in ("steps", "threads", "engine", "compile") and before[key] != value:
                raise InputError(
                    f"{path}: {key}: the checkpoint has {before[key]!r}, "
                    f"this run has {value!r}; an exact resume needs the same"
                )
        odd = sorted(set(self.model.state_dict()) ^ set(state["model"]))
        if odd:
            raise InputError(f"{path}: weight {odd[0]!r}: the checkpoint is of another model")
        for name, value in self.model.state_dict().items():
            if value.shape != state["model"][name].shape:
                raise InputError(
                    f"{path}: weight {name!r}: expected shape {tuple(value.shape)}, got "
                    f"{tuple(state['model'][name].shape)}; another vocabulary or feature size?"
                )
        self.model.load_state_dict(state["model"])
        if self.trainee.heads is not None:
            self.trainee.heads.load_state_dict(state["heads"])
        self.average = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        self.spent, self.began = float(state.get("spent", 0.0)), time.process_time()


def _dropped(random: np.random.Generator, chance: float) -> Sources:
    """Which sources one training question keeps."""
    program, guidance, executed, context, again = random.random(5) >= chance
    return Sources(
        program=bool(program),
        guidance=bool(guidance),
        executed=bool(program and executed and again),
        triples=bool(context),
        queries=bool(context),
    )
