"""`TrainingConfig`: what shapes a run besides data and recipe, read strictly from YAML."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from detectors.errors import InputError
from gqa_reasoner.training.config_file import read_config_file
from gqa_reasoner.training.schedule import multiplies_in_bfloat16

__all__ = [
    "OBJECTIVES",
    "TrainingConfig",
    "read_training_config",
    "uses_bfloat16",
]

OBJECTIVES = ("pretrain", "retrieval", "captioning")


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that shapes a run besides data and recipe; unknown keys are refused."""

    objective: str = "pretrain"
    """`pretrain` (the recipe's losses), `retrieval` or `captioning`."""
    steps: int = 1000
    batch_size: int = 64
    """Pictures per step."""
    captions_per_image: int = 1
    learning_rate: float = 5e-4
    warmup_steps: int = 50
    final_learning_rate_share: float = 0.02
    start_share: float = 1.0
    """Of the learning rate, for all but the heads that only pre-training reads: below 1 for a
    model that starts in closed form, which a rate fit for new heads would soon undo."""
    weight_decay: float = 0.05
    gradient_clip: float = 1.0
    average_decay: float = 0.99
    """Of the exponential average of weights, which is what is saved as the model."""
    negatives: int = 3
    """Per pair and direction, when a one- or two-stream model is fine-tuned for search; 0: all
    of the batch, every text being read with every picture."""
    guided: bool = False
    """Draw them, and the match loss's false pairs, by a guide's scores."""
    group: int = 1
    """With a guide: batches are made of groups of this many pictures alike."""
    folds: int = 0
    """Cross-fitting: the guide's scores of a picture come from the closed form of the other folds
    (see `cross_fit`); 0: from the guide itself."""
    ridge: float = 2.0
    """The closed form's, under cross-fitting."""
    near: int = 16
    """A reader's groups are drawn from so many pictures that are most often confused."""
    writing: float = 0.3
    """A reader's share of the captions' own loss while it learns to rank."""
    blank: float = 0.1
    """Share of pictures that a reader's pre-training withholds."""
    word_dropout: float = 0.0
    """Share of words that become [MASK] while training for search; against overfitting."""
    cell_dropout: float = 0.0
    """Share of cells whose features become zeros then."""
    smoothing: float = 0.1
    """Label smoothing of captions."""
    precision: str = "auto"
    """`float32`, `bfloat16`, or `auto`: bfloat16 where the processor multiplies it natively."""
    threads: int = 1
    seed: int = 0
    vocabulary: int = 4000
    """Word pieces to learn, where none are given."""
    held_out: int = 0
    """Pictures of the training split kept back, to choose the best weights by their loss."""
    validate_every: int = 200
    checkpoint_every: int = 200
    log_every: int = 20
    flips: bool = True
    sizes: dict[str, int] = field(default_factory=dict)
    """Changes to the recipe's tiny sizes, such as `{width: 384}`."""
    dropout: float | None = None
    pool: str | None = None
    vision_pool: str | None = None

    def __post_init__(self) -> None:
        """Raise `InputError` for values that cannot be trained with."""
        where = "training config"
        if self.objective not in OBJECTIVES:
            raise InputError(
                f"{where}: objective: expected one of {', '.join(OBJECTIVES)}, "
                f"got {self.objective!r}"
            )
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise InputError(
                f"{where}: precision: expected auto, float32 or bfloat16, got {self.precision!r}"
            )
        for name in ("steps", "batch_size", "captions_per_image", "group", "near", "threads",
                     "validate_every", "checkpoint_every", "log_every"):  # fmt: skip
            if getattr(self, name) < 1:
                raise InputError(f"{where}: {name}: expected at least 1, got {getattr(self, name)}")
        if self.negatives < 0:
            raise InputError(f"{where}: negatives: expected at least 0, got {self.negatives}")
        for name in ("word_dropout", "cell_dropout", "blank"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(
                    f"{where}: {name}: expected 0 to below 1, got {getattr(self, name)}"
                )
        if not 0 <= self.start_share <= 1:
            raise InputError(f"{where}: start_share: expected 0 to 1, got {self.start_share}")
        if self.folds < 0 or self.folds == 1:
            raise InputError(f"{where}: folds: expected 0 or at least 2, got {self.folds}")
        for name in ("learning_rate", "gradient_clip", "ridge"):
            if not getattr(self, name) > 0:
                raise InputError(f"{where}: {name}: expected more than 0")

    def size_changes(self) -> dict[str, Any]:
        """What to change of a recipe's sizes."""
        named = {"dropout": self.dropout, "pool": self.pool, "vision_pool": self.vision_pool}
        return {**self.sizes, **{key: value for key, value in named.items() if value is not None}}


def read_training_config(path: Path | None, **changes: Any) -> TrainingConfig:
    """The configuration of a YAML file (None: defaults), with changes that are not None.

    Raises:
        InputError: missing file, bad YAML, unknown key, wrong type or value.
    """
    config = read_config_file(TrainingConfig, path)
    return replace(config, **{key: value for key, value in changes.items() if value is not None})


def uses_bfloat16(config: TrainingConfig) -> bool:
    """Whether this run multiplies in bfloat16."""
    return multiplies_in_bfloat16(config.precision)
