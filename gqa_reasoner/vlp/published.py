"""Start a recipe from public weights: a `transformers` checkpoint's words and layers.

`model/parity` reads the checkpoint into the trunk; here its word embedding and its layers move
into the recipe's own model. The words' order differs (seven special pieces come first here), so
rows are moved piece by piece. What the recipe has beyond the checkpoint, the projection of the
tower's features above all, starts untrained.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from detectors.errors import InputError
from gqa_reasoner.model.parity.checkpoint import Checkpoint, load_checkpoint
from gqa_reasoner.vlp.recipe import Recipe, Sizes

if TYPE_CHECKING:
    from gqa_reasoner.vlp.model import VisionLanguageModel
    from gqa_reasoner.vlp.text import WordPieces

__all__ = ["open_published", "published_pieces", "published_sizes", "take_published"]

_SPECIAL = {"[PAD]": "[PAD]", "[UNK]": "[UNK]", "[CLS]": "[CLS]", "[SEP]": "[SEP]",
            "[MASK]": "[MASK]", "[BOS]": "[CLS]", "[EOS]": "[SEP]"}  # fmt: skip
"""Our special pieces and BERT's that stand in for them."""


def open_published(recipe: Recipe, folder: Path) -> Checkpoint:
    """The checkpoint of one of the recipe's families.

    Raises:
        InputError: the recipe has no public weights that move into it, the folder holds another
            family, or its files are damaged.
    """
    legal = [
        item.family
        for item in recipe.weights
        if item.through == "trunk" and item.family in ("vilt", "visual_bert")
    ]
    if not legal:
        raise InputError(
            f"recipe {recipe.name!r} has no public weights of its own shape; "
            "u_visualbert, s_visualbert and vilt have"
        )
    checkpoint = load_checkpoint(folder)
    kind = str(checkpoint.record.get("model_type"))
    if kind not in legal:
        raise InputError(
            f"{folder}: recipe {recipe.name!r} takes weights of {' or '.join(legal)}, got {kind!r}"
        )
    return checkpoint


def published_sizes(recipe: Recipe, checkpoint: Checkpoint) -> Sizes:
    """The recipe's published sizes, with those that the checkpoint says."""
    record = checkpoint.record
    return replace(
        recipe.published.sizes,
        layers=int(record["num_hidden_layers"]),
        width=int(record["hidden_size"]),
        heads=int(record["num_attention_heads"]),
        hidden=int(record["intermediate_size"]),
        text_length=min(recipe.tiny.text_length, int(record["max_position_embeddings"])),
    )


def published_pieces(folder: Path) -> WordPieces:
    """The checkpoint's vocabulary.

    Raises:
        InputError: no vocab.txt there.
    """
    from gqa_reasoner.vlp.text import WordPieces

    return WordPieces.load(folder / "vocab.txt")


def take_published(
    model: VisionLanguageModel, checkpoint: Checkpoint, folder: Path, pieces: WordPieces
) -> list[str]:
    """Move words and layers into the model; returns the names of the weights that moved.

    Raises:
        InputError: a layer does not fit, or a piece is not in the checkpoint's vocabulary.
    """
    theirs = checkpoint.model.state_dict()
    mine = model.state_dict()
    moved: dict[str, Tensor] = {}
    for name, value in theirs.items():
        if name.startswith("trunk."):
            if name not in mine or mine[name].shape != value.shape:
                raise InputError(f"{folder}: weight {name!r} does not fit the recipe's trunk")
            moved[name] = value
    words = theirs["embedding.words.weight"]
    rows = _rows(folder, pieces)
    moved["text_embedding.words.weight"] = words[rows]
    length = len(mine["text_embedding.positions.weight"])
    moved["text_embedding.positions.weight"] = theirs["embedding.positions.weight"][:length]
    for part in ("weight", "bias"):
        moved[f"text_embedding.norm.{part}"] = theirs[f"embedding.norm.{part}"]
    segment = theirs.get("embedding.segments.weight")
    if segment is not None:
        languages = len(mine["text_embedding.segments.weight"])
        moved["text_embedding.segments.weight"] = segment[:1].expand(languages, -1)
    model.load_state_dict(moved, strict=False)
    return sorted(moved)


def _rows(folder: Path, pieces: WordPieces) -> Tensor:
    """The checkpoint's row of each of our pieces."""
    lines = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    place = {piece: number for number, piece in enumerate(lines)}
    rows = []
    for piece in pieces.pieces:
        theirs = _SPECIAL.get(piece, piece)
        if theirs not in place:
            raise InputError(f"{folder}: vocab.txt: piece {theirs!r} is missing")
        rows.append(place[theirs])
    return torch.tensor(rows)
