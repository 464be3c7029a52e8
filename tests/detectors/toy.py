"""A toy world of coloured squares and discs with GQA scene graphs, drawn in the test's folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw

from detectors.config import DetectorConfig, DetectorVocabulary

COLOURS = {"red": (220, 40, 40), "blue": (40, 60, 220)}
TINY = {
    "image_size": (64, 96),
    "stem_channels": 8,
    "stage_channels": (8, 8, 16, 16),
    "stage_blocks": (1, 1, 1, 1),
    "pyramid_channels": 16,
    "feature_size": 32,
    "class_embedding_size": 8,
    "relation_size": 16,
}


def tiny_config(**changes: object) -> DetectorConfig:
    names = DetectorVocabulary(
        ("ball", "box"),
        ("blue", "red"),
        ("to the left of", "to the right of"),
        {"location": ("indoors", "outdoors", "none")},
    )
    return DetectorConfig(**{**TINY, "vocabulary": names, **changes})  # type: ignore[arg-type]


def draw_world(folder: Path, count: int, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    graphs = {}
    for number in range(count):
        picture = PIL.Image.new("RGB", (96, 64), (230, 230, 220))
        pen = PIL.ImageDraw.Draw(picture)
        objects = {}
        for slot in range(2):
            side = int(rng.integers(16, 28))
            x = int(rng.integers(0, 48 - side)) + 48 * slot
            y = int(rng.integers(0, 64 - side))
            colour = str(rng.choice(sorted(COLOURS)))
            name = str(rng.choice(["ball", "box"]))
            shape = pen.ellipse if name == "ball" else pen.rectangle
            shape((x, y, x + side, y + side), fill=COLOURS[colour])
            other = str(1 - slot)
            predicate = "to the right of" if slot else "to the left of"
            objects[str(slot)] = {
                "name": name,
                "x": x,
                "y": y,
                "w": side,
                "h": side,
                "attributes": [colour],
                "relations": [{"name": predicate, "object": other}],
            }
        picture.save(folder / "images" / f"{number}.png")
        graphs[str(number)] = {"width": 96, "height": 64, "location": "indoors", "objects": objects}
    (folder / "sceneGraphs.json").write_text(json.dumps(graphs))
    return folder
