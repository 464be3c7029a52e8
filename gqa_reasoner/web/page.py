"""The files of the page, read once; nothing else of the disk can be reached through them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

__all__ = ["Asset", "read_assets"]

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Asset:
    """One file of the page."""

    data: bytes
    media_type: str
    tag: str


def read_assets() -> dict[str, Asset]:
    """Every file of the page by its name."""
    found = {}
    for item in files("gqa_reasoner.web").joinpath("static").iterdir():
        kind = item.name.rsplit(".", 1)[-1]
        if kind in _TYPES:
            data = item.read_bytes()
            tag = hashlib.sha256(data).hexdigest()[:16]
            found[item.name] = Asset(data, _TYPES[kind], tag)
    return found
