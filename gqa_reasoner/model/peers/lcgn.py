"""LCGN-like (Hu et al. 2019): a complete graph whose edges are weighed by what is asked now.

Legend: B questions, T words, V objects, W width, E = sum of V² edges. In each round a command is
read from the question; every object gathers context from the others, by weights and messages
that the command modulates.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import softmax

from gqa_reasoner.model.peers.base import PeerInput
from gqa_reasoner.model.peers.graphs import QuestionEncoder, Readout
from gqa_reasoner.model.reasoner import ReasonerConfig

__all__ = ["LcgnBody"]


class LcgnBody(nn.Module):
    """`layers` rounds of one set of weights, with a command of its own per round."""

    def __init__(self, config: ReasonerConfig) -> None:
        super().__init__()
        width = config.width
        self.rounds = config.layers
        self.question = QuestionEncoder(width)
        self.commands = nn.ModuleList(nn.Linear(width, width) for _ in range(config.layers))
        self.attend = nn.Linear(width, 1)
        self.start = nn.Parameter(torch.zeros(width))
        self.message = _Message(width)
        self.keep = nn.Linear(2 * width, width)
        self.norm = nn.LayerNorm(width)
        self.merge = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(config.dropout)
        self.readout = Readout(width)

    def forward(self, given: PeerInput) -> Tensor:
        """(B, W)."""
        states, question = self.question(given.text, given.text_mask)
        size, count, width = given.vision.shape
        local = given.vision.flatten(0, 1)
        context = self.start.expand_as(local)
        index = _complete(given.vision_mask)
        owner = torch.arange(size, device=local.device).repeat_interleave(count)
        for command in self.commands:
            asked = self._command(command(question), states, given.text_mask)[owner]
            joint = torch.cat([local, context, local * context], dim=-1)
            gathered = self.message(joint, asked, index)
            update = self.keep(torch.cat([context, gathered], dim=-1))
            context = self.norm(context + self.dropout(update))
        nodes = self.merge(torch.cat([local, context], dim=-1)).view(size, count, width)
        return self.readout(question, nodes, given.vision_mask)

    def _command(self, asked: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """(B, W): the words that matter in this round."""
        score = self.attend(states * asked[:, None]).squeeze(-1).masked_fill(~mask, -1e4)
        return (score.softmax(dim=1)[..., None] * states).sum(dim=1)


class _Message(MessagePassing):
    """Messages between all pairs, modulated by the command of the round."""

    def __init__(self, width: int) -> None:
        super().__init__(aggr="add", node_dim=0)
        self.query = nn.Linear(3 * width, width)
        self.key = nn.Linear(3 * width, width)
        self.value = nn.Linear(3 * width, width)
        self.weigh = nn.Linear(width, width)
        self.speak = nn.Linear(width, width)

    def forward(self, nodes: Tensor, command: Tensor, index: Tensor) -> Tensor:
        """(nodes, 3 W) and the command at each node (nodes, W) to (nodes, W)."""
        return self.propagate(
            index,
            query=self.query(nodes) * self.weigh(command),
            key=self.key(nodes),
            value=self.value(nodes) * self.speak(command),
            size=(len(nodes), len(nodes)),
        )

    def message(  # type: ignore[override]
        self, query_i: Tensor, key_j: Tensor, value_j: Tensor, index: Tensor, size_i: int
    ) -> Tensor:
        """Weighted messages along each edge."""
        score = (query_i * key_j).sum(dim=-1) / query_i.shape[-1] ** 0.5
        return softmax(score, index, num_nodes=size_i)[:, None] * value_j


def _complete(mask: Tensor) -> Tensor:
    """(2, E) all ordered pairs of real nodes within each sample."""
    pairs = mask[:, :, None] & mask[:, None, :]
    sample, target, source = pairs.nonzero().unbind(1)
    start = sample * mask.shape[1]
    return torch.stack([start + source, start + target])
