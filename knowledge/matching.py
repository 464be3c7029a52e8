"""Finding concepts in a text: longest matches of names, multi-word names included.

The fast path looks word n-grams up (in an ontology or a store) and needs no index of its own, so it
works for millions of concepts; `SpacyMatcher` does the same by spaCy's PhraseMatcher over a given
list of names, and imports spaCy only when it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from knowledge.lemmas import tokenize
from knowledge.ontology import Ontology
from knowledge.store import TripleStore

__all__ = ["Match", "SpacyMatcher", "match_concepts", "ontology_finder", "store_finder"]

MAX_WORDS = 200
"""Words of a text that are read."""

Finder = Callable[[str], str | None]


class Match(NamedTuple):
    """Words `start` to `end` (exclusive) of the tokenized text name `concept`."""

    start: int
    end: int
    concept: str


def match_concepts(text: str, find: Finder, *, longest: int = 4) -> list[Match]:
    """The longest names in a text from left to right, without overlaps.

    Args:
        text: tokenized by `knowledge.lemmas.tokenize`.
        find: name to concept, or None.
        longest: words of the longest name looked for.
    """
    words = tokenize(text)[:MAX_WORDS]
    found: list[Match] = []
    position = 0
    while position < len(words):
        for end in range(min(position + longest, len(words)), position, -1):
            concept = find(" ".join(words[position:end]))
            if concept is not None:
                found.append(Match(position, end, concept))
                position = end
                break
        else:
            position += 1
    return found


def ontology_finder(ontology: Ontology) -> Finder:
    """Finds the canonical names of an ontology by any of their forms; remembers what it found."""

    @lru_cache(maxsize=50_000)
    def find(name: str) -> str | None:
        return ontology.canonical(name) if ontology.knows(name) else None

    return find


def store_finder(store: TripleStore) -> Finder:
    """Finds the concepts of a store by their text, singular or lemmas."""

    def find(name: str) -> str | None:
        number = store.find(name)
        return None if number is None else store.concept_text(number)

    return find


class SpacyMatcher:
    """spaCy's PhraseMatcher over names in both numbers and all their other forms.

    Args:
        ontology: gives plurals and synonyms.
        names: to look for; all of the ontology's by default.
    """

    def __init__(self, ontology: Ontology, names: Iterable[str] | None = None) -> None:
        import spacy
        from spacy.matcher import PhraseMatcher

        self._language = spacy.blank("en")
        self._matcher = PhraseMatcher(self._language.vocab, attr="LOWER")
        for name in ontology.names() if names is None else names:
            forms = dict.fromkeys((name, *ontology.synonyms(name)))
            texts = dict.fromkeys(text for form in forms for text in (form, ontology.plural(form)))
            self._matcher.add(name, [self._language.make_doc(text) for text in texts])

    def match(self, text: str) -> list[Match]:
        """The longest names, as `match_concepts` gives them; positions count spaCy's tokens."""
        from spacy.util import filter_spans

        doc = self._language.make_doc(text)
        spans = filter_spans(self._matcher(doc, as_spans=True))
        return [Match(span.start, span.end, span.label_) for span in spans]
