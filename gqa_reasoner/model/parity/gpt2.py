"""GPT-2 (Radford et al. 2019): T · C · N. Its projections are stored transposed and fused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from gqa_reasoner.model.config import TrunkConfig
from gqa_reasoner.model.embed import TextEmbedding
from gqa_reasoner.model.parity.keymap import Rule, pairs
from gqa_reasoner.model.parity.names import activation_name
from gqa_reasoner.model.plan import Plan
from gqa_reasoner.model.trunk import Cache, Trunk

__all__ = ["Gpt2", "build", "rules"]

IGNORED = ("attn.bias", "attn.masked_bias")


class Gpt2(nn.Module):
    """Causal language model."""

    def __init__(self, embedding: TextEmbedding, trunk: Trunk) -> None:
        super().__init__()
        self.embedding, self.trunk = embedding, trunk

    def forward(
        self, ids: Tensor, mask: Tensor | None = None, cache: Cache | None = None
    ) -> list[Tensor]:
        """(B, T) word ids (with a cache: the new ones) to (B, T, D) per layer, the last normed."""
        offset = cache.text_length if cache is not None else 0
        output = self.trunk(self.embedding(ids, offset=offset), text_mask=mask, cache=cache)
        return [streams["t"] for streams in output.hidden]

    def logits(self, hidden: Tensor) -> Tensor:
        """(B, T, D) to (B, T, words) with the embedding's own table."""
        return hidden @ self.embedding.words.weight.T


def build(record: Mapping[str, Any]) -> Gpt2:
    """An untrained model of a configuration's sizes."""
    width = record["n_embd"]
    config = TrunkConfig(
        plan=Plan.single(record["n_layer"], "causal"),
        width=width,
        heads=record["n_head"],
        hidden=record["n_inner"] or 4 * width,
        norm_position="pre",
        activation=activation_name(record["activation_function"]),
        epsilon=record["layer_norm_epsilon"],
        dropout=record["resid_pdrop"],
        attention_dropout=record["attn_pdrop"],
    )
    embedding = TextEmbedding(
        record["vocab_size"],
        width,
        positions=record["n_positions"],
        norm=False,
        dropout=record["embd_pdrop"],
    )
    return Gpt2(embedding, Trunk(config))


def rules(record: Mapping[str, Any]) -> list[Rule]:
    """The whole key map."""
    found = [
        Rule("embedding.words.weight", ("wte.weight",)),
        Rule("embedding.positions.weight", ("wpe.weight",)),
    ]
    dense = {
        "attention.query_key_value": "attn.c_attn",
        "attention.output": "attn.c_proj",
        "feed_forward.input": "mlp.c_fc",
        "feed_forward.output": "mlp.c_proj",
    }
    for row in range(record["n_layer"]):
        ours, theirs = f"trunk.rows.{row}.tied.", f"h.{row}."
        for mine, other in dense.items():
            found += [
                Rule(f"{ours}{mine}.weight", (f"{theirs}{other}.weight",), transposed=True),
                Rule(f"{ours}{mine}.bias", (f"{theirs}{other}.bias",)),
            ]
        found += pairs(ours, theirs, {"attention_norm": "ln_1", "feed_forward_norm": "ln_2"})
    return found + pairs("trunk.final_norm.", "", {"tied": "ln_f"})
