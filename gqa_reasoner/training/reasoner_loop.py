"""The training loop of the reasoner: the trunk first, then the mixture on held-out pictures.

Everything random follows from (seed, step), so that a resumed run repeats the uninterrupted one.
"""

from __future__ import annotations

import copy
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from gqa_reasoner.model.batch import Batch, collate, drop_sources
from gqa_reasoner.model.expanded_graph import Sources
from gqa_reasoner.model.losses import IGNORED, attention_guidance, masked_ids
from gqa_reasoner.model.peers.base import Peer
from gqa_reasoner.model.reasoner import ReasonerModel
from gqa_reasoner.training.checkpoints import MetricsLog, load_checkpoint, save_checkpoint
from gqa_reasoner.training.encoded_store import Example, Shard
from gqa_reasoner.training.reasoner_config import (
    ReasonerTrainingConfig,
    learning_rate,
    uses_bfloat16,
)

__all__ = ["ReasonerLoop", "batches_of", "fit_mixture", "measure"]

CHECKPOINT = "checkpoint.pt"
_NO_LIMIT = 10**9
_STREAM_DROPOUT, _STREAM_ORDER = 11, 12


class ReasonerLoop:
    """One training run in an output folder."""

    def __init__(
        self,
        model: ReasonerModel | Peer,
        data: Shard,
        config: ReasonerTrainingConfig,
        output: Path,
        seed: int,
    ) -> None:
        self.model, self.data, self.config = model, data, config
        self.output, self.seed = output, seed
        self.training = [item for item in data.examples if not item.held_out and item.answer >= 0]
        self.held_out = [item for item in data.examples if item.held_out]
        self.average = {k: v.detach().clone() for k, v in model.state_dict().items()}
        decayed = [p for p in model.parameters() if p.dim() > 1]
        other = [p for p in model.parameters() if p.dim() <= 1]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": config.weight_decay},
                {"params": other, "weight_decay": 0.0},
            ],
            lr=config.learning_rate,
            betas=(0.9, 0.98),
        )
        self.bfloat16 = uses_bfloat16(config)
        self.step = 0
        self.spent, self.began = 0.0, time.process_time()

    def run(self, *, resume: bool = False, stop_after: int | None = None) -> int:
        """Train; 0 done, 1 stopped by a loss that is not finite (the last checkpoint is good)."""
        checkpoint = self.output / CHECKPOINT
        if resume and checkpoint.is_file():
            self._restore(load_checkpoint(checkpoint))
        log = MetricsLog(self.output / "metrics.jsonl", resume_step=self.step or None)
        limit = _NO_LIMIT if self.config.minutes else self.config.steps
        last = min(limit, stop_after or limit)
        bar = tqdm(total=last, initial=self.step, desc="reasoner", unit="step", disable=None)
        started, sums, since = time.monotonic(), np.zeros(4), 0
        for chosen in self._order():
            if self.step >= last or (self._share() or 0.0) >= 1:
                break
            losses = self._update(chosen)
            if losses is None:
                ids = ", ".join(item.question_id for item in chosen[:5])
                print(
                    f"step {self.step}: the loss is not finite; stopped, {checkpoint} holds the "
                    f"last good state; the batch begins with questions {ids}",
                    file=sys.stderr,
                )
                return 1
            self.step += 1
            sums, since = sums + losses, since + 1
            bar.update()
            if self.step % self.config.log_every == 0:
                record = self._record(sums / since)
                log.write(record)
                bar.set_postfix(loss=record["loss"], accuracy=record["accuracy"])
                sums, since = np.zeros(4), 0
            if self.step % self.config.evaluate_every == 0 and self.held_out:
                figures = self._evaluate(self.held_out[:2000])
                log.write({"step": self.step, **figures})
            if self.step % self.config.checkpoint_every == 0 or self.step == last:
                save_checkpoint(checkpoint, self._state())
        if self.config.minutes:
            save_checkpoint(checkpoint, self._state())
        bar.close()
        seconds = time.monotonic() - started
        print(f"{self.step} steps, {seconds:.0f} s in this process", file=sys.stderr)
        return 0

    def averaged(self) -> ReasonerModel | Peer:
        """The model with the averaged weights."""
        model = copy.deepcopy(self.model)
        model.load_state_dict(self.average)
        return model.eval()

    def _order(self) -> Iterator[list[Example]]:
        """Batches of similar length from a permutation per epoch, from the current step on."""
        size = self.config.batch_size
        per_epoch = max(1, len(self.training) // size)
        epoch, skipped = divmod(self.step, per_epoch)
        while True:
            random = np.random.default_rng([self.seed, _STREAM_ORDER, epoch])
            order = random.permutation(len(self.training))[: per_epoch * size]
            batches = list(batches_of([self.training[i] for i in order], size, span=16))
            for place in random.permutation(len(batches))[skipped:]:
                yield batches[place]
            epoch, skipped = epoch + 1, 0

    def _update(self, chosen: Sequence[Example]) -> np.ndarray | None:
        """One step of the optimizer; (loss, answer loss, guidance loss, accuracy) or None."""
        random = np.random.default_rng([self.seed, _STREAM_DROPOUT, self.step])
        torch.manual_seed(int(random.integers(2**62)))
        batch = self._batch(chosen, guidance=True)
        batch = drop_sources(batch, [_dropped(random, self.config.source_dropout) for _ in chosen])
        labels = torch.tensor([item.answer for item in chosen])
        types = torch.tensor([item.type if item.type >= 0 else IGNORED for item in chosen])
        self.model.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            output = self.model(batch, keep_attention=self.config.guidance_weight > 0)
        logits = output.logits.float()
        answer = functional.cross_entropy(logits, labels, label_smoothing=0.02)
        loss = answer + self.config.type_weight * masked_ids(output.type_logits.float(), types)
        guided = torch.zeros(())
        if output.attention is not None and batch.guided is not None:
            guided = attention_guidance(output.attention.float(), batch.guided)
            loss = loss + self.config.guidance_weight * guided
        if not bool(torch.isfinite(loss)):
            return None
        rate = learning_rate(self.config, self.step, self._share())
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        self._average()
        right = (logits.argmax(-1) == labels).float().mean()
        return np.asarray([float(value.detach()) for value in (loss, answer, guided, right)])

    def _average(self) -> None:
        """Exponential average of the weights, shorter at the beginning."""
        decay = min(self.config.average_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                self.average[name].lerp_(value, 1 - decay)

    def _batch(self, chosen: Sequence[Example], *, guidance: bool = False) -> Batch:
        return collate(
            [item.question for item in chosen],
            [self.data.scenes[item.scene] for item in chosen],
            feature_size=self.model.config.feature_size,
            guidance=guidance,
        )

    def _record(self, means: np.ndarray) -> dict[str, Any]:
        names = ("loss", "answer_loss", "guidance_loss", "accuracy")
        rounded = {name: round(float(v), 5) for name, v in zip(names, means, strict=True)}
        rate = learning_rate(self.config, self.step - 1, self._share())
        return {"step": self.step, **rounded, "learning_rate": rate}

    def _share(self) -> float | None:
        """The share of `minutes` that this run has spent; None where the steps tell."""
        if not self.config.minutes:
            return None
        return (self.spent + time.process_time() - self.began) / (60 * self.config.minutes)

    def _evaluate(self, examples: Sequence[Example]) -> dict[str, float]:
        figures = measure(self.averaged(), self.data, examples)
        return {f"held_out_{name}": round(value, 4) for name, value in figures.items()}

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "seed": self.seed,
            "spent": self.spent + time.process_time() - self.began,
            "model": self.model.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "config": asdict(self.config),
        }

    def _restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint.

        The number of steps may differ: the learning rate then follows the new number.

        Raises:
            InputError: it belongs to a run with another configuration or seed.
        """
        from detectors.errors import InputError

        now = {"seed": self.seed, **asdict(self.config)}
        default = asdict(ReasonerTrainingConfig())
        before = {"seed": state["seed"], **default, **state["config"]}
        for key, value in now.items():
            if key != "steps" and before[key] != value:
                raise InputError(
                    f"{self.output / CHECKPOINT}: {key}: the checkpoint has {before[key]!r}, "
                    f"this run has {value!r}; an exact resume needs the same"
                )
        self.model.load_state_dict(state["model"])
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


def batches_of(examples: Sequence[Example], size: int, *, span: int) -> Iterator[list[Example]]:
    """Batches of similar length: sorted by length within spans of `span` batches."""
    for start in range(0, len(examples), size * span):
        part = sorted(
            examples[start : start + size * span], key=lambda item: len(item.question.kind)
        )
        for first in range(0, len(part), size):
            yield list(part[first : first + size])


def collect_outputs(
    model: ReasonerModel | Peer, data: Shard, examples: Sequence[Example], size: int = 128
) -> dict[str, Tensor]:
    """Neural logits and the mixture's inputs for many examples, in their order."""
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].question.kind))
    rows: list[tuple[Tensor, ...]] = []
    with torch.inference_mode():
        for start in range(0, len(order), size):
            chosen = [examples[i] for i in order[start : start + size]]
            batch = collate(
                [item.question for item in chosen],
                [data.scenes[item.scene] for item in chosen],
                feature_size=model.config.feature_size,
            )
            widened = functional.pad(batch.executed, (0, 8 - batch.executed.shape[1]), value=-2)
            shares = functional.pad(batch.executed_share, (0, 8 - batch.executed_share.shape[1]))
            rows.append((model(batch).logits, widened, shares, batch.signals))
    back = torch.tensor(order).argsort()
    names = ("logits", "executed", "share", "signals")
    columns = {
        n: torch.cat(c)[back].clone() for n, c in zip(names, zip(*rows, strict=True), strict=True)
    }
    columns["answer"] = torch.tensor([item.answer for item in examples])
    return columns


def measure(
    model: ReasonerModel | Peer, data: Shard, examples: Sequence[Example]
) -> dict[str, float]:
    """Accuracy of the neural side; for the reasoner of the executed side and the mixture too."""
    outputs = collect_outputs(model, data, examples)
    answer = outputs["answer"]
    known = answer >= 0
    verdicts = {"neural": outputs["logits"].argmax(-1) == answer}
    if isinstance(model, ReasonerModel):
        with torch.inference_mode():
            mixed = model.mixture(*(outputs[n] for n in ("logits", "executed", "share", "signals")))
        verdicts["executed"] = outputs["executed"][:, 0] == answer
        verdicts["mixture"] = mixed.combined.argmax(-1) == answer
    return {name: float((right & known).float().mean()) for name, right in verdicts.items()}


def fit_mixture(
    model: ReasonerModel,
    data: Shard,
    examples: Sequence[Example],
    *,
    steps: int,
    seed: int,
) -> float:
    """Fit gate, temperature and power on held-out examples; returns their final loss.

    The loss is the negative log-probability of the answer, wherever one of the two sides can
    say it.
    """
    outputs = collect_outputs(model, data, examples)
    answer, executed = outputs["answer"], outputs["executed"]
    counted = (answer >= 0).nonzero().squeeze(1)
    if not len(counted):
        return math.nan
    outputs = {name: values[counted] for name, values in outputs.items()}
    answer, executed = outputs["answer"], outputs["executed"]
    mixture = model.mixture
    with torch.no_grad():
        inputs = mixture.signals(outputs["logits"], executed, outputs["share"], outputs["signals"])
        mixture.mean.copy_(inputs.mean(0))
        mixture.deviation.copy_(inputs.std(0).clamp(min=0.05))
    torch.manual_seed(seed)
    optimizer = torch.optim.Adam(mixture.parameters(), lr=0.02, weight_decay=1e-4)
    loss = torch.zeros(())
    for _ in range(steps):
        mixed = mixture(outputs["logits"], executed, outputs["share"], outputs["signals"])
        right = mixed.combined.gather(1, answer[:, None]).squeeze(1)
        loss = -(right + 1e-4).log().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(loss.detach())
