"""Tables made from the others when a writer finishes: word weights of pictures, expansions.

`words` holds the tf-idf weights of a picture's object names, attributes, predicates, facts and
caption, `norms` the lengths of those vectors: the text way of vector search. `expansions` holds
what the triple store says about each object name of the collection.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from knowledge.lemmas import STOP_WORDS, Lemmatizer, tokenize

if TYPE_CHECKING:
    import duckdb

    from knowledge.store import TripleStore

__all__ = ["derive_tables"]

_TRIPLES = 40
"""Triples kept for one name, best first."""
_CAPTION_WEIGHT = 0.6
_WORDS = """
CREATE OR REPLACE TABLE words AS
WITH counted AS (
    SELECT image, text AS word, sum(score) AS weight
        FROM objects JOIN terms ON code = name GROUP BY ALL
    UNION ALL SELECT image, text, sum(score) FROM attributes JOIN terms ON code = name GROUP BY ALL
    UNION ALL SELECT image, text, sum(score) * 0.2
        FROM relations JOIN terms ON code = predicate GROUP BY ALL
    UNION ALL SELECT image, value, sum(score) FROM facts GROUP BY ALL
    UNION ALL SELECT image, word, weight FROM caption_words),
total AS (SELECT count(DISTINCT image) AS n FROM counted),
frequency AS (SELECT word, ln(1 + any_value(n) / count(DISTINCT image)) AS idf
              FROM counted, total GROUP BY word)
SELECT image, word, sum((1 + ln(1 + weight)) * idf)::FLOAT AS weight
FROM counted JOIN frequency USING (word) GROUP BY image, word ORDER BY word, image;
CREATE OR REPLACE TABLE norms AS
SELECT image, sqrt(sum(weight * weight))::FLOAT AS norm FROM words GROUP BY image;
"""


_ORDERS = {
    "objects": "name, image, object",
    "attributes": "name, image, object",
    "relations": "predicate, image, subject",
}
"""Rows of one name side by side: a question then reads only the blocks of the names in it."""


def derive_tables(connection: duckdb.DuckDBPyConnection, store: TripleStore | None = None) -> None:
    """Make the tables anew, and put the rows of the others in order.

    Args:
        connection: the writer's.
        store: triples for `expansions`; without it these stay as they are.
    """
    connection.execute("CREATE OR REPLACE TEMP TABLE caption_words (image INTEGER, word VARCHAR, "
                       "weight DOUBLE)")  # fmt: skip
    lemmatizer = Lemmatizer.default()
    rows: list[tuple[int, str, float]] = []
    for image, caption in connection.execute(
        "SELECT image, caption FROM images WHERE caption IS NOT NULL"
    ).fetchall():
        counts = Counter(
            lemmatizer.lemma(word) for word in tokenize(caption) if word not in STOP_WORDS
        )
        rows += [(image, word, _CAPTION_WEIGHT * count) for word, count in counts.items()]
    if rows:
        from gqa_reasoner.collection.scenes import insert_rows

        insert_rows(connection, "caption_words", rows)
    connection.execute(_WORDS)
    connection.execute("DROP TABLE caption_words")
    for table, order in _ORDERS.items():
        connection.begin()
        connection.execute(f"CREATE TABLE sorted AS SELECT * FROM {table} ORDER BY {order}")
        connection.execute(f"DROP TABLE {table}")
        connection.execute(f"ALTER TABLE sorted RENAME TO {table}")
        connection.commit()
    if store is not None:
        _expand(connection, store)


def _expand(connection: duckdb.DuckDBPyConnection, store: TripleStore) -> None:
    from gqa_reasoner.collection.scenes import insert_rows

    names = connection.execute(
        "SELECT DISTINCT name, text FROM objects JOIN terms ON code = name ORDER BY name"
    ).fetchall()
    rows = [
        (code, edge.relation, edge.tail, edge.weight)
        for code, text in names
        for edge in store.edges(text, _TRIPLES, direction="out")
    ]
    connection.execute("DELETE FROM expansions")
    if rows:
        insert_rows(connection, "expansions", rows)
