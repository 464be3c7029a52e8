"""LXMERT (Tan & Bansal 2019): Ob T, words alone, regions alone, then both across; GQA answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from gqa_reasoner.model.embed import RegionEmbedding, TextEmbedding
from gqa_reasoner.model.parity.bert import block_rules, embedding_rules, trunk_config
from gqa_reasoner.model.parity.keymap import Rule, attention_rules, pairs
from gqa_reasoner.model.plan import Plan, Row
from gqa_reasoner.model.trunk import Trunk

__all__ = ["Lxmert", "LxmertStates", "build", "rules"]

IGNORED = ("position_ids",)
_TEXT = Row(tv="off", vt="off", vv="off", tied=False)
_VISION = Row(tt="off", tv="off", vt="off", tied=False)
_CROSS = Row(tt="off", vv="off", tied=True, feed_forward=False)
_OWN = Row(tv="off", vt="off", tied=False)


class LxmertStates(NamedTuple):
    """`text` (B, T, D), `vision` (B, V, D), `pooled` (B, D), `answers` (B, labels) or None."""

    text: Tensor
    vision: Tensor
    pooled: Tensor
    answers: Tensor | None


class Lxmert(nn.Module):
    """Two streams with cross attention, perhaps with the question-answering head.

    `labels`: the answers' names in the head's order.
    """

    def __init__(
        self,
        embedding: TextEmbedding,
        regions: RegionEmbedding,
        trunk: Trunk,
        labels: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.embedding, self.regions, self.trunk = embedding, regions, trunk
        self.labels = tuple(labels)
        width = trunk.config.width
        self.pooler = nn.Linear(width, width)
        self.answer_head = None
        if labels:
            self.answer_head = nn.Sequential(
                nn.Linear(width, 2 * width),
                nn.GELU(),
                nn.LayerNorm(2 * width, 1e-12),
                nn.Linear(2 * width, len(labels)),
            )

    def forward(
        self,
        ids: Tensor,
        features: Tensor,
        boxes: Tensor,
        mask: Tensor | None = None,
        region_mask: Tensor | None = None,
        segments: Tensor | None = None,
        *,
        packed: bool = False,
    ) -> LxmertStates:
        """(B, T) word ids, (B, V, F) features, (B, V, 4) boxes in shares of the picture.

        Args:
            packed: compute real positions only.
        """
        output = self.trunk(
            self.embedding(ids, segments),
            self.regions(features, boxes),
            text_mask=mask,
            vision_mask=region_mask,
            packed=packed,
            keep_hidden=False,
        )
        pooled = self.pooler(output.text[:, 0]).tanh()
        answers = self.answer_head(pooled) if self.answer_head is not None else None
        return LxmertStates(output.text, output.vision, pooled, answers)


def _plan(record: Mapping[str, Any]) -> Plan:
    return Plan(
        (_TEXT,) * record["l_layers"]
        + (_VISION,) * record["r_layers"]
        + (_CROSS, _OWN) * record["x_layers"]
    )


def build(record: Mapping[str, Any], labels: Sequence[str] = ()) -> Lxmert:
    """An untrained model of a configuration's sizes; with `labels` it has the answer head."""
    record = {**record, "layer_norm_eps": 1e-12}
    width = record["hidden_size"]
    embedding = TextEmbedding(
        record["vocab_size"],
        width,
        positions=record["max_position_embeddings"],
        segments=record["type_vocab_size"],
        fixed_first=True,
        dropout=record["hidden_dropout_prob"],
    )
    regions = RegionEmbedding(
        record["visual_feat_dim"],
        width,
        style="mean",
        box_size=record["visual_pos_dim"],
        dropout=record["hidden_dropout_prob"],
    )
    return Lxmert(embedding, regions, Trunk(trunk_config(record, _plan(record))), labels)


def rules(record: Mapping[str, Any], *, prefix: str = "", answer_head: bool = False) -> list[Rule]:
    """The whole key map; `prefix` is `lxmert.` in checkpoints with a head."""
    vision = f"{prefix}encoder.visn_fc."
    found = embedding_rules("embedding.", f"{prefix}embeddings.")
    found += pairs(
        "regions.",
        vision,
        {
            "features": "visn_fc",
            "norm": "visn_layer_norm",
            "boxes": "box_fc",
            "box_norm": "box_layer_norm",
        },
    )
    row = 0
    for _ in range(record["l_layers"]):
        found += block_rules(f"trunk.rows.{row}.t.", f"{prefix}encoder.layer.{row}.")
        row += 1
    for layer in range(record["r_layers"]):
        found += block_rules(f"trunk.rows.{row}.v.", f"{prefix}encoder.r_layers.{layer}.")
        row += 1
    for layer in range(record["x_layers"]):
        found += _cross_rules(row, f"{prefix}encoder.x_layers.{layer}.")
        row += 2
    found += pairs("", prefix, {"pooler": "pooler.dense"})
    if answer_head:
        places = {"answer_head.0": "0", "answer_head.2": "2", "answer_head.3": "3"}
        found += pairs("", "answer_head.logit_fc.", places)
    return found


def _cross_rules(row: int, theirs: str) -> list[Rule]:
    """One cross layer is two rows: across (shared weights), then each on its own."""
    across = f"trunk.rows.{row}.tied."
    cross = f"{theirs}visual_attention."
    found = attention_rules(
        f"{across}attention", [f"{cross}att.{name}" for name in ("query", "key", "value")]
    )
    found += pairs(
        across,
        cross,
        {"attention.output": "output.dense", "attention_norm": "output.LayerNorm"},
    )
    for stream, name in (("t", "lang"), ("v", "visn")):
        ours, own = f"trunk.rows.{row + 1}.{stream}.", f"{theirs}{name}_self_att."
        found += attention_rules(
            f"{ours}attention", [f"{own}self.{part}" for part in ("query", "key", "value")]
        )
        found += pairs(
            ours, own, {"attention.output": "output.dense", "attention_norm": "output.LayerNorm"}
        )
        found += pairs(
            ours,
            f"{theirs}{name}_",
            {
                "feed_forward.input": "inter.dense",
                "feed_forward.output": "output.dense",
                "feed_forward_norm": "output.LayerNorm",
            },
        )
    return found
