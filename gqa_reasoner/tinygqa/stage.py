"""The stage: groups of items in order of depth, what stays visible of each, and the picture.

Legend: an owner map is (240, 320) int32: 0 background, else 8 * (item number + 1) + label, where
label is 1 for the item itself and 2 + i for its i-th worn object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from gqa_reasoner.tinygqa.backgrounds import HEIGHT, WIDTH
from gqa_reasoner.tinygqa.items import Item

__all__ = ["Group", "Stage", "Visible"]

LEAST_VISIBLE = 0.52
"""Least visible share of an item; a group that hides more of another is placed elsewhere."""
LEAST_MOUNT = 0.36
"""The same for what a person sits on or rides."""
_MOUNTS = frozenset({"seat", "ridden"})
LEAST_SIDE = 7
"""Least width and height of a visible box, in pixels."""


@dataclass
class Group:
    """Items that are placed together; `ground` is the y on which the group stands."""

    items: list[Item]
    ground: float
    behind: bool = False
    """Drawn before everything on the ground, as are walls and skies."""

    def move(self, dx: int, dy: int) -> None:
        """Shift every item."""
        for item in self.items:
            item.left += dx
            item.top += dy

    def box(self) -> tuple[int, int, int, int]:
        """The box around all items."""
        return (
            min(item.left for item in self.items),
            min(item.top for item in self.items),
            max(item.left + item.width for item in self.items),
            max(item.top + item.height for item in self.items),
        )


@dataclass(frozen=True)
class Visible:
    """What is left of one item or worn object: share of its pixels and the box around them."""

    share: float
    box: tuple[int, int, int, int]


@dataclass
class Stage:
    """Groups of items, nearer ones drawn over farther ones."""

    groups: list[Group] = field(default_factory=list)

    def ordered(self) -> list[Item]:
        """All items in drawing order."""
        groups = sorted(self.groups, key=lambda group: (not group.behind, group.ground))
        return [item for group in groups for item in group.items]

    def count(self) -> int:
        """Items and worn objects on the stage."""
        return sum(1 + len(item.parts) for group in self.groups for item in group.items)

    def try_add(self, group: Group, least: float = LEAST_VISIBLE) -> bool:
        """Add a group unless less than `least` of it, or of another, would stay visible."""
        self.groups.append(group)
        items = self.ordered()
        owners = owner_map(items)
        counts = np.bincount(owners.ravel() // 8, minlength=len(items) + 1)[1:]
        if all(
            count >= (LEAST_MOUNT if item.place in _MOUNTS else least) * item.area
            for count, item in zip(counts, items, strict=True)
        ):
            return True
        self.groups.pop()
        return False

    def visible(self, items: Sequence[Item]) -> dict[tuple[int, int], Visible]:
        """(item number, label) to what is visible of it; label 1 covers the worn objects too."""
        owners = owner_map(items)
        result: dict[tuple[int, int], Visible] = {}
        for number, item in enumerate(items):
            own = owners // 8 == number + 1
            found = _visible(own, item.area)
            if found is not None:
                result[number, 1] = found
            for _, _, label in item.parts:
                assert_labels = item.labels
                total = 0 if assert_labels is None else int((assert_labels == label).sum())
                found = _visible(own & (owners % 8 == label), max(total, 1))
                if found is not None:
                    result[number, label] = found
        return result


def owner_map(items: Sequence[Item]) -> np.ndarray:
    """Which item, and which part of it, shows at every pixel."""
    owners = np.zeros((HEIGHT, WIDTH), dtype=np.int32)
    for number, item in enumerate(items, start=1):
        window, crop = _overlap(item)
        if window is None or crop is None:
            continue
        codes = 1 if item.labels is None else item.labels[crop]
        np.copyto(owners[window], 8 * number + codes, where=item.mask[crop])
    return owners


def full_mask(item: Item) -> np.ndarray:
    """The item's mask in the picture (240, 320), ignoring what is drawn over it."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    window, crop = _overlap(item)
    if window is not None and crop is not None:
        mask[window] = item.mask[crop]
    return mask


def paint(image: Image.Image, items: Sequence[Item]) -> Image.Image:
    """The items drawn over a background in order."""
    canvas = image.convert("RGBA")
    for item in items:
        window, crop = _overlap(item)
        if window is None or crop is None:
            continue
        rows, columns = crop
        part = item.image.crop((columns.start, rows.start, columns.stop, rows.stop))
        canvas.alpha_composite(part, (window[1].start, window[0].start))
    return canvas.convert("RGB")


def _overlap(
    item: Item,
) -> tuple[tuple[slice, slice] | None, tuple[slice, slice] | None]:
    """The window of the picture that the item covers, and the same part of its crop."""
    left, top = max(item.left, 0), max(item.top, 0)
    right, bottom = min(item.left + item.width, WIDTH), min(item.top + item.height, HEIGHT)
    if right <= left or bottom <= top:
        return None, None
    window = (slice(top, bottom), slice(left, right))
    crop = (
        slice(top - item.top, bottom - item.top),
        slice(left - item.left, right - item.left),
    )
    return window, crop


def _visible(mask: np.ndarray, total: int) -> Visible | None:
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    return Visible(float(mask[rows[0] : rows[-1] + 1].sum()) / total, box)
