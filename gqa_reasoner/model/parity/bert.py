"""BERT (Devlin et al. 2019), and so MiniLM; RoBERTa (Liu et al. 2019) differs in its positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from gqa_reasoner.model.config import TrunkConfig
from gqa_reasoner.model.embed import TextEmbedding
from gqa_reasoner.model.parity.keymap import Rule, attention_rules, pairs
from gqa_reasoner.model.parity.names import activation_name
from gqa_reasoner.model.plan import Plan
from gqa_reasoner.model.trunk import Trunk

__all__ = ["Bert", "TextStates", "block_rules", "build", "embedding_rules", "rules", "trunk_config"]

IGNORED = ("position_ids", "token_type_ids")


class TextStates(NamedTuple):
    """`hidden`: (B, T, D) before the first layer and after each; `pooled` (B, D)."""

    hidden: list[Tensor]
    pooled: Tensor | None

    @property
    def last(self) -> Tensor:
        """(B, T, D) after the last layer."""
        return self.hidden[-1]


class Bert(nn.Module):
    """T · S: text embedding, one stream, pooler."""

    def __init__(self, embedding: TextEmbedding, trunk: Trunk, *, pooled: bool) -> None:
        super().__init__()
        self.embedding, self.trunk = embedding, trunk
        width = trunk.config.width
        self.pooler = nn.Linear(width, width) if pooled else None

    def forward(
        self,
        ids: Tensor,
        mask: Tensor | None = None,
        segments: Tensor | None = None,
        *,
        packed: bool = False,
    ) -> TextStates:
        """(B, T) word ids; `mask` True at real words; `packed`: the last layer's states alone."""
        embedded = self.embedding(ids, segments)
        output = self.trunk(embedded, text_mask=mask, packed=packed, keep_hidden=not packed)
        hidden = [streams["t"] for streams in output.hidden] or [output.text]
        pooled = self.pooler(hidden[-1][:, 0]).tanh() if self.pooler is not None else None
        return TextStates(hidden, pooled)


def trunk_config(record: Mapping[str, Any], plan: Plan) -> TrunkConfig:
    """Sizes from a BERT-like configuration."""
    return TrunkConfig(
        plan=plan,
        width=record["hidden_size"],
        heads=record["num_attention_heads"],
        hidden=record["intermediate_size"],
        activation=activation_name(record["hidden_act"]),
        epsilon=record["layer_norm_eps"],
        dropout=record["hidden_dropout_prob"],
        attention_dropout=record["attention_probs_dropout_prob"],
    )


def text_embedding(record: Mapping[str, Any]) -> TextEmbedding:
    """Words, positions, segments, norm."""
    roberta = record.get("model_type") in ("roberta", "xlm-roberta")
    return TextEmbedding(
        record["vocab_size"],
        record["hidden_size"],
        positions=record["max_position_embeddings"],
        segments=record["type_vocab_size"],
        epsilon=record["layer_norm_eps"],
        padding=record["pad_token_id"] if roberta else None,
        dropout=record["hidden_dropout_prob"],
    )


def build(record: Mapping[str, Any], *, pooled: bool = True) -> Bert:
    """An untrained model of a configuration's sizes."""
    plan = Plan.single(record["num_hidden_layers"])
    return Bert(text_embedding(record), Trunk(trunk_config(record, plan)), pooled=pooled)


def embedding_rules(ours: str, theirs: str) -> list[Rule]:
    """Word, position and segment tables and the norm."""
    tables = {
        "words": "word_embeddings",
        "positions": "position_embeddings",
        "segments": "token_type_embeddings",
    }
    return [
        *(
            Rule(f"{ours}{mine}.weight", (f"{theirs}{other}.weight",))
            for mine, other in tables.items()
        ),
        *pairs(ours, theirs, {"norm": "LayerNorm"}),
    ]


def block_rules(ours: str, theirs: str) -> list[Rule]:
    """One layer: self-attention, its output, the two dense layers."""
    own = f"{theirs}attention.self."
    return [
        *attention_rules(f"{ours}attention", [own + name for name in ("query", "key", "value")]),
        *pairs(
            ours,
            theirs,
            {
                "attention.output": "attention.output.dense",
                "attention_norm": "attention.output.LayerNorm",
                "feed_forward.input": "intermediate.dense",
                "feed_forward.output": "output.dense",
                "feed_forward_norm": "output.LayerNorm",
            },
        ),
    ]


def rules(record: Mapping[str, Any], *, pooled: bool = True) -> list[Rule]:
    """The whole key map."""
    found = embedding_rules("embedding.", "embeddings.")
    for row in range(record["num_hidden_layers"]):
        found += block_rules(f"trunk.rows.{row}.tied.", f"encoder.layer.{row}.")
    return found + (pairs("", "", {"pooler": "pooler.dense"}) if pooled else [])
