"""The chart's ground: tokens, lexicon and weights, and what single spans can mean.

Legend: a span is `tokens[i:j]`; a reading is `Item(score, value, features)`; features are a tuple
of (name, value) pairs and the score is their weighted sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from gqa_reasoner.program.parsing import words
from gqa_reasoner.program.parsing.lexicon import Lexicon
from gqa_reasoner.program.parsing.morphology import is_plural, plural, singular
from gqa_reasoner.program.parsing.vocabulary import Vocabulary
from gqa_reasoner.program.parsing.wording import plain_wording
from gqa_reasoner.program.parsing.words import listed

__all__ = ["Chart", "Features", "Item", "number_of"]

Features = tuple[tuple[str, float], ...]
_PRONOUN_NAMES = {"him": "he", "her": "she", "them": "they"}
_SWITCHED = frozenset(("on", "off", "turned on", "turned off"))
_SHADES = frozenset(listed("light dark bright pale deep"))
_NAMES_PER_SPAN = 4


class Item(NamedTuple):
    """One reading of a span."""

    score: float
    value: Any
    features: Features


class Chart:
    """Readings of the spans of one question, computed on demand and kept.

    Args:
        tokens: the question's tokens; read without what adds nothing, see `wording`.
        lexicon: alignments seen in training.
        weights: feature name → weight.
        vocabulary: names and attribute types known beside the lexicon.
        hints: values to offer wherever they could stand ("name", "attribute", "relation" → values);
            used in training alone, to reach the record's own program.
        lemmas: word → lemma where a tokenizer gives them; further singulars of names.
        memory: readings of words alone, wherever they stand; to be shared by the charts of one
            parser, whose lexicon and weights stay as they are. Given, readings have scores and no
            features; None in training, which needs them.
    """

    def __init__(
        self,
        tokens: list[str],
        lexicon: Lexicon,
        weights: Mapping[str, float],
        vocabulary: Vocabulary,
        hints: Mapping[str, Iterable[str]] | None = None,
        lemmas: Mapping[str, str] | None = None,
        memory: dict[Any, Any] | None = None,
    ) -> None:
        self.tokens, self.indirect = plain_wording(tokens)
        self.size = len(self.tokens)
        self.lexicon = lexicon
        self.weights = weights
        self.vocabulary = vocabulary
        self.hints = {kind: tuple(values) for kind, values in (hints or {}).items()}
        self.aligning = hints is not None
        self.lemmas = lemmas or {}
        self.work = 0
        self._memo: dict[Any, Any] = {}
        self._memory: dict[Any, Any] = memory if memory is not None else {}
        self._scores_only = memory is not None

    def item(self, value: Any, features: Features) -> Item:
        """A reading with its score."""
        get = self.weights.get
        score = sum([get(name, 0.0) * x for name, x in features])
        return Item(score, value, () if self._scores_only else features)

    def mark(self, name: str) -> Item:
        """A reading of nothing with one feature."""
        found: Item | None = self._memory.get(name)
        return found if found is not None else self.remembered(name, lambda: ((name, 1.0),))

    def remembered(self, key: Any, features: Callable[[], Features]) -> Item:
        """A reading of nothing whose features depend on `key` alone, made once."""
        found: Item | None = self._memory.get(key)
        if found is None:
            found = self._memory[key] = self.item(None, features())
        return found

    def word(self, position: int) -> str:
        """The token at a position, "" past the end."""
        return self.tokens[position] if position < self.size else ""

    def agreement(self, kind: str, value: str, name: str) -> Features:
        """How often an attribute value had this type with this name."""
        group = self.vocabulary.noun_class(name)
        features: Features = ()
        living = "living" if group in ("person", "animal") else "thing"
        keys = (("", name), (":class", f"#{group}"), (":living", f"#{living}"))
        for mark, noun in keys:
            key = f"{value}|{noun}"
            share = self.lexicon.log_share("type", key, kind)
            if share is not None:
                features += ((f"agreement{mark}", share),)
            if self.aligning:
                features += ((f"@type\t{key}\t{kind}", 0.0),)
        return features

    def negation(self, kind: str, value: str) -> Features:
        """How often an attribute had this type under `not`."""
        features: Features = ()
        share = self.lexicon.log_share("type", f"not|{value}", kind)
        if share is not None:
            features += (("negation", share),)
        else:
            features += ((f"negation:{kind}", 1.0),)
        if self.aligning:
            features += ((f"@type\tnot|{value}\t{kind}", 0.0),)
        return features

    # -- names ------------------------------------------------------------------------------

    def is_known_name(self, surface: str) -> bool:
        """Whether a phrase was seen as a name, or the vocabulary has it."""
        single = singular(surface)
        return bool(
            self.lexicon.row("name", single)
            or self.lexicon.row("known", single)
            or self.vocabulary.knows(single)
        )

    def names(self, start: int, end: int, context: str) -> list[Item]:
        """What object name `tokens[start:end]` stands for; best first, at most four.

        Args:
            context: "x" after "is there", "o" as an alternative, "d" elsewhere.
        """
        surface = " ".join(self.tokens[start:end])
        key = ("names", surface, context, self.lemmas.get(self.tokens[end - 1]))
        found: list[Item] | None = self._memory.get(key)
        if found is None:
            found = self._memory[key] = self._names(surface, start, end, context)
        return found

    def _names(self, surface: str, start: int, end: int, context: str) -> list[Item]:
        stems = self._stems(surface)
        candidates: dict[str, str] = {}
        for stem in stems:
            for name in (stem, plural(stem)) if surface not in words.PRONOUNS else (stem,):
                candidates.setdefault(name, stem)
        for name in self.hints.get("name", ()):
            candidates.setdefault(name, singular(name))
        span = self._span_features(start, end, surface)
        items = [
            self.item(name, span + self._name_features(surface, name, stem, context))
            for name, stem in candidates.items()
        ]
        items.sort(key=lambda item: (-item.score, item.value))
        return items if self.aligning else items[:_NAMES_PER_SPAN]

    def _span_features(self, start: int, end: int, surface: str) -> Features:
        length = end - start
        known = self.is_known_name(surface)
        features = [(f"span:{'known' if known else 'unknown'}{min(length, 4)}", 1.0)]
        if length > 1:
            first = self.tokens[start]
            if not known:
                begins = min(sum(self.lexicon.row("compound", f"{first} *").values()), 3)
                ends = self.lexicon.row("compound", f"* {singular(self.tokens[end - 1])}")
                features.append((f"span:compound{begins}{min(sum(ends.values()), 3)}", 1.0))
            if self.lexicon.row("attribute", first) or self.vocabulary.attribute_types(first):
                features.append((f"span:attribute{'+' if known else '-'}", 1.0))
        last = self.tokens[end - 1]
        if last.endswith("ing") and not known:
            features.append(("span:ing", 1.0))
        if length == 1 and not known and self.lexicon.row("attribute", last):
            features.append(("span:adjective", 1.0))
        return tuple(features)

    def _stems(self, surface: str) -> list[str]:
        """Singular names that a phrase may stand for: itself, synonyms, what was seen."""
        if surface in words.PRONOUNS:
            own = _PRONOUN_NAMES.get(surface, surface)
        else:
            own = singular(surface)
        stems = dict.fromkeys(
            (own, self.vocabulary.canonical(own), self.vocabulary.canonical(surface))
        )
        head, _, last = surface.rpartition(" ")
        if last in self.lemmas:
            stem = f"{head} {self.lemmas[last]}".strip()
            if self.lexicon.row("known", stem) or self.vocabulary.knows(stem):
                stems[stem] = None
        stems |= dict.fromkeys(self.lexicon.row("name", own))
        stems |= dict.fromkeys(self.lexicon.row("squeezed", own.replace(" ", "")))
        return list(stems)

    def _name_features(self, surface: str, name: str, stem: str, context: str) -> Features:
        own = singular(surface)
        features: list[tuple[str, float]] = []
        row = self.lexicon.row("name", own)
        if stem == own:
            kind = "own"
        elif stem in (self.vocabulary.canonical(own), self.vocabulary.canonical(surface)):
            kind = "canonical"
        else:
            kind = "other"
        if stem != own and stem.replace(" ", "") == own.replace(" ", ""):
            features.append(("name:compound", 1.0))
        if row:
            seen = min(sum(row.values()), 3)
            share = self.lexicon.log_share("name", own, stem)
            features.append((f"name:share{seen}", share or 0.0))
            features.append((f"name:seen:{kind}", 1.0))
        else:
            known = bool(self.lexicon.row("known", stem))
            features.append((f"name:unseen:{kind}:{known:d}", 1.0))
        many, result = number_of(surface), number_of(name)
        group = "x" if context == "x" else "d"
        features.append((f"number:{many}>{result}:{context}", 1.0))
        if many == "p" and self.vocabulary.is_category(stem):
            features.append((f"number:category>{result}:{group}", 1.0))
        share = self.lexicon.log_share("number", f"{own}|{many}|{group}", result)
        if share is not None:
            features.append((f"number:share:{group}", share))
        share = self.lexicon.log_share("number", own, result)
        if share is not None:
            features.append((f"number:any:{group}:{many}", share))
        if self.aligning:
            features.append((f"@name\t{surface}\t{name}\t{group}", 0.0))
        return tuple(features)

    # -- attributes -------------------------------------------------------------------------

    def attributes(self, start: int, kind: str | None = None) -> list[tuple[int, Item]]:
        """Readings of attribute phrases at `start`: (end, Item((type, value))).

        Args:
            kind: the attribute type where the words before have said it.
        """
        key = ("attributes", start, kind)
        if key not in self._memo:
            found: list[tuple[int, Item]] = []
            for end in range(start + 1, min(start + 3, self.size) + 1):
                surface = " ".join(self.tokens[start:end])
                readings = self._memory.get(("attribute", surface, kind))
                if readings is None:
                    readings = self._attribute_readings(surface, start, end, kind)
                    self._memory["attribute", surface, kind] = readings
                found.extend([(end, item) for item in readings])
            self._memo[key] = found
        return self._memo[key]

    def _attribute_readings(
        self, surface: str, start: int, end: int, only: str | None
    ) -> list[Item]:
        row = self.lexicon.row("attribute", surface)
        types = self.vocabulary.attribute_types(surface)
        if surface in _SWITCHED:
            types = ("",)
        elif not row and any(
            (token in words.BOUNDARY and token != "and") or not _is_word(token)
            for token in self.tokens[start:end]
        ):
            return []
        if not row and not types:
            if "and" in self.tokens[start:end]:
                return []
            if end - start > 2 or (end - start == 2 and self.tokens[start] in words.POSITIONS):
                return []
        readings = dict.fromkeys(row)
        value = self.vocabulary.value(surface.replace("-", " ")) if types else surface
        value = value.removeprefix("turned ")
        plain = surface.replace("-", " ").removeprefix("turned ")
        spellings = dict.fromkeys((value, plain))
        readings |= dict.fromkeys(
            f"{kind}|{spelling}" for kind in (*types[:3], "") for spelling in spellings
        )
        if not row:
            readings |= dict.fromkeys(f"{kind}|{value}" for kind in self._guess_types(surface))
        readings |= dict.fromkeys(self.hints.get("attribute", ()))
        if only is not None:
            said = [reading for reading in readings if reading.startswith(f"{only}|")]
            readings = dict.fromkeys((*said, f"{only}|{value}"))
        items = []
        for reading in readings:
            kind, _, meaning = reading.partition("|")
            features = self._type_features(surface, kind, reading, row, types, only)
            if meaning not in spellings:
                features.append(("attribute:rewritten", 1.0))
            elif meaning != surface and not row:
                features.append(("attribute:canonical", 1.0))
            if self.aligning:
                features.append((f"@attribute\t{surface}\t{reading}", 0.0))
            items.append(self.item((kind, meaning), tuple(features)))
        items.sort(key=lambda item: (-item.score, item.value))
        return items if self.aligning else items[:3]

    def _type_features(
        self,
        surface: str,
        kind: str,
        reading: str,
        row: Mapping[str, int],
        types: tuple[str, ...],
        only: str | None,
    ) -> list[tuple[str, float]]:
        """How likely an attribute's words have the type: as seen, as known, or as guessed."""
        features: list[tuple[str, float]] = []
        length = surface.count(" ") + 1
        total = min(sum(row.values()), 3)
        if only is not None:
            mark = "seen" if reading in row else "known" if row or types else f"new{length}"
            features.append((f"attribute:only:{mark}", 1.0))
        elif row:
            share = self.lexicon.log_share("attribute", surface, reading)
            features += [(f"attribute:share{total}", share or 0.0), ("attribute:seen", 1.0)]
            if reading not in row:
                features.append(("attribute:novel", 1.0))
        else:
            features.append((f"attribute:unseen{length}{'o' if types else 'n'}", 1.0))
            if types:
                rank = types.index(kind) if kind in types else 9
                features.append((f"attribute:type:rank{rank}", 1.0))
                features.append((f"attribute:type:{types[0]}>{kind}", 1.0))
            else:
                features.append((f"attribute:type:{kind}:{surface[-3:]}", 1.0))
                features.append((f"attribute:type:{kind}", 1.0))
        return features

    @staticmethod
    def _guess_types(surface: str) -> tuple[str, ...]:
        if surface.endswith("ing"):
            return ("activity", "pose", "sportActivity", "")
        if surface.split()[0] in _SHADES and " " in surface:
            return ("color",)
        return ("", "color", "material")


def _is_word(token: str) -> bool:
    return token.isascii() and token[0].isalnum()


def number_of(name: str) -> str:
    """`p` for a plural, `s` otherwise."""
    return "p" if is_plural(name) else "s"
