"""What predicates say about each other: inverses, synonyms, implications, answer words."""

from __future__ import annotations

from functools import lru_cache

__all__ = ["answer_word", "broader_readings", "inverse", "object_kinds", "spatial_kind"]

_INVERSES = (
    ("to the left of", "to the right of"),
    ("above", "below"),
    ("over", "under"),
    ("behind", "in front of"),
    ("covered by", "covering"),
    ("covered in", "covering"),
    ("covered with", "covering"),
    ("pulled by", "pulling"),
    ("followed by", "following"),
    ("surrounded by", "surrounding"),
    ("worn by", "wearing"),
    ("held by", "holding"),
    ("carried by", "carrying"),
    ("ridden by", "riding"),
    ("eaten by", "eating"),
    ("driven by", "driving"),
    ("pushed by", "pushing"),
    ("bigger than", "smaller than"),
    ("larger than", "smaller than"),
    ("taller than", "shorter than"),
)
_SYMMETRIC = frozenset({"near", "next to", "beside", "by", "close to", "touching", "adjacent to"})
_SYNONYMS = (
    ("near", "close to", "by", "next to", "beside", "on the side of", "adjacent to"),
    ("under", "below", "beneath", "underneath"),
    ("above", "over"),
    ("on", "on top of"),
    ("in", "inside", "within"),
    ("in front of", "before"),
    ("to the left of", "left of", "left"),
    ("to the right of", "right of", "right"),
    ("wearing", "wears"),
    ("riding", "riding on"),
    ("full of", "filled with"),
    ("lying on", "lying on top of", "laying on"),
    ("covered by", "covered in", "covered with"),
)
_IMPLIES = {
    "carrying": ("holding",),
    "riding": ("on",),
    "riding on": ("on",),
    "hanging on": ("on",),
    "attached to": ("on",),
    "mounted on": ("on",),
    "contained in": ("in",),
    "wearing": ("in",),
}
_TAIL_PREPOSITIONS = (
    "on top of",
    "in front of",
    "next to",
    "on",
    "in",
    "at",
    "near",
    "by",
    "under",
    "below",
    "above",
    "over",
    "behind",
    "beside",
    "inside",
    "against",
    "along",
    "around",
)
_SPATIAL = {
    "left": ("to the left of", "left of", "left"),
    "right": ("to the right of", "right of", "right"),
    "above": ("above", "over"),
    "below": ("under", "below", "beneath", "underneath"),
    "on": ("on", "on top of", "standing on", "sitting on", "lying on", "lying on top of"),
    "in": ("in", "inside", "within"),
    "near": ("near", "next to", "beside", "by", "close to", "on the side of", "at"),
    "behind": ("behind",),
    "front": ("in front of", "before"),
    "larger": ("bigger than", "larger than", "taller than"),
    "smaller": ("smaller than", "shorter than"),
}
_OBJECT_KINDS = {
    "wearing": (("clothing", "accessory"), True),
    "riding": (("vehicle", "animal", "sports equipment"), True),
    "eating": (("food", "plant"), True),
    "drinking": (("drink",), True),
    "driving": (("vehicle",), True),
    "playing": (("toy", "device", "musical instrument", "sports equipment"), True),
    "holding": (("clothing", "furniture", "person", "vehicle", "place"), False),
    "carrying": (("clothing", "furniture", "vehicle", "place"), False),
    "using": (("device", "tool", "utensil"), True),
    "looking at": ((), True),
}
_ANSWER_WORDS = {
    "to the left of": "left",
    "to the right of": "right",
    "in front of": "front",
}


@lru_cache(maxsize=4096)
def inverse(predicate: str) -> str | None:
    """The predicate that holds the other way round ("behind" for "in front of"), if known."""
    if predicate in _SYMMETRIC:
        return predicate
    for one, other in _INVERSES:
        if predicate == one:
            return other
        if predicate == other:
            return one
    return None


@lru_cache(maxsize=4096)
def _synonyms(predicate: str) -> tuple[str, ...]:
    return next((group for group in _SYNONYMS if predicate in group), (predicate,))


@lru_cache(maxsize=65536)
def broader_readings(stated: str, asked: str) -> tuple[bool, bool]:
    """Whether `a stated b` supports `a asked b`, and whether it supports `b asked a`.

    "sitting on" supports "on"; "below" supports "under" and, the other way round, "above".
    """
    wanted = set(_synonyms(asked))
    backwards = {inverse(word) for word in wanted} - {None}
    backwards |= {other for word in backwards if word for other in _synonyms(word)}
    says = set(_synonyms(stated)) | set(_IMPLIES.get(stated, ()))
    head, _, tail = stated.partition(" ")
    if head.endswith(("ing", "ed")) and tail in _TAIL_PREPOSITIONS:
        says.add(tail)
    return bool(says & wanted), bool(says & backwards)


@lru_cache(maxsize=4096)
def spatial_kind(predicate: str) -> str | None:
    """Which relation of boxes a predicate is ("left", "above", "on", "near", …), if it is one."""
    for kind, words in _SPATIAL.items():
        if predicate in words:
            return kind
    _, _, tail = predicate.partition(" ")
    if tail in _TAIL_PREPOSITIONS:
        return spatial_kind(tail)
    return None


def object_kinds(predicate: str) -> tuple[tuple[str, ...], bool]:
    """Which categories the object of an interaction usually is, and whether it is one of them.

    "wearing" goes with clothing, "holding" with anything but clothing; `((), True)` says nothing.
    """
    return _OBJECT_KINDS.get(predicate, ((), True))


def answer_word(predicate: str) -> str:
    """How GQA answers with a predicate: "to the left of" is answered "left"."""
    return _ANSWER_WORDS.get(predicate, predicate)
