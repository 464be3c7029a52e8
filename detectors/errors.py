"""The error every room raises for input that cannot be used."""

from __future__ import annotations


class InputError(ValueError):
    """Input that cannot be used; the message is one line naming file, record and field."""
