"""Small hand-made scenes for the tests."""

from __future__ import annotations

from detectors.scene import Relation, Scene, SceneObject


def thing(identity: str, name: str, x: float, y: float, *attributes: str) -> SceneObject:
    return SceneObject(identity, name, 1.0, (x, y, x + 40, y + 40), dict.fromkeys(attributes, 1.0))


def room(image_id: str = "r1", color: str = "brown") -> Scene:
    """A man with a hat holds a cup; an apple on a table; a dog in front of the couch."""
    objects = [
        thing("1", "man", 10, 60, "old", "standing", "happy"),
        thing("2", "hat", 10, 20, "red", "small"),
        thing("3", "table", 120, 120, color, "wood", "large"),
        thing("4", "apple", 120, 80, "green", "small"),
        thing("5", "dog", 250, 150, "black", "sitting"),
        thing("6", "couch", 255, 110, "blue", "large"),
        thing("7", "cup", 30, 90, "white", "small"),
    ]
    relations = [
        Relation("1", "wearing", "2"),
        Relation("1", "holding", "7"),
        Relation("4", "on", "3"),
        Relation("5", "in front of", "6"),
        Relation("6", "behind", "5"),
        Relation("1", "to the left of", "3"),
        Relation("3", "to the right of", "1"),
        Relation("3", "to the left of", "6"),
        Relation("6", "to the right of", "3"),
    ]
    return Scene(
        image_id, 320, 240, objects, relations, {"location": "indoors", "place": "living room"}
    )


def street(image_id: str = "s1") -> Scene:
    """Two cars, two girls and a horse by a tree."""
    objects = [
        thing("1", "car", 10, 150, "red", "large"),
        thing("2", "car", 100, 150, "blue", "small"),
        thing("3", "girl", 160, 140, "standing", "sad"),
        thing("4", "girl", 270, 140, "running", "happy"),
        thing("5", "horse", 200, 60, "brown", "large"),
        thing("6", "tree", 280, 20, "green", "large"),
        thing("7", "bench", 20, 30, "green", "wood"),
    ]
    relations = [
        Relation("1", "to the left of", "2"),
        Relation("2", "to the right of", "1"),
        Relation("2", "to the left of", "3"),
        Relation("3", "to the right of", "2"),
        Relation("4", "riding", "5"),
        Relation("5", "near", "6"),
        Relation("3", "to the left of", "4"),
        Relation("4", "to the right of", "3"),
    ]
    return Scene(
        image_id, 320, 240, objects, relations, {"location": "outdoors", "weather": "sunny"}
    )


def corpus(count: int = 12) -> list[Scene]:
    """Rooms and streets by turns, with varying table colors."""
    colors = ("brown", "white", "black", "red")
    return [
        room(f"r{number}", colors[number % 4]) if number % 2 else street(f"s{number}")
        for number in range(count)
    ]
