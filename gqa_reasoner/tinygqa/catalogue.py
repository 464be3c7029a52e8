"""The object classes of TinyGQA: names, categories, glyphs, colours, materials, sizes and habits.

Names and categories are GQA's lower-case words. Each row of `_TABLE` is

    name | category | looks | height | positions | places | colours | materials

- looks: glyphs or `draw:NAME` (a procedural drawing), each with the states that it shows,
  such as `📕 closed; 📖 open`;
- height: usual height in pixels of a 320x240 picture, at middle depth;
- positions: letters, see `POSITIONS`;
- places: letters, see `PLACE_LETTERS`; `*` is everywhere. They are preferences: some objects of
  each picture ignore them;
- colours: candidate colours; a colour is offered only when `sprites` has verified by the pixels
  that the glyph really shows it. `-` keeps the glyph's own
  colours and asserts none;
- materials: candidate materials, each drawn with a texture of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

__all__ = [
    "COLORS",
    "EXPRESSIONS",
    "MATERIALS",
    "MATERIAL_COLORS",
    "PLACES",
    "POSES",
    "POSITIONS",
    "SIZES",
    "WEATHERS",
    "Look",
    "ObjectClass",
    "catalogue",
    "categories",
    "class_names",
]

COLORS = (
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
    "black",
    "white",
    "gray",
)
MATERIALS = ("wood", "metal", "plastic", "glass")
MATERIAL_COLORS: Mapping[str, tuple[str, ...]] = {
    "wood": ("brown",),
    "metal": ("gray",),
    "plastic": ("red", "blue", "green", "yellow", "white"),
    "glass": (),
}
"""The colours in which each material is drawn; glass keeps no colour of its own."""
SIZES = ("small", "large")
POSES = ("standing", "sitting", "walking", "running")
EXPRESSIONS = ("happy", "sad", "sleeping")
PLACES = ("kitchen", "living room", "bedroom", "street", "park", "field", "beach", "ocean")
PLACE_LETTERS: Mapping[str, str] = dict(zip("klbspfhw", PLACES, strict=True))
WEATHERS = ("sunny", "cloudy", "rainy", "clear")
"""`clear` is a cloudless night sky; pictures taken indoors have no weather."""
POSITIONS: Mapping[str, str] = {
    "g": "on the ground or floor",
    "t": "on a table, a shelf or another surface",
    "w": "on a wall",
    "s": "in the sky",
    "o": "on or in water",
    "h": "held by a person",
    "c": "worn by a person",
    "r": "ridden by a person",
    "u": "carries other objects, as a surface",
    "n": "seats a person",
}


@dataclass(frozen=True)
class Look:
    """One way to draw a class: a glyph of the font, or `draw:NAME`; `states` are attributes."""

    glyph: str
    states: tuple[str, ...] = ()


@dataclass(frozen=True)
class ObjectClass:
    """One object class; `height` is the usual height in pixels, `places` GQA's words."""

    name: str
    category: str
    looks: tuple[Look, ...]
    height: int
    positions: frozenset[str]
    places: tuple[str, ...]
    colors: tuple[str, ...] = ()
    materials: tuple[str, ...] = ()

    def attributes(self) -> tuple[str, ...]:
        """Every attribute that an object of this class may have, colours before verification."""
        states = [state for look in self.looks for state in look.states]
        people = (*POSES, *EXPRESSIONS) if self.category == "person" else ()
        tints = [color for material in self.materials for color in MATERIAL_COLORS[material]]
        names = (*self.colors, *tints, *self.materials, *states, *people, *SIZES)
        return tuple(dict.fromkeys(names))


_TABLE = """
apple | fruit | 🍎 | 29 | tgh | kpf | red green yellow |
orange | fruit | 🍊 | 29 | tgh | kph | orange |
banana | fruit | 🍌 | 32 | tgh | kph | yellow green |
grapes | fruit | 🍇 | 32 | tgh | kpf | purple green red |
strawberry | fruit | 🍓 | 29 | tgh | kpf | red |
pineapple | fruit | 🍍 | 40 | tgh | kh | yellow |
watermelon | fruit | 🍉 | 33 | tgh | kph | red |
carrot | vegetable | 🥕 | 32 | tgh | kf | orange purple |
corn | vegetable | 🌽 | 34 | tgh | kf | yellow |
broccoli | vegetable | 🥦 | 32 | tgh | k | green |
bell pepper | vegetable | 🫑 | 31 | tgh | kf | green red yellow orange |
mushroom | vegetable | 🍄 | 30 | tgh | kpf | red brown |
hamburger | food | 🍔 | 32 | th | ksph | - |
fries | food | 🍟 | 33 | th | ksph | red yellow blue green |
pizza | food | 🍕 | 33 | th | ksl | - |
hot dog | food | 🌭 | 31 | th | ksp | - |
bread | food | 🍞 | 31 | th | k | brown |
cheese | food | 🧀 | 30 | th | k | yellow orange |
donut | food | 🍩 | 30 | th | ksl | pink brown blue |
cake | food | 🎂 | 38 | th | kl | - |
ice cream | food | 🍦 | 36 | th | shp | - |
coffee | drink | ☕ | 30 | th | kls | white blue green pink |
wine | drink | 🍷 | 36 | th | kl | red |
juice | drink | 🧃 | 34 | th | kph | green orange red purple |
bowl | tableware | 🥣 | 29 | t | k | blue red green white | wood metal
teapot | tableware | 🫖 | 32 | t | kl | red blue green white yellow | metal
cup | tableware | 🥤 | 35 | th | kshp | | plastic
knife | tableware | 🔪 | 32 | th | k | black red blue |
vase | container | 🏺 | 42 | tg | lb | orange blue green red white | glass metal
bottle | container | 🍾 | 40 | th | klh | green blue brown | glass
basket | container | 🧺 | 38 | tgh | kpf | brown red blue |
bucket | container | 🪣 | 38 | gh | fhk | | metal plastic
box | container | 📦 | 42 | gt | klsb | brown blue red white | wood
table | furniture | draw:table | 66 | gu | klb | | wood metal plastic glass
bench | furniture | draw:bench | 58 | gun | spfh | green white red | wood metal
shelf | furniture | draw:shelf | 112 | gu | klb | white black | wood metal
chair | furniture | 🪑 | 74 | gn | klb | | wood metal plastic
couch | furniture | draw:couch | 66 | gnu | l | blue red green brown gray purple |
bed | furniture | draw:bed | 66 | gu | b | blue red green pink white |
door | furniture | 🚪 closed; draw:door open | 118 | w | klb | white red blue green | wood metal
picture | decoration | 🖼 | 48 | w | lbk | yellow black white | wood
clock | device | ⏰ | 36 | tw | klb | red blue green black yellow |
television | device | 📺 | 52 | t | lbk | black red brown blue |
laptop | device | 💻 | 38 | t | lb | gray black red blue |
cell phone | device | 📱 | 34 | th | lbs | black red blue pink |
camera | device | 📷 | 32 | th | lphs | black red blue |
hammer | tool | 🔨 | 34 | tgh | kf | brown red blue |
axe | tool | 🪓 | 36 | gh | fp | red blue green |
wrench | tool | 🔧 | 34 | tgh | ks | gray blue red |
scissors | tool | ✂ | 34 | th | lbk | - |
ladder | tool | 🪜 | 92 | g | sfl | red | wood metal
dog | animal | 🐕 | 48 | g | pslhf | brown black white gray |
cat | animal | 🐈 | 42 | gt | lbkps | orange gray black white brown |
horse | animal | 🐎 | 78 | gr | fp | brown black white gray |
cow | animal | 🐄 | 72 | g | f | white brown |
pig | animal | 🐖 | 52 | g | f | pink black brown |
sheep | animal | 🐑 | 54 | g | f | white black |
elephant | animal | 🐘 | 88 | gr | fp | gray |
giraffe | animal | 🦒 | 112 | g | fp | - |
rabbit | animal | 🐇 | 38 | g | pf | gray brown white black |
turtle | animal | 🐢 | 34 | go | hpw | green brown |
crab | animal | 🦀 | 33 | g | hw | red orange blue |
butterfly | animal | 🦋 | 30 | s | pf | blue orange yellow purple pink |
fish | animal | 🐟 | 32 | o | wh | blue red orange green |
duck | bird | 🦆 | 42 | go | pw | - |
penguin | bird | 🐧 | 46 | g | hw | black |
owl | bird | 🦉 | 40 | g | fp | brown gray |
parrot | bird | 🦜 | 42 | gs | hp | green blue red |
car | vehicle | 🚗 | 54 | g | s | red blue green yellow white black purple |
bus | vehicle | 🚌 | 70 | g | s | red blue green yellow |
truck | vehicle | 🚚 | 66 | g | sf | orange red blue green |
motorcycle | vehicle | 🏍 | 54 | gr | s | red blue green black |
bicycle | vehicle | 🚲 | 54 | gr | sph | blue red green pink black |
train | vehicle | 🚆 | 80 | g | s | blue red green |
helicopter | vehicle | 🚁 | 52 | s | swfh | yellow red blue green |
airplane | vehicle | ✈ | 52 | s | swfh | blue red green orange |
sailboat | vehicle | ⛵ | 74 | o | wh | red blue green yellow |
ship | vehicle | 🚢 | 78 | o | w | blue red green |
shirt | clothing | 👕 | 46 | wc | b | red blue green yellow purple pink white black orange gray |
dress | clothing | 👗 | 58 | wc | b | red blue green yellow purple pink |
jacket | clothing | 🧥 | 52 | wc | b | blue red green brown black |
scarf | clothing | 🧣 | 40 | tc | b | red blue green purple orange |
shoe | clothing | 👟 | 32 | g | bs | blue red green pink black |
hat | clothing | 👒 | 32 | tc | hbp | yellow pink blue white |
cap | clothing | 🧢 | 30 | tc | sbp | blue red green black yellow |
helmet | clothing | ⛑ | 32 | tc | s | red blue green yellow white |
sunglasses | accessory | 🕶 | 22 | tc | bhs | black red blue |
backpack | accessory | 🎒 | 44 | gt | bsp | red blue green purple |
purse | accessory | 👜 | 40 | tgh | bs | brown red black pink blue |
umbrella | accessory | ☂ open; 🌂 closed | 52 | gh | hsp | blue red purple green yellow black |
suitcase | accessory | 🧳 | 48 | g | bsl | blue red green brown |
man | person | draw:man; draw:old man old | 104 | g | * | |
woman | person | draw:woman; draw:old woman old | 100 | g | * | |
boy | person | draw:boy | 78 | g | * | |
girl | person | draw:girl | 76 | g | * | |
baby | person | draw:baby | 52 | g | lbkp | |
soccer ball | sports equipment | ⚽ | 32 | gh | pf | white |
basketball | sports equipment | 🏀 | 32 | gh | sp | orange |
tennis racket | sports equipment | 🎾 | 42 | gh | p | blue green |
skateboard | sports equipment | 🛹 | 32 | gr | s | black |
kite | toy | 🪁 | 46 | s | hpf | - |
balloon | toy | 🎈 | 44 | sh | psl | red blue green yellow purple pink |
teddy bear | toy | 🧸 | 40 | gth | bl | brown pink gray |
guitar | musical instrument | 🎸 | 54 | gh | lb | red blue green black |
trumpet | musical instrument | 🎺 | 38 | th | lp | yellow |
drum | musical instrument | 🥁 | 40 | g | lb | red blue green |
tree | plant | 🌳 | 112 | g | spf | green orange yellow red |
palm tree | plant | 🌴 | 116 | g | h | green |
pine tree | plant | 🌲 | 116 | g | fp | green |
sunflower | plant | 🌻 | 48 | gh | fp | yellow |
rose | plant | 🌹 | 42 | gh | pf | red pink yellow white |
potted plant | plant | 🪴 | 52 | gt | lbk | green |
house | building | 🏠 | 104 | g | sf | - |
tent | building | ⛺ | 72 | g | fph | orange blue green red |
traffic light | sign | 🚦 | 72 | g | s | black |
stop sign | sign | draw:stop sign | 74 | g | s | red |
book | reading material | 📕 closed; 📖 open | 34 | th | lb | red blue green brown purple |
newspaper | reading material | 📰 | 36 | th | ls | - |
"""


def _parse(line: str) -> ObjectClass:
    cells = [cell.strip() for cell in line.split("|")]
    name, category, looks, height, positions, places, colors, *rest = cells
    return ObjectClass(
        name=name,
        category=category,
        looks=tuple(_parse_look(look.strip(), name) for look in looks.split(";")),
        height=int(height),
        positions=frozenset(positions),
        places=PLACES if places == "*" else tuple(PLACE_LETTERS[letter] for letter in places),
        colors=() if colors == "-" else tuple(colors.split()),
        materials=tuple(rest[0].split()) if rest else (),
    )


def _parse_look(text: str, name: str) -> Look:
    if text.startswith("draw:"):
        drawing = text.removeprefix("draw:")
        kind, _, state = drawing.rpartition(" ")
        if state in {"old", "open"} and drawing != "old":
            return Look(f"draw:{kind}", (state,))
        return Look(text)
    glyph, *states = text.split()
    return Look(glyph, tuple(states))


@cache
def catalogue() -> Mapping[str, ObjectClass]:
    """Every class by name, in the order of the table."""
    rows = [_parse(line) for line in _TABLE.strip().splitlines()]
    return {row.name: row for row in rows}


def class_names() -> tuple[str, ...]:
    """The names of all classes, in the order of the table."""
    return tuple(catalogue())


def categories() -> tuple[str, ...]:
    """The categories, in the order of their first class."""
    return tuple(dict.fromkeys(row.category for row in catalogue().values()))
