"""LXMERT (Tan & Bansal 2019) and VisualBERT (Li et al. 2019): the classes of transformers.

Sizes follow the reasoner's; the words and objects come embedded, so both read what all peers do.
"""

from __future__ import annotations

from torch import Tensor, nn
from transformers import LxmertConfig, LxmertModel, VisualBertConfig, VisualBertModel

from gqa_reasoner.model.peers.base import PeerInput
from gqa_reasoner.model.reasoner import ReasonerConfig

__all__ = ["LxmertBody", "VisualBertBody"]


class LxmertBody(nn.Module):
    """Words alone, regions alone, then across; the pooled answer place is the result."""

    def __init__(self, config: ReasonerConfig) -> None:
        super().__init__()
        half = max(1, config.layers // 2)
        self.model = LxmertModel(
            LxmertConfig(
                vocab_size=2, hidden_size=config.width, num_attention_heads=config.heads,
                intermediate_size=config.hidden, l_layers=half, r_layers=half, x_layers=half,
                visual_feat_dim=config.width, visual_pos_dim=4,
                hidden_dropout_prob=config.dropout, attention_probs_dropout_prob=0.0,
            )
        )  # fmt: skip

    def forward(self, given: PeerInput) -> Tensor:
        """(B, W)."""
        return self.model(
            inputs_embeds=given.text,
            attention_mask=given.text_mask.long(),
            visual_feats=given.vision,
            visual_pos=given.boxes,
            visual_attention_mask=given.vision_mask.long(),
        ).pooled_output


class VisualBertBody(nn.Module):
    """One stream of words and regions; the pooled answer place is the result."""

    def __init__(self, config: ReasonerConfig) -> None:
        super().__init__()
        self.model = VisualBertModel(
            VisualBertConfig(
                vocab_size=2, hidden_size=config.width, num_attention_heads=config.heads,
                intermediate_size=config.hidden, num_hidden_layers=config.layers,
                visual_embedding_dim=config.width, hidden_dropout_prob=config.dropout,
                attention_probs_dropout_prob=0.0,
            )
        )  # fmt: skip

    def forward(self, given: PeerInput) -> Tensor:
        """(B, W)."""
        return self.model(
            inputs_embeds=given.text,
            attention_mask=given.text_mask.long(),
            visual_embeds=given.vision,
            visual_attention_mask=given.vision_mask.long(),
        ).pooler_output
