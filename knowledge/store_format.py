"""The triple store's file: named, aligned arrays with an index at the end.

Layout: header of 32 bytes (magic, version, offset, length and CRC-32 of the index), sections at
64-byte boundaries, the index as JSON (section name to offset, bytes, dtype, CRC-32; counts;
relations; fingerprint). All numbers are little-endian. Opening maps the file and reads the index
only, so it takes well under a millisecond and processes share the pages.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import struct
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from detectors.errors import InputError

__all__ = ["StoreFile", "is_store", "write_store"]

MAGIC = b"GQATRPL\n"
VERSION = 2
_HEADER = struct.Struct("<8sIIQQ")
_ALIGNMENT = 64
_BLOCK = 1 << 22


def write_store(
    output: IO[bytes], sections: dict[str, tuple[IO[bytes], str]], meta: dict[str, Any]
) -> None:
    """Assemble a store file.

    Args:
        output: seekable binary stream at position 0.
        sections: name to (binary stream at its end, numpy dtype string).
        meta: JSON fields of the index.
    """
    output.write(b"\0" * _HEADER.size)
    index: dict[str, Any] = {}
    digest = hashlib.blake2b(digest_size=16)
    for name, (stream, dtype) in sections.items():
        offset = -(-output.tell() // _ALIGNMENT) * _ALIGNMENT
        output.write(b"\0" * (offset - output.tell()))
        stream.seek(0)
        checksum = 0
        while block := stream.read(_BLOCK):
            checksum = zlib.crc32(block, checksum)
            digest.update(block)
            output.write(block)
        index[name] = [offset, output.tell() - offset, dtype, checksum]
    place = output.tell()
    record = {**meta, "sections": index, "fingerprint": digest.hexdigest(), "end": place}
    text = json.dumps(record, ensure_ascii=False).encode()
    output.write(text)
    output.seek(0)
    output.write(_HEADER.pack(MAGIC, VERSION, zlib.crc32(text), place, len(text)))


def is_store(path: Path) -> bool:
    """Whether a file begins as a triple store does."""
    with path.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


class StoreFile:
    """The arrays of a store, mapped from a file or viewed in memory.

    Args:
        source: path of a store file, or the bytes of one.

    Raises:
        InputError: not a store, another version, truncated, or with a broken index.
    """

    def __init__(self, source: Path | bytes | bytearray | memoryview) -> None:
        self.path = source if isinstance(source, Path) else None
        name = str(source) if isinstance(source, Path) else "triple store in memory"
        self.buffer: mmap.mmap | memoryview
        if isinstance(source, Path):
            with source.open("rb") as stream:
                try:
                    self.buffer = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
                except ValueError:
                    raise InputError(f"{name}: not a triple store: the file is empty") from None
        else:
            self.buffer = memoryview(source)
        self.name = name
        self.meta = self._read_index()
        view = memoryview(self.buffer)
        self.sections: dict[str, np.ndarray] = {}
        for section, (offset, size, dtype, _) in self.meta["sections"].items():
            self.sections[section] = np.frombuffer(view[offset : offset + size], dtype=dtype)

    def _read_index(self) -> dict[str, Any]:
        size = len(self.buffer)
        if size < _HEADER.size or bytes(self.buffer[: len(MAGIC)]) != MAGIC:
            raise InputError(
                f"{self.name}: not a triple store (no header); expected one written "
                "by 'gqa-reasoner knowledge build'"
            )
        _, version, checksum, place, length = _HEADER.unpack(self.buffer[: _HEADER.size])
        if version != VERSION:
            raise InputError(
                f"{self.name}: triple store of version {version}, this program reads version "
                f"{VERSION}; build it again with 'gqa-reasoner knowledge build'"
            )
        if place + length != size or length == 0:
            raise InputError(
                f"{self.name}: triple store is truncated: expected {place + length} bytes, "
                f"got {size}; build it again"
            )
        text = bytes(self.buffer[place : place + length])
        if zlib.crc32(text) != checksum:
            raise InputError(f"{self.name}: triple store has a damaged index; build it again")
        return json.loads(text)

    def verify(self) -> None:
        """Check every section's CRC-32 (reads the whole file).

        Raises:
            InputError: a section is damaged.
        """
        view = memoryview(self.buffer)
        for section, (offset, size, _, expected) in self.meta["sections"].items():
            if zlib.crc32(view[offset : offset + size]) != expected:
                raise InputError(
                    f"{self.name}: section {section!r} is damaged (checksum); build it again"
                )
