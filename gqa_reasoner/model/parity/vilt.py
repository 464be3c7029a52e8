"""ViLT (Kim et al. 2021): Pa T · 1, pre-norm, words and patches in one stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gqa_reasoner.model.embed import PatchEmbedding, TextEmbedding
from gqa_reasoner.model.parity.bert import (
    TextStates,
    embedding_rules,
    text_embedding,
    trunk_config,
)
from gqa_reasoner.model.parity.keymap import Rule, attention_rules, pairs
from gqa_reasoner.model.plan import Plan
from gqa_reasoner.model.trunk import Trunk

__all__ = ["Vilt", "build", "rules"]

IGNORED = ("position_ids",)


class Vilt(nn.Module):
    """One stream with a modality embedding added to each side.

    Pictures are taken whole: `transformers` draws patches at random where there are more than
    its limit; here all of them stay.
    """

    def __init__(self, embedding: TextEmbedding, patches: PatchEmbedding, trunk: Trunk) -> None:
        super().__init__()
        self.embedding, self.patches, self.trunk = embedding, patches, trunk
        width = trunk.config.width
        self.modality = nn.Embedding(2, width)
        self.pooler = nn.Linear(width, width)

    def forward(self, ids: Tensor, pixels: Tensor, mask: Tensor | None = None) -> TextStates:
        """(B, T) word ids and (B, 3, height, width) to states over T + 1 + patches."""
        text = self.embedding(ids) + self.modality.weight[0]
        vision = self.patches(pixels) + self.modality.weight[1]
        output = self.trunk(text, vision, text_mask=mask)
        hidden = [torch.cat([streams["t"], streams["v"]], dim=1) for streams in output.hidden]
        return TextStates(hidden, self.pooler(hidden[-1][:, 0]).tanh())


def build(record: Mapping[str, Any]) -> Vilt:
    """An untrained model of a configuration's sizes."""
    patches = PatchEmbedding(
        record["hidden_size"],
        image_size=record["image_size"],
        patch_size=record["patch_size"],
        channels=record["num_channels"],
        dropout=record["hidden_dropout_prob"],
    )
    config = trunk_config(record, Plan.one_stream(record["num_hidden_layers"]))
    return Vilt(text_embedding(record), patches, Trunk(replace(config, norm_position="pre")))


def rules(record: Mapping[str, Any]) -> list[Rule]:
    """The whole key map."""
    found = embedding_rules("embedding.", "embeddings.text_embeddings.")
    found += [
        Rule("modality.weight", ("embeddings.token_type_embeddings.weight",)),
        Rule("patches.first", ("embeddings.cls_token",), squeezed=2),
        Rule("patches.positions", ("embeddings.position_embeddings",), squeezed=1),
        *pairs("", "embeddings.patch_embeddings.", {"patches.patches": "projection"}),
    ]
    for row in range(record["num_hidden_layers"]):
        ours, theirs = f"trunk.rows.{row}.tied.", f"encoder.layer.{row}."
        own = f"{theirs}attention.attention."
        found += attention_rules(
            f"{ours}attention", [own + name for name in ("query", "key", "value")]
        )
        found += pairs(
            ours,
            theirs,
            {
                "attention.output": "attention.output.dense",
                "attention_norm": "layernorm_before",
                "feed_forward.input": "intermediate.dense",
                "feed_forward.output": "output.dense",
                "feed_forward_norm": "layernorm_after",
            },
        )
    return found + pairs("", "", {"trunk.final_norm.tied": "layernorm", "pooler": "pooler.dense"})
