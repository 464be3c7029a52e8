"""What shapes a reasoner's training run besides data and seed: typed, unknown keys refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from detectors.errors import InputError
from gqa_reasoner.model.reasoner import ReasonerConfig
from gqa_reasoner.training.config_file import read_config_file
from gqa_reasoner.training.reasoner_pretraining import PretrainingConfig
from gqa_reasoner.training.schedule import multiplies_in_bfloat16

__all__ = ["ReasonerTrainingConfig", "read_config", "uses_bfloat16"]


@dataclass(frozen=True)
class ReasonerTrainingConfig:
    """The `tiny` preset: two processor cores, TinyGQA."""

    steps: int = 6000
    minutes: float = 0.0
    """Processor minutes to train for instead of `steps`; the learning rate follows them. 0: off.
    For comparing models at equal cost on a shared machine; such a run does not repeat exactly."""
    batch_size: int = 64
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    final_learning_rate_share: float = 0.02
    weight_decay: float = 0.02
    gradient_clip: float = 1.0
    average_decay: float = 0.998
    """Decay of the exponential average of weights that is evaluated and exported."""
    type_weight: float = 0.1
    """Weight of the question-type loss, which teaches answer-type masking."""
    guidance_weight: float = 0.05
    """Weight of the loss that draws attention to the objects of each step."""
    source_dropout: float = 0.15
    """Chance that a training question comes without its program; likewise its guidance, its
    executed answer (twice this) and its context."""
    gold_programs: float = 0.2
    """Share of training questions that use their gold program instead of the parser's."""
    oracle_scenes: float = 0.2
    """Share of pictures that are also seen as their annotated scene graph."""
    held_out: float = 0.1
    """Share of pictures kept from the trunk, on which the mixture is fitted."""
    expansion: str = "triples"
    """Source of the context, one of `knowledge.context.MODES`; the co-click modes read the other
    training questions about the picture, under the leak rules."""
    missed_objects: float = 0.0
    """Share of detected objects dropped at random, as a worse detector would miss them."""
    data_seed: int | None = None
    """Seed of the held-out pictures and of everything drawn while encoding; None: the run's seed.
    Runs that share it can share one cache."""
    pictures_per_shard: int = 64
    shuffle_shards: int = 0
    """Shards whose questions are shuffled together, 0: all. Questions are read from disk as they
    come; where they do not fit into memory, some dozens of shards keep the reads together."""
    threads: int = 2
    precision: str = "auto"
    """`float32`, `bfloat16`, or `auto`: bfloat16 where the processor multiplies it natively."""
    compile: bool = False
    """Whether `torch.compile` fuses the trunk's blocks; needs a C++ compiler on the processor."""
    engine: str = "auto"
    """`plain` (one process), `accelerate`, or `auto`: accelerate under `accelerate launch`."""
    accumulate: int = 1
    """Passes that a batch is split into, for less memory."""
    balanced_share: float = 0.0
    """Last share of the steps, which draws from the balanced questions alone."""
    tensorboard: bool = False
    pretraining: PretrainingConfig = field(default_factory=PretrainingConfig)
    """Objectives of Unicoder-VL before the answers."""
    log_every: int = 50
    checkpoint_every: int = 250
    evaluate_every: int = 1000
    mixture_steps: int = 400
    minimum_answer_count: int = 2
    use_features: bool = True
    """Whether objects carry the detector's region features."""
    model: ReasonerConfig = field(default_factory=ReasonerConfig)

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "threads", "log_every", "checkpoint_every",
                     "evaluate_every", "pictures_per_shard", "accumulate"):  # fmt: skip
            if getattr(self, name) < 1:
                raise InputError(f"training config: {name}: expected at least 1")
        if self.shuffle_shards < 0:
            raise InputError("training config: shuffle_shards: expected 0 (all) or more")
        if self.engine not in ("auto", "plain", "accelerate"):
            raise InputError(
                f"training config: engine: expected auto, plain or accelerate, got {self.engine!r}"
            )
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise InputError(
                "training config: precision: expected auto, float32 or bfloat16, "
                f"got {self.precision!r}"
            )
        for name in ("source_dropout", "gold_programs", "oracle_scenes", "held_out",
                     "missed_objects", "balanced_share"):  # fmt: skip
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"training config: {name}: expected a share from 0 to 1")


def read_config(path: Path | None) -> ReasonerTrainingConfig:
    """The configuration in a YAML file; see `read_config_file`."""
    return read_config_file(ReasonerTrainingConfig, path)


def uses_bfloat16(config: ReasonerTrainingConfig) -> bool:
    """Whether this run multiplies in bfloat16."""
    return multiplies_in_bfloat16(config.precision)
