"""Dates and places in a question: "taken in 2019", "in summer", "within 10 km of 48.1, 11.6".

Each becomes a condition over `images i`; pictures whose camera wrote no date, or no place, do not
fit it. Only coordinates are understood as places: the index has no map.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

__all__ = ["Restriction", "split_restrictions"]

_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august",
           "september", "october", "november", "december")  # fmt: skip
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_SEASONS = {"spring": (3, 4, 5), "summer": (6, 7, 8), "autumn": (9, 10, 11), "fall": (9, 10, 11),
            "winter": (12, 1, 2)}  # fmt: skip
_HOURS = {"morning": (5, 12), "afternoon": (12, 17), "evening": (17, 21), "night": (21, 5)}
_MONTH = "|".join([*_MONTHS, *(name[:3] for name in _MONTHS if name != "may")])
_YEAR = r"(?:19|20)\d\d"
_DATE = (
    rf"(?:{_YEAR}-\d\d?-\d\d?|(?:\d\d?(?:st|nd|rd|th)? )?(?:of )?(?:{_MONTH})\.?"
    rf"(?: \d\d?(?:st|nd|rd|th)?,?)?(?:,? (?:of )?{_YEAR})?|{_YEAR})"
)
_TAKEN = (
    r"(?:(?:that |which )?(?:i |we )?(?:were |was |are )?(?:taken|shot|made|dated|photographed|"
    r"captured|took)|from)"
)
_NUMBER = r"-?\d{1,3}(?:\.\d+)?"
_POINT = rf"(?P<latitude>{_NUMBER})\s*°?\s*[,;/ ]\s*(?P<longitude>{_NUMBER})\s*°?"
_KILOMETRES = 25.0
"""How near "near" is where no distance is given."""
_FORMS: tuple[tuple[str, str], ...] = (
    ("between", rf"(?:{_TAKEN} )?(?:between|from) (?P<a>{_DATE}) (?:and|to|until|till) "
                rf"(?P<b>{_DATE})"),
    ("before", rf"(?:{_TAKEN} )?(?:before|earlier than|prior to) (?P<a>{_DATE})"),
    ("until", rf"(?:{_TAKEN} )?(?:until|till|up to) (?P<a>{_DATE})"),
    ("after", rf"(?:{_TAKEN} )?(?:after|later than) (?P<a>{_DATE})"),
    ("since", rf"(?:{_TAKEN} )?since (?P<a>{_DATE})"),
    ("season", rf"(?:{_TAKEN} (?:in |during )?|in |during )(?:the )?(?P<s>{'|'.join(_SEASONS)})"
               rf"(?: (?:of )?(?P<y>{_YEAR}))?"),
    ("hours", rf"{_TAKEN} (?:in the|at|during the) (?P<h>{'|'.join(_HOURS)})"),
    ("weekend", rf"{_TAKEN} (?:on|at|during) (?:the |a )?weekends?"),
    ("weekday", rf"{_TAKEN} on (?:a )?(?P<d>{'|'.join(_DAYS)})s?"),
    ("within", rf"(?:{_TAKEN} )?(?:within|less than) (?P<km>\d+(?:\.\d+)?) ?"
               rf"(?:km|kilomet(?:re|er)s?) (?:of|from|around) {_POINT}"),
    ("near", rf"(?:{_TAKEN} )?(?:near|around|close to|at) {_POINT}"),
    ("in", rf"(?:{_TAKEN} (?:in |on |during |at )?(?:the year )?|(?:in|during) (?:the year )?)"
           rf"(?P<a>{_DATE})"),
    ("dated", r"with(?: a| an| any)? (?:known )?date|that (?:have|has) a (?:known )?date"),
    ("placed", r"with(?: a| any)? (?:known )?(?:place|location|gps(?: position)?|coordinates)"),
)  # fmt: skip


@dataclass(frozen=True)
class Restriction:
    """A condition over `images i`, its parameters, how it was read, and what it needs."""

    condition: str
    parameters: tuple[object, ...]
    text: str
    needs: str
    """`taken` or `latitude`: the column without which a picture cannot fit."""


def split_restrictions(question: str) -> tuple[str, list[Restriction]]:
    """Take dates and places out of a question.

    Returns:
        The question without them, and the restrictions.
    """
    text = " ".join(question.split())
    found: list[Restriction] = []
    for kind, pattern in _FORMS:
        match = re.search(rf"(?<!\S),?\s*(?:{pattern})(?=$|[\s?.!,])", text, re.I)
        if match is None:
            continue
        made = _restriction(kind, {key: value for key, value in match.groupdict().items() if value})
        if made is None:
            continue
        found.append(made)
        text = " ".join((text[: match.start()] + " " + text[match.end() :]).split())
        text = re.sub(r"\s+([?.!,])", r"\1", text)
    return text, found


def _restriction(kind: str, parts: dict[str, str]) -> Restriction | None:
    if kind in ("within", "near"):
        return _around(float(parts["latitude"]), float(parts["longitude"]),
                       float(parts.get("km", _KILOMETRES)))  # fmt: skip
    if kind == "dated":
        return Restriction("i.taken IS NOT NULL", (), "with a date", "taken")
    if kind == "placed":
        return Restriction("i.latitude IS NOT NULL", (), "with a place", "latitude")
    if kind == "season":
        return _season(parts["s"].lower(), parts.get("y"))
    if kind == "hours":
        start, end = _HOURS[parts["h"].lower()]
        joined = "AND" if start < end else "OR"
        return Restriction(f"(hour(i.taken) >= {start} {joined} hour(i.taken) < {end})", (),
                           f"taken from {start} to {end} o'clock", "taken")  # fmt: skip
    if kind == "weekend":
        return Restriction("dayofweek(i.taken) IN (0, 6)", (), "taken on a weekend", "taken")
    if kind == "weekday":
        day = parts["d"].lower()
        return Restriction(f"dayofweek(i.taken) = {_DAYS.index(day)}", (), f"taken on a {day}",
                           "taken")  # fmt: skip
    return _dates(kind, parts)


def _dates(kind: str, parts: dict[str, str]) -> Restriction | None:
    spans = [_span(parts[name]) for name in ("a", "b") if name in parts]
    month = _month_alone(parts["a"])
    if month is not None:
        if kind != "in":
            return None
        return Restriction(
            f"month(i.taken) = {month}", (), f"taken in {_MONTHS[month - 1]}", "taken"
        )
    if any(span is None for span in spans):
        return None
    (start, end), last = spans[0], spans[-1]  # type: ignore[misc]
    first: datetime | None
    stop: datetime | None
    first, stop = {
        "in": (start, end),
        "between": (start, last[1]),  # type: ignore[index]
        "before": (None, start),
        "until": (None, end),
        "after": (end, None),
        "since": (start, None),
    }[kind]
    terms, values, told = ["i.taken IS NOT NULL"], [], "taken"
    if first is not None:
        terms.append("i.taken >= ?")
        values.append(first)
        told += f" from {first:%Y-%m-%d}"
    if stop is not None:
        terms.append("i.taken < ?")
        values.append(stop)
        told += f" to {stop - timedelta(days=1):%Y-%m-%d}"
    return Restriction(" AND ".join(terms), tuple(values), told, "taken")


def _month_number(word: str) -> int | None:
    for number, name in enumerate(_MONTHS, 1):
        if word.lower() in (name, name[:3]):
            return number
    return None


def _month_alone(text: str) -> int | None:
    return _month_number(text.rstrip("."))


def _span(text: str) -> tuple[datetime, datetime] | None:
    """Start and end (exclusive) of a year, month or day; None where it is none of these."""
    try:
        if re.fullmatch(_YEAR, text):
            return datetime(int(text), 1, 1), datetime(int(text) + 1, 1, 1)
        if "-" in text:
            day = datetime(*(int(part) for part in text.split("-")))  # type: ignore[arg-type]
            return day, day + timedelta(days=1)
        words = re.findall(r"[a-z]+|\d+", re.sub(r"(?<=\d)(?:st|nd|rd|th)\b", "", text.lower()))
        month = next(filter(None, map(_month_number, words)), None)
        numbers = [int(word) for word in words if word.isdigit()]
        year = max((number for number in numbers if number > 31), default=None)
        day_number = next((number for number in numbers if number != year), None)
        if month is None or year is None or year < 1900:
            return None
        if day_number is not None:
            day = datetime(year, month, day_number)
            return day, day + timedelta(days=1)
        return datetime(year, month, 1), datetime(year + month // 12, month % 12 + 1, 1)
    except ValueError:
        return None


def _season(name: str, year: str | None) -> Restriction:
    """Meteorological seasons, turned round for pictures taken south of the equator."""
    months = _SEASONS[name]
    turned = tuple((month + 5) % 12 + 1 for month in months)
    condition = (
        f"(CASE WHEN coalesce(i.latitude, 0) < 0 THEN month(i.taken) IN {turned} "
        f"ELSE month(i.taken) IN {months} END)"
    )
    told = f"taken in {name}"
    if year is None:
        return Restriction(condition, (), told, "taken")
    return Restriction(
        f"{condition} AND year(i.taken) = ?", (int(year),), f"{told} {year}", "taken"
    )


def _around(latitude: float, longitude: float, kilometres: float) -> Restriction | None:
    """Great-circle distance on a sphere of 6,371 km."""
    if abs(latitude) > 90 or abs(longitude) > 180:
        return None
    angle = (
        "pow(sin(radians(i.latitude - ?) / 2), 2) + cos(radians(i.latitude)) * ? * "
        "pow(sin(radians(i.longitude - ?) / 2), 2)"
    )
    condition = f"(i.latitude IS NOT NULL AND 2 * 6371 * asin(sqrt(least({angle}, 1))) <= ?)"
    values = (latitude, math.cos(math.radians(latitude)), longitude, kilometres)
    told = f"within {kilometres:g} km of {latitude:g}, {longitude:g}"
    return Restriction(condition, values, told, "latitude")
