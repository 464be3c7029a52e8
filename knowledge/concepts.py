"""Concept and relation names: ConceptNet's normal forms, and English phrases for relations.

Sources: ConceptNet 5 URIs (Speer, Chin & Havasi 2017): `/c/LANGUAGE/TEXT[/SENSE...]`, `/r/NAME`.
Inside this project a concept is its text with spaces ("hot dog"); one in a language other than a
store's own is written `LANGUAGE/text`.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from detectors.errors import InputError

__all__ = ["RELATIONS", "Concept", "Relation", "normalize_relation", "parse_concept", "to_uri"]

MAX_CONCEPT_LENGTH = 500
"""Longer texts are no concepts; dump readers count them as broken lines."""

_ARTICLES = ("a ", "an ", "the ", "to ")
_VOWELS = tuple("aeiou")
_EDGE_PUNCTUATION = " .,;:!?\"'`()[]{}"


class Concept(NamedTuple):
    """`language` as "en", `text` has spaces, `sense` is "" or such as "n/wn/food"."""

    language: str
    text: str
    sense: str = ""


class Relation(NamedTuple):
    """How a relation reads: `head PHRASE tail`; `cues` are question phrases that ask for it."""

    phrase: str
    cues: tuple[str, ...] = ()


RELATIONS: dict[str, Relation] = {
    "IsA": Relation("is a", ("kind of", "type of", "example of")),
    "HasProperty": Relation("is", ("usually", "normally", "known for")),
    "MadeOf": Relation("is made of", ("made of", "made from", "made out of", "consist of")),
    "UsedFor": Relation(
        "is used for", ("used for", "used to", "use for", "useful for", "good for")
    ),
    "AtLocation": Relation(
        "is found at", ("found", "kept", "located", "belong", "live", "lives", "stored", "seen in")
    ),
    "CapableOf": Relation("can", ("can", "able to", "capable of")),
    "PartOf": Relation("is part of", ("part of", "belong to")),
    "HasA": Relation("has", ("has", "have", "with")),
    "ReceivesAction": Relation("can be", ("can be", "could be", "may be")),
    "Desires": Relation("wants", ("want", "wants", "like", "likes")),
    "NotDesires": Relation("does not want"),
    "Causes": Relation("causes", ("cause", "causes", "lead to", "make")),
    "CreatedBy": Relation("is created by", ("created by", "made by")),
    "HasSubevent": Relation("includes"),
    "HasFirstSubevent": Relation("begins with"),
    "HasLastSubevent": Relation("ends with"),
    "HasPrerequisite": Relation("needs", ("need", "needs", "require", "requires")),
    "MotivatedByGoal": Relation("is done for"),
    "CausesDesire": Relation("makes one want"),
    "DefinedAs": Relation("is defined as"),
    "SymbolOf": Relation("is a symbol of", ("symbol of",)),
    "LocatedNear": Relation("is near", ("near", "next to", "close to")),
    "SimilarTo": Relation("is similar to", ("similar to", "like")),
    "RelatedTo": Relation("is related to"),
    "Synonym": Relation("is the same as"),
    "Antonym": Relation("is the opposite of"),
    "DistinctFrom": Relation("is different from"),
    "MannerOf": Relation("is a way of"),
    "HasContext": Relation("is used in the context of"),
    "FormOf": Relation("is a form of"),
    "DerivedFrom": Relation("is derived from"),
    "EtymologicallyRelatedTo": Relation("is etymologically related to"),
    "EtymologicallyDerivedFrom": Relation("is etymologically derived from"),
    "InstanceOf": Relation("is an instance of"),
    "InheritsFrom": Relation("inherits from"),
    "Entails": Relation("entails"),
    "NotIsA": Relation("is not a"),
    "NotHasProperty": Relation("is not"),
    "NotCapableOf": Relation("cannot"),
    "NotUsedFor": Relation("is not used for"),
    "NotMadeOf": Relation("is not made of"),
    "NotHasA": Relation("does not have"),
    "ObstructedBy": Relation("is obstructed by"),
    "LocationOfAction": Relation("is the place of"),
    "DesireOf": Relation("is a desire of"),
    "HasPainCharacter": Relation("has a pain of character"),
    "HasPainIntensity": Relation("has a pain of intensity"),
    "ExternalURL": Relation("is described at"),
}
"""ConceptNet's relations; unknown ones read as their name split into words."""

_BY_SNAKE = {re.sub(r"(?<!^)(?<![A-Z])(?=[A-Z])", "_", name).lower(): name for name in RELATIONS}


def normalize_relation(name: str) -> str:
    """`/r/IsA`, `is_a`, `isa` and `IsA` all become "IsA"; unknown relations keep their spelling.

    Raises:
        InputError: the name is empty.
    """
    text = name.strip()
    if text.startswith("/r/"):
        text = text[3:]
    if text in RELATIONS:
        return text
    snake = text.lower().replace(" ", "_")
    if not snake:
        raise InputError("relation: expected a name such as 'IsA', got an empty text")
    if snake in _BY_SNAKE:
        return _BY_SNAKE[snake]
    for known in RELATIONS:
        if known.lower() == snake.replace("_", ""):
            return known
    return text


def parse_concept(name: str, *, language: str = "en") -> Concept:
    """Read a concept URI or free text.

    Free text is normalized as ConceptNet does: composed Unicode, lower case, single spaces
    (underscores count as spaces), no punctuation at the edges.

    Args:
        name: "/c/en/hot_dog/n", "Hot Dog" or "hot_dog".
        language: of free text.
    """
    if name.startswith("/c/"):
        parts = name.split("/", 4)
        code = parts[2] if len(parts) > 2 else language
        text = parts[3] if len(parts) > 3 else ""
        return Concept(code, text.replace("_", " "), parts[4] if len(parts) > 4 else "")
    text = name if name.isascii() else unicodedata.normalize("NFC", name)
    text = text.lower().replace("_", " ")
    return Concept(language, " ".join(text.split()).strip(_EDGE_PUNCTUATION))


def without_article(text: str) -> str:
    """ConceptNet drops a leading article or "to" of an English text."""
    for article in _ARTICLES:
        if text.startswith(article) and len(text) > len(article):
            return text[len(article) :]
    return text


def to_uri(text: str, language: str = "en") -> str:
    """The ConceptNet URI of a concept text ("hot dog" -> "/c/en/hot_dog")."""
    code, slash, rest = text.partition("/")
    if slash and 2 <= len(code) <= 3:
        language, text = code, rest
    return f"/c/{language}/{text.replace(' ', '_')}"


def relation_phrase(relation: str) -> str:
    """The words between head and tail when a triple is read out."""
    known = RELATIONS.get(relation)
    if known is not None:
        return known.phrase
    return re.sub(r"(?<!^)(?=[A-Z])", " ", relation).replace("_", " ").lower()


def verbalize(head: str, relation: str, tail: str) -> str:
    """A triple as a short phrase, in the form of the reference example.

    "fries HasProperty yellow" is `fries is yellow`; "table MadeOf wood" is `table is wood`;
    "beverage UsedFor drinking" stays `beverage is used for drinking`.
    """
    if relation == "MadeOf":
        return f"{head} is {tail}"
    phrase = relation_phrase(relation)
    if phrase.endswith(" a") and tail[:1] in _VOWELS:
        phrase += "n"
    return f"{head} {phrase} {tail}"
