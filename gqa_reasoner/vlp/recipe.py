"""`Recipe`: one system of the family as data, read from a YAML file into strict types.

A recipe says what is embedded, which plan the trunk follows, which losses train it with which
weights, how the corpus is transformed, at which sizes, and where the system comes from. The files
in `recipes/` are the ten systems; a file of the same form makes another one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from detectors.config import from_mapping
from detectors.errors import InputError

__all__ = [
    "LOSSES",
    "PLANS",
    "POOLS",
    "TRANSFORMS",
    "Masking",
    "PublicWeights",
    "Published",
    "Recipe",
    "Sizes",
    "list_recipes",
    "load_recipe",
]

PLANS = {
    "one_stream": "1",
    "two_stream": "2",
    "dual": "D",
    "encoder_decoder": "P",
    "prefix": "P1",
}
"""Plan names and the design's letters for them."""
VISION = {"regions": "Ob", "grid": "Gr", "patches": "Pa", "codes": "Di"}
"""Ways to embed pictures and the design's letters for them."""
LOSSES = (
    "masked_words",
    "masked_class",
    "masked_features",
    "masked_codes",
    "match",
    "alignment",
    "contrastive",
    "next_token",
    "masked_generation",
    "denoising",
    "feature_generation",
)
POOLS = ("first", "mean", "max", "attend")
TRANSFORMS = ("code_switch", "tag_anchors", "unpaired")
_FITS = {
    "one_stream": {"masked_words", "masked_class", "masked_features", "masked_codes", "match",
                   "alignment"},
    "two_stream": {"masked_words", "masked_class", "masked_features", "match"},
    "dual": {"contrastive"},
    "encoder_decoder": {"next_token", "masked_generation", "denoising", "feature_generation"},
    "prefix": {"next_token"},
}  # fmt: skip
"""The losses that a model of each plan can compute."""


@dataclass(frozen=True)
class Sizes:
    """How large a model is."""

    layers: int
    """Layers of the trunk; of its text side (dual) or its decoder (encoder_decoder)."""
    width: int
    heads: int
    hidden: int
    """Inner width of the feed-forward sublayers."""
    vision_layers: int | None = None
    """Layers of the vision side (dual) or of the encoder (encoder_decoder); None: `layers`."""
    space: int = 256
    """Size of the shared space of a dual encoder."""
    text_length: int = 32
    codes: int = 512
    """Entries of the visual dictionary, where there is one."""
    sampled_cells: int = 0
    """How many vision tokens a training step keeps at random; 0: all (Pixel-BERT)."""
    dropout: float = 0.1
    pool: str = "first"
    """What stands for a whole text (one-stream: for the pair): `first`, `mean`, `max`, `attend`."""
    vision_pool: str = "mean"
    """What stands for a whole picture: `mean`, `max` or `attend`."""

    def __post_init__(self) -> None:
        for name in ("layers", "width", "heads", "hidden", "space", "text_length", "codes"):
            if getattr(self, name) < 1:
                raise InputError(f"sizes: {name}: expected at least 1, got {getattr(self, name)}")
        if self.width % self.heads:
            raise InputError(f"sizes: width {self.width} is not a multiple of {self.heads} heads")
        _one_of("sizes: pool", self.pool, POOLS)
        _one_of("sizes: vision_pool", self.vision_pool, POOLS[1:])
        if not 0 <= self.dropout < 1:
            raise InputError(f"sizes: dropout: expected 0 to below 1, got {self.dropout}")


@dataclass(frozen=True)
class Masking:
    """What masked losses hide."""

    words: float = 0.15
    whole_words: bool = False
    """All pieces of a word are hidden together."""
    regions: float = 0.15
    one_side: bool = False
    """Words are hidden in one half of the pairs and regions in the other."""


@dataclass(frozen=True)
class Published:
    """The settings of the paper."""

    sizes: Sizes
    vision: str
    """What its vision tokens were."""
    data: str
    batch_size: int | None = None
    learning_rate: float | None = None
    schedule: str = ""


@dataclass(frozen=True)
class PublicWeights:
    """A `transformers` checkpoint that `model/parity` or an image tower loads."""

    family: str
    name: str
    through: str = "trunk"
    """`trunk`: `model/parity` reads it; `tower`: it is an image tower."""

    def __post_init__(self) -> None:
        _one_of("public weights: through", self.through, ("trunk", "tower"))


@dataclass(frozen=True)
class Recipe:
    """One system: `embed -> Trunk(plan) -> losses`, and its corpus transforms."""

    name: str
    title: str
    paper: str
    vision: str
    plan: str
    losses: dict[str, float]
    published: Published
    tiny: Sizes
    norm: str = "post"
    activation: str = "gelu"
    transforms: tuple[str, ...] = ()
    masking: Masking = field(default_factory=Masking)
    languages: tuple[str, ...] = ("en",)
    code_switch_rate: float = 0.0
    causal_text: bool = False
    """A dual encoder whose text side sees earlier words only (CLIP)."""
    weights: tuple[PublicWeights, ...] = ()
    differs: str = ""
    """How this house's version differs from the paper, beyond size and data."""

    def __post_init__(self) -> None:
        where = f"recipe {self.name!r}"
        _one_of(f"{where}: vision", self.vision, VISION)
        _one_of(f"{where}: plan", self.plan, PLANS)
        _one_of(f"{where}: norm", self.norm, ("pre", "post"))
        legal = sorted(_FITS[self.plan])
        for loss, weight in self.losses.items():
            if loss not in _FITS[self.plan]:
                raise InputError(
                    f"{where}: losses: a {self.plan} plan has {', '.join(legal)}, got {loss!r}"
                )
            if not weight > 0:
                raise InputError(f"{where}: losses: {loss}: expected a weight > 0, got {weight}")
        if not self.losses:
            raise InputError(f"{where}: losses: expected at least one of {', '.join(legal)}")
        for name in self.transforms:
            _one_of(f"{where}: transforms", name, TRANSFORMS)
        if ("masked_codes" in self.losses) != (self.vision == "codes"):
            raise InputError(f"{where}: masked_codes and vision 'codes' need each other")
        if "unpaired" in self.transforms and "match" in self.losses:
            raise InputError(f"{where}: unpaired pictures and texts have no match loss")
        if not self.languages:
            raise InputError(f"{where}: languages: expected at least one")

    @property
    def letters(self) -> str:
        """The design's short form, such as "Ob T · 1"."""
        return f"{VISION[self.vision]} T · {PLANS[self.plan]}"


def _folder() -> Path:
    return Path(__file__).parent / "recipes"


def list_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def load_recipe(name: str | Path) -> Recipe:
    """A recipe by its name, or from a YAML file of the same form.

    Raises:
        InputError: unknown name (the available ones are listed), unreadable file, unknown key.
    """
    import yaml

    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = _folder() / f"{str(name).replace('-', '_').lower()}.yaml"
    if not path.is_file():
        raise InputError(
            f"recipe: expected one of {', '.join(list_recipes())} or a YAML file, got {str(name)!r}"
        )
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: recipe: not YAML ({' '.join(str(error).split())})") from None
    return from_mapping(Recipe, record, str(path))


def _one_of(where: str, value: str, legal: Iterable[str]) -> None:
    if value not in legal:
        raise InputError(f"{where}: expected one of {', '.join(legal)}, got {value!r}")
