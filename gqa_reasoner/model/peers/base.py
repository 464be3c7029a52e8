"""What all peers share: the embedding of words and objects, the answer head, files.

Legend: B questions, T question words (a place for the answer before them), V objects (the picture
as a whole after them), W width, A answers. A peer reads the question's words and the scene's
objects (class and attribute distributions, boxes, region features; the graph networks also the
detected relations), as the reasoner does, but no program, no execution and no context.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from detectors.errors import InputError
from gqa_reasoner.model.batch import Batch, TokenBags, drop_sources
from gqa_reasoner.model.encode import EDGE_KINDS, GEOMETRY, KINDS, POSITIONS
from gqa_reasoner.model.expanded_graph import Sources
from gqa_reasoner.model.reasoner import ReasonerConfig, ReasonerOutput
from gqa_reasoner.model.vocabulary import ReasonerVocabulary

__all__ = ["BARE", "PEERS", "Peer", "PeerInput", "Relations", "create_peer"]

PEERS = ("lxmert", "visualbert", "mcan", "gatv2", "gine", "rgcn", "lcgn")
"""Names that `create_peer` knows."""
BARE = Sources(program=False, guidance=False, executed=False, triples=False, queries=False)
"""What is left of the expanded graph: the question's words, and the scene."""


class Relations(NamedTuple):
    """Detected relations between objects, both ways; nodes are counted through the batch."""

    pairs: Tensor
    """(2, E) source and target node."""
    kind: Tensor
    """(E,) predicate and direction."""
    weight: Tensor


class PeerInput(NamedTuple):
    """One batch as every peer reads it."""

    text: Tensor
    """(B, T, W)."""
    text_mask: Tensor
    vision: Tensor
    """(B, V, W)."""
    vision_mask: Tensor
    boxes: Tensor
    """(B, V, 4) corners in shares of the picture."""
    relations: Relations


class Peer(nn.Module):
    """Embedding, a body of one kind, an answer head; trained and measured like the reasoner.

    Args:
        body: maps a `PeerInput` to (B, W).
    """

    def __init__(
        self, name: str, config: ReasonerConfig, vocabulary: ReasonerVocabulary, body: nn.Module
    ) -> None:
        super().__init__()
        self.name, self.config, self.vocabulary = name, config, vocabulary
        width = config.width
        self.words = nn.Embedding(len(vocabulary.words) + 2, width)
        self.second = nn.Linear(width, width, bias=False)
        self.place = nn.Embedding(len(KINDS) * POSITIONS, width)
        self.geometry = nn.Linear(GEOMETRY, width)
        self.features = None
        if config.feature_size:
            self.features = nn.Sequential(
                nn.LayerNorm(config.feature_size), nn.Linear(config.feature_size, width)
            )
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.dropout = nn.Dropout(config.dropout)
        self.body = body
        self.head = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.LayerNorm(2 * width),
            nn.Dropout(config.dropout), nn.Linear(2 * width, len(vocabulary.answers)),
        )  # fmt: skip
        self.types = nn.Linear(width, max(len(vocabulary.types), 1))
        nn.init.normal_(self.words.weight, std=0.3)
        nn.init.normal_(self.place.weight, std=0.05)

    def forward(self, batch: Batch, *, keep_attention: bool = False) -> ReasonerOutput:
        """Answer logits for a batch; programs, executions and contexts in it are not read."""
        found = self.body(self.read(drop_sources(batch, [BARE] * len(batch))))
        return ReasonerOutput(self.head(found), self.types(found), None)

    def read(self, batch: Batch) -> PeerInput:
        """Embed words and objects."""
        size, length = batch.kind.shape
        text = self._bags(batch.text_first, batch.text_second, size, length)
        text = text + self.place(batch.kind * POSITIONS + batch.position)
        kept = batch.text_mask.any(dim=0)
        vision = self._bags(
            batch.vision_first, batch.vision_second, size, batch.vision_mask.shape[1]
        )
        vision = vision + self.geometry(batch.geometry)
        if self.features is not None and batch.features is not None:
            vision = vision + self.features(batch.features)
        return PeerInput(
            self.dropout(self.norms[0](text[:, kept])),
            batch.text_mask[:, kept],
            self.dropout(self.norms[1](vision)),
            batch.vision_mask,
            batch.geometry[..., :4],
            _relations(batch),
        )

    def _bags(self, first: TokenBags, second: TokenBags, size: int, length: int) -> Tensor:
        total = [
            nn.functional.embedding_bag(
                bags.ids, self.words.weight, bags.offsets, mode="sum",
                per_sample_weights=bags.weights,
            )
            for bags in (first, second)
        ]  # fmt: skip
        return (total[0] + self.second(total[1])).view(size, length, -1)

    def save_pretrained(self, folder: Path, card: str | None = None) -> None:
        """Write `model.safetensors` (half precision), `config.json` and the model card."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        state = {n: v.detach().half().contiguous() for n, v in self.state_dict().items()}
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        record = {
            "peer": self.name,
            "model": asdict(self.config),
            "vocabulary": self.vocabulary.to_json(),
        }
        (folder / "config.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        if card is not None:
            (folder / "README.md").write_text(card)

    @classmethod
    def from_pretrained(cls, folder: Path) -> Peer:
        """Load a folder that `save_pretrained` wrote.

        Raises:
            InputError: a file is missing, or the folder holds another kind of model.
        """
        from safetensors.torch import load_file

        path = folder / "config.json"
        if not path.is_file():
            raise InputError(f"{path}: no such file; expected a folder of a peer's weights")
        record = json.loads(path.read_text())
        if "peer" not in record:
            raise InputError(f"{path}: 'peer' is missing; are these the reasoner's own weights?")
        model = create_peer(
            record["peer"],
            ReasonerConfig.from_json(record["model"]),
            ReasonerVocabulary.from_json(record["vocabulary"]),
        )
        state = {n: v.float() for n, v in load_file(folder / "model.safetensors").items()}
        model.load_state_dict(state)
        return model.eval()


def _relations(batch: Batch) -> Relations:
    """The object relations among a batch's edges."""
    first = 2 * len(EDGE_KINDS)
    edges, text, vision = batch.edges, batch.kind.shape[1], batch.vision_mask.shape[1]
    chosen = edges.kind >= first
    start = edges.batch[chosen] * vision - text
    index = torch.stack([edges.key[chosen] + start, edges.query[chosen] + start])
    return Relations(index, edges.kind[chosen] - first, edges.weight[chosen])


def create_peer(name: str, config: ReasonerConfig, vocabulary: ReasonerVocabulary) -> Peer:
    """An untrained peer.

    Raises:
        InputError: no peer has this name.
    """
    relations = 2 * (1 + len(vocabulary.predicates))
    body: nn.Module
    if name in ("lxmert", "visualbert"):
        from gqa_reasoner.model.peers.published import LxmertBody, VisualBertBody

        body = LxmertBody(config) if name == "lxmert" else VisualBertBody(config)
    elif name == "mcan":
        from gqa_reasoner.model.peers.mcan import McanBody

        body = McanBody(config)
    elif name in ("gatv2", "gine", "rgcn"):
        from gqa_reasoner.model.peers.graphs import GraphBody

        body = GraphBody(name, config, relations)
    elif name == "lcgn":
        from gqa_reasoner.model.peers.lcgn import LcgnBody

        body = LcgnBody(config)
    else:
        raise InputError(f"model: expected reasoner, {', '.join(PEERS)}; got {name!r}")
    return Peer(name, config, vocabulary, body)
