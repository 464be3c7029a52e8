"""English lemmas without a language model: noun number by the ontology's rules, verbs by a table.

`spacy.blank("en")` has no lemmatizer and no English model is on PyPI, so the forms of common verbs
are generated from `data/verbs.tsv`; words outside it fall back to noun number.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

from knowledge.inflection import Inflector
from knowledge.ontology_files import default_tables

__all__ = ["STOP_WORDS", "Lemmatizer", "tokenize"]

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_DATA = Path(__file__).parent / "data" / "verbs.tsv"
_MEMO_LIMIT = 200_000

_STOP_WORDS = """
a an the is are was were be been being am do does did of in on at to for from by with and or not no
it its this that these those there here which what who whom whose where when how why any some all
both each either neither can could may might will would shall should must has have had he she they
them his her their you your i we us me my our as than then so if but one ones thing things object
objects item items picture image photo scene something someone usually normally often typically
kind type sort same different other left right side middle bottom behind front above below under
look looks seem seems appear appears part
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Words that carry no topic in a question about a picture."""


def tokenize(text: str) -> list[str]:
    """Lower-case words and numbers of a text, in order."""
    return _WORD.findall(text.lower())


class Lemmatizer:
    """Word form to lemma."""

    def __init__(self, verbs: dict[str, str], inflector: Inflector) -> None:
        self._verbs = verbs
        self._inflector = inflector
        self._memo: dict[str, str] = {}

    @classmethod
    @functools.lru_cache(maxsize=1)
    def default(cls) -> Lemmatizer:
        """The lemmatizer of the shipped tables (one shared object)."""
        tables = default_tables()
        return cls(_verb_forms(), Inflector(tables.plurals, tables.parents))

    def lemma(self, word: str) -> str:
        """The lemma of one lower-case word ("eaten" -> "eat", "knives" -> "knife")."""
        found = self._memo.get(word)
        if found is None:
            if len(self._memo) >= _MEMO_LIMIT:
                self._memo.clear()
            found = self._memo[word] = self._verbs.get(word) or self._inflector.singular(word)
        return found

    def lemmas(self, text: str) -> list[str]:
        """The lemmas of a text's words, in order, stop words included."""
        return [self.lemma(word) for word in tokenize(text)]

    def topics(self, text: str) -> list[str]:
        """The lemmas of a text's words without stop words, in order; may repeat."""
        return [self.lemma(word) for word in tokenize(text) if word not in STOP_WORDS]


def _verb_forms() -> dict[str, str]:
    """Every inflected form of the shipped verbs to its base form."""
    forms: dict[str, str] = {}
    with _DATA.open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("#") or not line.strip():
                continue
            base, *irregular = line.rstrip("\n").split("\t")
            for form in (base, *_regular_forms(base), *irregular):
                forms.setdefault(form, base)
    return forms


def _regular_forms(base: str) -> tuple[str, ...]:
    """Third person, -ing and -ed forms by the spelling rules."""
    if base.endswith("e") and not base.endswith(("ee", "oe", "ye")):
        return base + "s", base[:-1] + "ing", base + "d"
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ies", base + "ing", base[:-1] + "ied"
    third = base + ("es" if base.endswith(("s", "x", "z", "ch", "sh", "o")) else "s")
    doubled = base + base[-1]
    extra = (
        (doubled + "ing", doubled + "ed") if re.search(r"[^aeiou][aeiou][bdglmnprt]$", base) else ()
    )
    return (third, *extra, base + "ing", base + ("d" if base.endswith("e") else "ed"))
