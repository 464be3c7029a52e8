"""What a trained model answers on encoded examples, and the fit of the mixture to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from gqa_reasoner.model.batch import collate
from gqa_reasoner.model.encode import EncodedScene
from gqa_reasoner.model.peers.base import Peer
from gqa_reasoner.model.reasoner import ReasonerModel
from gqa_reasoner.training.encoded_store import Example

__all__ = ["Scenes", "collect_outputs", "fit_mixture", "measure"]


class Scenes(Protocol):
    """What examples point into: a `Shard` or `MappedShards`."""

    @property
    def scenes(self) -> Sequence[EncodedScene]:
        """By the examples' `scene`."""
        ...


def collect_outputs(
    model: ReasonerModel | Peer, data: Scenes, examples: Sequence[Example], size: int = 128
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
    model: ReasonerModel | Peer, data: Scenes, examples: Sequence[Example]
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
    data: Scenes,
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
