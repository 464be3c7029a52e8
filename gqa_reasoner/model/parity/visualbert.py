"""VisualBERT (Li et al. 2019): Ob T · 1, BERT over words and projected region features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gqa_reasoner.model.embed import RegionEmbedding, TextEmbedding
from gqa_reasoner.model.parity.bert import (
    TextStates,
    block_rules,
    embedding_rules,
    text_embedding,
    trunk_config,
)
from gqa_reasoner.model.parity.keymap import Rule, pairs
from gqa_reasoner.model.plan import Plan
from gqa_reasoner.model.trunk import Trunk

__all__ = ["VisualBert", "build", "rules"]

IGNORED = ("position_ids",)


class VisualBert(nn.Module):
    """One stream: words first, then regions; the text's norm serves both."""

    def __init__(self, embedding: TextEmbedding, regions: RegionEmbedding, trunk: Trunk) -> None:
        super().__init__()
        self.embedding, self.regions, self.trunk = embedding, regions, trunk
        self.pooler = nn.Linear(trunk.config.width, trunk.config.width)

    def forward(
        self,
        ids: Tensor,
        features: Tensor,
        mask: Tensor | None = None,
        region_mask: Tensor | None = None,
        *,
        packed: bool = False,
    ) -> TextStates:
        """(B, T) word ids and (B, V, F) features to states over T + V.

        Args:
            packed: compute real positions only, and return the last layer's states alone.
        """
        text = self.embedding(ids)
        vision = self.embedding.finish(self.regions(features))
        output = self.trunk(text, vision, text_mask=mask, vision_mask=region_mask, packed=packed)
        if packed:
            last = torch.cat([output.text, output.vision], dim=1)
            return TextStates([last], self.pooler(last[:, 0]).tanh())
        hidden = [torch.cat([streams["t"], streams["v"]], dim=1) for streams in output.hidden]
        return TextStates(hidden, self.pooler(hidden[-1][:, 0]).tanh())


def build(record: Mapping[str, Any]) -> VisualBert:
    """An untrained model of a configuration's sizes."""
    regions = RegionEmbedding(
        record["visual_embedding_dim"],
        record["hidden_size"],
        style="feature",
        segments=record["type_vocab_size"],
        positions=record["max_position_embeddings"],
    )
    plan = Plan.one_stream(record["num_hidden_layers"])
    return VisualBert(text_embedding(record), regions, Trunk(trunk_config(record, plan)))


def rules(record: Mapping[str, Any]) -> list[Rule]:
    """The whole key map."""
    found = embedding_rules("embedding.", "embeddings.")
    found += pairs("regions.", "embeddings.", {"features": "visual_projection"})
    found += [
        Rule("regions.segments.weight", ("embeddings.visual_token_type_embeddings.weight",)),
        Rule("regions.positions.weight", ("embeddings.visual_position_embeddings.weight",)),
    ]
    for row in range(record["num_hidden_layers"]):
        found += block_rules(f"trunk.rows.{row}.tied.", f"encoder.layer.{row}.")
    return found + pairs("", "", {"pooler": "pooler.dense"})
