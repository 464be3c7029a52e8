"""Tokens and lemmas by spaCy: an option beside the parser's own tokenizer.

spaCy takes longer to import than the parser to answer, so it is used only where it is asked for
(`ProgramParser.from_pretrained(tokenizer="spacy")`, `gqa-reasoner parse --tokenizer spacy`). Its
tokens are joined to the parser's (`is n't` → `is not`; a word with hyphens is one word). Lemmas
come from the named pipeline, else from the tables of `spacy-lookups-data` where that is installed;
they are offered as further singulars of a noun, beside those of `morphology`.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from detectors.errors import InputError
from gqa_reasoner.program.parsing.tokens import Tokenized, tokenize

__all__ = ["SpacyTokenizer"]


class SpacyTokenizer:
    """Makes tokens and lemmas of a question.

    Args:
        pipeline: name or path of an installed spaCy pipeline (`en_core_web_sm`); None: a blank
            English one, with look-up lemmas if `spacy-lookups-data` is installed.

    Raises:
        InputError: spaCy or the pipeline is not installed.
    """

    def __init__(self, pipeline: str | None = None) -> None:
        try:
            import spacy
        except ImportError as error:
            raise InputError(
                "tokenizer spacy: spaCy is not installed (pip install spacy)"
            ) from error
        self.has_lemmas = True
        if pipeline is None:
            self._language: Any = spacy.blank("en")
            self.has_lemmas = _add_lookups(self._language)
        else:
            try:
                self._language = spacy.load(pipeline)
            except OSError as error:
                raise InputError(
                    f"tokenizer spacy: pipeline {pipeline!r}: expected an installed one "
                    f"(python -m spacy download {pipeline})"
                ) from error

    def __call__(self, question: str) -> Tokenized:
        """Tokens as `tokens.tokenize` spells them, and the lemma of each word that has another."""
        text = unicodedata.normalize("NFKC", question).replace("\u2019", "'")
        document = self._language(text)
        pieces: list[str] = []
        lemmas: dict[str, str] = {}
        glued = False
        for token in document:
            word = token.lower_
            if token.is_space:
                glued = False
                continue
            if glued and pieces and (_joins(word) or _joins(pieces[-1][-1:])):
                pieces[-1] += word
            else:
                pieces.append(word)
            glued = not token.whitespace_
            lemma = (token.lemma_ or "").lower()
            if self.has_lemmas and lemma and lemma != word and lemma.isalpha():
                lemmas[word] = lemma
        joined = " ".join(pieces).replace(" n't", "n't").replace("can not", "cannot")
        return Tokenized(tokenize(joined), lemmas)


def _joins(text: str) -> bool:
    """Whether spaCy cut here what is one word for the parser."""
    return text.startswith("-")


def _add_lookups(language: Any) -> bool:
    """Add look-up lemmas to a blank pipeline; False where their tables are not installed."""
    try:
        language.add_pipe("lemmatizer", config={"mode": "lookup"})
        language.initialize()
    except (ImportError, ValueError, OSError):
        if "lemmatizer" in language.pipe_names:
            language.remove_pipe("lemmatizer")
        return False
    return True
