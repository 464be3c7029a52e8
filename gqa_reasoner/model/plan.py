"""`Plan`: which stream attends to which, layer by layer. A model is a plan plus sizes.

Legend: t the text stream, v the vision (or source) stream; the direction `tv` means that text
queries attend to vision keys, so that information flows from vision into text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from detectors.errors import InputError

__all__ = ["Attend", "Plan", "Row", "Stream"]

Attend = Literal["off", "full", "causal", "prefix", "axial", "near"]
Stream = Literal["t", "v"]

_KINDS: Mapping[str, frozenset[str]] = {
    "tt": frozenset({"off", "full", "causal", "prefix"}),
    "tv": frozenset({"off", "full"}),
    "vt": frozenset({"off", "full"}),
    "vv": frozenset({"off", "full", "causal", "prefix", "axial", "near"}),
}


@dataclass(frozen=True)
class Row:
    """One layer of the trunk.

    A stream with both of its directions off passes through the layer unchanged. A stream that
    is attended to but does not change in this layer is memory: it is read as it is.
    """

    tt: Attend = "full"
    tv: Attend = "full"
    vt: Attend = "full"
    vv: Attend = "full"
    tied: bool = True
    """Both streams share the layer's weights."""
    feed_forward: bool = True
    """Whether a feed-forward sublayer follows the attention."""
    axis: int = 0
    """`axial`: the grid axis (0 frame, 1 row, 2 column) along which positions see each other."""
    extent: tuple[int, int, int] = (1, 1, 1)
    """`near`: how far a position sees in frames, rows and columns."""
    grid_causal: bool = False
    """`axial` and `near` see earlier positions only."""

    def __post_init__(self) -> None:
        for direction, kinds in _KINDS.items():
            kind = getattr(self, direction)
            if kind not in kinds:
                raise InputError(
                    f"plan row: {direction}: expected one of {', '.join(sorted(kinds))}, "
                    f"got {kind!r}"
                )
        if self.axis not in (0, 1, 2):
            raise InputError(f"plan row: axis: expected 0, 1 or 2, got {self.axis!r}")
        if len(self.extent) != 3 or min(self.extent) < 0:
            raise InputError(f"plan row: extent: expected three sizes >= 0, got {self.extent!r}")
        if not self.active:
            raise InputError("plan row: every direction is off; drop the row")

    def attend(self, query: Stream, key: Stream) -> Attend:
        """How `query` positions attend to `key` positions."""
        kind: Attend = getattr(self, query + key)
        return kind

    def keys(self, query: Stream) -> tuple[Stream, ...]:
        """The streams that `query` reads, text first."""
        return tuple(key for key in _STREAMS if self.attend(query, key) != "off")

    @property
    def active(self) -> tuple[Stream, ...]:
        """The streams that this layer changes."""
        return tuple(stream for stream in _STREAMS if self.keys(stream))

    @property
    def joint(self) -> bool:
        """Whether both streams run through the layer as one sequence."""
        return self.tied and all(len(self.keys(stream)) == 2 for stream in _STREAMS)


_STREAMS: tuple[Stream, ...] = ("t", "v")


@dataclass(frozen=True)
class Plan:
    """The layers in order. The builders below are the shapes named in the design, section 4."""

    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        if not self.rows:
            raise InputError("plan: expected at least one row, got none")

    def last_change(self, stream: Stream) -> int | None:
        """The last row that changes `stream`, or None."""
        changed = [i for i, row in enumerate(self.rows) if stream in row.active]
        return changed[-1] if changed else None

    @classmethod
    def single(cls, layers: int, attend: Attend = "full") -> Plan:
        """S and C: one text stream alone, `full` or `causal`."""
        return cls((Row(tt=attend, tv="off", vt="off", vv="off"),) * layers)

    @classmethod
    def vision(cls, layers: int, attend: Attend = "full") -> Plan:
        """S over the vision stream alone."""
        return cls((Row(tt="off", tv="off", vt="off", vv=attend),) * layers)

    @classmethod
    def one_stream(cls, layers: int) -> Plan:
        """1: all four directions full, weights tied."""
        return cls((Row(),) * layers)

    @classmethod
    def two_stream(cls, layers: int) -> Plan:
        """2: {tv, vt} and {tt, vv} in turn, untied, `layers` of each."""
        cross = Row(tt="off", vv="off", tied=False)
        own = Row(tv="off", vt="off", tied=False)
        return cls((cross, own) * layers)

    @classmethod
    def dual(cls, layers: int, text: Attend = "full", vision: Attend = "full") -> Plan:
        """D: two encoders that never meet."""
        return cls((Row(tt=text, tv="off", vt="off", vv=vision, tied=False),) * layers)

    @classmethod
    def prefix(cls, layers: int, tied: bool = True) -> Plan:
        """P in one stack: the source (v) is full, the target (t) causal and reads the source."""
        return cls((Row(tt="causal", vt="off", tied=tied),) * layers)

    @classmethod
    def encoder_decoder(cls, encoder: int, decoder: int) -> Plan:
        """P in two stacks: encode the source (v), then decode the target (t) over it."""
        encode = Row(tt="off", tv="off", vt="off", tied=False)
        own = Row(tt="causal", tv="off", vt="off", vv="off", tied=False, feed_forward=False)
        cross = Row(tt="off", vt="off", vv="off", tied=False)
        return cls((encode,) * encoder + (own, cross) * decoder)

    def to_json(self) -> list[dict[str, Any]]:
        """Rows as records that name only what differs from the default, repeats counted."""
        default = asdict(Row())
        records: list[dict[str, Any]] = []
        for row in self.rows:
            record = {key: value for key, value in asdict(row).items() if value != default[key]}
            if "extent" in record:
                record["extent"] = list(record["extent"])
            if records and {k: v for k, v in records[-1].items() if k != "repeat"} == record:
                records[-1]["repeat"] = records[-1].get("repeat", 1) + 1
            else:
                records.append(record)
        return records

    @classmethod
    def from_json(cls, records: Iterable[Mapping[str, Any]]) -> Plan:
        """Read `to_json`'s form.

        Raises:
            InputError: an unknown key or kind, with the row's number.
        """
        known = {item.name for item in fields(Row)} | {"repeat"}
        rows: list[Row] = []
        for number, record in enumerate(records):
            unknown = sorted(set(record) - known)
            if unknown:
                raise InputError(
                    f"plan: row {number}: unknown key {unknown[0]!r}, "
                    f"expected one of {', '.join(sorted(known))}"
                )
            values = {key: value for key, value in record.items() if key != "repeat"}
            if isinstance(values.get("extent"), Sequence):
                values["extent"] = tuple(values["extent"])
            rows.extend([Row(**values)] * int(record.get("repeat", 1)))
        return cls(tuple(rows))
