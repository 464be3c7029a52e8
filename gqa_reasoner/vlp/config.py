"""`ModelConfig`: everything that a `VisionLanguageModel` is built from, as a JSON record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from detectors.config import from_mapping
from detectors.errors import InputError
from gqa_reasoner.model.config import TrunkConfig
from gqa_reasoner.model.plan import Plan, Row
from gqa_reasoner.vlp.recipe import Recipe, Sizes

__all__ = ["ModelConfig", "build_plan", "trunk_config"]


@dataclass(frozen=True)
class ModelConfig:
    """A recipe's shape at a given size, for a vocabulary and an image tower."""

    recipe: str
    plan: str
    vision: str
    sizes: Sizes
    losses: tuple[str, ...]
    vocabulary: int
    tower: str = ""
    """The image tower's specification, such as "mobilenet:DIR"."""
    fingerprint: str = ""
    """Of the image tower; features of another tower are refused."""
    tower_width: int = 1280
    grid: tuple[int, int] = (7, 7)
    """Rows and columns of the tower's cells."""
    image_size: int = 224
    classes: int = 0
    """Object classes of the masked-class head."""
    languages: tuple[str, ...] = ("en",)
    norm: str = "pre"
    activation: str = "gelu"
    causal_text: bool = False

    @classmethod
    def from_recipe(
        cls,
        recipe: Recipe,
        *,
        vocabulary: int,
        sizes: Sizes | None = None,
        tower: Any = None,
        classes: int = 0,
        languages: tuple[str, ...] | None = None,
        **sizes_changed: Any,
    ) -> ModelConfig:
        """The recipe at its tiny size, or at `sizes`, each field of which may be changed.

        Args:
            tower: an `ImageTower`, or None for the default fields.

        Raises:
            InputError: an unknown size, or sizes that do not fit each other.
        """
        sizes = sizes or recipe.tiny
        known = {item.name for item in fields(Sizes)}
        unknown = sorted(set(sizes_changed) - known)
        if unknown:
            raise InputError(
                f"sizes: expected some of {', '.join(sorted(known))}, got {unknown[0]!r}"
            )
        own: dict[str, Any] = {}
        if tower is not None:
            own = {
                "tower": tower.name,
                "fingerprint": tower.fingerprint,
                "tower_width": tower.width,
                "grid": tuple(tower.grid),
                "image_size": tower.image_size,
            }
        return cls(
            recipe=recipe.name,
            plan=recipe.plan,
            vision=recipe.vision,
            sizes=replace(sizes, **sizes_changed),
            losses=tuple(recipe.losses),
            vocabulary=vocabulary,
            classes=classes,
            languages=languages or recipe.languages,
            norm=recipe.norm,
            activation=recipe.activation,
            causal_text=recipe.causal_text,
            **own,
        )

    @property
    def cells(self) -> int:
        """Vision tokens per picture."""
        return self.grid[0] * self.grid[1]

    def to_json(self) -> dict[str, Any]:
        """A JSON record of every field."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any], source: str = "model configuration") -> Any:
        """Read `to_json`'s form.

        Raises:
            InputError: an unknown or missing key, or a value of the wrong type.
        """
        return from_mapping(cls, record, source)


def build_plan(config: ModelConfig) -> Plan:
    """The trunk's plan."""
    layers = config.sizes.layers
    vision = config.sizes.vision_layers
    vision = layers if vision is None else vision
    if config.plan == "one_stream":
        return Plan.one_stream(layers)
    if config.plan == "two_stream":
        return Plan.two_stream(layers)
    if config.plan == "prefix":
        return Plan.prefix(layers)
    if config.plan == "encoder_decoder":
        return Plan.encoder_decoder(vision, layers)
    text = "causal" if config.causal_text else "full"
    return Plan(
        tuple(
            Row(
                tt=text if number < layers else "off",  # type: ignore[arg-type]
                tv="off",
                vt="off",
                vv="full" if number < vision else "off",
                tied=False,
            )
            for number in range(max(layers, vision))
        )
    )


def trunk_config(config: ModelConfig) -> TrunkConfig:
    """The trunk's own configuration."""
    sizes = config.sizes
    return TrunkConfig(
        plan=build_plan(config),
        width=sizes.width,
        heads=sizes.heads,
        hidden=sizes.hidden,
        norm_position="pre" if config.norm == "pre" else "post",
        activation=config.activation,
        epsilon=1e-6,
        dropout=sizes.dropout,
        attention_dropout=0.0,  # the fused attention of processors has none
    )
