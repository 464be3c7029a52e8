"""Questions about the whole picture: place, weather, indoors or outdoors."""

from __future__ import annotations

from gqa_reasoner.questions.bench import Bench
from gqa_reasoner.questions.draft import Draft, Fact, chain
from gqa_reasoner.questions.english import article
from gqa_reasoner.questions.statistics import SCENE_KEYS, scene_values

__all__ = ["ask_scene", "choose_scene", "verify_scene"]

_ROOMS = frozenset(("kitchen", "bathroom", "office", "bedroom", "living room", "dining room"))
_NEVER_BOTH = frozenset(("indoors", "outdoors"))


def _fact(bench: Bench, asked: tuple[str, ...]) -> tuple[str, str] | None:
    """A fact of the picture as (key, value)."""
    found = [
        (key, value)
        for key in SCENE_KEYS
        for value in scene_values(bench.view, key)
        if key in asked
    ]
    return bench.rng.choice(found) if found else None


def _placed(value: str) -> str:
    """A place with its article: "a kitchen", "the ocean"."""
    if value in ("ocean", "sky", "sea"):
        return f"the {value}"
    return f"{article(value)} {value}"


def _full(key: str, value: str) -> str:
    return f"It is {value if key in ('weather', 'location') else _placed(value)}."


def _wrong(bench: Bench, key: str, value: str) -> str | None:
    if key == "location":
        return "outdoors" if value == "indoors" else "indoors"
    table = bench.statistics.scene_values.get(key)
    avoid = {item for other in SCENE_KEYS for item in scene_values(bench.view, other)}
    if table is None:
        return None
    return bench.statistics.draw(table, ("scene", key), bench.rng, avoid)


def _draft(
    bench: Bench, key: str, value: str, question: str, step: tuple[str, str], answer: str,
    full: str, structural: str, detailed: str, local: str, valid: tuple[str, ...] = (),
) -> Draft:  # fmt: skip
    fact: Fact = ("scene", key, value)
    scope = ("scene", key) if structural == "query" else ("fixed",)
    return Draft(
        question=question,
        steps=chain([("select", "scene"), step]),
        answer=answer,
        full_answer=full,
        structural=structural,
        semantic="global",
        detailed=detailed,
        global_group=key if structural != "verify" else None,
        local_group=local,
        needs=frozenset((fact,)),
        reveals=frozenset((fact,)) if answer != "no" else frozenset(),
        valid=valid,
        scope=("alternatives",) if structural == "choose" else scope,
        pattern=bench.used,
    )


def ask_scene(bench: Bench) -> Draft | None:
    """ "How is the weather?", "What place is this?", "Which room is it?"."""
    found = _fact(bench, ("weather", "place", "room"))
    if found is None:
        return None
    key, value = found
    if not bench.strict and key == "place" and value in _ROOMS and bench.rng.random() < 0.5:
        key = "room"
    question = bench.word(key, {"inpic": bench.slots_picture(0.0), "pic": bench.slots_picture()})
    detailed = "weather" if key == "weather" else "place"
    return _draft(
        bench, key, value, question, ("query", key), value, _full(key, value), "query", detailed,
        f"02q-{key}",
    )  # fmt: skip


def verify_scene(bench: Bench) -> Draft | None:
    """ "Is it cloudy?", "Is this photo showing a park?"."""
    found = _fact(bench, ("weather", "place", "location"))
    if found is None:
        return None
    key, value = found
    yes = bench.rng.random() < 0.5
    asked = value if yes else _wrong(bench, key, value)
    if asked is None:
        return None
    slots = {"value": asked, "avalue": _placed(asked), "pic": bench.slots_picture()}
    question = bench.word(f"{key}Verify", slots)
    full = _full(key, value)
    full = f"{'Yes' if yes else 'No'}, {full[0].lower()}{full[1:]}"
    return _draft(
        bench, key, value, question, (f"verify {key}", asked), "yes" if yes else "no", full,
        "verify", f"{key}Verify{'' if yes else 'C'}", f"01-{key}_{asked}",
    )  # fmt: skip


def choose_scene(bench: Bench) -> Draft | None:
    """ "Is it indoors or outdoors?"."""
    found = _fact(bench, ("weather", "place", "location"))
    if found is None:
        return None
    key, value = found
    other = _wrong(bench, key, value)
    if other is None:
        return None
    a, b = (value, other) if bench.rng.random() < 0.5 else (other, value)
    slots = {
        "a": a, "b": b, "aa": _placed(a), "ab": _placed(b),
        "pic": bench.slots_picture(), "inpic": bench.slots_picture(0.0),
    }  # fmt: skip
    question = bench.word(f"{key}Choose", slots)
    return _draft(
        bench, key, value, question, (f"choose {key}", f"{value}|{other}"), value,
        _full(key, value), "choose", f"{key}Choose", f"02c-{key}", (value, other),
    )  # fmt: skip
