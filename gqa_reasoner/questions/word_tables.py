"""Tables about wording: categories that can be asked for, attribute types, opposites."""

from __future__ import annotations

from gqa_reasoner.questions.wordlists import words

__all__ = [
    "ADJECTIVE_SYNONYMS",
    "ASKABLE_CATEGORIES",
    "BACKDROPS",
    "CLOSED_TYPES",
    "COMMON_VALUES",
    "COUNTED",
    "FEMALE",
    "MALE",
    "MATERIAL_ADJECTIVES",
    "NEAR",
    "NEVER_BEFORE_NOUN",
    "NO_PERSON_TYPES",
    "OPEN_TYPES",
    "OPPOSITES",
    "PARTS",
    "PERSON_HEIGHT",
    "POSITIONS",
    "REFERENCE_CATEGORIES",
    "TYPE_NOUNS",
    "TYPE_QUESTIONS",
    "UNTYPED_IN_GQA",
    "UNTYPED_NEGATIONS",
]

ASKABLE_CATEGORIES = (
    "animal",
    "vehicle",
    "furniture",
    "clothing",
    "food",
    "fruit",
    "vegetable",
    "device",
    "appliance",
    "bird",
    "toy",
    "dessert",
    "drink",
    "tool",
    "bag",
    "container",
    "sauce",
    "meat",
    "utensil",
    "cooking utensil",
    "baked good",
    "fast food",
    "watercraft",
    "aircraft",
    "instrument",
    "musical instrument",
    "sign",
    "footwear",
    "tableware",
    "accessory",
    "building",
    "plant",
    "sports equipment",
    "ingredient",
    "weapon",
    "body part",
    "textile",
)
"""Categories that a question may name ("What kind of furniture ...")."""

REFERENCE_CATEGORIES = frozenset(
    words(
        "animal vehicle furniture clothing food fruit vegetable device appliance bird toy "
        "dessert drink tool bag container utensil watercraft aircraft instrument person "
        "building"
    )
) | {"cooking utensil", "baked good", "musical instrument"}

COUNTED = {
    "furniture": (("piece of furniture", 6), ("item of furniture", 4)),
    "clothing": (
        ("clothing item", 5),
        ("piece of clothing", 4),
        ("item of clothing", 3),
        ("article of clothing", 3),
    ),
    "food": (("food", 8), ("food item", 1)),
    "footwear": (("footwear", 1),),
    "tableware": (("piece of tableware", 1),),
    "sports equipment": (("piece of sports equipment", 1),),
    "fast food": (("food", 3), ("fast food", 1)),
    "baked good": (("baked good", 3), ("food", 1)),
    "watercraft": (("watercraft", 1),),
    "aircraft": (("aircraft", 1),),
}
OPPOSITES: tuple[tuple[str, ...], ...] = (
    ("open", "closed"),
    ("wet", "dry"),
    ("full", "empty"),
    ("long sleeved", "short sleeved", "sleeveless"),
    ("leafy", "bare"),
    ("grassy", "bare", "rocky", "sandy", "snowy"),
    ("on", "off"),
    ("curved", "straight"),
    ("curly", "straight", "wavy"),
    ("high", "low"),
    ("comfortable", "uncomfortable"),
    ("beautiful", "ugly"),
    ("ripe", "unripe"),
    ("cooked", "raw"),
    ("sliced", "whole"),
    ("bright", "dull"),
    ("modern", "old fashioned"),
    ("sharp", "blunt"),
    ("lit", "unlit"),
    ("healthy", "unhealthy"),
    ("sparse", "dense"),
    ("bald", "hairy"),
    ("new", "old"),
    ("made", "unmade"),
    ("clear", "murky"),
    ("flat", "bumpy"),
    ("paved", "unpaved"),
    ("framed", "unframed"),
    ("indoors", "outdoors"),
    ("warm", "cold"),
    ("delicious", "tasteless"),
    ("calm", "angry"),
    ("patterned", "plain"),
    ("fresh", "rotten"),
)
"""Attributes without a type that exclude each other."""

TYPE_NOUNS = {
    "color": ("color",),
    "race": ("ethnicity", "race"),
    "shape": ("shape",),
    "size": ("size",),
    "length": ("length",),
    "height": ("height",),
    "width": ("width",),
    "weight": ("weight",),
    "gender": ("gender",),
    "material": ("material",),
    "thickness": ("thickness",),
    "depth": ("depth",),
    "pattern": ("pattern",),
    "texture": ("texture",),
    "flavor": ("flavor",),
    "age": ("age",),
    "tone": ("tone",),
    "brightness": ("brightness",),
    "orientation": ("orientation",),
    "company": ("brand",),
}
"""The noun of an attribute type, for "What color is", "of which shape", "have large size"."""

TYPE_QUESTIONS = {
    "age": ("old",),
    "size": ("big", "large"),
    "height": ("tall",),
    "length": ("long",),
    "width": ("wide",),
    "cleanliness": ("clean",),
    "weight": ("heavy",),
    "hardness": ("hard",),
    "fatness": ("fat",),
    "thickness": ("thick",),
    "depth": ("deep",),
}
"""The adjective of "How tall is"."""

PARTS = frozenset(("body part", "part", "vehicle part"))
BACKDROPS = frozenset(
    words("sky ground floor wall ceiling ocean sea air background water grass land horizon")
)
NEAR: tuple[tuple[str, ...], ...] = (
    ("small", "little", "tiny"),
    ("large", "huge", "giant"),
    ("young", "little"),
    ("sad", "unhappy", "angry"),
    ("round", "circular", "oval"),
    ("gray", "silver"),
    ("tan", "beige", "light brown", "cream colored"),
    ("blond", "yellow"),
    ("clear", "sunny", "cloudless"),
    ("cloudy", "overcast", "partly cloudy"),
    ("metal", "steel", "iron", "aluminum", "stainless steel", "chrome"),
    ("wood", "hardwood"),
    ("still", "calm", "smooth"),
    ("rough", "choppy", "wavy"),
)
"""Values that are not asked against each other: one would not be surely wrong."""

CLOSED_TYPES: dict[str, frozenset[str]] = {
    kind: frozenset(values.split(","))
    for kind, values in {
        "age": "young,old",
        "height": "tall,short",
        "length": "long,short",
        "width": "wide,narrow",
        "weight": "heavy,light",
        "tone": "light,dark",
        "fatness": "fat,skinny,thin",
        "thickness": "thick,thin",
        "realism": "real,fake",
        "hardness": "hard,soft",
        "brightness": "dark,bright",
        "depth": "deep,shallow",
        "opaqness": "clear,opaque",
        "texture": "coarse,fine",
        "cleanliness": "clean,dirty,tinted,stained",
        "face expression": "happy,sad,angry,unhappy",
        "orientation": "vertical,horizontal",
        "state": "calm,still,smooth,choppy,rough,wavy",
        "gender": "male,female",
        "weather": "clear,sunny,cloudless,cloudy,foggy,overcast,partly cloudy,stormy,rainy",
        "room": "kitchen,bathroom,office,bedroom,living room",
        "size": "small,tiny,large,huge,giant,little",
        "pose": "standing,sitting,walking,running,jumping,crouching,lying,bending,pointing",
        "activity": "looking down,looking up,staring,sleeping,cooking,waiting,reading,playing,"
        "driving,posing,eating,drinking,talking,having meeting,resting,taking picture,"
        "brushing teeth",
        "sportActivity": "swimming,surfing,skiing,riding,skateboarding,skating,snowboarding,"
        "performing trick,bicycling",
    }.items()
}
"""The types of which GQA's programs know few values; "bright" is asked without a type there."""

OPEN_TYPES = frozenset(words("color material shape pattern flavor company sport event liquid race"))
UNTYPED_IN_GQA = frozenset(("bright", "dull", "parked", "open", "closed", "full", "empty"))
PERSON_HEIGHT = ("person", "plant", "building", "animal", "tree", "furniture", "grass")
NO_PERSON_TYPES = frozenset(("material", "pattern", "tone", "shape", "cleanliness"))
MATERIAL_ADJECTIVES = {"wood": "wooden", "metal": "metallic", "wool": "woolen", "gold": "golden"}
ADJECTIVE_SYNONYMS = {
    "small": ("little",),
    "large": ("big",),
    "sitting": ("sitting down", "sitting-down"),
}
NEVER_BEFORE_NOUN = frozenset(("on", "off", "looking down", "looking up", "having meeting"))
POSITIONS = {"left": "hposition", "right": "hposition", "top": "vposition", "bottom": "vposition"}
FEMALE = frozenset(["woman", "girl", "lady", "mother", "mom", "bride", "waitress"])
MALE = frozenset(["man", "boy", "guy", "gentleman", "father", "dad", "groom", "waiter"])
UNTYPED_NEGATIONS = frozenset(("old", "short"))
COMMON_VALUES = frozenset(
    words(
        "small large young old white black red blue green brown yellow open closed happy sad "
        "male female tall short long narrow wide clean dirty round rectangular full empty dry "
        "wet sitting standing walking"
    )
)
