"""Questions with programs and no pictures: the parser's training corpus.

Scenes are invented: random names, attributes and relations of the ontology's vocabulary, put
together with no more sense than "people wear clothes". The question families then speak of them
as they would of a real scene, but references need not be unambiguous and answers need not hold,
so that every form and every long composition comes up.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

from detectors.scene import Relation, Scene, SceneObject
from gqa_reasoner.questions.bench import Bench
from gqa_reasoner.questions.english import pluralize, unmark
from gqa_reasoner.questions.families import COUNTING, FAMILIES, Family
from gqa_reasoner.questions.knowledge_facts import KnowledgeFacts
from gqa_reasoner.questions.knowledge_questions import knowledge_families
from gqa_reasoner.questions.lexicon import Lexicon
from gqa_reasoner.questions.statistics import Statistics
from gqa_reasoner.questions.view import SceneView
from gqa_reasoner.questions.word_tables import ASKABLE_CATEGORIES, OPPOSITES
from gqa_reasoner.questions.wordlists import words

if TYPE_CHECKING:
    from gqa_reasoner.program.steps import Program
    from knowledge.ontology import Ontology
    from knowledge.store import TripleStore

__all__ = ["PREDICATES", "Vocabulary", "question_program_pairs"]

PREDICATES: dict[str, float] = {
    "to the left of": 16, "to the right of": 15, "on": 8, "in front of": 7, "behind": 5, "near": 8,
    "on top of": 4, "next to": 3, "above": 3, "below": 3, "under": 2, "in": 3, "inside": 1.5,
    "beside": 1.5, "sitting on": 3, "standing on": 2.5, "lying on": 1.5, "lying on top of": 1.5,
    "underneath": 1, "hanging from": 1, "hanging on": 1, "at": 1, "around": 1, "by": 0.5,
    "standing behind": 1, "standing next to": 1, "standing in": 1, "standing in front of": 1,
    "sitting in": 1, "sitting at": 1, "sitting next to": 1, "sitting in front of": 1,
    "sitting behind": 1, "sitting beside": 1, "sitting on top of": 1, "resting on": 1,
    "leaning against": 1, "leaning on": 1, "walking on": 1, "walking behind": 1,
    "mounted on": 0.8, "attached to": 0.8, "covered by": 0.8, "covering": 0.8,
    "surrounded by": 0.8, "surrounding": 0.8, "filled with": 0.8, "full of": 0.5,
    "wrapped around": 0.5, "plugged into": 0.5, "parked on": 0.8, "parked near": 0.5,
    "parked behind": 0.4, "floating on": 0.6, "floating in": 0.4, "flying in": 0.5,
    "flying over": 0.4, "growing on": 0.4, "worn on": 0.7, "in between": 0.5, "with": 0.5,
    "of": 1.2, "bigger than": 0.6, "higher than": 0.4, "taller than": 0.4, "contain": 0.3,
    "facing": 0.5, "hanging above": 0.5, "on the edge of": 0.4, "on the side of": 0.3,
    "lying next to": 0.6, "lying in": 0.5, "standing near": 0.5, "sitting under": 0.4,
    "decorated with": 0.4, "topped with": 0.4, "served on": 0.3, "stacked on": 0.3,
    "tied to": 0.3, "hanging over": 0.3, "beneath": 0.4, "over": 0.6, "crossing": 0.3,
    "pulled by": 0.4, "followed by": 0.3, "sitting around": 0.3, "standing by": 0.3,
    "standing against": 0.3, "jumping off": 0.3, "jumping over": 0.3, "sitting atop": 0.4,
}  # fmt: skip
"""Relations between any two things, with weights."""

_PERSON_PREDICATES: dict[str, float] = {
    "wearing": 14, "holding": 8, "holding onto": 1, "carrying": 2, "riding": 3, "riding on": 2,
    "using": 1.5, "looking at": 2.5, "watching": 1.5, "playing with": 1.5, "playing": 1,
    "eating": 1.5, "touching": 1, "pulling": 1, "pushing": 1, "talking on": 0.7, "talking to": 0.5,
    "walking on": 0.7, "working on": 0.5, "reaching for": 0.6, "throwing": 0.7, "catching": 0.5,
    "swinging": 0.5, "kicking": 0.5, "hitting": 0.4, "driving": 0.6, "flying": 0.5, "cutting": 0.5,
    "drinking": 0.5, "drinking from": 0.4, "feeding": 0.5, "leading": 0.4, "following": 0.5,
    "looking down at": 0.4, "looking in": 0.3, "pointing at": 0.3, "reading": 0.5, "petting": 0.3,
    "waiting for": 0.4, "sleeping on": 0.4, "jumping on": 0.3, "cooking": 0.3, "cleaning": 0.3,
    "helping": 0.2, "skating on": 0.3, "washing": 0.2, "brushing": 0.2, "opening": 0.2,
    "climbing": 0.3, "hugging": 0.3, "kissing": 0.2, "chewing": 0.2, "smelling": 0.2,
    "leaving": 0.2, "entering": 0.2, "boarding": 0.2, "walking through": 0.3, "photographing": 0.2,
}  # fmt: skip
_TYPE_WEIGHTS = {
    "color": 30, "size": 9, "material": 9, "shape": 3, "length": 2.5, "cleanliness": 3, "age": 1,
    "height": 2.5, "hardness": 2, "width": 1.5, "pattern": 1.2, "thickness": 1, "weight": 1,
    "state": 1, "tone": 0.8, "fatness": 0.8, "brightness": 0.5, "opaqness": 0.4, "texture": 0.4,
    "flavor": 0.4, "orientation": 0.4, "depth": 0.4, "realism": 0.3, "weather": 0.4,
    "company": 0.3, "liquid": 0.2, "sport": 0.2, "event": 0.2, "": 14,
}  # fmt: skip
_PERSON_TYPES = {
    "pose": 9, "activity": 6, "age": 5, "gender": 3, "height": 2.5, "face expression": 4,
    "race": 1.5, "sportActivity": 3, "fatness": 1, "size": 2, "color": 2, "weight": 0.5,
    "realism": 0.5, "": 3,
}  # fmt: skip
_CATEGORY_WEIGHTS = {
    "furniture": 45.0, "animal": 40.0, "clothing": 30.0, "food": 25.0, "vehicle": 25.0,
    "device": 25.0, "appliance": 15.0, "fruit": 12.0, "vegetable": 14.0, "dessert": 10.0,
    "baked good": 8.0, "cooking utensil": 8.0, "meat": 8.0, "watercraft": 8.0, "bag": 8.0,
    "drink": 8.0, "toy": 8.0, "fast food": 8.0,
}  # fmt: skip
_COMMON_NAMES = words(
    "window tree wall shirt building sign pole table chair fence grass street plate pants "
    "hat sidewalk door floor sky road car bench trees hair jacket shoes ground bag "
    "flowers umbrella clouds lamp pillow mirror bottle bowl cup glass cabinet helmet "
    "field water sand beach towel curtains bed couch rug picture bus train truck "
    "motorcycle bike boat racket ball skateboard surfboard kite pizza cake sandwich phone "
    "laptop keyboard television counter sink toilet shorts jeans glasses gloves sneakers "
    "tie leaves mountain mountains snow rock rocks bushes plant box basket shelf desk "
    "clock lid wheel wheels tire leaf flag tower house roof horse cow sheep elephant "
    "giraffe zebra dog cat bird bear people players dolls papers scissors pens"
)
_COMMON_VALUES = {
    "material": "wood wood wood wood metal metal metal plastic plastic glass leather concrete "
    "brick stone cloth cotton denim porcelain stainless steel".replace(
        "stainless steel", ""
    ).split(),
    "shape": ["round", "rectangular", "square", "round", "rectangular"],
    "pattern": ["striped", "striped", "checkered"],
    "race": ["asian", "caucasian"],
    "size": ["small", "large", "small", "large", "small", "large"],
}
_WEATHER = ("cloudy", "sunny", "rainy", "clear", "foggy", "stormy", "overcast", "partly cloudy")
_PLACES = (
    "street", "beach", "field", "park", "farm", "zoo", "forest", "restaurant", "sidewalk", "road",
    "kitchen", "bathroom", "office", "bedroom", "living room", "airport", "harbor", "market",
    "city", "garden", "lawn", "store", "station", "parking lot", "yard", "ocean", "shore",
    "stadium",
)  # fmt: skip
_PERSON_ADJECTIVES = ("smiling", "bald", "beautiful", "pretty", "ugly", "strong", "shirtless",
                      "hairy", "adult", "athletic")  # fmt: skip
_THING_ADJECTIVES = (
    "black and white", "colorful", "parked", "hanging", "folded", "stacked", "framed", "printed",
    "flying", "covered", "plush", "polished", "delicious", "tasty", "warm", "mounted", "designed",
    "portable", "powerful", "tight", "transparent", "knit", "lush", "mowed", "tinted", "cut",
)  # fmt: skip
_BODY = ("hair", "tail", "face", "head", "eyes", "ears", "shirt", "nose", "legs", "wings", "roof")


@dataclass(frozen=True)
class Vocabulary:
    """Words to draw from, beyond the ontology's; a caller gives those of its own data.

    Attributes:
        names: object names with weights.
        attributes: attributes with weights, typed by the ontology.
        predicates: relations with weights.
    """

    names: Mapping[str, float] = field(default_factory=dict)
    attributes: Mapping[str, float] = field(default_factory=dict)
    predicates: Mapping[str, float] = field(default_factory=dict)


class _Chooser:
    """Weighted draws from a fixed table."""

    def __init__(self, table: Mapping[str, float]) -> None:
        self.words = list(table)
        self.weights = list(accumulate(table.values()))

    def __call__(self, rng: random.Random) -> str:
        return rng.choices(self.words, cum_weights=self.weights)[0]


def _is_described(name: str, lexicon: Lexicon) -> bool:
    """Whether a name is an adjective of age or the like and a name (`young man`)."""
    first, _, rest = name.partition(" ")
    types = lexicon.types(first) if rest else ()
    return bool(types) and types[0] in ("age", "size", "height", "gender")


class World:
    """Invents scenes."""

    def __init__(self, lexicon: Lexicon, vocabulary: Vocabulary) -> None:
        ontology = lexicon.ontology
        self.lexicon = lexicon
        names: dict[str, float] = dict(vocabulary.names)
        for category in ASKABLE_CATEGORIES:
            members = ontology.members(category)
            total = _CATEGORY_WEIGHTS.get(category, 6.0)
            for name in members:
                names.setdefault(name, 0.0)
                names[name] += total / (len(members) + 3)
        for name in _COMMON_NAMES:
            names[name] = names.get(name, 0.0) + 0.6
        persons = [
            name
            for name in ontology.members("person")
            if name not in ("person", "people") and not _is_described(name, lexicon)
        ]
        common = {"man": 30.0, "woman": 20.0, "boy": 8.0, "girl": 8.0, "person": 6.0, "people": 4.0}
        self.persons = _Chooser(common | dict.fromkeys(sorted(set(persons) - set(common)), 0.5))
        self.names = _Chooser(
            {name: weight for name, weight in names.items() if not lexicon.is_person(name)}
        )
        self.animals = _Chooser(dict.fromkeys(ontology.members("animal"), 1.0))
        clothing = [*ontology.members("clothing"), *ontology.members("accessory")]
        self.clothing = _Chooser(dict.fromkeys(clothing, 1.0))
        self.predicates = _Chooser({**PREDICATES, **vocabulary.predicates})
        self.person_predicates = _Chooser(_PERSON_PREDICATES)
        untyped = [word for group in OPPOSITES for word in group]
        self.values: dict[str, Sequence[str]] = {
            "": [*untyped, *_THING_ADJECTIVES],
            "person": _PERSON_ADJECTIVES,
        }
        for kind in {*_TYPE_WEIGHTS, *_PERSON_TYPES} - {""}:
            self.values[kind] = lexicon.values_of(kind)
        extra: dict[str, list[str]] = {}
        for attribute in vocabulary.attributes:
            kinds = lexicon.types(attribute) or ("",)
            extra.setdefault(kinds[0], []).append(attribute)
        for kind, found in extra.items():
            self.values[kind] = [*self.values.get(kind, ()), *found]
        for kind, usual in _COMMON_VALUES.items():
            known = self.values.get(kind, ())
            self.values[kind] = [*usual * max(1, len(known) // max(len(usual), 1)), *known]
        self.types = _Chooser({k: w for k, w in _TYPE_WEIGHTS.items() if self.values.get(k)})
        self.person_types = _Chooser({k: w for k, w in _PERSON_TYPES.items() if self.values.get(k)})

    def scene(self, number: int, rng: random.Random) -> Scene:
        """One invented scene of four to eight objects."""
        objects: list[SceneObject] = []
        persons: list[int] = []
        for place in range(rng.randint(4, 8)):
            person = rng.random() < (0.45 if place == 0 else 0.2)
            draw = rng.random()
            name = self.persons(rng) if person else self.names(rng)
            if not person and draw < 0.12:
                name = self.animals(rng)
            elif not person and draw < 0.25:
                name = self.clothing(rng)
            if rng.random() < 0.16:
                name = pluralize(name)
            if objects and rng.random() < 0.12:
                name = rng.choice(objects).name
                person = self.lexicon.is_person(name)
            if person:
                persons.append(place)
            x, y = rng.random() * 300, rng.random() * 220
            attributes = self._attributes(person, rng)
            objects.append(
                SceneObject(
                    str(place), name, 1.0, (x, y, x + 20, y + 20), dict.fromkeys(attributes, 1.0)
                )
            )
        relations = self._relations(objects, persons, rng)
        facts: dict[str, str] = {}
        if rng.random() < 0.5:
            facts["weather"] = rng.choice(_WEATHER)
        if rng.random() < 0.5:
            facts["place"] = rng.choice(_PLACES)
        if rng.random() < 0.5:
            facts["location"] = rng.choice(("indoors", "outdoors"))
        return Scene(f"s{number}", 320, 240, objects, relations, facts)

    def _attributes(self, person: bool, rng: random.Random) -> list[str]:
        chooser = self.person_types if person else self.types
        found: list[str] = []
        kinds = sorted(chooser(rng) for _ in range(rng.choice((1, 2, 2, 3))))
        for number, kind in enumerate(kinds):
            if kind and number and kinds[number - 1] == kind:
                continue
            words = self.values["person" if person and not kind else kind]
            weight = min(len(words), 9) if kind == "color" and rng.random() < 0.7 else len(words)
            found.append(words[int(rng.random() * weight)])
            if kind == "color" and rng.random() < 0.06:
                found.append(words[int(rng.random() * weight)])
        return list(dict.fromkeys(found))

    def _relations(
        self, objects: list[SceneObject], persons: list[int], rng: random.Random
    ) -> list[Relation]:
        relations: list[Relation] = []
        for _ in range(rng.randint(6, 10)):
            if persons and rng.random() < 0.4:
                subject = rng.choice(persons)
                predicate = self.person_predicates(rng)
            else:
                subject = rng.randrange(len(objects))
                predicate = self.predicates(rng)
            target = rng.randrange(len(objects))
            if target != subject:
                relations.append(Relation(str(subject), predicate, str(target)))
        if rng.random() < 0.12:
            owner = rng.choice(persons) if persons else rng.randrange(len(objects))
            part = str(len(objects))
            attributes = dict.fromkeys(self._attributes(False, rng), 1.0)
            objects.append(SceneObject(part, rng.choice(_BODY), 1.0, (9, 9, 29, 29), attributes))
            relations.append(Relation(part, "of", str(owner)))
        return relations


def question_program_pairs(
    seed: int,
    count: int,
    ontology: Ontology,
    *,
    vocabulary: Vocabulary | None = None,
    quirks: bool = True,
    weights: Mapping[str, float] | None = None,
    store: TripleStore | None = None,
) -> Iterator[tuple[str, Program]]:
    """Questions with their programs (no object ids), for training a parser.

    Args:
        seed: the same seed gives the same pairs.
        count: how many pairs.
        ontology: names, categories and attribute types.
        vocabulary: further words, such as those of the graphs that the parser is for.
        quirks: also GQA's slips of grammar.
        weights: attempts per family by `Family.name`, instead of the built-in mix.
        store: triples whose tails the knowledge questions ask for; without it there are none.

    Yields:
        (question, program) in the conventions of GQA's `semantic`.
    """
    from gqa_reasoner.program.steps import Program

    rng = random.Random(f"pairs:{seed}")
    lexicon = Lexicon(ontology)
    world = World(lexicon, vocabulary or Vocabulary())
    statistics = Statistics()
    for number in range(300):
        statistics.add(SceneView(world.scene(number, rng), lexicon))
    families: tuple[Family, ...] = (*FAMILIES, COUNTING)
    if store is not None:
        families = (*families, *knowledge_families(KnowledgeFacts(store, lexicon)))
    table = {family.name: family.training_weight for family in families}
    table.update(weights or {})
    chooser = _Chooser(table)
    makers = {family.name: family.make for family in families}
    made = number = 0
    while made < count:
        view = SceneView(world.scene(number, rng), lexicon)
        number += 1
        bench = Bench(view, statistics, rng, strict=False, quirks=quirks)
        for _ in range(8):
            draft = makers[chooser(rng)](bench)
            if draft is None:
                continue
            records = [
                {"operation": operation, "argument": argument, "dependencies": list(dependencies)}
                for operation, argument, dependencies in draft.steps
            ]
            yield unmark(draft.question)[0], Program.from_semantic(records).without_object_ids()
            made += 1
            if made == count:
                return
