"""CLIP (Radford et al. 2021): Pa T · D · X, a causal text tower and a patch tower."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gqa_reasoner.model.config import TrunkConfig
from gqa_reasoner.model.embed import PatchEmbedding, TextEmbedding
from gqa_reasoner.model.parity.keymap import Rule, attention_rules, pairs
from gqa_reasoner.model.parity.names import activation_name
from gqa_reasoner.model.plan import Plan
from gqa_reasoner.model.trunk import Trunk

__all__ = ["Clip", "build", "rules"]

IGNORED = ("position_ids",)
_OLD_END = 2
"""Configurations that say 2 mean the largest word id, as the first release did."""


class Clip(nn.Module):
    """Two towers that meet in one space."""

    def __init__(
        self,
        text_embedding: TextEmbedding,
        text: Trunk,
        vision_embedding: PatchEmbedding,
        vision: Trunk,
        *,
        size: int,
        end: int,
    ) -> None:
        super().__init__()
        self.text_embedding, self.text = text_embedding, text
        self.vision_embedding, self.vision = vision_embedding, vision
        self.vision_norm = nn.LayerNorm(vision.config.width, vision.config.epsilon)
        self.text_projection = nn.Linear(text.config.width, size, bias=False)
        self.vision_projection = nn.Linear(vision.config.width, size, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(2.6592))
        self.end = end

    def encode_text(self, ids: Tensor, mask: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """(B, T) word ids to (B, size) and the states per layer."""
        output = self.text(self.text_embedding(ids), text_mask=mask)
        hidden = [streams["t"] for streams in output.hidden]
        place = ids if self.end == _OLD_END else (ids == self.end).int()
        rows = torch.arange(len(ids), device=ids.device)
        return self.text_projection(hidden[-1][rows, place.argmax(dim=1)]), hidden

    def encode_image(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, 3, height, width) to (B, size) and the states per layer."""
        output = self.vision(vision=self.vision_embedding(pixels))
        hidden = [streams["v"] for streams in output.hidden]
        return self.vision_projection(self.vision_norm(hidden[-1][:, 0])), hidden

    def forward(self, ids: Tensor, pixels: Tensor, mask: Tensor | None = None) -> Tensor:
        """(texts, images) similarity logits."""
        text = functional.normalize(self.encode_text(ids, mask)[0], dim=-1)
        image = functional.normalize(self.encode_image(pixels)[0], dim=-1)
        return self.logit_scale.exp() * text @ image.T


def _trunk(record: Mapping[str, Any], plan: Plan, *, final_norm: bool) -> Trunk:
    return Trunk(
        TrunkConfig(
            plan=plan,
            width=record["hidden_size"],
            heads=record["num_attention_heads"],
            hidden=record["intermediate_size"],
            norm_position="pre",
            final_norm=final_norm,
            activation=activation_name(record["hidden_act"]),
            epsilon=record["layer_norm_eps"],
            dropout=0.0,
            attention_dropout=record["attention_dropout"],
        )
    )


def build(record: Mapping[str, Any]) -> Clip:
    """An untrained model of a configuration's sizes."""
    text, vision = record["text_config"], record["vision_config"]
    return Clip(
        TextEmbedding(
            text["vocab_size"],
            text["hidden_size"],
            positions=text["max_position_embeddings"],
            norm=False,
            dropout=0.0,
        ),
        _trunk(text, Plan.single(text["num_hidden_layers"], "causal"), final_norm=True),
        PatchEmbedding(
            vision["hidden_size"],
            image_size=vision["image_size"],
            patch_size=vision["patch_size"],
            channels=vision["num_channels"],
            bias=False,
            norm=True,
            epsilon=vision["layer_norm_eps"],
        ),
        _trunk(vision, Plan.vision(vision["num_hidden_layers"]), final_norm=False),
        size=record["projection_dim"],
        end=text["eos_token_id"],
    )


def _tower(ours: str, theirs: str, layers: int) -> list[Rule]:
    found: list[Rule] = []
    for row in range(layers):
        mine, other = f"{ours}rows.{row}.tied.", f"{theirs}encoder.layers.{row}."
        names = [f"{other}self_attn.{part}_proj" for part in "qkv"]
        found += attention_rules(f"{mine}attention", names)
        found += pairs(
            mine,
            other,
            {
                "attention.output": "self_attn.out_proj",
                "attention_norm": "layer_norm1",
                "feed_forward.input": "mlp.fc1",
                "feed_forward.output": "mlp.fc2",
                "feed_forward_norm": "layer_norm2",
            },
        )
    return found


def rules(record: Mapping[str, Any]) -> list[Rule]:
    """The whole key map."""
    text, vision = record["text_config"], record["vision_config"]
    single = {
        "text_embedding.words.weight": "text_model.embeddings.token_embedding.weight",
        "text_embedding.positions.weight": "text_model.embeddings.position_embedding.weight",
        "vision_embedding.patches.weight": "vision_model.embeddings.patch_embedding.weight",
        "vision_embedding.first": "vision_model.embeddings.class_embedding",
        "vision_embedding.positions": "vision_model.embeddings.position_embedding.weight",
        "text_projection.weight": "text_projection.weight",
        "vision_projection.weight": "visual_projection.weight",
        "logit_scale": "logit_scale",
    }
    norms = {
        "text.final_norm.tied": "text_model.final_layer_norm",
        "vision_embedding.norm": "vision_model.pre_layrnorm",
        "vision_norm": "vision_model.post_layernorm",
    }
    return [
        *(Rule(ours, (theirs,)) for ours, theirs in single.items()),
        *pairs("", "", norms),
        *_tower("text.", "text_model.", text["num_hidden_layers"]),
        *_tower("vision.", "vision_model.", vision["num_hidden_layers"]),
    ]
