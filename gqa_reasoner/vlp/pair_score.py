"""How well a text fits a picture, from how probable the picture makes the text.

    score = share · (log p(text | picture) - blank · log p(text | no picture)) + match

A one-stream model under the plan `prefix` gives all three: the likelihoods as a writer of
captions, and `match` from the state that has read the whole pair. The picture's part of a text's
likelihood is a word-by-word comparison, so that every word of every true pair teaches the model.
The score is the residual of a dual encoder: beside it stands `guide` times the encoder's cosine.

Legend: B pictures, P pairs, T words, N real words of all pairs, W vocabulary, D width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from detectors.errors import InputError
from gqa_reasoner.vlp.generation import shifted
from gqa_reasoner.vlp.losses import IGNORED
from gqa_reasoner.vlp.reading import PictureMemory, read_pictures, read_texts

if TYPE_CHECKING:
    from gqa_reasoner.vlp.model import VisionLanguageModel

__all__ = ["PairScore", "ReadPairs", "blank_memory", "read_pairs"]


class PairScore(nn.Module):
    """The learned parts of the score; `match` starts at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.match = nn.Linear(width, 1)
        self.log_share = nn.Parameter(torch.tensor(-0.7))
        self.blank = nn.Parameter(torch.tensor(0.9))
        self.log_guide = nn.Parameter(torch.tensor(2.5))

    def start(self) -> None:
        """Begin without an opinion of the match head's."""
        nn.init.zeros_(self.match.weight)
        nn.init.zeros_(self.match.bias)

    def weights(self) -> tuple[nn.Parameter, ...]:
        """The single numbers."""
        return self.log_share, self.blank, self.log_guide

    @property
    def guide(self) -> Tensor:
        """The share of a dual encoder's cosine beside this score."""
        return self.log_guide.exp()

    def forward(self, seen: Tensor, unseen: Tensor, match: Tensor) -> Tensor:
        """Log-likelihoods (P,) with and without the picture, and match logits (P,), to (P,)."""
        return self.log_share.exp() * (seen - self.blank * unseen) + match


class ReadPairs(NamedTuple):
    """`likelihood` (P,) and `match` (P,); of every predicted word its pair (N,), its logits
    (N, W) and its label (N,)."""

    likelihood: Tensor
    match: Tensor
    pair: Tensor
    logits: Tensor
    labels: Tensor


def read_pairs(
    model: VisionLanguageModel,
    memory: PictureMemory,
    picture: Tensor,
    ids: Tensor,
    mask: Tensor,
    hidden: Tensor | None = None,
) -> ReadPairs:
    """Read texts beside pictures.

    Args:
        memory: of pictures, see `read_pictures`.
        picture: (P,) which of them each text stands beside.
        ids: (P, T) [CLS] words [SEP].
        mask: (P, T).
        hidden: (P, T) words that are read as [MASK]; they are predicted all the same.

    Raises:
        InputError: the model has no pair score.
    """
    from gqa_reasoner.vlp.masking import MASK_PIECE

    if model.pair_score is None:
        raise InputError(f"recipe {model.config.recipe!r} has no pair score")
    inputs, labels = shifted(ids, mask)
    if hidden is not None:
        inputs = inputs.masked_fill(hidden, MASK_PIECE)
    reading = read_texts(model, memory, picture, inputs, labels != IGNORED)
    logits = model.word_logits(reading.states).float()
    wanted = labels[reading.pair, reading.place]
    found = logits.gather(1, wanted[:, None])[:, 0] - logits.logsumexp(dim=-1)
    likelihood = found.new_zeros(len(ids)).index_add(0, reading.pair, found)
    last = (labels != IGNORED).sum(dim=1).cumsum(dim=0) - 1
    match = model.pair_score.match(reading.states.index_select(0, last)).float()[:, 0]
    return ReadPairs(likelihood, match, reading.pair, logits, wanted)


def blank_memory(model: VisionLanguageModel) -> PictureMemory:
    """The memory (of one picture) of no picture at all: every cell withheld."""
    cells, width = model.config.cells, model.config.tower_width
    nothing = torch.zeros(1, cells, width)
    hidden = torch.ones(1, cells, dtype=torch.bool)
    return read_pictures(model, model.embed_images(nothing, hidden=hidden).tokens)
