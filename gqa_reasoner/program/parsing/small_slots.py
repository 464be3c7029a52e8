"""Slots that match a few fixed words: hedges, `in the photo`, `to its left`, `you can sit on`.

Legend: as in `slots`; a match is (end, value, score, features).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gqa_reasoner.program.parsing.chart import Features
from gqa_reasoner.program.parsing.morphology import active
from gqa_reasoner.program.parsing.phrases import PhraseChart
from gqa_reasoner.program.parsing.words import listed

__all__ = [
    "SKIP",
    "Match",
    "Slot",
    "can_do",
    "indoors",
    "maybe_image",
    "maybe_think",
    "other_side",
    "passive",
    "scene_rest",
    "think",
]

SKIP = object()
"""Value of a slot that gives the form's builder nothing."""
Match = tuple[int, Any, float, Features]
Slot = Callable[[PhraseChart, int], Iterator[Match]]

_THINK = tuple(
    tuple(text.split())
    for text in listed(
        "do you think|do you think that|would you say|would you say that|do you believe"
        "|do you suppose|do you reckon|do you guess|would you think|in your opinion|can you see"
        "|can you tell|could",
        "|",
    )
)
_SCENE_REST = frozenset(
    listed(
        "is are was were 's it this that these the a an image photo picture photograph "
        "scene pictured shown taken captured at in on of here do does you think could "
        "be might represent depict show look like looks seem see place today day there "
        "they depicted displayed kind type"
    )
)


def maybe_think(chart: PhraseChart, start: int) -> Iterator[Match]:
    """Nothing, or `do you think (that)`."""
    yield start, SKIP, 0.0, ()
    for phrase_ in _THINK:
        if tuple(chart.tokens[start : start + len(phrase_)]) == phrase_:
            yield start + len(phrase_), SKIP, 0.0, ()


def think(chart: PhraseChart, start: int) -> Iterator[Match]:
    """`do you think (that)`; nothing where the whole question is asked indirectly."""
    if chart.indirect:
        yield start, SKIP, 0.0, ()
    for match in maybe_think(chart, start):
        if match[0] > start:
            yield match


def maybe_image(chart: PhraseChart, start: int) -> Iterator[Match]:
    """Nothing, or `in the photo`."""
    yield start, SKIP, 0.0, ()
    for end in chart.image_phrases(start):
        item = chart.item(SKIP, (("image phrase", 1.0),))
        yield end, SKIP, item.score, item.features


def scene_rest(chart: PhraseChart, start: int) -> Iterator[Match]:
    """The rest of a question about the whole scene: only words that say nothing more."""
    end = start
    while end < chart.size and chart.tokens[end] in _SCENE_REST:
        end += 1
    yield end, SKIP, 0.0, ()


_HERE = {"indoors": "indoors", "indoor": "indoors", "inside": "indoors"}
_HERE |= {"outdoors": "outdoors", "outdoor": "outdoors", "outside": "outdoors"}


def indoors(chart: PhraseChart, start: int) -> Iterator[Match]:
    """`indoors`, `an outdoor` → ("location", value)."""
    begin = start + (chart.word(start) in ("a", "an"))
    found = _HERE.get(chart.word(begin))
    if found:
        yield begin + 1, ("location", found), 0.0, ()


def other_side(chart: PhraseChart, start: int) -> Iterator[Match]:
    """`to its right`, `on the left of it` → `to the right of`."""
    begin = start + (chart.word(start) in ("to", "on"))
    begin += chart.word(begin) in ("its", "the", "their", "his", "her")
    side = chart.word(begin)
    if side in ("left", "right"):
        end = begin + 1 + (chart.word(begin + 1) == "side")
        end += 2 * (chart.tokens[end : end + 2] in (["of", "it"], ["of", "them"]))
        yield end, f"to the {side} of", 0.0, ()


def passive(chart: PhraseChart, start: int) -> Iterator[Match]:
    """`worn` → `wearing`."""
    found = active(chart.word(start))
    if found:
        yield start + 1, found, 0.0, ()


def can_do(chart: PhraseChart, start: int) -> Iterator[Match]:
    """`edible`, `to eat`, `you can sit on` → (relation, tail)."""
    for end, item in chart.uses(start):
        yield end, item.value, item.score, item.features
