"""A synthetic ConceptNet assertions dump of any length, for `bench_knowledge.py`."""

from __future__ import annotations

import gzip
import random
from pathlib import Path


def write_large_dump(path: Path, lines: int) -> None:
    """A synthetic assertions dump: Zipf-like reuse of concepts, some other languages, JSON info."""
    rng = random.Random(0)
    relations = ("IsA", "UsedFor", "AtLocation", "RelatedTo", "HasProperty", "CapableOf")
    with gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as stream:
        for start in range(0, lines, 10_000):
            rows = []
            for _ in range(min(10_000, lines - start)):
                relation = relations[int(rng.random() * 6)]
                head, tail = (int(3_000_000 * rng.random() ** 2) for _ in range(2))
                language = "fr" if rng.random() < 0.1 else "en"
                one, two = f"/c/{language}/concept_{head}", f"/c/en/concept_{tail}"
                rows.append(
                    f"/a/[/r/{relation}/,{one}/,{two}/]\t/r/{relation}\t{one}\t{two}\t"
                    '{"dataset": "/d/synthetic", "license": "cc:by/4.0", "sources": '
                    f'[{{"contributor": "/s/x"}}], "weight": {1 + head % 7 / 2}}}\n'
                )
            stream.write("".join(rows))
