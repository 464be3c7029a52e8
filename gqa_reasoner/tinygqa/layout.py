"""Which objects a picture shows and where: singles, laden furniture, people with their things."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np

from gqa_reasoner.tinygqa.backgrounds import HEIGHT, INDOORS, WIDTH, Background
from gqa_reasoner.tinygqa.catalogue import catalogue
from gqa_reasoner.tinygqa.frequencies import FREQUENCY_CORRECTIONS
from gqa_reasoner.tinygqa.items import Item, choose_ratio, make_item, make_person
from gqa_reasoner.tinygqa.sprites import SpriteLibrary, Style
from gqa_reasoner.tinygqa.stage import LEAST_VISIBLE, Group, Stage

__all__ = ["compose"]

_AWAY = 0.16
"""Chance of a class outside its usual places, relative to one at home."""
_SURFACES = {
    "table": (0.09, 0.91),
    "shelf": (0.08, 0.92),
    "bench": (0.12, 0.88),
    "couch": (0.16, 0.84),
    "bed": (0.3, 0.85),
}
"""Left and right end of what bears objects, as shares of the width."""
_LEVELS = {
    "table": (0.17,),
    "shelf": (0.345, 0.66),
    "bench": (0.6,),
    "couch": (0.6,),
    "bed": (0.5,),
}
"""Heights on which objects stand, as shares of the height."""
_SEATS = {"chair": 0.56, "bench": 0.56, "couch": 0.52, "bed": 0.46}
_BACKS = {"horse": 0.42, "elephant": 0.2, "bicycle": 0.3, "motorcycle": 0.36, "skateboard": 0.3}
_LEAST_CONTRAST = 75.0
"""Least mean difference from the background, summed over red, green and blue (0 to 765)."""
_LIFTED = frozenset({"umbrella", "balloon", "sunflower", "rose", "axe"})
"""Held at their lower end."""
_KINDS = {
    "indoors": {"laden": 0.32, "person": 0.23, "single": 0.29, "wall": 0.16},
    "outdoors": {"laden": 0.15, "person": 0.25, "single": 0.50, "sky": 0.10},
    "beach": {"laden": 0.14, "person": 0.25, "single": 0.37, "sky": 0.10, "water": 0.14},
    "ocean": {"water": 0.74, "sky": 0.26},
}


@cache
def _having(position: str) -> tuple[str, ...]:
    return tuple(name for name, row in catalogue().items() if position in row.positions)


class Composer:
    """Fills a stage for one background; every choice comes from `rng`."""

    def __init__(
        self, rng: np.random.Generator, library: SpriteLibrary, background: Background
    ) -> None:
        self.rng = rng
        self.library = library
        self.background = background
        self.stage = Stage()
        self.used: list[tuple[str, Style]] = []

    def pick(self, names: Iterable[str]) -> str:
        """A class, more often one at home here, and one that is in the picture already."""
        options = list(names)
        present = {name for name, _ in self.used}
        weights = np.array([self._weight(name, name in present) for name in options])
        return str(self.rng.choice(options, p=weights / weights.sum()))

    def _weight(self, name: str, present: bool) -> float:
        row = catalogue()[name]
        home = self.background.place in row.places
        spread = 1.0 / len(row.places) ** 0.5
        return (
            (spread if home else _AWAY)
            * (4.0 if present else 1.0)
            * FREQUENCY_CORRECTIONS.get(name, 1.0)
        )

    def style(self, name: str) -> Style:
        """A style of the class, a new one where the class is in the picture already."""
        styles = list(self.library.styles(name))
        fresh = [style for style in styles if (name, style) not in self.used] or styles
        looks = sorted({style.look for style in fresh})
        look = looks[int(self.rng.integers(len(looks)))]
        fresh = [style for style in fresh if style.look == look]
        return fresh[int(self.rng.integers(len(fresh)))]

    def item(
        self, name: str, depth: float, *, turn: float = 0.0, limit: float = 9.0, least: float = 0.0
    ) -> Item:
        """A drawn object at depth 0 (far) to 1 (near); its ratio stays between two bounds."""
        style = self.style(name)
        ratio = max(choose_ratio(self.rng, name, depth), least)
        if ratio > limit:
            ratio = min(max(limit, 0.85), 1.0)
        return make_item(self.rng, self.library, name, style, ratio, turn)

    def compose(self, target: int) -> Stage:
        """Add groups until about `target` objects stand."""
        place = self.background.place
        table = _KINDS["indoors" if place in INDOORS else place if place in _KINDS else "outdoors"]
        kinds, shares = list(table), np.array(list(table.values()))
        for _ in range(30):
            missing = target - self.stage.count()
            if missing <= 0:
                break
            kind = str(self.rng.choice(kinds, p=shares / shares.sum()))
            if kind == "person" and missing < 2:
                continue
            self._add(kind, missing)
        return self.stage

    def _add(self, kind: str, missing: int) -> None:
        group = getattr(self, f"_{kind}")(missing)
        for attempt in range(9):
            self._place(group, kind)
            least = 0.85 if attempt < 4 else LEAST_VISIBLE
            if not self._stands_out(group.items[0]) or self._seems_to_bear(group):
                continue
            if self.stage.try_add(group, least):
                self.used.extend((item.name, item.style) for item in group.items)
                return

    def _stands_out(self, item: Item) -> bool:
        """Whether an item differs from the background around it in lightness or colour."""
        box = (item.left, item.top, item.left + item.width, item.top + item.height)
        around = np.asarray(self.background.image.crop(box).resize((8, 8)), dtype=np.float32)
        pixels = np.asarray(item.image.convert("RGB").resize((24, 24)), dtype=np.float32)
        weights = np.asarray(item.image.getchannel("A").resize((24, 24)), dtype=np.float32)
        difference = np.abs(pixels - around.reshape(-1, 3).mean(axis=0)).sum(axis=2)
        return float((difference * weights).sum() / weights.sum()) > _LEAST_CONTRAST

    def _seems_to_bear(self, group: Group) -> bool:
        """Whether a group's feet would end right on the top of furniture in front of it."""
        for other in self.stage.groups:
            back, front = sorted((group, other), key=lambda each: each.ground)
            if back.behind:
                continue
            support, foot = front.items[0], back.items[0]
            low = foot.top + foot.height
            shared = min(foot.left + foot.width, support.left + support.width) - max(
                foot.left, support.left
            )
            for share in _LEVELS.get(support.name, ()):
                level = support.top + share * support.height
                if level - 12 <= low <= level + 16 and shared > 0.3 * foot.width:
                    return True
        return False

    def _place(self, group: Group, kind: str) -> None:
        """Move a group to a random position that suits its kind."""
        left, top, right, bottom = group.box()
        x = int(self.rng.integers(2, max(WIDTH - (right - left) - 1, 3)))
        floor = self.background.floor
        if kind == "wall":
            y = int(self.rng.integers(6, max(floor - (bottom - top) - 4, 7)))
            if group.items[0].name == "door":
                y = floor - (bottom - top) + 2
        elif kind == "sky":
            y = int(self.rng.integers(3, max(floor - (bottom - top) + 8, 4)))
        elif kind == "water":
            first, last = self.background.water or (floor, HEIGHT)
            tall = bottom - top
            low = max(first + (tall + 2 if tall < 50 else 6), tall + 2)
            base = int(self.rng.integers(low, max(last - 2, low + 1)))
            y, group.ground = base - (bottom - top), base
        else:
            group.ground = max(group.ground, bottom - top + 2.0)
            y = round(group.ground) - (bottom - top)
        group.move(x - left, y - top)

    def _depth(self, height: float) -> tuple[float, float]:
        """A depth 0..1 and its ground y: tall things stand farther away."""
        water = self.background.water
        start = (water[1] + 10) if water else self.background.floor + 10
        bias = (1.0, 1.9) if height > 85 else (1.8, 1.1) if height < 45 else (1.3, 1.2)
        depth = float(self.rng.beta(*bias))
        ground = start + (HEIGHT - 5 - start) * depth
        return depth, max(ground, height * 0.95 + 4)

    def _single(self, missing: int) -> Group:
        name = self.pick(name for name in _having("g") if catalogue()[name].category != "person")
        height = catalogue()[name].height
        depth, ground = self._depth(height)
        return Group([self.item(name, depth, turn=8 if height < 45 else 0)], ground)

    def _wall(self, missing: int) -> Group:
        item = self.item(self.pick(_having("w")), 0.4)
        item.place = "wall"
        return Group([item], 0.0, behind=True)

    def _sky(self, missing: int) -> Group:
        item = self.item(self.pick(_having("s")), 0.4, turn=12)
        item.place = "sky"
        return Group([item], 0.0, behind=True)

    def _water(self, missing: int) -> Group:
        item = self.item(self.pick(_having("o")), 0.2, turn=4)
        item.place = "water"
        return Group([item], 0.0)

    def _laden(self, missing: int) -> Group:
        """A table, shelf, bench, couch or bed with objects on it."""
        name = self.pick(_having("u"))
        depth, ground = self._depth(catalogue()[name].height)
        support = self.item(name, depth, least=0.98 if name == "shelf" else 0.0)
        most = min(missing - 1, 4 if name in ("table", "shelf") else 2)
        count = int(self.rng.integers(1, most + 1)) if most > 0 else 0
        if name in ("table", "shelf"):
            count = max(count, min(most, 2))
        items = [support]
        levels = [round(share * support.height) for share in _LEVELS[name]]
        gap = levels[0] - 6 if name == "shelf" else 999
        ends = {level: _SURFACES[name][0] * support.width + 2 for level in levels}
        for _ in range(count):
            load = self._load(depth, gap)
            level = min(levels, key=lambda value: ends[value])
            slack = _SURFACES[name][1] * support.width - ends[level] - load.width
            if slack < 0:
                continue
            load.left = round(ends[level] + float(self.rng.uniform(0, min(slack, 16))))
            load.top = level - load.height + round(self.rng.uniform(0, 3))
            load.place = "surface"
            ends[level] = load.left + load.width - 2
            load.links.append(("on", support))
            items.append(load)
        return Group(items, ground)

    def _load(self, depth: float, gap: float) -> Item:
        names = [name for name in _having("t") if catalogue()[name].height * 0.9 <= gap]
        name = self.pick(names)
        return self.item(name, depth, limit=gap / catalogue()[name].height)

    def _person(self, missing: int) -> Group:
        """A person who may hold, wear, ride or sit on something."""
        name = self.pick(name for name, row in catalogue().items() if row.category == "person")
        depth, ground = self._depth(catalogue()[name].height)
        mount = self._mount(name, missing, depth)
        extras = self._extras(missing - (3 if mount else 2))
        spare = missing - 2 - len(extras) - (mount is not None)
        holding = spare > 0 and self.rng.random() < 0.6
        poses = ["standing", "standing", "walking", "running", "resting"]
        pose = str(self.rng.choice(poses if name != "baby" else ["resting", "standing"]))
        if mount is not None:
            pose = "standing" if mount.name == "skateboard" else "sitting"
        ratio = choose_ratio(self.rng, name, depth)
        if mount is not None:
            ratio = float(np.clip(ratio, 0.85, 1.05))
        person = make_person(
            self.rng, self.library, name, ratio, pose=pose, holding=holding, extras=extras
        )
        if mount is not None and mount.place == "ridden":
            drop = {"sitting", "standing", "sleeping"}
            person.attributes = tuple(word for word in person.attributes if word not in drop)
        items = self._seated(person, mount) if mount is not None else [person]
        if holding:
            items.append(self._held(person, depth))
        return Group(items, ground)

    def _mount(self, name: str, missing: int, depth: float) -> Item | None:
        if name == "baby" or missing < 3:
            return None
        outdoors = self.background.place not in INDOORS
        if outdoors and self.rng.random() < 0.2:
            mount = self.item(self.pick(_BACKS), depth, limit=1.2)
            mount.place = "ridden"
            return mount
        if self.rng.random() < (0.14 if outdoors else 0.3):
            mount = self.item(self.pick(_SEATS), depth, limit=1.2)
            mount.place = "seat"
            return mount
        return None

    def _seated(self, person: Item, mount: Item) -> list[Item]:
        share = (_SEATS if mount.place == "seat" else _BACKS)[mount.name]
        wide = mount.place == "seat" and mount.name != "chair"
        side = -1 if person.mirrored else 1
        x = mount.width * (float(self.rng.uniform(0.3, 0.7)) if wide else 0.5 + 0.12 * side)
        if mount.name == "skateboard":
            person.top = round(mount.height * share) - person.height
            person.left = round(x - person.width / 2)
        else:
            person.top = round(mount.height * share - person.hip[1] - 2)
            person.left = round(x - person.hip[0])
        person.links.append(("riding" if mount.place == "ridden" else "sitting on", mount))
        return [mount, person]

    def _extras(self, spare: int) -> list[str]:
        """What a person wears besides the clothes on the body: at most one on the head."""
        extras: list[str] = []
        if spare > 0 and self.rng.random() < 0.14:
            extras.append("scarf")
        if len(extras) < spare and self.rng.random() < 0.22:
            extras.append("sunglasses")
        if len(extras) < spare and self.rng.random() < 0.38:
            extras.append(self.pick(["hat", "cap", "helmet"]))
        return extras

    def _held(self, person: Item, depth: float) -> Item:
        held = self.item(self.pick(_having("h")), depth, turn=10, limit=1.2)
        held.place = "held"
        x = person.left + person.hand[0]
        y = person.top + person.hand[1]
        side = -1 if person.mirrored else 1
        low = held.name in _LIFTED
        held.left = round(x - held.width / 2 + (0 if low else side * held.width * 0.22))
        held.top = round(y - held.height * (0.9 if low else 0.62))
        person.links.append(("holding", held))
        return held


def compose(rng: np.random.Generator, library: SpriteLibrary, background: Background) -> Stage:
    """A stage with about 6 to 12 objects for `background`."""
    return Composer(rng, library, background).compose(int(rng.integers(6, 13)))
