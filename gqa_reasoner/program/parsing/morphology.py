"""English inflection as scene-graph names use it: singular, plural, the -ing form of a verb."""

from __future__ import annotations

from functools import lru_cache

from gqa_reasoner.program.parsing.words import VERBS, listed

__all__ = ["active", "gerund", "is_plural", "participle", "plural", "singular"]

_IRREGULAR = {
    "men": "man",
    "women": "woman",
    "children": "child",
    "people": "person",
    "feet": "foot",
    "teeth": "tooth",
    "geese": "goose",
    "mice": "mouse",
    "knives": "knife",
    "wolves": "wolf",
    "leaves": "leaf",
    "loaves": "loaf",
    "shelves": "shelf",
    "halves": "half",
    "calves": "calf",
    "scarves": "scarf",
    "lives": "life",
    "wives": "wife",
    "thieves": "thief",
    "elves": "elf",
    "hooves": "hoof",
    "oxen": "ox",
    "cacti": "cactus",
    "potatoes": "potato",
    "tomatoes": "tomato",
    "heroes": "hero",
    "buses": "bus",
    "gases": "gas",
    "lenses": "lens",
    "cookies": "cookie",
    "ties": "tie",
    "pies": "pie",
    "zombies": "zombie",
    "movies": "movie",
    "brownies": "brownie",
    "smoothies": "smoothie",
    "veggies": "veggie",
    "axes": "axe",
    "horses": "horse",
    "houses": "house",
    "shoes": "shoe",
    "canoes": "canoe",
    "toes": "toe",
    "vases": "vase",
    "cases": "case",
    "nurses": "nurse",
    "purses": "purse",
    "blouses": "blouse",
    "roses": "rose",
    "noses": "nose",
    "hoses": "hose",
    "suitcases": "suitcase",
    "briefcases": "briefcase",
    "bookcases": "bookcase",
    "firehoses": "firehose",
    "bases": "base",
    "cheeses": "cheese",
    "avocados": "avocado",
    "caches": "cache",
    "headaches": "headache",
}
_IRREGULAR_PLURAL = {single: many for many, single in _IRREGULAR.items()}
_UNCHANGED = frozenset(
    listed(
        "glasses eyeglasses sunglasses goggles scissors pants trousers jeans shorts "
        "slacks leggings tights pajamas clothes binoculars headphones tongs pliers "
        "tweezers stairs bleachers fries series species sheep fish deer news gymnastics"
        " tennis trunks ruins overalls grass glass bus gas dress mattress cactus canvas"
        " moss brass address abacus octopus walrus hippopotamus asparagus citrus hummus"
        " iris lens oasis pancreas christmas atlas virus campus circus underpants "
        "boxers briefs khakis capris suspenders graffiti spaghetti cattle bacon rice broccoli"
    )
)
_FREE_GERUND = {
    "lie": "lying",
    "lies": "lying",
    "tie": "tying",
    "ties": "tying",
    "has": "having",
    "have": "having",
    "does": "doing",
    "goes": "going",
    "flies": "flying",
    "carries": "carrying",
    "is": "being",
    "see": "seeing",
    "sees": "seeing",
    "flee": "fleeing",
    "ski": "skiing",
    "skis": "skiing",
}
_DOUBLED = frozenset(
    listed(
        "sit hit cut put run get swim dig hug pet pat bat jog chop grab drag shop skip "
        "step stop trim wrap zip clip dip drip flip grip hop mop nap rip ship sip slip "
        "strip tap tip trap plug chat skim spin win begin rub scrub swing"
    )
) - {"swing"}
_VOWELS = frozenset("aeiou")


_PARTICIPLES = dict(
    pair.split(":")
    for pair in listed(
        "wear:worn hold:held eat:eaten drink:drunk ride:ridden drive:driven throw:thrown sell:sold"
        " catch:caught hit:hit feed:fed lead:led swing:swung cut:cut read:read buy:bought"
        " see:seen take:taken bite:bitten fly:flown sing:sung make:made wind:wound build:built"
        " keep:kept put:put draw:drawn blow:blown swim:swum sit:sat stand:stood lie:lain"
        " sleep:slept write:written tie:tied carry:carried use:used"
    )
)
_ACTIVE = {done: verb for verb, done in _PARTICIPLES.items()}


def participle(verb: str) -> str:
    """Past participle of a verb's base form: `eat` → `eaten`, `park` → `parked`."""
    if verb in _PARTICIPLES:
        return _PARTICIPLES[verb]
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2:-1] not in _VOWELS:
        return verb[:-1] + "ied"
    return verb + (verb[-1] if verb in _DOUBLED else "") + "ed"


def active(done: str) -> str | None:
    """-ing form of a past participle's verb: `worn` → `wearing`; None if it is none."""
    if done in _ACTIVE:
        return gerund(_ACTIVE[done])
    if not done.endswith("ed") or len(done) < 5:
        return None
    stem = done[:-2]
    if stem.endswith("i"):
        return gerund(stem[:-1] + "y")
    if stem[-1:] == stem[-2:-1] and stem[:-1] in _DOUBLED:
        return gerund(stem[:-1])
    return gerund(done[:-1] if done[:-1] in VERBS else stem)


@lru_cache(maxsize=8192)
def singular(name: str) -> str:
    """Singular of a name's last word (`hot dogs` → `hot dog`); words without one stay."""
    head, _, word = name.rpartition(" ")
    if word in _IRREGULAR:
        single = _IRREGULAR[word]
    elif word in _UNCHANGED or len(word) < 4 or word.endswith(("ss", "us", "is", "'s")):
        single = word
    elif word.endswith("ies"):
        single = word[:-3] + "y"
    elif word.endswith(("ches", "shes", "sses", "xes", "zes")):
        single = word[:-2]
    elif word.endswith("men") and len(word) > 4:
        single = word[:-2] + "an"
    elif word.endswith("s"):
        single = word[:-1]
    else:
        single = word
    return f"{head} {single}" if head else single


@lru_cache(maxsize=8192)
def plural(name: str) -> str:
    """Plural of a name's last word (`hot dog` → `hot dogs`)."""
    head, _, word = name.rpartition(" ")
    if word in _IRREGULAR_PLURAL:
        many = _IRREGULAR_PLURAL[word]
    elif is_plural(word) or (word in _UNCHANGED and not word.endswith(("ss", "us", "lens"))):
        many = word
    elif word.endswith("man") and word != "human":
        many = word[:-2] + "en"
    elif word.endswith(("s", "x", "z", "ch", "sh")):
        many = word + "es"
    elif word.endswith("y") and word[-2:-1] not in _VOWELS:
        many = word[:-1] + "ies"
    else:
        many = word + "s"
    return f"{head} {many}" if head else many


@lru_cache(maxsize=8192)
def is_plural(name: str) -> bool:
    """Whether the last word has a singular that differs from it."""
    return singular(name) != name


@lru_cache(maxsize=8192)
def gerund(verb: str) -> str:
    """-ing form of a base or third-person verb: `wears` → `wearing`, `sit` → `sitting`."""
    if verb in _FREE_GERUND:
        return _FREE_GERUND[verb]
    if verb.endswith("ing") and len(verb) > 5:
        return verb
    base = verb
    if verb.endswith(("ches", "shes", "sses", "xes", "zzes")):
        base = verb[:-2]
    elif verb.endswith("s") and not verb.endswith("ss"):
        base = verb[:-1]
    if base in _DOUBLED:
        return base + base[-1] + "ing"
    if base.endswith("e") and not base.endswith(("ee", "oe", "ye")):
        return base[:-1] + "ing"
    return base + "ing"
