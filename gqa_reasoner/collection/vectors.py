"""Vector search, for questions that no program covers: by a dual encoder, else by words.

The visual way compares the question's vector with the pictures' and may rerank the best. The text
way compares tf-idf vectors: a picture's holds its object names, attributes, predicates, facts and
caption (`derived`), a question's its words, expanded by the ontology. Scores are cosines.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detectors.errors import InputError
from detectors.images import load_image
from gqa_reasoner.collection.vector_file import LOOKS, PICTURES, VectorFile
from knowledge.lemmas import STOP_WORDS, Lemmatizer

if TYPE_CHECKING:
    import duckdb

    from gqa_reasoner.collection.models import PictureEncoder, Reranker
    from knowledge.ontology import Ontology

__all__ = ["rank_by_encoder", "rank_by_words", "rank_like_picture"]

_RERANKED = 24
"""Pictures that a reranker looks at."""
_STOPS = """show find give get me us picture pictures image images photo photos photograph
photographs taken containing contains"""
_STOP = STOP_WORDS | frozenset(_STOPS.split())
Ranked = list[tuple[int, float]]
"""(picture number, score), best first."""


def rank_by_encoder(
    folder: Path,
    text: str,
    numbers: np.ndarray,
    limit: int,
    encoder: PictureEncoder,
    reranker: Reranker | None = None,
    file_of: Callable[[int], Path] | None = None,
) -> Ranked:
    """The pictures whose vectors are nearest to the text's.

    Args:
        folder: of the index.
        text: what is looked for.
        numbers: (K,) pictures that count and have a vector, ascending.
        limit: how many.
        encoder: the one that made the index.
        reranker: reorders the best, looking at their files.
        file_of: a picture's file by number, for the reranker.

    Raises:
        InputError: the index was made with another encoder.
    """
    vectors = VectorFile(folder, PICTURES)
    if vectors.fingerprint != encoder.fingerprint:
        raise InputError(
            f"{folder}: pictures were embedded with another encoder ("
            f"{vectors.fingerprint[:12]}, now {encoder.fingerprint[:12]}); index the folder again "
            "with this one into another --output"
        )
    query = np.asarray(encoder.encode_texts([text]), dtype=np.float32)[0]
    found = vectors.search(query, numbers, max(limit, _RERANKED))
    if reranker is None or file_of is None:
        return found[:limit]
    return _reranked(found, text, reranker, file_of)[:limit]


def _reranked(
    found: Ranked, text: str, reranker: Reranker, file_of: Callable[[int], Path]
) -> Ranked:
    """The best ones in the reranker's order; those whose files are gone come after them."""
    images, seen, rest = [], [], []
    for item in found[:_RERANKED]:
        try:
            images.append(load_image(file_of(item[0])))
            seen.append(item)
        except InputError:
            rest.append(item)
    if not images:
        return found
    scores = np.asarray(reranker.score(text, images), dtype=np.float64)
    order = np.argsort(-scores, kind="stable")
    return [seen[place] for place in order] + rest + found[_RERANKED:]


def rank_like_picture(folder: Path, image: int, numbers: np.ndarray, limit: int) -> Ranked:
    """The pictures whose vectors are nearest to a picture's own; none where it has no vector."""
    for name in (PICTURES, LOOKS):
        if not VectorFile.exists(folder, name):
            continue
        vectors = VectorFile(folder, name)
        rows = vectors.rows()
        if image < len(rows) and rows[image].any():
            found = vectors.search(rows[image].astype(np.float32), numbers, limit + 1)
            return [item for item in found if item[0] != image][:limit]
    return []


def rank_by_words(
    connection: duckdb.DuckDBPyConnection,
    question: str,
    ontology: Ontology,
    limit: int,
    scope: tuple[str, Sequence[object]] | None = None,
) -> Ranked:
    """The pictures whose scene words are nearest to the question's; none when no word is known."""
    known = {row[0] for row in connection.execute("SELECT DISTINCT word FROM words").fetchall()}
    weights = _question_words(question, ontology, known)
    if not weights:
        return []
    norm = math.sqrt(sum(value * value for value in weights.values()))
    rows = ", ".join("(?, ?)" for _ in weights)
    values: list[object] = [item for pair in weights.items() for item in pair]
    within = ""
    if scope is not None:
        within = f"WHERE w.image IN (SELECT image FROM images i WHERE {scope[0]}) "
        values += list(scope[1])
    return connection.execute(
        f"SELECT w.image, sum(w.weight * q.weight) / (any_value(n.norm) * {norm}) AS score "
        f"FROM words w JOIN (VALUES {rows}) q(word, weight) USING (word) "
        f"JOIN norms n USING (image) {within}GROUP BY w.image ORDER BY score DESC, w.image LIMIT ?",
        [*values, limit],
    ).fetchall()


def rank_like_words(connection: duckdb.DuckDBPyConnection, image: int, limit: int) -> Ranked:
    """The pictures whose scene words are nearest to another picture's."""
    return connection.execute(
        "SELECT w.image, sum(w.weight * q.weight) / (any_value(n.norm) * any_value(m.norm)) AS s "
        "FROM words w JOIN words q ON q.word = w.word AND q.image = ? JOIN norms n ON "
        "n.image = w.image JOIN norms m ON m.image = q.image WHERE w.image <> ? "
        "GROUP BY w.image ORDER BY s DESC, w.image LIMIT ?",
        [image, image, limit],
    ).fetchall()


def _question_words(question: str, ontology: Ontology, known: set[str]) -> dict[str, float]:
    pieces = re.findall(r"[a-z]+", question.lower())
    lemmatizer = Lemmatizer.default()
    weights: dict[str, float] = {}
    for size in (3, 2, 1):
        for start in range(len(pieces) - size + 1):
            phrase = " ".join(pieces[start : start + size])
            if size == 1 and phrase in _STOP:
                continue
            canonical = ontology.canonical(phrase)
            forms = {phrase, canonical, *ontology.attribute_forms(phrase)}
            if size == 1:
                forms.add(lemmatizer.lemma(phrase))
            for word in sorted(forms & known):
                weights[word] = 1.0
            for word in sorted(set(ontology.members(canonical)) & known):
                weights.setdefault(word, 0.5)
    return weights
