"""What a question wants of a collection, apart from what each picture is asked.

"How many pictures show a dog left of a car?" is the frame "how many" around the phrase "a dog left
of a car". Frames are patterns over words; the phrases inside go to the program parser.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["DETERMINER", "Frame", "Kind", "existence", "read_frame"]

Kind = Literal["which", "any", "how many", "share", "commonest", "commonest name", "count"]
"""`any` is answered yes or no; `commonest` asks for an attribute, `commonest name` for a kind of
thing; `count` counts things, not pictures."""

PICTURES = r"(?:pictures?|images?|photos?|photographs?|pics?|shots?)"
_BE = r"(?:is|are|was|were)"
_VERB = (
    r"(?:(?:that |which |who )?(?:show(?:s|ing)?|contain(?:s|ing)?|have|has|having|"
    r"depict(?:s|ing)?|includes?|including|features?|featuring)|with|of|containing|"
    rf"(?:(?:in|on) which|where|such that) there {_BE}|there {_BE}|{_BE} there)"
)
_CLAUSE = r"(?:(?:in|on) which|where|such that)"
_GET = r"(?:please )?(?:show|find|give|get|list|search|see|display)(?: me| us)?(?: for)?"
_OF = r"(?:of )?(?:all )?(?:the |my |these |our )?"
_ALL = r"(?:(?:all|the|some|any|my|our|every|each|an?) )*"
_MOST = r"(?:most common|commonest|most frequent|most usual|usual|most popular)"
_OFTEN = rf"(?:{_MOST}|most often|most frequently|mostly|usually)"
_KIND = r"(?:(?:kind|type|sort)s? of )?"
_WITHIN = rf"(?: (?:in|on|among|of|across) {_OF}{PICTURES}(?: {_VERB} (?P<given>.+))?)?"
_FRAMES: tuple[tuple[Kind, str], ...] = (
    ("how many", rf"how many {_OF}{PICTURES} {_VERB} (?P<rest>.+)"),
    ("how many", rf"how many {_OF}{PICTURES} {_CLAUSE} (?P<clause>.+)"),
    ("how many", rf"how many {_OF}{PICTURES}(?: {_BE}(?: there)?| do i have| have i)?"),
    (
        "how many",
        rf"(?:count|what is|give me)(?: the)?(?: number of)? {_OF}{PICTURES} {_VERB} (?P<rest>.+)",
    ),
    ("how many", rf"(?:the )?number of {_OF}{PICTURES} {_VERB} (?P<rest>.+)"),
    ("how many", rf"(?:in|on) how many {_OF}{PICTURES} {_BE} there (?P<rest>.+)"),
    ("how many", rf"(?:in|on) how many {_OF}{PICTURES} (?P<question>{_BE} .+)"),
    (
        "how many",
        rf"(?:in|on) how many {_OF}{PICTURES} (?:can|do|does) (?:you|we|i|one) (?:see|find) "
        r"(?P<rest>.+)",
    ),
    (
        "how many",
        rf"(?:in|on) how many {_OF}{PICTURES} (?:do|does) (?P<rest>.+?) (?:appear|occur|show up)",
    ),
    (
        "share",
        rf"(?:in )?what (?:share|fraction|percentage|proportion|part) {_OF}{PICTURES} "
        rf"{_VERB} (?P<given>.+?) also {_VERB} (?P<rest>.+)",
    ),
    (
        "share",
        rf"(?:in )?what (?:share|fraction|percentage|proportion|part) {_OF}{PICTURES} "
        rf"(?:{_VERB} (?P<rest>.+)|{_CLAUSE} (?P<clause>.+)|(?P<question>{_BE} .+)|{_BE})",
    ),
    ("commonest name", rf"what(?:'s| is| are) the {_MOST} {_KIND}(?P<type>\w+(?: \w+)?){_WITHIN}"),
    (
        "commonest",
        rf"what(?:'s| is) the {_MOST} (?P<type>\w+) (?:of|for|among) (?:the |all |my )*"
        r"(?P<rest>.+)",
    ),
    (
        "commonest name",
        rf"(?:which|what) {_KIND}(?P<type>[\w ]+?) "
        rf"(?:(?:is|are|appears?|occurs?)(?: the)? {_OFTEN})"
        rf"(?: appears?| occurs?| seen| shown)?{_WITHIN}",
    ),
    ("commonest", rf"(?:which|what) (?P<type>\w+) {_BE} (?:the )?(?P<rest>.+?) {_OFTEN}"),
    ("commonest", rf"(?:which|what) (?P<type>\w+) {_BE} most(?: of the)? (?P<rest>.+)"),
    (
        "commonest",
        r"(?:which|what) (?P<type>\w+) do(?:es)? (?:most(?: of the)? )?(?P<rest>.+?) "
        r"(?:mostly |usually )?have",
    ),
    (
        "count",
        rf"how many (?P<rest>.+?) {_BE} there (?:(?:in|on|across) {_OF}{PICTURES}|in total|"
        r"altogether|overall)",
    ),
    (
        "any",
        rf"(?:{_BE} there|do (?:i|we|you) have|have (?:i|we|you)(?: got)?) (?:any |some |an? )?"
        rf"{PICTURES} {_VERB} (?P<rest>.+)",
    ),
    ("share", r"how often (?:do|does|is|are) (?P<rest>.+?) (?:appear|occur|show up|seen|shown)"),
    ("which", rf"where (?:{_BE}(?: there)?|(?:can|do) (?:you|we|i|one) (?:see|find)) (?P<rest>.+)"),
    ("commonest", rf"what {_BE} (?:most often|most frequently|mostly|usually) (?P<place>.+)"),
    ("which", rf"(?:{_GET} )?{_ALL}{PICTURES} {_VERB} (?P<rest>.+)"),
    ("which", rf"(?:{_GET} )?{_ALL}{PICTURES} {_CLAUSE} (?P<clause>.+)"),
    ("which", rf"(?:which|what)(?: of)?(?: the| my| these)? {PICTURES} {_VERB} (?P<rest>.+)"),
    ("which", rf"(?:in|on) (?:which|what) {PICTURES} {_BE} there (?P<rest>.+)"),
    ("which", rf"(?:in|on) (?:which|what) {PICTURES} (?P<question>{_BE} .+)"),
    (
        "which",
        rf"(?:in|on) (?:which|what) {PICTURES} (?:can|do|does) (?:you|we|i|one) (?:see|find) "
        r"(?P<rest>.+)",
    ),
    ("which", rf"(?:{_GET} )?{_ALL}{PICTURES}"),
    ("which", rf"(?:which|what)(?: of)?(?: the| my| these)? {PICTURES}(?: {_BE}(?: there)?)?"),
    ("which", rf"{_GET} (?P<rest>.+)"),
)
DETERMINER = re.compile(r"(?:an?|the|any|some|at least one|one|no|two|three|both)\b", re.IGNORECASE)
_POLITE = (
    r"^(?:please |(?:can|could|would|will) you (?:please )?|(?:i want|i would like|i'd like) to |"
    r"let me |i am looking for |i'm looking for )+"
    r"(?:show (?:me )?|find (?:me )?|see |get |give me )?"
)
_HAVE_NOT = (
    r"(?:(?:that|which) )?(?:do|does|did)(?:n't| not) (?:show|contain|have|include|depict|feature)"
    r"(?: any| an?)? "
)
_EVERYWHERE = re.compile(rf"\s+(?:in|on|among|across) {_OF}{PICTURES}$", re.I)
_COPULA = re.compile(
    r"(?P<head>(?:an?|the|some|one|two|three|several|many|no) .+?) (?:is|are) (?P<tail>.+)", re.I
)


@dataclass(frozen=True)
class Frame:
    """What is wanted of the collection, and what each picture is asked.

    `phrase` describes what must be there ("a dog left of a car"; None: nothing); `question` is the
    same as a question, or a question of its own ("Is the cat black?") where `phrase` is None.
    """

    kind: Kind
    question: str
    attribute_type: str | None = None
    phrase: str | None = None
    given: str | None = None
    """What must be there for a picture to count at all."""


def read_frame(question: str) -> Frame:
    """Split a question over a collection into what is wanted and what each picture is asked."""
    text = _normal(" ".join(question.split()).rstrip("?.! "))
    for kind, pattern in _FRAMES:
        found = re.fullmatch(pattern, text, re.IGNORECASE)
        if found is not None:
            return _frame(kind, found.groupdict())
    if re.match(r"(?:what|which|who|how)\b", text, re.I):
        return Frame("which", text + "?")
    if re.match(r"(?:is|are|do|does)\b", text, re.I):
        there = re.fullmatch(r"(?:is|are) there (?P<rest>.+)", text, re.I)
        return Frame("which", text + "?", phrase=_plain(there["rest"]) if there else None)
    return Frame("which", existence(text), phrase=text)


def _normal(text: str) -> str:
    """Polite openings and negated verbs in the wording that the frames know."""
    text = re.sub(_POLITE, "show me ", text, flags=re.I)
    text = re.sub(_HAVE_NOT, "with no ", text, flags=re.I)
    return re.sub(rf"\b({PICTURES}) (?:without|with no)(?: any| an?| the)? ", r"\1 with no ", text,
                  flags=re.I)  # fmt: skip


def _frame(kind: Kind, parts: dict[str, str | None]) -> Frame:
    given, rest = parts.get("given"), parts.get("rest")
    if rest is not None:
        rest = _EVERYWHERE.sub("", rest)
    if parts.get("place"):
        return Frame(kind, f"What is {parts['place']}?", "name")
    if kind in ("commonest", "commonest name"):
        wanted = (parts.get("type") or "").lower().replace("colour", "color")
        if kind == "commonest name":
            return Frame(kind, "", wanted, given=given)
        wanted = wanted[:-1] if wanted in ("colors", "materials", "shapes", "sizes") else wanted
        rest = rest or ""
        told = rest if DETERMINER.match(rest) else f"the {rest}"
        return Frame(kind, f"What {wanted} is {told}?", wanted, phrase=rest, given=given)
    if parts.get("question"):
        asked = parts["question"] or ""
        return Frame(kind, asked[0].upper() + asked[1:] + "?", given=given)
    if parts.get("clause"):
        clause = parts["clause"] or ""
        match = _COPULA.fullmatch(clause)
        rest = f"{match['head']} {match['tail']}" if match else clause
    if rest is None:
        return Frame(kind, "", given=given)
    return Frame(kind, existence(rest), phrase=_plain(rest), given=given)


def _plain(rest: str) -> str:
    return re.sub(r"^(?:any|some)\s+(?!thing)", "", rest, flags=re.I)


def existence(rest: str) -> str:
    """ "a dog left of a car" as "Is there a dog left of a car?"."""
    if DETERMINER.match(rest):
        return f"Is there {rest}?"
    first = rest.split()[0]
    plural = (first.endswith("s") and not first.endswith("ss")) or first in (
        "people", "men", "women", "children", "sheep", "mice"
    )  # fmt: skip
    if re.match(r"(?:something|anything)\b", rest, re.I):
        return f"Is there {rest}?"
    return f"Are there any {rest}?" if plural else f"Is there any {rest}?"
