"""Vector search over the words of scenes, for questions that no program covers.

A picture's vector holds tf-idf weights of its object names, attributes and predicates; a
question's vector its words, expanded by the ontology. Scores are cosines.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

    from knowledge.ontology import Ontology

__all__ = ["rank_by_words"]

_WORDS = """
CREATE OR REPLACE TEMP TABLE words AS
WITH counted AS (
    SELECT image_id, name AS word, sum(score) AS weight FROM objects GROUP BY ALL
    UNION ALL SELECT image_id, name, sum(score) FROM attributes GROUP BY ALL
    UNION ALL SELECT image_id, predicate, sum(score) * 0.2 FROM relations GROUP BY ALL
    UNION ALL SELECT image_id, value, sum(score) FROM facts GROUP BY ALL),
total AS (SELECT count(DISTINCT image_id) AS n FROM counted),
frequency AS (SELECT word, ln(1 + any_value(n) / count(DISTINCT image_id)) AS idf
              FROM counted, total GROUP BY word)
SELECT image_id, word, sum((1 + ln(1 + weight)) * idf) AS weight
FROM counted JOIN frequency USING (word) GROUP BY image_id, word;
CREATE OR REPLACE TEMP TABLE norms AS
SELECT image_id, sqrt(sum(weight * weight)) AS norm FROM words GROUP BY image_id;
"""
_STOPS = """a an the of in on at to is are was do does which what who where how many show me find
with picture pictures image images photo photos that there any some and or for it this these"""
_STOP = frozenset(_STOPS.split())


def rank_by_words(
    connection: duckdb.DuckDBPyConnection, question: str, ontology: Ontology, limit: int
) -> list[dict[str, Any]]:
    """The pictures whose scene words are nearest to the question's.

    Returns:
        `{"image_id", "score", "path", "boxes"}`, best first; none when no word is known.
    """
    tables = {row[0] for row in connection.execute("SHOW TABLES").fetchall()}
    if "words" not in tables:
        connection.execute(_WORDS)
    known = {row[0] for row in connection.execute("SELECT DISTINCT word FROM words").fetchall()}
    weights = _question_words(question, ontology, known)
    if not weights:
        return []
    norm = math.sqrt(sum(value * value for value in weights.values()))
    rows = ", ".join("(?, ?)" for _ in weights)
    values = [item for pair in weights.items() for item in pair]
    found = connection.execute(
        f"SELECT w.image_id, sum(w.weight * q.weight) / (any_value(n.norm) * ?) AS score, "
        f"any_value(i.path) FROM words w JOIN (VALUES {rows}) q(word, weight) USING (word) "
        "JOIN norms n USING (image_id) JOIN images i USING (image_id) "
        "GROUP BY w.image_id ORDER BY score DESC, w.image_id LIMIT ?",
        [norm, *values, limit],
    ).fetchall()
    return [
        {"image_id": key, "score": round(score, 4), "path": path, "boxes": []}
        for key, score, path in found
    ]


def _question_words(question: str, ontology: Ontology, known: set[str]) -> dict[str, float]:
    pieces = re.findall(r"[a-z]+", question.lower())
    weights: dict[str, float] = {}
    for size in (3, 2, 1):
        for start in range(len(pieces) - size + 1):
            phrase = " ".join(pieces[start : start + size])
            if size == 1 and phrase in _STOP:
                continue
            canonical = ontology.canonical(phrase)
            for word in {phrase, canonical, *ontology.attribute_forms(phrase)} & known:
                weights[word] = 1.0
            for word in set(ontology.members(canonical)) & known:
                weights.setdefault(word, 0.5)
    return weights
