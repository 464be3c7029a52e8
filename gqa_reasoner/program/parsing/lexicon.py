"""What single words and phrases were seen to mean: counted alignments of phrase → value.

Five tables (`name`, `attribute`, `relation`, `head`, `type`), each `key → {value: count}`. In
training the counts of the very record under study are taken out (`without`), so that a phrase met
once counts as unknown in that record: the weights then learn what to do with unknown phrases.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import log
from pathlib import Path

__all__ = ["Entry", "Lexicon"]

Entry = tuple[str, str, str]
"""(table, key, value)."""


class Lexicon:
    """Counts of (table, key, value)."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], dict[str, int]] = {}

    def add(self, entries: Iterable[Entry], amount: int = 1) -> None:
        """Add `amount` (may be negative) to each entry's count."""
        for table, key, value in entries:
            row = self._counts.setdefault((table, key), {})
            row[value] = row.get(value, 0) + amount
            if row[value] <= 0:
                del row[value]
                if not row:
                    del self._counts[(table, key)]

    @contextmanager
    def without(self, entries: Iterable[Entry]) -> Iterator[None]:
        """Leave one record's own entries out for the time of the block."""
        entries = list(entries)
        self.add(entries, -1)
        try:
            yield
        finally:
            self.add(entries, 1)

    def row(self, table: str, key: str) -> dict[str, int]:
        """Counts of the values of a key ({} if it was never seen)."""
        return self._counts.get((table, key), {})

    def log_share(self, table: str, key: str, value: str) -> float | None:
        """log of the share of `value` among the key's values, smoothed; None for an unseen key."""
        row = self._counts.get((table, key))
        if row is None:
            return None
        return log((row.get(value, 0) + 0.1) / (sum(row.values()) + 0.3))

    def __len__(self) -> int:
        return len(self._counts)

    def save(self, path: Path) -> None:
        """Write as JSON: `{table: {key: {value: count}}}`, sorted."""
        tables: dict[str, dict[str, dict[str, int]]] = {}
        for (table, key), row in sorted(self._counts.items()):
            tables.setdefault(table, {})[key] = dict(sorted(row.items()))
        path.write_text(json.dumps(tables, separators=(",", ":"), sort_keys=True) + "\n")

    @classmethod
    def load(cls, path: Path) -> Lexicon:
        """Read what `save` wrote.

        Raises:
            OSError, ValueError: unreadable file.
        """
        lexicon = cls()
        for table, keys in json.loads(path.read_text()).items():
            for key, row in keys.items():
                lexicon._counts[(table, key)] = {value: int(count) for value, count in row.items()}
        return lexicon
