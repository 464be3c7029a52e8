"""MCAN-like (Yu et al. 2019): self-attention over words, guided attention over objects."""

from __future__ import annotations

from torch import Tensor, nn

from gqa_reasoner.model.peers.base import PeerInput
from gqa_reasoner.model.reasoner import ReasonerConfig

__all__ = ["McanBody"]


class McanBody(nn.Module):
    """Encoder over the words; a decoder over the objects that reads its last layer; the two
    pooled by learned attention, projected, added and normalised."""

    def __init__(self, config: ReasonerConfig) -> None:
        super().__init__()
        width, half = config.width, max(1, config.layers // 2)
        sizes = (width, config.heads, config.hidden, config.dropout, "gelu")
        self.words = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(*sizes, batch_first=True), half, enable_nested_tensor=False
        )
        self.objects = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(*sizes, batch_first=True), half
        )
        self.pools = nn.ModuleList([_Pool(width), _Pool(width)])
        self.norm = nn.LayerNorm(width)

    def forward(self, given: PeerInput) -> Tensor:
        """(B, W)."""
        words = self.words(given.text, src_key_padding_mask=~given.text_mask)
        objects = self.objects(
            given.vision,
            words,
            tgt_key_padding_mask=~given.vision_mask,
            memory_key_padding_mask=~given.text_mask,
        )
        pooled = self.pools[0](words, given.text_mask) + self.pools[1](objects, given.vision_mask)
        return self.norm(pooled)


class _Pool(nn.Module):
    """A weighted mean whose weights come from a small network, then a projection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        self.project = nn.Linear(width, width)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        score = self.score(values).squeeze(-1).masked_fill(~mask, -1e4)
        return self.project((score.softmax(dim=1)[..., None] * values).sum(dim=1))
