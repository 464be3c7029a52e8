"""The JSON of the interface, for `/openapi.json`; the same records as the command line prints."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

__all__ = [
    "AnswerRecord",
    "AskRequest",
    "CollectionRecord",
    "CompareRequest",
    "ComparisonRecord",
    "ErrorRecord",
    "FoundRecord",
    "OpenedRecord",
    "OpenedRequest",
    "PictureList",
    "PictureRecord",
    "SimilarRecord",
    "UploadRecord",
]


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("not valid Unicode") from None
    return text


Text = Annotated[str, AfterValidator(_encodable)]
"""Text without half characters, which JSON can hold and nothing else can."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="allow")


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ErrorRecord(BaseModel):
    """Why a request was refused."""

    error: str = Field(description="One sentence for the reader.")


class AskRequest(_Request):
    """A question about one picture."""

    question: Text
    image_id: Text | None = Field(None, description="A picture of the collection, or …")
    upload: Text | None = Field(None, description="… the token of an uploaded picture.")
    expansion: Text | None = Field(None, description="Source of context; the server's by default.")


class CompareRequest(_Request):
    """A question to be answered with every source of context."""

    question: Text
    image_id: Text | None = None
    upload: Text | None = None


class OpenedRequest(_Request):
    """A picture that was opened from the results of a query."""

    query: Text
    image_id: Text


class OpenedRecord(BaseModel):
    """Whether the click was recorded; never without the server's owner having agreed."""

    recorded: bool


class CandidateRecord(_Record):
    """One possible answer."""

    answer: str
    score: float


class SeenObject(_Record):
    """An object that a step rests on."""

    name: str
    box: list[float] = Field(description="x1, y1, x2, y2 in pixels of the original picture.")
    weight: float


class TraceStep(_Record):
    """One step of the program with what it found."""

    step: str
    objects: list[SeenObject]


class ContextRecord(_Record):
    """What the expansion brought in, with relevances."""

    triples: list[dict[str, Any]]
    queries: list[dict[str, Any]]


class AnswerRecord(_Record):
    """The record of `gqa-reasoner ask --json`."""

    question: str
    answer: str
    score: float
    candidates: list[CandidateRecord]
    program: list[dict[str, Any]] | None
    trace: list[TraceStep]
    context: ContextRecord
    notes: list[str]


class ComparedAnswer(AnswerRecord):
    """An answer and the source of context it was given with."""

    expansion: str


class ComparisonRecord(_Record):
    """Answers side by side by source of context."""

    question: str
    answers: list[ComparedAnswer]


class FoundPicture(_Record):
    """A picture of an answer over the collection."""

    image_id: str
    score: float
    boxes: list[SeenObject]


class FoundRecord(_Record):
    """The record of `gqa-reasoner find --json`."""

    answer: str
    method: Literal["program", "vector", "reasoner"]
    images: list[FoundPicture]
    notes: list[str]
    counts: dict[str, float]


class SimilarRecord(_Record):
    """Pictures like another one, best first."""

    images: list[FoundPicture]


class CollectionRecord(_Record):
    """What is served."""

    name: str
    pictures: int
    detector: str | None
    expansion: str
    expansions: list[str]
    suggestions: list[str]


class ListedPicture(_Record):
    """A picture in a list."""

    image_id: str
    width: int
    height: int


class PictureList(_Record):
    """A part of the pictures."""

    total: int
    pictures: list[ListedPicture]


class PictureRecord(_Record):
    """The record of `gqa-reasoner detect --json` from the index, with what else is known."""

    image_id: str
    width: int
    height: int
    objects: list[dict[str, Any]]
    relations: list[dict[str, Any]]
    missing: str | None = Field(description="Why the picture itself cannot be shown, if so.")


class UploadRecord(PictureRecord):
    """An uploaded picture; `upload` names it in later questions."""

    upload: str
