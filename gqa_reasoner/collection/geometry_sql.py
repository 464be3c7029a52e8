"""What boxes alone say, as SQL: the formulas of `gqa_reasoner.program.geometry`.

`one` and `other` are aliases of rows with x1, y1, x2, y2 in pixels, y downwards; an expression is
P(one KIND other). A test holds both readings of a formula together.
"""

from __future__ import annotations

__all__ = ["pair_sql", "place_sql", "size_sql"]

_PLACES = {
    "left": ("x", "0.5 - {}"),
    "right": ("x", "{} - 0.5"),
    "top": ("y", "0.5 - {}"),
    "bottom": ("y", "{} - 0.5"),
}
_TYPICAL_SHARE = 0.05
"""An object that covers this share of the picture is neither small nor large."""


def _sigmoid(slope: float, value: str) -> str:
    return f"(1 / (1 + exp(-{slope} * greatest(least({value}, 10), -10))))"


def _centre(row: str, axis: str) -> str:
    return f"(({row}.{axis}1 + {row}.{axis}2) / 2)"


def _extent(row: str, axis: str) -> str:
    return f"greatest({row}.{axis}2 - {row}.{axis}1, 1)"


def _shift(one: str, other: str, axis: str) -> str:
    """How far `other` lies beyond `one`, in mean extents."""
    return (
        f"(({_centre(other, axis)} - {_centre(one, axis)}) / "
        f"(({_extent(one, axis)} + {_extent(other, axis)}) / 2))"
    )


def _shared(one: str, other: str, axis: str) -> str:
    """Overlap along an axis; negative is a gap."""
    return f"(least({one}.{axis}2, {other}.{axis}2) - greatest({one}.{axis}1, {other}.{axis}1))"


def _area(row: str) -> str:
    return f"({_extent(row, 'x')} * {_extent(row, 'y')})"


def _overlap(one: str, other: str) -> str:
    return f"(greatest({_shared(one, other, 'x')}, 0) * greatest({_shared(one, other, 'y')}, 0))"


def _left(one: str, other: str) -> str:
    return _sigmoid(8, f"{_shift(one, other, 'x')} - 0.35")


def _above(one: str, other: str) -> str:
    higher = _sigmoid(8, f"{_shift(one, other, 'y')} - 0.5")
    aside = _shift(one, other, "x")
    return f"({higher} * {_sigmoid(8, f'1.2 - abs({aside})')})"


def _on(one: str, other: str) -> str:
    height = _extent(other, "y")
    depth = f"(({one}.y2 - {other}.y1) / {height})"
    inside = f"({_shared(one, other, 'x')} / {_extent(one, 'x')})"
    higher = f"(({other}.y1 - {one}.y1) / {_extent(one, 'y')})"
    touching = f"{_sigmoid(8, f'{depth} + 0.25')} * {_sigmoid(8, f'1.15 - {depth}')}"
    return f"({touching} * {_sigmoid(8, f'{inside} - 0.5')} * {_sigmoid(8, f'{higher} + 0.3')})"


def _in(one: str, other: str) -> str:
    covered = f"({_overlap(one, other)} / {_area(one)})"
    smaller = f"({_area(one)} / {_area(other)})"
    return f"({_sigmoid(8, f'{covered} - 0.75')} * {_sigmoid(8, f'0.8 - {smaller}')})"


def _near(one: str, other: str) -> str:
    gaps = [f"pow(greatest(-{_shared(one, other, axis)}, 0), 2)" for axis in "xy"]
    scale = f"((sqrt({_area(one)}) + sqrt({_area(other)})) / 2 + 1)"
    return _sigmoid(4, f"0.75 - sqrt({' + '.join(gaps)}) / {scale}")


def _front(one: str, other: str) -> str:
    lower = f"(({one}.y2 - {other}.y2) / (({_extent(one, 'y')} + {_extent(other, 'y')}) / 2))"
    return f"({_sigmoid(8, lower)} * {_near(one, other)})"


def _behind(one: str, other: str) -> str:
    return f"({_front(other, one)} * (1 - {_on(one, other)}) * (1 - {_in(one, other)}))"


def _contact(one: str, other: str) -> str:
    share = f"{_overlap(one, other)} / least({_area(one)}, {_area(other)})"
    return f"(0.1 * {_near(one, other)} + 0.6 * {_sigmoid(8, f'{share} - 0.4')})"


def _larger(one: str, other: str) -> str:
    return _sigmoid(4, f"(ln({_area(one)}) - ln({_area(other)})) / 2")


_PAIRS = {
    "left": _left,
    "above": _above,
    "on": _on,
    "in": _in,
    "near": _near,
    "front": _front,
    "behind": _behind,
    "contact": _contact,
    "larger": _larger,
}
_TURNED = {"right": "left", "below": "above", "smaller": "larger"}


def pair_sql(kind: str, one: str, other: str) -> str:
    """P(one KIND other) for a kind of `predicates.spatial_kind`, or `contact`."""
    if kind in _TURNED:
        return _PAIRS[_TURNED[kind]](other, one)
    return _PAIRS[kind](one, other)


def place_sql(place: str, attribute_type: str, row: str, picture: str) -> str | None:
    """P(object is `left`, `top`, `middle`, … in the picture); None for an unknown place."""
    if place in ("middle", "center", "centre"):
        axis = "x" if attribute_type == "hposition" else "y"
        form = "1 / 6 - abs({} - 0.5)"
    elif place in _PLACES:
        axis, form = _PLACES[place]
    else:
        return None
    side = "width" if axis == "x" else "height"
    centre = f"({_centre(row, axis)} / greatest({picture}.{side}, 1))"
    return _sigmoid(20, form.format(centre))


def size_sql(large: bool, row: str, picture: str) -> str:
    """P(object is large, or small) from the share of the picture that its box covers."""
    share = f"{_area(row)} / greatest({picture}.width * {picture}.height, 1) / {_TYPICAL_SHARE}"
    return f"(1 - 1 / (1 + {share}))" if large else f"(1 / (1 + {share}))"
