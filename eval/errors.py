"""The error this room raises for input that cannot be scored."""

from __future__ import annotations


class InputError(ValueError):
    """Input that cannot be scored; the message names file, record and field, one problem a line."""
