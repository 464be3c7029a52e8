"""Closed word classes of the question language (written for this project, not learned)."""

from __future__ import annotations

__all__ = [
    "ATTRIBUTE_NOUNS",
    "BASE_VERBS",
    "BE",
    "BOUNDARY",
    "DEGREE_TYPES",
    "DETERMINERS",
    "DO",
    "IMAGE_NOUNS",
    "INDEFINITE",
    "KIND_NOUNS",
    "LOOK",
    "POSITIONS",
    "PREPOSITIONS",
    "PREPOSITION_STARTS",
    "PRONOUNS",
    "RELATIVE",
    "THINGS",
    "UNIT_NOUNS",
    "USUALLY",
    "VERBS",
    "WH",
    "listed",
]


def listed(text: str, mark: str | None = None) -> list[str]:
    """The words (or the phrases between marks) of a text."""
    return text.split(mark)


DETERMINERS = frozenset(listed("the a an any some this that these those all every another"))
WH = frozenset(listed("what which who whom where how why when whose"))
BE = frozenset(listed("is are was were 's be being been"))
DO = frozenset(listed("do does did"))
RELATIVE = frozenset(listed("that which who whom"))
PRONOUNS = frozenset(listed("he she him her it they them this that these those you i we us me"))
LOOK = frozenset(listed("look looks seem seems appear appears"))
IMAGE_NOUNS = frozenset(listed("image picture photo photograph scene snapshot shot frame"))
KIND_NOUNS = frozenset(
    listed("kind kinds type types sort sorts breed breeds species style styles variety")
)
UNIT_NOUNS = frozenset(listed("piece pieces item items article articles"))
INDEFINITE = {
    **dict.fromkeys(
        listed("anyone someone everyone anybody somebody everybody no-one nobody"), "person"
    ),
    **dict.fromkeys(listed("anything something everything"), "object"),
}
THINGS = frozenset(listed("anything something thing things object objects one ones"))
USUALLY = frozenset(listed("usually often typically normally generally commonly mostly"))
BOUNDARY = (
    DETERMINERS
    | WH
    | BE
    | DO
    | PRONOUNS
    | INDEFINITE.keys()
    | frozenset(
        listed(
            ", and or not of than there have has had both either neither nor but if maybe perhaps"
            " called like by to with can able usually typically at in on from into onto for"
        )
    )
)
"""Words that no noun phrase of the language holds, except inside a name the lexicon knows."""

BASE_VERBS: list[str] = listed(
    "wear hold carry ride sit stand lie lay hang lean rest eat drink play use watch look walk run"
    " drive surround cover touch pull push throw catch hit kick swing feed follow lead work talk"
    " sleep wait grow float fly swim jump climb cross read cook cut serve sell buy open close"
    " contain support reflect face chase pet hug kiss bite chew lick smell brush wash clean"
    " decorate attach connect mount park tie plug fill pour enter exit leave board load approach"
    " guide herd graze perform skate ski surf snowboard photograph film point grab reach wrap"
    " stick sniff bathe crouch kneel squat pose smile stare observe examine check mix prepare"
    " display show skateboard stack pile balance dangle protrude peek emerge"
)
VERBS = frozenset(BASE_VERBS) | frozenset(
    verb[:-1] + "ies"
    if verb.endswith("y") and verb[-2] not in "aeiou"
    else verb + "es"
    if verb.endswith(("ch", "sh", "s", "x", "z"))
    else verb + "s"
    for verb in BASE_VERBS
)
"""Base and third-person forms of verbs that relations are made of."""

POSITIONS: dict[str, tuple[str, str]] = {
    "left": ("hposition", "left"),
    "right": ("hposition", "right"),
    "left-hand": ("hposition", "left"),
    "right-hand": ("hposition", "right"),
    "top": ("vposition", "top"),
    "bottom": ("vposition", "bottom"),
    "middle": ("vposition", "middle"),
    "center": ("vposition", "middle"),
    "upper": ("vposition", "top"),
    "lower": ("vposition", "bottom"),
}

PREPOSITIONS = tuple(
    tuple(phrase.split())
    for phrase in listed(
        "to the left of|to the right of|to the side of|on the left of|on the right of|on top of"
        "|on the left side of|on the right side of|to the left side of|to the right side of"
        "|at the top of|on the top of|at the bottom of|on the bottom of|at the edge of"
        "|on the edge of|at the side of|on the side of|at the front of|on the front of"
        "|at the back of|on the back of|in the back of|in the front of|in the middle of"
        "|in the center of|on the other side of|at the end of|on the end of|by the side of"
        "|left of|right of|in front of|in front|in back of|in between|next to|close to"
        "|adjacent to|near to|near|behind|on|in|at|under|underneath|beneath|below|above"
        "|over|by|beside|with|inside|outside|between|around|along|against"
        "|across from|across|through|off|from|of|for|into|onto|atop|before|after|like"
        "|about|out of|up|down|toward|towards|past|among|amid|within|without|upon"
        "|away from|full of|similar to|throughout|to",
        "|",
    )
)
"""Relation words that stand before a noun phrase (or alone, stranded), longest first by use."""
PREPOSITION_STARTS = frozenset(phrase[0] for phrase in PREPOSITIONS)

ATTRIBUTE_NOUNS: dict[str, str] = {
    "color": "color",
    "colors": "color",
    "colour": "color",
    "colours": "color",
    "material": "material",
    "materials": "material",
    "fabric": "material",
    "substance": "material",
    "shape": "shape",
    "shapes": "shape",
    "size": "size",
    "sizes": "size",
    "length": "length",
    "height": "height",
    "width": "width",
    "weight": "weight",
    "thickness": "thickness",
    "depth": "depth",
    "age": "age",
    "gender": "gender",
    "race": "race",
    "pattern": "pattern",
    "patterns": "pattern",
    "texture": "texture",
    "flavor": "flavor",
    "pose": "pose",
    "state": "state",
    "condition": "state",
    "tone": "tone",
    "brightness": "brightness",
    "hardness": "hardness",
    "cleanliness": "cleanliness",
    "orientation": "orientation",
    "mood": "face expression",
    "facial expression": "face expression",
    "face expression": "face expression",
    "expression": "face expression",
    "weather": "weather",
    "place": "place",
    "location": "location",
    "room": "room",
    "activity": "activity",
    "sport": "sport",
    "company": "company",
    "brand": "company",
    "event": "event",
    "species": "type",
    "ethnicity": "race",
    "opaqness": "opaqness",
    "fatness": "fatness",
    "realism": "realism",
}
"""Nouns that name an attribute type (`what color`, `of wood material`)."""

DEGREE_TYPES: dict[str, str] = {
    "large": "size",
    "big": "size",
    "small": "size",
    "little": "size",
    "huge": "size",
    "tall": "height",
    "short": "height",
    "high": "height",
    "long": "length",
    "wide": "width",
    "narrow": "width",
    "old": "age",
    "young": "age",
    "clean": "cleanliness",
    "dirty": "cleanliness",
    "fat": "fatness",
    "thin": "thickness",
    "skinny": "fatness",
    "thick": "thickness",
    "hard": "hardness",
    "soft": "hardness",
    "heavy": "weight",
    "light": "weight",
    "deep": "depth",
    "bright": "brightness",
    "dark": "tone",
    "happy": "face expression",
    "real": "realism",
    "realistic": "realism",
    "healthy": "healthy",
}
"""Adjectives of degree → the type that `how X is …` asks for."""
