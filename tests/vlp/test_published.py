"""Public weights move into a recipe's model, here from a small checkpoint of random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from detectors.errors import InputError
from gqa_reasoner.model.parity import vilt, visualbert
from gqa_reasoner.model.parity.checkpoint import Checkpoint, save_checkpoint
from gqa_reasoner.vlp.config import ModelConfig
from gqa_reasoner.vlp.model import VisionLanguageModel
from gqa_reasoner.vlp.published import (
    open_published,
    published_pieces,
    published_sizes,
    take_published,
)
from gqa_reasoner.vlp.recipe import load_recipe

VOCABULARY = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog", "##s", "cat"]
RECORD: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "vocab_size": len(VOCABULARY), "max_position_embeddings": 20, "type_vocab_size": 2,
    "hidden_act": "gelu", "layer_norm_eps": 1e-12, "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0, "image_size": 64, "patch_size": 32, "num_channels": 3,
    "visual_embedding_dim": 12,
}  # fmt: skip


def _checkpoint(folder: Path, kind: str) -> Path:
    family = {"vilt": vilt, "visual_bert": visualbert}[kind]
    record = {**RECORD, "model_type": kind}
    torch.manual_seed(0)
    model = family.build(record)
    save_checkpoint(Checkpoint(model, record, family.rules(record), "", {}), folder)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    return folder


@pytest.mark.parametrize("name", ["vilt", "s_visualbert", "u_visualbert"])
def test_words_and_layers_compute_what_the_checkpoint_computes(name: str, tmp_path: Path) -> None:
    kind = "vilt" if name == "vilt" else "visual_bert"
    folder = _checkpoint(tmp_path, kind)
    recipe = load_recipe(name)
    public = open_published(recipe, folder)
    pieces = published_pieces(folder)
    sizes = published_sizes(recipe, public)
    assert (sizes.layers, sizes.width, sizes.hidden) == (2, 16, 24)
    config = ModelConfig.from_recipe(recipe, vocabulary=len(pieces), sizes=sizes, classes=3)
    model = VisionLanguageModel(config).eval()
    moved = take_published(model, public, folder, pieces)
    assert sum(item.startswith("trunk.rows.1.") for item in moved) > 8

    ours = torch.tensor([[pieces.cls, *pieces.encode("a dogs cat"), pieces.sep]])
    theirs = torch.tensor([[3, 6, 7, 8, 9, 4]])
    assert ours.tolist() != theirs.tolist()
    embedded = model.embed_text(ours)
    expected = public.model.embedding(theirs)
    assert torch.allclose(embedded, expected, atol=1e-5)
    vision = torch.randn(1, 5, 16)
    found = model.trunk(embedded, vision)
    reference = public.model.trunk(expected, vision)
    assert torch.allclose(found.text, reference.text, atol=1e-4)
    assert torch.allclose(found.vision, reference.vision, atol=1e-4)


def test_other_recipes_and_families_are_refused(tmp_path: Path) -> None:
    folder = _checkpoint(tmp_path, "visual_bert")
    with pytest.raises(InputError, match="takes weights of vilt, got 'visual_bert'"):
        open_published(load_recipe("vilt"), folder)
    with pytest.raises(InputError, match="no public weights of its own shape"):
        open_published(load_recipe("soho"), folder)
    (folder / "vocab.txt").unlink()
    with pytest.raises(InputError, match="no such file"):
        published_pieces(folder)
