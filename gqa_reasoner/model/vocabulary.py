"""The names a reasoner knows: words, answers, question types, predicates and detectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from detectors.errors import InputError

__all__ = ["PADDING", "UNKNOWN", "ReasonerVocabulary"]

PADDING = 0
UNKNOWN = 1


@dataclass(frozen=True)
class ReasonerVocabulary:
    """Lists whose order gives the ids; saved in the reasoner's `config.json`.

    Word ids start after `PADDING` and `UNKNOWN`.
    """

    words: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    """GQA's detailed question types, which the answer-type masking learns from."""
    predicates: tuple[str, ...] = ()
    detectors: tuple[str, ...] = ()
    """Detectors whose scenes the reasoner was trained with."""

    @cached_property
    def word_ids(self) -> Mapping[str, int]:
        """Word to id."""
        return {word: number + 2 for number, word in enumerate(self.words)}

    @cached_property
    def answer_ids(self) -> Mapping[str, int]:
        """Answer to id."""
        return {answer: number for number, answer in enumerate(self.answers)}

    @cached_property
    def type_ids(self) -> Mapping[str, int]:
        """Question type to id."""
        return {name: number for number, name in enumerate(self.types)}

    @cached_property
    def predicate_ids(self) -> Mapping[str, int]:
        """Predicate to id; 0 is any other predicate."""
        return {name: number + 1 for number, name in enumerate(self.predicates)}

    def word_list(self, words: Iterable[str]) -> list[int]:
        """Ids of words, `UNKNOWN` for those not in the list."""
        ids = self.word_ids
        return [ids.get(word, UNKNOWN) for word in words]

    def to_json(self) -> dict[str, list[str]]:
        """Each list under its own name."""
        return {item.name: list(getattr(self, item.name)) for item in fields(self)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ReasonerVocabulary:
        """Read `to_json`'s form.

        Raises:
            InputError: a list is missing, unknown, or does not hold strings.
        """
        names = {item.name for item in fields(cls)}
        if set(record) != names:
            odd = sorted(set(record) ^ names)[0]
            raise InputError(
                f"reasoner vocabulary: {odd!r}: expected the lists {', '.join(sorted(names))}"
            )
        for name, values in record.items():
            if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
                raise InputError(f"reasoner vocabulary: {name}: expected a list of strings")
        return cls(**{name: tuple(values) for name, values in record.items()})

    @staticmethod
    def commonest(counts: Counter[str], at_least: int = 1) -> tuple[str, ...]:
        """Names by falling count, equal counts alphabetically."""
        kept = [(name, count) for name, count in counts.items() if count >= at_least]
        return tuple(name for name, _ in sorted(kept, key=lambda item: (-item[1], item[0])))
