"""T5 (Raffel et al. 2020): T · P · N. The source is the vision slot, the target the text slot.

Each decoder layer is two rows: causal self-attention without a feed-forward sublayer, then cross
attention with one. Positions are buckets of distance, shared by all layers of a stack.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gqa_reasoner.model.config import TrunkConfig
from gqa_reasoner.model.parity.keymap import Rule
from gqa_reasoner.model.parity.names import activation_name
from gqa_reasoner.model.plan import Plan
from gqa_reasoner.model.trunk import Cache, Trunk, TrunkOutput

__all__ = ["T5", "build", "rules"]

IGNORED = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")


class T5(nn.Module):
    """Encoder and decoder in one trunk; the language head is tied or its own."""

    def __init__(self, words: nn.Embedding, trunk: Trunk, *, tied: bool, dropout: float) -> None:
        super().__init__()
        self.words, self.trunk = words, trunk
        self.dropout = nn.Dropout(dropout)
        self.head = None
        if not tied:
            self.head = nn.Linear(words.embedding_dim, words.num_embeddings, bias=False)

    def forward(
        self,
        source: Tensor | None,
        target: Tensor,
        source_mask: Tensor | None = None,
        cache: Cache | None = None,
    ) -> TrunkOutput:
        """(B, V) source and (B, T) target ids; with a filled cache no source, new targets only.

        `text` of the result is the decoder's side, `vision` the encoder's.
        """
        vision = self.dropout(self.words(source)) if source is not None else None
        output = self.trunk(
            self.dropout(self.words(target)), vision, vision_mask=source_mask, cache=cache
        )
        return output._replace(text=self.dropout(output.text))

    def logits(self, hidden: Tensor) -> Tensor:
        """(B, T, D) to (B, T, words); the tied head scales by the width."""
        if self.head is not None:
            return self.head(hidden)
        return hidden * self.words.embedding_dim**-0.5 @ self.words.weight.T

    @torch.no_grad()
    def generate(
        self, source: Tensor, *, start: int, end: int, most: int, source_mask: Tensor | None = None
    ) -> Tensor:
        """Greedy decoding with the cache: (B, up to `most`) ids after `start`."""
        cache = Cache()
        step = torch.full((len(source), 1), start, dtype=torch.long, device=source.device)
        done = torch.zeros(len(source), dtype=torch.bool, device=source.device)
        found = []
        for number in range(most):
            given = source if number == 0 else None
            hidden = self(given, step, source_mask, cache).text
            step = self.logits(hidden[:, -1:]).argmax(-1)
            found.append(step.masked_fill(done[:, None], end))
            done |= step[:, 0] == end
            if bool(done.all()):
                break
        return torch.cat(found, dim=1)


def _activation(record: Mapping[str, Any]) -> str:
    kind = str(record["feed_forward_proj"])
    name = activation_name("gelu_new" if kind == "gated-gelu" else kind.removeprefix("gated-"))
    return f"gated_{name}" if kind.startswith("gated-") else name


def _decoder_layers(record: Mapping[str, Any]) -> int:
    return int(record.get("num_decoder_layers") or record["num_layers"])


def build(record: Mapping[str, Any]) -> T5:
    """An untrained model of a configuration's sizes."""
    config = TrunkConfig(
        plan=Plan.encoder_decoder(record["num_layers"], _decoder_layers(record)),
        width=record["d_model"],
        heads=record["num_heads"],
        head_width=record["d_kv"],
        hidden=record["d_ff"],
        norm="rms",
        norm_position="pre",
        activation=_activation(record),
        epsilon=record["layer_norm_epsilon"],
        bias=False,
        scale=1.0,
        relative_buckets=record["relative_attention_num_buckets"],
        relative_distance=record["relative_attention_max_distance"],
        dropout=record["dropout_rate"],
        attention_dropout=record["dropout_rate"],
    )
    words = nn.Embedding(record["vocab_size"], record["d_model"])
    return T5(
        words,
        Trunk(config),
        tied=record.get("tie_word_embeddings", True),
        dropout=record["dropout_rate"],
    )


def rules(record: Mapping[str, Any], *, head: bool = False) -> list[Rule]:
    """The whole key map; `head`: the checkpoint has its own language head."""
    found = [Rule("words.weight", ("shared.weight",))]
    gated = str(record["feed_forward_proj"]).startswith("gated-")
    for row in range(record["num_layers"]):
        ours, theirs = f"trunk.rows.{row}.v.", f"encoder.block.{row}.layer."
        found += _attention(ours, f"{theirs}0.", "SelfAttention")
        found += _feed_forward(ours, f"{theirs}1.", gated)
    row = record["num_layers"]
    for layer in range(_decoder_layers(record)):
        theirs = f"decoder.block.{layer}.layer."
        found += _attention(f"trunk.rows.{row}.t.", f"{theirs}0.", "SelfAttention")
        found += _attention(f"trunk.rows.{row + 1}.t.", f"{theirs}1.", "EncDecAttention")
        found += _feed_forward(f"trunk.rows.{row + 1}.t.", f"{theirs}2.", gated)
        row += 2
    for stream, stack in (("v", "encoder"), ("t", "decoder")):
        table = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        found += [
            Rule(f"trunk.relative.{stream}.table.weight", (table,)),
            Rule(f"trunk.final_norm.{stream}.weight", (f"{stack}.final_layer_norm.weight",)),
        ]
    return found + ([Rule("head.weight", ("lm_head.weight",))] if head else [])


def _attention(ours: str, theirs: str, kind: str) -> list[Rule]:
    names = tuple(f"{theirs}{kind}.{part}.weight" for part in "qkv")
    return [
        Rule(f"{ours}attention.query_key_value.weight", names),
        Rule(f"{ours}attention.output.weight", (f"{theirs}{kind}.o.weight",)),
        Rule(f"{ours}attention_norm.weight", (f"{theirs}layer_norm.weight",)),
    ]


def _feed_forward(ours: str, theirs: str, gated: bool) -> list[Rule]:
    dense = f"{theirs}DenseReluDense."
    found = [
        Rule(f"{ours}feed_forward.output.weight", (f"{dense}wo.weight",)),
        Rule(f"{ours}feed_forward_norm.weight", (f"{theirs}layer_norm.weight",)),
    ]
    inputs = {"input": "wi_0", "gate": "wi_1"} if gated else {"input": "wi"}
    for mine, other in inputs.items():
        found.append(Rule(f"{ours}feed_forward.{mine}.weight", (f"{dense}{other}.weight",)))
    return found
