"""conceptnet-lite as a live backend behind the protocol of the store, with its traps shielded.

The package (optional extra `conceptnet`) downloads gigabytes when its database is missing, deletes
the caller's dump after loading it, writes beside it, prints, and keeps one process-global handle.
Here nothing is ever downloaded or deleted, and every call makes sure that the handle is its own.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from detectors.errors import InputError
from knowledge.conceptnet import _checked_weight
from knowledge.concepts import normalize_relation, parse_concept
from knowledge.store import Direction, Triple

__all__ = ["ConceptNetLite"]

_TABLES = frozenset({"relation", "language", "label", "concept", "edge"})


class ConceptNetLite:
    """Live look-ups in a conceptnet-lite database; slower than `TripleStore` by far.

    Args:
        path: an existing database; it is never created or downloaded.
        language: of concept texts.

    Raises:
        InputError: the package or the database is missing, or the file is none.
    """

    def __init__(self, path: str | Path, *, language: str = "en") -> None:
        self._path = Path(path).expanduser().resolve()
        self._language = language
        _check_database(self._path)
        self._package = _import_package()
        self._connect()

    @staticmethod
    def load_dump(dump: str | Path, database: str | Path) -> None:
        """Load an assertions dump into a new database; the dump stays as it is.

        Raises:
            InputError: the dump is missing, or the database exists already.
        """
        source, target = Path(dump), Path(database)
        if not source.is_file():
            raise InputError(f"{source}: conceptnet-lite: no such dump")
        if target.exists():
            raise InputError(f"{target}: conceptnet-lite: the database exists already")
        _import_package()
        from conceptnet_lite.db import load_dump_to_db

        with tempfile.TemporaryDirectory(prefix="gqa_reasoner_lite_") as folder:
            copy = Path(folder) / "dump.csv"
            opener: Any = gzip.open if source.suffix == ".gz" else open
            with opener(source, "rb") as stream, copy.open("wb") as output:
                shutil.copyfileobj(stream, output)
            with copy.open("rb") as stream:
                count = sum(1 for _ in stream)
            side = Path(folder) / "conceptnet.db"
            with _quiet():
                load_dump_to_db(copy, side, edge_count=count, delete_dump=False)
            shutil.move(side, target)

    def edges(
        self, concept: str, k: int | None = None, *, direction: Direction = "both"
    ) -> list[Triple]:
        """The triples of a concept, best weight first; [] for an unknown concept."""
        self._connect()
        concepts = self._concepts(concept)
        if not concepts:
            return []
        package = self._package
        ask = {"out": package.edges_from, "in": package.edges_to, "both": package.edges_for}
        return _best(self._triples(ask[direction](concepts)), k)

    def between(self, first: str, second: str) -> list[Triple]:
        """The triples that join two concepts, in either direction, best weight first."""
        self._connect()
        start, end = self._concepts(first), self._concepts(second)
        if not start or not end:
            return []
        return _best(self._triples(self._package.edges_between(start, end, two_way=True)), None)

    def _connect(self) -> None:
        """Point the package's process-global handle at this database."""
        from conceptnet_lite.db import db

        current = getattr(db.obj, "database", None)
        if current != str(self._path):
            if db.obj is not None and not db.is_closed():
                db.close()
            with _quiet():
                self._package.connect(
                    db_path=self._path,
                    db_download_url=None,
                    delete_compressed_db=False,
                    delete_compressed_dump=False,
                    delete_dump=False,
                )

    def _concepts(self, name: str) -> list[Any]:
        concept = parse_concept(name, language=self._language)
        try:
            label = self._package.Label.get(
                text=concept.text.replace(" ", "_"), language=concept.language
            )
        except (self._package.Label.DoesNotExist, self._package.Language.DoesNotExist):
            return []
        return [c for c in label.concepts if not concept.sense or c.sense_label == concept.sense]

    def _triples(self, edges: Iterable[Any]) -> Iterator[Triple]:
        for edge in edges:
            yield Triple(
                edge.start.text.replace("_", " "),
                normalize_relation(edge.relation.name),
                edge.end.text.replace("_", " "),
                _checked_weight((edge.etc or {}).get("weight", 1.0)),
            )


def _best(triples: Iterable[Triple], k: int | None) -> list[Triple]:
    ordered = sorted(triples, key=lambda t: (-t.weight, t.head, t.relation, t.tail))
    return ordered if k is None else ordered[: max(k, 0)]


def _check_database(path: Path) -> None:
    if not path.is_file():
        raise InputError(
            f"{path}: conceptnet-lite: no such database (nothing is downloaded unasked; "
            "make one with ConceptNetLite.load_dump)"
        )
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        try:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {row[0] for row in rows}
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise InputError(f"{path}: not a conceptnet-lite database: {error}") from None
    if not tables >= _TABLES:
        missing = ", ".join(sorted(_TABLES - tables))
        raise InputError(f"{path}: not a conceptnet-lite database: no table {missing}")


def _import_package() -> Any:
    try:
        import conceptnet_lite
    except ImportError as error:
        raise InputError(
            f"conceptnet-lite is not installed; pip install 'gqa-reasoner[conceptnet]' ({error})"
        ) from None
    return conceptnet_lite


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
