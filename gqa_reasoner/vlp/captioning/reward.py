"""Training by reward: captions that are drawn more often the better people would score them.

Self-critical sequence training (Rennie et al. 2017, https://arxiv.org/abs/1612.00563) with the
mean of a picture's other samples as the baseline (Luo 2020, https://arxiv.org/abs/2003.09971):

    gradient of  - mean over samples of (r - baseline) * log p(sample | picture)

The reward r is CIDEr-D against the picture's training captions. The end of a caption counts as a
word of it, so that captions that break off earn less.

Legend: B pictures, K samples of a picture, T words, N words of all samples, V cells, F features.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from detectors.errors import InputError
from eval.ngrams import bleu, cider, document_frequency
from gqa_reasoner.model.frozen import native_bfloat16
from gqa_reasoner.training.checkpoints import MetricsLog, load_checkpoint, save_checkpoint
from gqa_reasoner.vlp.captioning.beam_steps import BeamSteps, Memory
from gqa_reasoner.vlp.captioning.captioner import Captioner, CaptionSettings
from gqa_reasoner.vlp.captioning.evaluation import caption_records, references
from gqa_reasoner.vlp.captioning.rules import Hypothesis, Rules
from gqa_reasoner.vlp.captioning.sampling import NucleusSettings, sample
from gqa_reasoner.vlp.captioning.teaching import taught_logits
from gqa_reasoner.vlp.checkpoint import save_model

if TYPE_CHECKING:
    from gqa_reasoner.vlp.data.records import CaptionRecord
    from gqa_reasoner.vlp.model import VisionLanguageModel
    from gqa_reasoner.vlp.text import WordPieces

__all__ = ["CiderReward", "RewardConfig", "RewardTrainer", "policy_loss"]

END = "[EOS]"
CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class RewardConfig:
    """What shapes a run."""

    steps: int = 600
    batch_size: int = 16
    samples: int = 5
    learning_rate: float = 2e-5
    warmup_steps: int = 20
    average_decay: float = 0.98
    max_length: int = 20
    validate_every: int = 100
    checkpoint_every: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "max_length", "validate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise InputError(f"reward: {name}: expected at least 1, got {getattr(self, name)}")
        if self.samples < 2:
            raise InputError(f"reward: samples: expected at least 2, got {self.samples}")
        if not self.learning_rate > 0:
            raise InputError("reward: learning rate: expected more than 0")


class CiderReward:
    """CIDEr-D of captions, document frequencies counted over all given pictures.

    Args:
        captions: of each picture, plain text.
    """

    def __init__(self, captions: Sequence[Sequence[str]]) -> None:
        self.captions = [[f"{text} {END}" for text in texts] for texts in captions]
        self.frequency = document_frequency(self.captions)

    def __call__(self, rows: Sequence[int], said: Sequence[str]) -> np.ndarray:
        """(len(said),) rewards; caption i is of picture `rows[i]`."""
        ended = [f"{text} {END}".strip() for text in said]
        others = [self.captions[row] for row in rows]
        return cider(ended, others, frequency=self.frequency)[1]


def policy_loss(log_probabilities: Tensor, rewards: Tensor, words: Tensor) -> Tensor:
    """The loss whose gradient is the policy gradient, per word.

    Args:
        log_probabilities: (N,) of all words of all samples, row by row.
        rewards: (B, K).
        words: (B, K) how many words each sample has.
    """
    count = rewards.shape[1]
    others = (rewards.sum(dim=1, keepdim=True) - rewards) / (count - 1)
    advantage = (rewards - others).flatten().repeat_interleave(words.flatten())
    return -(advantage * log_probabilities).sum() / words.sum()


class RewardTrainer:
    """Trains a captioner by reward; the best averaged weights on held-out pictures are kept.

    Args:
        model: is trained in place, without dropout.
        records: training pictures with plain captions.
        held_out: pictures to choose the best weights by, by their CIDEr.
        features: (B, V, F) of named pictures.
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        pieces: WordPieces,
        records: Sequence[CaptionRecord],
        held_out: Sequence[CaptionRecord],
        features: Callable[[Sequence[str]], Tensor],
        config: RewardConfig,
    ) -> None:
        if not records or not held_out:
            raise InputError("reward: expected pictures to train on and held-out pictures")
        self.model, self.pieces, self.config = model.eval(), pieces, config
        self.records, self.held_out, self.features = records, held_out, features
        self.reward = CiderReward([record.captions for record in records])
        self.rules = Rules(pieces.bos, pieces.eos, tuple(range(pieces.eos)), 1, config.max_length)
        self.average = copy.deepcopy(model).eval()
        trained = [value for value in model.parameters() if value.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=config.learning_rate, weight_decay=0.0)
        self.step = 0
        self.best: dict[str, float] = {}
        self._rewards: list[float] = []

    def train_step(self) -> float:
        """One step; returns the mean reward of the samples."""
        config = self.config
        generator = np.random.default_rng([config.seed, self.step])
        size = min(config.batch_size, len(self.records))
        rows = generator.choice(len(self.records), size, replace=False).tolist()
        features = self.features([self.records[row].image for row in rows])
        samples = self._draw(features, rows)
        said = [self.pieces.decode(one.tokens) for one in samples]
        owner = [row for row in rows for _ in range(config.samples)]
        rewards = torch.from_numpy(self.reward(owner, said)).float().view(size, -1)
        loss = self._loss(features, samples, rewards)
        progress = self.step / config.steps
        rate = config.learning_rate * min(1.0, (self.step + 1) / max(config.warmup_steps, 1))
        for group in self.optimizer.param_groups:
            group["lr"] = rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * progress)))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        with torch.no_grad():
            ours: list[Tensor] = list(self.average.parameters())
            theirs: list[Tensor] = list(self.model.parameters())
            torch._foreach_lerp_(ours, theirs, 1 - config.average_decay)
        self.step += 1
        return float(rewards.mean())

    @torch.no_grad()
    def _draw(self, features: Tensor, rows: Sequence[int]) -> list[Hypothesis]:
        """`samples` captions of each picture, picture by picture."""
        config = self.config
        steps = BeamSteps(self.model, Memory.encode(self.model, features), config.max_length + 1)
        nucleus = NucleusSettings(mass=1.0, count=config.samples, seed=config.seed)
        numbers = [self.step * len(self.records) + row for row in rows]
        return [one for found in sample(steps, self.rules, nucleus, numbers) for one in found]

    def _loss(self, features: Tensor, samples: list[Hypothesis], rewards: Tensor) -> Tensor:
        lengths = torch.tensor([len(one.tokens) + 1 for one in samples])
        longest = int(lengths.max())
        ids = torch.zeros(len(samples), longest, dtype=torch.long)
        labels = torch.zeros_like(ids)
        for place, one in enumerate(samples):
            said = (*one.tokens, self.pieces.eos)
            ids[place, : len(said)] = torch.tensor((self.pieces.bos, *one.tokens))
            labels[place, : len(said)] = torch.tensor(said)
        mask = torch.arange(longest) < lengths[:, None]
        shape = (*rewards.shape, longest)
        with torch.autocast("cpu", torch.bfloat16, enabled=native_bfloat16()):
            logits = taught_logits(self.model, features.clone(), ids.view(shape), mask.view(shape))
        logs = logits.float().log_softmax(dim=-1)
        logs = logs.gather(1, labels[mask][:, None])[:, 0]
        return policy_loss(logs, rewards, lengths.view(rewards.shape))

    def validate(self) -> dict[str, float]:
        """CIDEr and BLEU-4 of the averaged weights on the held-out pictures, beam 3."""
        captioner = Captioner(self.average, self.pieces)
        settings = CaptionSettings(beams=3, max_length=self.config.max_length)
        said = caption_records(captioner, self.held_out, self.features, settings)
        true = references(self.held_out)
        both = [said[name] for name in said], [true[name] for name in said]
        return {"CIDEr": cider(*both)[0], "BLEU-4": bleu(*both)[0][3]}

    # ---- the run ---------------------------------------------------------------------------

    def run(
        self, output: Path, *, resume: bool = False, stop_after: int | None = None
    ) -> dict[str, float]:
        """Train to the end; `output/model` holds the best, `metrics.jsonl` the course.

        Args:
            resume: go on from the folder's `checkpoint.pt`, if there is one; the run then ends
                with the weights of one that was not interrupted.
            stop_after: leave a checkpoint after this step and end there.

        Returns:
            The best held-out figures so far and their step.

        Raises:
            InputError: a checkpoint of another model or configuration.
        """
        output.mkdir(parents=True, exist_ok=True)
        checkpoint = output / CHECKPOINT
        if resume and checkpoint.is_file():
            self.restore(load_checkpoint(checkpoint), str(checkpoint))
        # what was validated at the checkpoint's own step is validated, and written, again
        log = MetricsLog(output / "metrics.jsonl", resume_step=self.step - 1 if resume else None)
        last = min(self.config.steps, stop_after or self.config.steps)
        while self.step < last:
            if self.step % self.config.validate_every == 0:
                self._choose(output, log)
            self._rewards.append(self.train_step())
            if self.step % self.config.checkpoint_every == 0 or self.step == last:
                save_checkpoint(checkpoint, self.state())
        if self.step >= self.config.steps:
            self._choose(output, log)
        return self.best

    def _choose(self, output: Path, log: MetricsLog) -> None:
        """Save the averaged weights if they are the best so far on the held-out pictures."""
        found = self.validate()
        mean = sum(self._rewards) / max(len(self._rewards), 1)
        log.write({"step": self.step, "reward": mean, **found})
        self._rewards = []
        if found["CIDEr"] > self.best.get("CIDEr", -1.0):
            self.best = {"step": self.step, **found}
            save_model(output / "model", self.average, self.pieces)

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""
        return {
            "step": self.step,
            "config": asdict(self.config),
            "model_config": self.model.config.to_json(),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "rewards": self._rewards,
        }

    def restore(self, state: dict[str, Any], source: str) -> None:
        """Take over a checkpoint.

        Raises:
            InputError: it was made by another model or configuration.
        """
        ours = {"model_config": self.model.config.to_json(), "config": asdict(self.config)}
        for name, mine in ours.items():
            found = state.get(name, {})
            for key, value in mine.items():
                if found.get(key) != value:
                    raise InputError(
                        f"{source}: made with {key} {found.get(key)!r}, this run has {value!r}"
                    )
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.best = int(state["step"]), dict(state["best"])
        self._rewards = list(state["rewards"])
