"""Collects what is wrong with input, so that a user sees all of it at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from eval.errors import InputError

__all__ = ["Problems", "shown"]


def shown(value: object, limit: int = 60) -> str:
    """`value` as it reads in an error message, cut to `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


@dataclass
class Problems:
    """Problem lines, of which the first `limit` are kept and all are counted."""

    limit: int = 20
    lines: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, source: object, record: str, field_name: str, what: str) -> None:
        """Note one problem as `source: record: field: what`; empty parts are left out."""
        self.count += 1
        if len(self.lines) < self.limit:
            self.lines.append(": ".join(str(p) for p in (source, record, field_name, what) if p))

    def extend(self, others: Problems) -> None:
        """Take over what another collection holds."""
        self.lines += others.lines[: self.limit - len(self.lines)]
        self.count += others.count

    def text(self) -> str:
        """One line per problem; a last line says how many more there are."""
        more = self.count - len(self.lines)
        return "\n".join([*self.lines, *([f"… and {more} more problems"] if more else [])])

    def raise_if_any(self) -> None:
        """Raise what was collected.

        Raises:
            InputError: when at least one problem was added.
        """
        if self.count:
            raise InputError(self.text())
