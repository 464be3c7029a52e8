"""Builds a triple store from a stream of triples in bounded memory.

Legend: T triples, C concepts, W distinct lemmas.
Runs of triples with their own sorted vocabulary are spilled to disk, the vocabularies are merged
(external merge sort), the triples renumbered and sorted head range by head range. Memory is
bounded by the run length plus a few numbers per concept; no step holds all texts.
"""

from __future__ import annotations

import hashlib
import heapq
import io
import shutil
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from detectors.errors import InputError
from knowledge.lemmas import Lemmatizer
from knowledge.store_format import write_store
from knowledge.store_sorting import by_key, deduplicated

__all__ = ["StoreBuilder", "concept_hash"]

TRIPLE = np.dtype([("head", "<u4"), ("tail", "<u4"), ("relation", "<u2"), ("weight", "<f4")])
INCOMING = np.dtype([("tail", "<u4"), ("weight", "<f4"), ("index", "<u4")])
_SPOOL = 1 << 24
_LEMMA_BLOCK = 1 << 18
_LEMMA_MEMO = 100_000
_LEMMA_TEXT = 200
"""Characters of a concept that are read for its lemmas."""


def concept_hash(text: bytes) -> int:
    """The 64-bit key of a concept's UTF-8 text in the look-up table."""
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


class StoreBuilder:
    """Collects triples, then writes the store.

    Args:
        language: the language whose concepts are stored without a prefix.
        run_length: triples kept in memory before they are spilled.
    """

    def __init__(self, *, language: str = "en", run_length: int = 500_000) -> None:
        self._language = language
        self._run_length = run_length
        self._relations: dict[str, int] = {}
        self._vocabulary: dict[str, int] = {}
        self._columns = (array("I"), array("I"), array("H"), array("f"))
        self._folder: Path | None = None
        self._runs: list[tuple[Any, Any]] = []
        self.added = 0

    def add(self, head: str, relation: str, tail: str, weight: float = 1.0) -> None:
        """Add one triple of normalized concept texts.

        Raises:
            InputError: more than 65,535 relations.
        """
        vocabulary = self._vocabulary
        heads, tails, relations, weights = self._columns
        heads.append(vocabulary.setdefault(head, len(vocabulary)))
        tails.append(vocabulary.setdefault(tail, len(vocabulary)))
        number = self._relations.setdefault(relation, len(self._relations))
        if number > 0xFFFF:
            raise InputError(f"triples: more than 65535 relations, at {relation!r}")
        relations.append(number)
        weights.append(weight)
        self.added += 1
        if len(heads) >= self._run_length:
            self._spill(to_disk=True)

    def add_all(self, triples: Iterable[tuple[str, str, str, float]]) -> None:
        """Add (head, relation, tail, weight) tuples."""
        for head, relation, tail, weight in triples:
            self.add(head, relation, tail, weight)

    def write(self, path: str | Path) -> None:
        """Write the store to a side file, which then replaces `path`."""
        place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        side = place.with_name(place.name + ".part")
        try:
            with side.open("wb") as output:
                self._write(output)
            side.replace(place)
        finally:
            side.unlink(missing_ok=True)

    def to_bytes(self) -> bytes:
        """The store file in memory."""
        output = io.BytesIO()
        self._write(output)
        return output.getvalue()

    def _spill(self, *, to_disk: bool) -> None:
        """Close the current run: its vocabulary sorted, its triples numbered in that order."""
        texts = [text.encode() for text in self._vocabulary]
        order = sorted(range(len(texts)), key=texts.__getitem__)
        rank = np.empty(len(texts), dtype="<u4")
        rank[order] = np.arange(len(texts), dtype="<u4")
        heads, tails, relations, weights = (np.asarray(column) for column in self._columns)
        run = np.empty(len(heads), dtype=TRIPLE)
        if len(heads):
            run["head"], run["tail"] = rank[heads], rank[tails]
            run["relation"], run["weight"] = relations, weights
        ordered = [texts[position] for position in order]
        self._vocabulary = {}
        self._columns = (array("I"), array("I"), array("H"), array("f"))
        if not to_disk:
            self._runs.append((ordered, run))
            return
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="gqa_reasoner_triples_"))
        stem = self._folder / f"run{len(self._runs)}"
        words, triples = stem.with_suffix(".words"), stem.with_suffix(".triples")
        with words.open("wb") as stream:
            stream.writelines(text + b"\n" for text in ordered)
        run.tofile(triples)
        self._runs.append((words, triples))

    def _write(self, output: IO[bytes]) -> None:
        try:
            if self._columns[0] or not self._runs:
                self._spill(to_disk=bool(self._runs))
            self._assemble(output)
        finally:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)

    def _assemble(self, output: IO[bytes]) -> None:
        sections: dict[str, tuple[IO[bytes], str]] = {}
        concepts, ranks = self._merge_vocabularies(sections)
        names = sorted(self._relations)
        renumber = np.zeros(len(names) + 1, dtype="<u2")
        for name, old in self._relations.items():
            renumber[old] = names.index(name)
        blocks = (
            _renumbered(triples, rank, renumber)
            for (_, triples), rank in zip(self._runs, ranks, strict=True)
        )
        total = self._write_triples(sections, blocks, concepts)
        self._write_incoming(sections, concepts, total)
        self._write_relation_index(sections, len(names), total)
        meta = {
            "language": self._language,
            "relations": names,
            "concepts": concepts,
            "triples": total,
            "added": self.added,
        }
        write_store(output, sections, meta)

    def _merge_vocabularies(
        self, sections: dict[str, tuple[IO[bytes], str]]
    ) -> tuple[int, list[np.ndarray]]:
        """Write concept texts, hashes and lemmas; return the count and each run's renumbering."""
        ranks = [array("I") for _ in self._runs]
        streams = [_numbered_words(words, number) for number, (words, _) in enumerate(self._runs)]
        writer = _ConceptWriter(sections)
        previous = None
        for text, number in heapq.merge(*streams):
            if text != previous:
                writer.add(text)
                previous = text
            ranks[number].append(writer.count - 1)
        writer.close()
        return writer.count, [np.frombuffer(rank, dtype="<u4") for rank in ranks]

    def _write_triples(
        self,
        sections: dict[str, tuple[IO[bytes], str]],
        blocks: Iterator[np.ndarray],
        concepts: int,
    ) -> int:
        """Write the triples by head, then weight (best first); equal ones keep the best weight."""
        columns = {
            name: _section(sections, name, TRIPLE[name].str)
            for name in ("head", "tail", "relation", "weight")
        }
        degrees = np.zeros(concepts, dtype=np.int64)
        total = 0
        for block in by_key(blocks, "head", concepts, self._run_length):
            block = deduplicated(block)
            order = np.lexsort((block["tail"], block["relation"], -block["weight"], block["head"]))
            block = block[order]
            degrees += np.bincount(block["head"], minlength=concepts)
            for name, stream in columns.items():
                stream.write(block[name].tobytes())
            total += len(block)
        if total > 0xFFFFFFFF:
            raise InputError(f"triples: {total} are more than this format's 4294967295")
        _section(sections, "head_offsets", "<u8").write(_offsets(degrees).tobytes())
        return total

    def _write_incoming(
        self, sections: dict[str, tuple[IO[bytes], str]], concepts: int, total: int
    ) -> None:
        """Write, tail by tail, the numbers of its triples, best weight first."""
        stream = _section(sections, "tail_index", "<u4")
        degrees = np.zeros(concepts, dtype=np.int64)
        blocks = _incoming_blocks(sections, total, self._run_length)
        for block in by_key(blocks, "tail", concepts, self._run_length):
            order = np.lexsort((block["index"], -block["weight"], block["tail"]))
            degrees += np.bincount(block["tail"], minlength=concepts)
            stream.write(block["index"][order].tobytes())
        _section(sections, "tail_offsets", "<u8").write(_offsets(degrees).tobytes())

    def _write_relation_index(
        self, sections: dict[str, tuple[IO[bytes], str]], relations: int, total: int
    ) -> None:
        """Write, relation by relation, the numbers of its triples, best weight first."""
        kinds = _read_back(sections["relation"])
        weights = _read_back(sections["weight"])
        stream = _section(sections, "relation_index", "<u4")
        for relation in range(relations):
            chosen = np.flatnonzero(kinds == relation).astype("<u4")
            order = np.argsort(-weights[chosen], kind="stable")
            stream.write(chosen[order].tobytes())
        degrees = np.bincount(kinds, minlength=relations) if total else np.zeros(relations, int)
        _section(sections, "relation_offsets", "<u8").write(_offsets(degrees).tobytes())


class _ConceptWriter:
    """Writes concepts in sorted order: texts, look-up table, lemmas.

    Lemmas are numbered by the order of their 64-bit hashes, so no table of their texts is kept.
    """

    def __init__(self, sections: dict[str, tuple[IO[bytes], str]]) -> None:
        self.count = 0
        self._sections = sections
        self._texts = _section(sections, "concept_texts", "|u1")
        self._ends = array("Q", [0])
        self._hashes = array("Q")
        self._lemmatizer = Lemmatizer.default()
        self._lemma_memo: dict[str, int] = {}
        self._lemmas = array("Q")
        self._lemma_ends = array("Q", [0])
        self._pool: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_SPOOL)  # noqa: SIM115
        self._lemma_hashes = np.empty(0, dtype="<u8")

    def add(self, text: bytes) -> None:
        """Append one concept."""
        self.count += 1
        self._texts.write(text)
        self._ends.append(self._ends[-1] + len(text))
        self._hashes.append(concept_hash(text))
        lemmas = dict.fromkeys(self._lemmatizer.topics(text.decode()[:_LEMMA_TEXT]))
        self._lemmas.extend(map(self._lemma_hash, lemmas))
        self._lemma_ends.append(self._lemma_ends[-1] + len(lemmas))
        if len(self._lemmas) >= _LEMMA_BLOCK:
            self._flush()

    def close(self) -> None:
        """Write the arrays."""
        self._flush()
        self._write("concept_offsets", np.frombuffer(self._ends, "<u8"))
        hashes = np.frombuffer(self._hashes, "<u8")
        order = np.argsort(hashes, kind="stable")
        self._write("hashes", hashes[order])
        self._write("hash_concepts", order.astype("<u4"))
        self._write("concept_lemma_offsets", np.frombuffer(self._lemma_ends, "<u8"))
        self._write("lemma_hashes", self._lemma_hashes)
        counts = np.zeros(len(self._lemma_hashes), dtype=np.int64)
        lemmas = _section(self._sections, "concept_lemmas", "<u4")
        self._pool.seek(0)
        while block := self._pool.read(8 * _LEMMA_BLOCK):
            numbers = np.searchsorted(self._lemma_hashes, np.frombuffer(block, "<u8"))
            counts += np.bincount(numbers, minlength=len(counts))
            lemmas.write(numbers.astype("<u4").tobytes())
        self._pool.close()
        self._write("lemma_counts", counts.astype("<u4"))

    def _lemma_hash(self, lemma: str) -> int:
        found = self._lemma_memo.get(lemma)
        if found is None:
            if len(self._lemma_memo) >= _LEMMA_MEMO:
                self._lemma_memo.clear()
            found = self._lemma_memo[lemma] = concept_hash(lemma.encode())
        return found

    def _flush(self) -> None:
        block = np.frombuffer(self._lemmas, "<u8")
        self._pool.write(block.tobytes())
        self._lemma_hashes = np.union1d(self._lemma_hashes, block)
        self._lemmas = array("Q")

    def _write(self, name: str, values: np.ndarray) -> None:
        _section(self._sections, name, values.dtype.str).write(values.tobytes())


def _section(sections: dict[str, tuple[IO[bytes], str]], name: str, dtype: str) -> IO[bytes]:
    stream: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_SPOOL)  # noqa: SIM115
    sections[name] = (stream, dtype)
    return stream


def _read_back(section: tuple[IO[bytes], str]) -> np.ndarray:
    stream, dtype = section
    stream.seek(0)
    values = np.frombuffer(stream.read(), dtype=dtype)
    stream.seek(0, io.SEEK_END)
    return values


def _offsets(degrees: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(degrees)]).astype("<u8")


def _numbered_words(words: Any, number: int) -> Iterator[tuple[bytes, int]]:
    if isinstance(words, list):
        for text in words:
            yield text, number
        return
    with words.open("rb") as stream:
        for line in stream:
            yield line[:-1], number


def _renumbered(triples: Any, rank: np.ndarray, relations: np.ndarray) -> np.ndarray:
    block = np.fromfile(triples, dtype=TRIPLE) if isinstance(triples, Path) else triples
    if len(block):
        block["head"], block["tail"] = rank[block["head"]], rank[block["tail"]]
        block["relation"] = relations[block["relation"]]
    return block


def _incoming_blocks(
    sections: dict[str, tuple[IO[bytes], str]], total: int, length: int
) -> Iterator[np.ndarray]:
    tails, weights = sections["tail"][0], sections["weight"][0]
    tails.seek(0)
    weights.seek(0)
    for start in range(0, total, length):
        size = min(length, total - start)
        block = np.empty(size, dtype=INCOMING)
        block["tail"] = np.frombuffer(tails.read(4 * size), "<u4")
        block["weight"] = np.frombuffer(weights.read(4 * size), "<f4")
        block["index"] = np.arange(start, start + size, dtype="<u4")
        yield block
    tails.seek(0, io.SEEK_END)
    weights.seek(0, io.SEEK_END)
