"""A model as a folder: `model.safetensors`, `config.json`, `pieces.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from detectors.errors import InputError
from gqa_reasoner.vlp.config import ModelConfig
from gqa_reasoner.vlp.model import VisionLanguageModel

if TYPE_CHECKING:
    from gqa_reasoner.vlp.text import WordPieces

__all__ = ["check_tower", "load_model", "read_config", "save_model"]


def save_model(folder: Path, model: VisionLanguageModel, pieces: WordPieces) -> None:
    """Write the model and its word pieces; each file appears complete or not at all."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "model.safetensors.partial"
    state = {name: value.detach().contiguous() for name, value in model.state_dict().items()}
    save_file(state, partial, metadata={"format": "pt"})
    partial.replace(folder / "model.safetensors")
    text = json.dumps(model.config.to_json(), indent=1, ensure_ascii=False)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")
    pieces.save(folder / "pieces.json")


def read_config(folder: Path) -> ModelConfig:
    """A model folder's configuration.

    Raises:
        InputError: no such folder, or not a model of this family.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise InputError(f"{folder}: expected a model folder with config.json, got none")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error})") from None
    config: ModelConfig = ModelConfig.from_json(record, str(path))
    return config


def load_model(
    folder: Path, *, recipe: str | None = None
) -> tuple[VisionLanguageModel, WordPieces]:
    """Read a model in evaluation mode, and its word pieces.

    Args:
        recipe: refuse models of another recipe.

    Raises:
        InputError: files missing or damaged, weights of another shape, or another recipe.
    """
    from safetensors.torch import load_file

    from gqa_reasoner.vlp.text import WordPieces

    folder = Path(folder)
    config = read_config(folder)
    if recipe is not None and config.recipe != recipe:
        raise InputError(
            f"{folder}: expected a model of recipe {recipe!r}, got one of {config.recipe!r}"
        )
    path = folder / "model.safetensors"
    if not path.is_file():
        raise InputError(f"{folder}: no model.safetensors")
    try:
        state = load_file(path)
    except Exception as error:  # safetensors raises its own kinds
        line = " ".join(str(error).split())[:160]
        raise InputError(f"{path}: not readable weights ({line})") from None
    model = VisionLanguageModel(config)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        line = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: weights do not fit config.json ({line})") from None
    pieces = WordPieces.load(folder / "pieces.json")
    if len(pieces) != config.vocabulary:
        raise InputError(
            f"{folder}: pieces.json has {len(pieces)} pieces, config.json says {config.vocabulary}"
        )
    return model.eval(), pieces


def check_tower(config: ModelConfig, fingerprint: str, source: str) -> None:
    """Refuse features of another image tower than the model's.

    Raises:
        InputError: the fingerprints differ.
    """
    if config.fingerprint and fingerprint != config.fingerprint:
        raise InputError(
            f"{source}: features of another image tower (fingerprint {fingerprint[:12]}) than the "
            f"model's {config.tower!r} ({config.fingerprint[:12]})"
        )
