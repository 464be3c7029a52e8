"""A training configuration from a YAML file, for every stage."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from detectors.config import from_mapping
from detectors.errors import InputError

__all__ = ["read_config_file"]

T = TypeVar("T")


def read_config_file(kind: type[T], path: Path | None) -> T:
    """The dataclass `kind` with the values of a YAML file; None gives its defaults.

    Raises:
        InputError: missing file, bad YAML, unknown key or a value of the wrong type.
    """
    if path is None:
        return kind()
    import yaml

    if not path.is_file():
        raise InputError(f"{path}: training config: no such file")
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = " ".join(str(error).split())
        raise InputError(f"{path}: training config: not YAML ({line})") from None
    return from_mapping(kind, record, str(path))
