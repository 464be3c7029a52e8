"""What the question patterns need to know about words, read from an `Ontology` and cached.

The tables here are about wording (how "furniture" is counted, what "metal" becomes after "is"),
not about the world; categories, synonyms and attribute types come from the ontology.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gqa_reasoner.program.operations import OPERATIONS
from gqa_reasoner.questions.english import is_mass, is_plural, pluralize, singularize
from gqa_reasoner.questions.wordlists import words

if TYPE_CHECKING:
    from knowledge.ontology import Ontology

__all__ = ["ASKABLE_CATEGORIES", "OPPOSITES", "TYPE_NOUNS", "TYPE_QUESTIONS", "Lexicon"]

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

_COUNTED = {
    "furniture": (("piece of furniture", 6), ("item of furniture", 4)),
    "clothing": (
        ("clothing item", 5),
        ("piece of clothing", 4),
        ("item of clothing", 3),
        ("article of clothing", 3),
    ),
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

_PARTS = frozenset(("body part", "part", "vehicle part"))
_BACKDROPS = frozenset(
    words("sky ground floor wall ceiling ocean sea air background water grass land horizon")
)
_NEAR: tuple[tuple[str, ...], ...] = (
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

_CLOSED_TYPES: dict[str, frozenset[str]] = {
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

_OPEN_TYPES = frozenset(
    words("color material shape pattern flavor company sport event liquid race weather")
)
_UNTYPED_IN_GQA = frozenset(("bright", "dull", "parked", "open", "closed", "full", "empty"))
_PERSON_HEIGHT = ("person", "plant", "building", "animal", "tree", "furniture", "grass")
_NO_PERSON_TYPES = frozenset(("material", "pattern", "tone", "shape", "cleanliness"))
_MATERIAL_ADJECTIVES = {"wood": "wooden", "metal": "metallic", "wool": "woolen", "gold": "golden"}
_ADJECTIVE_SYNONYMS = {
    "small": ("little",),
    "large": ("big",),
    "sitting": ("sitting down", "sitting-down"),
}
_NEVER_BEFORE_NOUN = frozenset(("on", "off", "looking down", "looking up", "having meeting"))
_POSITIONS = {"left": "hposition", "right": "hposition", "top": "vposition", "bottom": "vposition"}


class Lexicon:
    """Cached look-ups over one ontology."""

    def __init__(self, ontology: Ontology) -> None:
        self.ontology = ontology
        self._nouns: dict[str, frozenset[str]] = {}
        self._categories: dict[str, tuple[str, ...]] = {}
        self._types: dict[str, tuple[str, ...]] = {}
        self._synonyms: dict[str, tuple[str, ...]] = {}
        self._values: dict[str, tuple[str, ...]] = {}
        self._rivals: dict[tuple[str, str], tuple[str, ...]] = {}
        self._exclusive: dict[str, tuple[str, ...]] = {}
        for group in OPPOSITES:
            for word in group:
                self._exclusive.setdefault(word, group)

    def nouns(self, name: str) -> frozenset[str]:
        """Every noun for such an object: itself, singular and plural, canonical, categories."""
        known = self._nouns.get(name)
        if known is None:
            canonical = self.ontology.canonical(name)
            words = {name, canonical, *self.categories(name)}
            words |= {singularize(word) for word in (name, canonical)}
            words |= {pluralize(word) for word in (name, canonical)}
            words |= set(self.ontology.synonyms(name))
            known = self._nouns[name] = frozenset(words)
        return known

    def categories(self, name: str) -> tuple[str, ...]:
        """Categories of a name, nearest first, without the name itself."""
        known = self._categories.get(name)
        if known is None:
            found = self.ontology.categories(name)
            known = self._categories[name] = tuple(word for word in found if word != name)
        return known

    def is_person(self, name: str) -> bool:
        """Whether a name is a person's ("girl", "umpire", "people")."""
        return name in ("person", "people") or "person" in self.categories(name)

    def is_animal(self, name: str) -> bool:
        """Whether a name is an animal's."""
        return name == "animal" or "animal" in self.categories(name)

    def askable(self, name: str) -> tuple[str, ...]:
        """Categories of a name that a question may ask for."""
        return tuple(word for word in self.categories(name) if word in ASKABLE_CATEGORIES)

    def surfaces(self, name: str) -> tuple[str, ...]:
        """Other words for a name with the same number ("trousers" for "pants")."""
        known = self._synonyms.get(name)
        if known is None:
            plural = is_plural(name)
            words = [
                word
                for word in self.ontology.synonyms(name)
                if word != name
                and is_plural(word) == plural
                and singularize(word) != singularize(name)
                and word not in ASKABLE_CATEGORIES
            ]
            known = self._synonyms[name] = tuple(sorted(words))
        return known

    def types(self, attribute: str) -> tuple[str, ...]:
        """All attribute types of an attribute."""
        known = self._types.get(attribute)
        if known is None:
            if attribute in _POSITIONS:
                found: tuple[str, ...] = (_POSITIONS[attribute],)
            else:
                found = tuple(
                    kind
                    for kind in self.ontology.attribute_types(attribute)
                    if self.in_type(attribute, kind)
                )
            known = self._types[attribute] = found
        return known

    @staticmethod
    def in_type(attribute: str, kind: str) -> bool:
        """Whether GQA's programs give the attribute this type."""
        if attribute in _UNTYPED_IN_GQA:
            return False
        return kind in _OPEN_TYPES or attribute in _CLOSED_TYPES.get(kind, ())

    def values_of(self, kind: str) -> tuple[str, ...]:
        """The values of a type, as GQA's programs know it."""
        known = self._values.get(kind)
        if known is None:
            found = self.ontology.attributes_of_type(kind)
            words = dict.fromkeys(word for word in found if self.in_type(word, kind))
            words.update(dict.fromkeys(sorted(_CLOSED_TYPES.get(kind, ()))))
            known = self._values[kind] = tuple(words)
        return known

    def type_of(self, attribute: str, name: str) -> str:
        """The type of an attribute on such an object, "" if it has none.

        "short" is a height of people, plants and buildings and a length of anything else.
        """
        types = self.types(attribute)
        if len(types) < 2:
            return types[0] if types else ""
        person = self.is_person(name)
        if attribute in ("short", "long") and "height" in types and "length" in types:
            categories = (name, *self.categories(name))
            return "height" if any(word in _PERSON_HEIGHT for word in categories) else "length"
        if attribute == "thin":
            return "fatness" if person or self.is_animal(name) else "thickness"
        if attribute == "little":
            return "age" if person else "size"
        if attribute in ("dark", "light") and "tone" in types:
            return "color" if "color" in types else "tone"
        if attribute == "clear":
            return "weather" if name == "sky" else "opaqness"
        if person:
            types = tuple(word for word in types if word not in _NO_PERSON_TYPES) or types
        return types[0]

    @staticmethod
    def near(attribute: str) -> tuple[str, ...]:
        """Values that mean nearly the same."""
        return tuple(word for group in _NEAR if attribute in group for word in group)

    def decoy(self, name: str) -> bool:
        """Whether asking for the name where it is absent makes sense: not of parts or backdrops."""
        if name in _BACKDROPS:
            return False
        return not _PARTS & set(self.categories(name))

    def verifiable(self, attribute_type: str) -> bool:
        """Whether GQA has operations that verify and choose values of the type."""
        return not attribute_type or f"choose {attribute_type}" in OPERATIONS

    def rivals(self, attribute: str, attribute_type: str) -> tuple[str, ...]:
        """Attributes that cannot hold beside this one: same type, or its opposites."""
        if attribute in self._exclusive and not attribute_type:
            return tuple(word for word in self._exclusive[attribute] if word != attribute)
        if attribute_type:
            key = (attribute, attribute_type)
            known = self._rivals.get(key)
            if known is None:
                near = next((group for group in _NEAR if attribute in group), ())
                known = tuple(
                    word
                    for word in self.values_of(attribute_type)
                    if word != attribute and word not in near
                )
                self._rivals[key] = known
            return known
        return ()

    def counted(self, category: str) -> tuple[tuple[str, int], ...]:
        """Ways to count a category, with weights: "piece of furniture", "item of furniture"."""
        return _COUNTED.get(category, ((category, 1),))

    @staticmethod
    def before_noun(attribute: str) -> bool:
        """Whether an attribute may stand before its noun."""
        return attribute not in _NEVER_BEFORE_NOUN

    @staticmethod
    def adjective(attribute: str, attribute_type: str) -> str:
        """The attribute after "is": "metal" to "metallic", "plastic" to "made of plastic"."""
        if attribute_type == "material":
            return _MATERIAL_ADJECTIVES.get(attribute, f"made of {attribute}")
        return attribute

    @staticmethod
    def material_adjective(attribute: str) -> str:
        """The material before a noun: "wood" to "wooden"."""
        return _MATERIAL_ADJECTIVES.get(attribute, attribute)

    @staticmethod
    def adjective_synonyms(attribute: str) -> tuple[str, ...]:
        """Other words for an attribute that GQA's questions use ("little" for small)."""
        return _ADJECTIVE_SYNONYMS.get(attribute, ())

    @staticmethod
    def uncounted(name: str) -> bool:
        """Whether "any", not "a", goes before the noun."""
        return is_mass(name)
