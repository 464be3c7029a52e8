"""English surface forms: articles, plurals, verb forms, capitals and token spans.

Only what the question patterns need, by rule with short exception lists. Marked text carries the
object id of a phrase inline (`mark`), so that the token spans of GQA's annotations can be read off
the finished sentence (`unmark`) whatever the template did with the phrase.
"""

from __future__ import annotations

import re
from functools import lru_cache

from gqa_reasoner.questions.wordlists import words

__all__ = [
    "article",
    "base_verb",
    "capitalize_names",
    "finite_predicate",
    "is_mass",
    "is_plural",
    "mark",
    "pluralize",
    "possessive",
    "sentence",
    "singularize",
    "unmark",
    "with_article",
]

_SINGULAR_S = frozenset(
    words(
        "bus glass grass dress cactus octopus tennis canvas lens gas mattress compass walrus "
        "asparagus hibiscus waitress moss address chess harness wilderness business princess "
        "citrus hippopotamus rhinoceros platypus iris oasis chassis clematis pelvis virus "
        "fungus campus circus tyrannosaurus cutlass hummus mess seaplus process sunglass bass "
        "cross boss actress stewardess hostess goddess albatross trellis pancreas headdress "
        "watercress apparatus news lotus brass couscous swiss molasses"
    )
)
_PLURAL_ONLY = frozenset(
    words(
        "people men women children pants jeans shorts trousers glasses sunglasses goggles "
        "scissors clothes fries leggings tights pajamas binoculars pliers tongs geese mice "
        "feet teeth cattle policemen firemen gentlemen bleachers chopsticks blinds stairs "
        "leaves knives shelves loaves wolves calves scarves fishermen snowmen businessmen "
        "wives overalls swim trunks dice oxen groceries sneakers headphones earphones"
    )
)
_PLURALS = {
    "person": "people",
    "man": "men",
    "woman": "women",
    "child": "children",
    "foot": "feet",
    "tooth": "teeth",
    "goose": "geese",
    "mouse": "mice",
    "ox": "oxen",
    "sheep": "sheep",
    "fish": "fish",
    "deer": "deer",
    "aircraft": "aircraft",
    "watercraft": "watercraft",
    "cactus": "cacti",
    "octopus": "octopuses",
    "broccoli": "broccoli",
    "knife": "knives",
    "life": "lives",
    "wife": "wives",
    "shelf": "shelves",
    "leaf": "leaves",
    "loaf": "loaves",
    "wolf": "wolves",
    "calf": "calves",
    "scarf": "scarves",
    "half": "halves",
    "hoof": "hooves",
    "photo": "photos",
    "piano": "pianos",
    "kimono": "kimonos",
    "avocado": "avocados",
    "zoo": "zoos",
    "kangaroo": "kangaroos",
    "bamboo": "bamboos",
    "taco": "tacos",
    "burrito": "burritos",
    "flamingo": "flamingos",
    "taxi": "taxis",
    "hippo": "hippos",
    "rhino": "rhinos",
    "radio": "radios",
    "video": "videos",
    "logo": "logos",
    "tuxedo": "tuxedos",
    "poncho": "ponchos",
    "patio": "patios",
    "bus": "buses",
    "dice": "dice",
}
_SINGULARS = {plural: singular for singular, plural in _PLURALS.items() if plural != singular}
_MASS = frozenset(
    words(
        "water flour dirt grass sand snow food rice bread meat milk beer wine coffee tea juice "
        "soup "
        "sauce cheese butter sugar salt hair furniture clothing luggage dirt mud ice foam "
        "smoke fire fog soil gravel bacon ham beef meat pasta spinach lettuce broccoli corn "
        "cereal ketchup mustard mayonnaise syrup honey jam wood metal plastic leather "
        "concrete steel bamboo hay jewelry equipment trash garbage graffiti frosting icing "
        "cream powder broth gravy yogurt oatmeal popcorn garlic parsley cilantro ginger "
        "celery traffic electricity fur wool alcohol liquor champagne vegetation foliage "
        "seaweed asphalt chocolate cotton cloth fabric silverware tableware watercraft sushi "
        "guacamole"
    )
)
_AN_EXCEPTIONS = ("uni", "use", "uten", "euro", "one", "uku", "urin", "u-")
_A_EXCEPTIONS = ("hour", "honest", "heir")
_NAMES = {
    "suv": "SUV",
    "suvs": "SUVs",
    "tv": "TV",
    "tvs": "TVs",
    "dvd": "DVD",
    "dvds": "DVDs",
    "cd": "CD",
    "cds": "CDs",
    "wii": "Wii",
    "vcr": "VCR",
    "usb": "USB",
    "asian": "Asian",
    "caucasian": "Caucasian",
    "christmas": "Christmas",
    "atm": "ATM",
    "ipod": "iPod",
    "ipad": "iPad",
    "iphone": "iPhone",
    "american": "American",
    "xbox": "Xbox",
    "french": "French",
}
_BASE_VERBS = {
    "lying": "lie",
    "tying": "tie",
    "dying": "die",
    "sitting": "sit",
    "cutting": "cut",
    "hitting": "hit",
    "running": "run",
    "swimming": "swim",
    "petting": "pet",
    "putting": "put",
    "getting": "get",
    "digging": "dig",
    "hugging": "hug",
    "shopping": "shop",
    "batting": "bat",
    "chopping": "chop",
    "dipping": "dip",
    "grabbing": "grab",
    "gripping": "grip",
    "wrapping": "wrap",
    "stepping": "step",
    "dragging": "drag",
    "strapping": "strap",
    "topping": "top",
    "seeing": "see",
    "being": "be",
    "stopping": "stop",
    "jogging": "jog",
    "skipping": "skip",
}
_E_DROP = frozenset(
    words(
        "rid driv us hav mak tak fac bit wav skat serv chas tast smok div slic glid rac danc "
        "com shav exit clos pierc argu giv leav liv mov operat plac pos prepar reced ris shak "
        "shar squeez star writ typ decorat featur hous includ observ encircl enclos carv "
        "brushe bal prun car describ sav slid strok surviv trad giv pok pursu examin approac "
        "brak hik bak stroll-"
    )
)
_MARK = re.compile("\x02([^\x03]*)\x03([^\x04]*)\x04")


@lru_cache(maxsize=65536)
def is_mass(name: str) -> bool:
    """Whether a noun is not counted ("water", "grass"), as far as the short list knows."""
    return name.split(" of ")[0].rsplit(" ", 1)[-1] in _MASS


@lru_cache(maxsize=65536)
def is_plural(name: str) -> bool:
    """Whether a noun takes "are" ("trees", "pants", "people")."""
    head = name.split(" of ")[0].rsplit(" ", 1)[-1]
    if head in _PLURAL_ONLY or head in _SINGULARS:
        return True
    if head in _SINGULAR_S or head.endswith(("ss", "us")):
        return False
    return head.endswith("s") and len(head) > 2


@lru_cache(maxsize=65536)
def pluralize(name: str) -> str:
    """The plural of a noun; plural and uncounted nouns stay as they are."""
    if is_plural(name):
        return name
    if " of " in name:
        head, tail = name.split(" of ", 1)
        return f"{pluralize(head)} of {tail}"
    prefix, _, head = name.rpartition(" ")
    prefix = prefix + " " if prefix else ""
    if head in _PLURALS:
        return prefix + _PLURALS[head]
    if is_mass(name):
        return name
    if head.endswith("man") and head != "human":
        return prefix + head[:-3] + "men"
    if head.endswith("child"):
        return prefix + head + "ren"
    if head.endswith(("s", "x", "z", "ch", "sh")):
        return prefix + head + "es"
    if head.endswith("y") and head[-2:-1] not in "aeiou":
        return prefix + head[:-1] + "ies"
    if head.endswith("o") and head[-2:-1] not in "aeiou":
        return prefix + head + "es"
    return prefix + head + "s"


@lru_cache(maxsize=65536)
def singularize(name: str) -> str:
    """The singular of a plural noun; nouns that have none ("pants") stay as they are."""
    if not is_plural(name):
        return name
    prefix, _, head = name.rpartition(" ")
    prefix = prefix + " " if prefix else ""
    if head in _SINGULARS:
        return prefix + _SINGULARS[head]
    if head.endswith("men") and head != "men":
        return prefix + head[:-3] + "man"
    if head in _PLURAL_ONLY:
        return name
    if head.endswith("ies") and len(head) > 4 and head not in ("cookies", "zombies", "brownies"):
        return prefix + head[:-3] + "y"
    if head.endswith(("ches", "shes", "xes", "sses", "oes")) and head not in ("shoes", "toes"):
        return prefix + head[:-2]
    return prefix + head[:-1]


@lru_cache(maxsize=65536)
def article(phrase: str) -> str:
    """`a` or `an`, as the first sound of the phrase wants."""
    word = phrase.lower()
    if word.startswith(_A_EXCEPTIONS):
        return "an"
    if word.startswith(_AN_EXCEPTIONS):
        return "a"
    return "an" if word[:1] in "aeiou" else "a"


@lru_cache(maxsize=65536)
def with_article(phrase: str, noun: str | None = None) -> str:
    """The phrase with its indefinite article; none before plural and uncounted nouns."""
    head = noun or phrase
    if is_plural(head) or is_mass(head):
        return phrase
    return f"{article(phrase)} {phrase}"


def possessive(noun: str) -> str:
    """ "man" to "man's", "people" to "people's", "girls" to "girls'"."""
    return noun + ("'" if noun.endswith("s") and is_plural(noun) else "'s")


@lru_cache(maxsize=4096)
def base_verb(gerund: str) -> str:
    """The plain form of a verb in -ing: "wearing" to "wear", "riding" to "ride"."""
    if gerund in _BASE_VERBS:
        return _BASE_VERBS[gerund]
    stem = gerund[:-3]
    if stem in _E_DROP:
        return stem + "e"
    return stem


@lru_cache(maxsize=4096)
def finite_predicate(predicate: str, plural: bool) -> str | None:
    """The present tense of a relation: "riding on" to "rides on"; `None` if it has no verb.

    Args:
        predicate: a GQA relation.
        plural: whether the subject is plural; also gives the form after "does".
    """
    verb, _, rest = predicate.partition(" ")
    if not verb.endswith("ing") or verb in ("during", "being", "wedding"):
        return None
    base = base_verb(verb)
    if not plural:
        if base.endswith(("s", "x", "z", "ch", "sh")):
            base += "es"
        elif base.endswith("y") and base[-2:-1] not in "aeiou":
            base = base[:-1] + "ies"
        else:
            base += "s"
    return f"{base} {rest}".strip()


def capitalize_names(text: str) -> str:
    """Proper names and abbreviations as GQA writes them ("SUV", "Wii", "Asian")."""
    return re.sub(r"[a-z]+", lambda match: _NAMES.get(match[0], match[0]), text)


def mark(text: str, object_id: str | None) -> str:
    """The text with its object id inline, for `unmark` to find."""
    return f"\x02{object_id}\x03{text}\x04" if object_id is not None else text


def unmark(text: str) -> tuple[str, dict[str, str]]:
    """The plain text and its token spans, `{"4:6": object id}` or `{"4": object id}` as in GQA."""
    spans: dict[str, str] = {}
    plain: list[str] = []
    position = 0
    for match in _MARK.finditer(text):
        plain.append(text[position : match.start()])
        before = "".join(plain)
        start = before.count(" ")
        plain.append(match[2])
        width = match[2].count(" ") + 1
        spans[str(start) if width == 1 else f"{start}:{start + width}"] = match[1]
        position = match.end()
    plain.append(text[position:])
    return "".join(plain), spans


def sentence(text: str) -> str:
    """First letter upper-case (marks are skipped), names capitalized."""
    parts = re.split("(\x02[^\x03]*\x03)", text)
    joined = "".join(part if part.startswith("\x02") else capitalize_names(part) for part in parts)
    match = re.search("^(?:\x02[^\x03]*\x03)?(.)", joined)
    if match is None:
        return joined
    start = match.start(1)
    if joined[start:].startswith("iP"):
        return joined
    return joined[:start] + joined[start].upper() + joined[start + 1 :]
