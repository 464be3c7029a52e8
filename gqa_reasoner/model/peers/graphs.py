"""Graph networks of torch-geometric over the detected relations, told the question at each node.

GATv2 (Brody et al. 2022), GINE (Hu et al. 2020), RGCN (Schlichtkrull et al. 2018).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn import GATv2Conv, GINEConv, RGCNConv

from gqa_reasoner.model.peers.base import PeerInput, Relations
from gqa_reasoner.model.reasoner import ReasonerConfig

__all__ = ["GraphBody", "QuestionEncoder", "Readout"]


class QuestionEncoder(nn.Module):
    """A bidirectional GRU: states (B, T, W) and the question as a whole (B, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reader = nn.GRU(width, width // 2, batch_first=True, bidirectional=True)

    def forward(self, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Embedded words and which of them are real."""
        lengths = mask.sum(dim=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(
            text, lengths, batch_first=True, enforce_sorted=False
        )
        states, last = self.reader(packed)
        padded, _ = nn.utils.rnn.pad_packed_sequence(
            states, batch_first=True, total_length=text.shape[1]
        )
        return padded, last.transpose(0, 1).flatten(1)


class Readout(nn.Module):
    """The nodes that the question asks for, weighted, joined with the question."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ask = nn.Linear(width, width)
        self.join = nn.Sequential(nn.Linear(3 * width, width), nn.GELU(), nn.LayerNorm(width))

    def forward(self, question: Tensor, nodes: Tensor, mask: Tensor) -> Tensor:
        """(B, W), (B, V, W) and (B, V) to (B, W)."""
        score = (nodes @ self.ask(question)[..., None]).squeeze(-1) / nodes.shape[-1] ** 0.5
        share = score.masked_fill(~mask, -1e4).softmax(dim=1)
        pooled = (share[..., None] * nodes).sum(dim=1)
        return self.join(torch.cat([question, pooled, question * pooled], dim=-1))


class GraphBody(nn.Module):
    """Layers of one kind with residual sums; the relations' kinds are learned vectors.

    Args:
        relations: kinds of relation, each direction counted.
    """

    def __init__(self, name: str, config: ReasonerConfig, relations: int) -> None:
        super().__init__()
        width = config.width
        self.name = name
        self.question = QuestionEncoder(width)
        self.kinds = nn.Embedding(relations, width)
        self.told = nn.Linear(2 * width, width)
        self.layers = nn.ModuleList(self._layer(config, relations) for _ in range(config.layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(config.layers))
        self.dropout = nn.Dropout(config.dropout)
        self.readout = Readout(width)

    def _layer(self, config: ReasonerConfig, relations: int) -> nn.Module:
        width = config.width
        if self.name == "gatv2":
            each = width // config.heads
            return GATv2Conv(width, each, config.heads, edge_dim=width)
        if self.name == "gine":
            inner = nn.Sequential(
                nn.Linear(width, config.hidden), nn.GELU(), nn.Linear(config.hidden, width)
            )
            return GINEConv(inner, train_eps=True, edge_dim=width)
        return RGCNConv(width, width, relations, num_bases=8)

    def forward(self, given: PeerInput) -> Tensor:
        """(B, W)."""
        _, question = self.question(given.text, given.text_mask)
        size, count, width = given.vision.shape
        asked = question[:, None].expand(-1, count, -1)
        nodes = self.told(torch.cat([given.vision, asked], dim=-1)).flatten(0, 1)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            nodes = norm(nodes + self.dropout(self._convolve(layer, nodes, given.relations)))
        return self.readout(question, nodes.view(size, count, width), given.vision_mask)

    def _convolve(self, layer: nn.Module, nodes: Tensor, relations: Relations) -> Tensor:
        if self.name == "rgcn":
            return nn.functional.gelu(layer(nodes, relations.pairs, relations.kind))
        described = self.kinds(relations.kind) * relations.weight[:, None]
        return nn.functional.gelu(layer(nodes, relations.pairs, described))
