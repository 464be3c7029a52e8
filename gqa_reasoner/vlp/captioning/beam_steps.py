"""`BeamSteps`: fast steps for encoder–decoder plans; nothing of a picture is copied for its beams.

Legend: B pictures, K beams, S slots, H heads, V cells, I inner width, D width, W vocabulary.

* A picture is encoded once and its keys and values are projected once; the beams are K queries
  of one attention over them.
* The words' keys and values go into slots that all beams of a picture share and that are never
  moved: a mask (B, K, S) says which slots are a beam's own past. Reordering beams reorders only
  this mask.
* A picture that is done gives its place in the buffers to one from the end of the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from detectors.errors import InputError
from gqa_reasoner.model.block import Block
from gqa_reasoner.model.masks import FORBIDDEN
from gqa_reasoner.model.plan import Plan

if TYPE_CHECKING:
    from gqa_reasoner.vlp.model import VisionLanguageModel

__all__ = ["BeamSteps", "Memory", "check_plan"]


class Memory(NamedTuple):
    """Encoded pictures: keys and values (B, H, V, I / H) per cross row, bias (B, 1, 1, V)."""

    rows: dict[int, tuple[Tensor, Tensor]]
    bias: Tensor | None

    @classmethod
    def encode(
        cls, model: VisionLanguageModel, features: Tensor, cell_bias: Tensor | None = None
    ) -> Memory:
        """Encode pictures (B, V, F).

        Args:
            cell_bias: (B, V) added to the decoder's attention on the cells; `FORBIDDEN` hides a
                cell from the encoder too.

        Raises:
            InputError: the model's plan is not an encoder–decoder.
        """
        plan = model.trunk.config.plan
        check_plan(plan)
        mask = None if cell_bias is None else cell_bias > FORBIDDEN / 2
        tokens = model.embed_images(features).tokens
        vision = model.trunk(vision=tokens, vision_mask=mask).vision
        rows = {}
        for index, row in enumerate(plan.rows):
            if row.tv == "full":
                block = model.trunk.blocks(index)["t"]
                key, value = block.attention.project_keys(vision)
                rows[index] = _heads(block, key).contiguous(), _heads(block, value)
        return cls(rows, None if cell_bias is None else cell_bias[:, None, None])

    def select(self, pictures: Tensor) -> Memory:
        """The same for these pictures; one may come several times."""
        rows = {
            place: (key.index_select(0, pictures), value.index_select(0, pictures))
            for place, (key, value) in self.rows.items()
        }
        return Memory(rows, None if self.bias is None else self.bias.index_select(0, pictures))


def check_plan(plan: Plan) -> None:
    """Raise InputError unless text only decodes over what vision has encoded."""
    for number, row in enumerate(plan.rows):
        text = (row.tt, row.tv)
        fits = row.vt == "off" and not row.tied and text in {
            ("off", "off"), ("causal", "off"), ("off", "full")
        }  # fmt: skip
        if not fits:
            raise InputError(
                f"beam steps: row {number}: expected an encoder–decoder plan, got {row}"
            )


class BeamSteps:
    """See the module, and `Steps`.

    Args:
        memory: the encoded pictures; its tensors are overwritten.
        room: most words that will be read.
    """

    def __init__(self, model: VisionLanguageModel, memory: Memory, room: int) -> None:
        self.model, self.room = model, room
        self.cross = dict(memory.rows)
        self.bias = memory.bias
        first = next(iter(self.cross.values()))[0]
        self.pictures, self.device = first.shape[0], first.device
        self.own: dict[int, tuple[Tensor, Tensor]] = {}
        self.past = torch.ones(self.pictures, 1, 0, dtype=torch.bool, device=self.device)
        self.time = 0
        self.rows = [
            (index, row) for index, row in enumerate(model.trunk.config.plan.rows)
            if "t" in row.active
        ]  # fmt: skip

    def step(self, words: Tensor) -> Tensor:
        """See `Steps`."""
        beams = words.shape[1]
        embedded = self.model.embed_text(words.reshape(-1, 1), offset=self.time)
        values = embedded.view(*words.shape, -1)  # (B, K, D)
        self.time += 1
        slots = self.past.shape[-1]
        itself = torch.eye(beams, dtype=torch.bool, device=self.device)
        self.past = torch.cat([self.past, itself.expand(self.pictures, -1, -1)], dim=-1)
        bias = None
        if beams > 1:
            bias = torch.zeros(self.past.shape, device=self.device)
            bias = bias.masked_fill_(~self.past, FORBIDDEN)[:, None]
        for index, row in self.rows:
            block = self.model.trunk.blocks(index)["t"]
            source = block.attention_norm(values) if block.pre else values
            if row.tt == "causal":
                mixed = self._read_words(index, block, source, slots, bias)
            else:
                key, value = self.cross[index]
                query = _heads(block, block.attention.project_queries(source))
                mixed = _attend(block, query, key, value, self.bias)
            values = block.finish(values, mixed)
            values = self.model.trunk.norm_after(index, "t", values)
        return self.model.word_logits(values)

    def _read_words(
        self, index: int, block: Block, source: Tensor, slots: int, bias: Tensor | None
    ) -> Tensor:
        query, key, value = (_heads(block, part) for part in block.attention.project(source))
        stop = slots + source.shape[1]
        before = self.own.get(index)
        if before is None or before[0].shape[2] < stop:
            shape = (self.pictures, key.shape[1], slots + self.room * key.shape[2], key.shape[3])
            grown = (key.new_empty(shape), key.new_empty(shape))
            if before is not None:
                for new, old in zip(grown, before, strict=True):
                    new[:, :, :slots] = old[:, :, :slots]
            self.own[index] = before = grown
        before[0][:, :, slots:stop] = key
        before[1][:, :, slots:stop] = value
        return _attend(block, query, before[0][:, :, :stop], before[1][:, :, :stop], bias)

    def reorder(self, source: Tensor) -> None:
        """See `Steps`."""
        wide = source[..., None].expand(-1, -1, self.past.shape[-1])
        self.past = self.past.gather(1, wide)

    def keep(self, pictures: Tensor) -> None:
        """See `Steps`."""
        count = len(pictures)
        moved = (pictures != torch.arange(count)).nonzero().flatten().to(self.device)
        source = pictures.to(self.device)[moved]

        def settle(values: Tensor) -> Tensor:
            if len(moved):
                values[moved] = values[source]
            return values[:count]

        for rows in (self.cross, self.own):
            for name, pair in rows.items():
                rows[name] = settle(pair[0]), settle(pair[1])
        self.past = settle(self.past)
        if self.bias is not None:
            self.bias = settle(self.bias)
        self.pictures = count


def _heads(block: Block, values: Tensor) -> Tensor:
    """(B, L, I) to (B, H, L, I / H)."""
    return values.unflatten(-1, (block.attention.heads, -1)).transpose(1, 2)


def _attend(block: Block, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    """(B, H, K, I / H) over (B, H, S, I / H) to (B, K, I).

    A few queries over a few keys: two plain products are a quarter faster here than the
    processor's fused attention.
    """
    logits = torch.matmul(query * block.attention.scale, key.transpose(2, 3))
    if bias is not None:
        logits = logits.add_(bias)
    return torch.matmul(logits.softmax(dim=-1), value).transpose(1, 2).flatten(2)
