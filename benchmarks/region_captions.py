"""Do region captions speak of their region? On COCO boxes, how often a caption names the box.

For every box of 4 % to 40 % of its picture whose category the captioner has a word for: the
caption of the whole picture, of the region (cells inside the box), and of the cut-out picture. A
caption names the box if it has the category's word, its plural or a usual word for it (man, girl,
player … for person). Also counted: boxes whose category the whole picture's caption does not
name, where only looking at the box can help.

    python benchmarks/region_captions.py --model DIR --tower mobilenet:DIR --coco DIR
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from detectors.images import load_image
from gqa_reasoner.vlp.captioning.captioner import Captioner, CaptionSettings

PEOPLE = "person man woman boy girl child people men women boys girls children kid player lady guy"
WORDS = {
    "person": PEOPLE.split(),
    "motorcycle": ["motorcycle", "motorbike", "bike", "motorcyclist"],
    "bicycle": ["bicycle", "bike", "bicyclist", "cyclist", "biker"],
    "dog": ["dog", "dogs", "puppy"],
    "sports ball": ["ball", "soccer", "basketball", "football", "tennis"],
    "couch": ["couch", "sofa"],
    "tv": ["tv", "television", "screen"],
    "cell phone": ["phone", "cellphone"],
    "dining table": ["table"],
    "airplane": ["airplane", "plane"],
    "skis": ["skis", "ski", "skier", "skiing"],
    "surfboard": ["surfboard", "surfer", "surfing"],
    "skateboard": ["skateboard", "skateboarder", "skateboarding"],
    "snowboard": ["snowboard", "snowboarder", "snowboarding"],
}
PER_CATEGORY = 40


def names(category: str) -> set[str]:
    found = WORDS.get(category, [category.split()[-1]])
    return {word for name in found for word in (name, f"{name}s")}


def cases(folder: Path, known: set[str]) -> list[dict[str, Any]]:
    record = json.loads((folder / "instances.json").read_text(encoding="utf-8"))
    images = {image["id"]: image for image in record["images"]}
    categories = {item["id"]: item["name"] for item in record["categories"]}
    found: list[dict[str, Any]] = []
    counts: dict[str, int] = {}
    for item in record["annotations"]:
        image, name = images[item["image_id"]], categories[item["category_id"]]
        left, top, width, height = item["bbox"]
        share = width * height / (image["width"] * image["height"])
        if not 0.04 <= share <= 0.4 or not names(name) & known or item.get("iscrowd"):
            continue
        counts[name] = counts.get(name, 0) + 1
        if counts[name] <= PER_CATEGORY:
            box = (left, top, left + width, top + height)
            found.append({"file": image["file_name"], "name": name, "box": box})
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tower", required=True)
    parser.add_argument("--coco", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    captioner = Captioner.from_pretrained(arguments.model, tower=arguments.tower)
    settings = CaptionSettings(beams=3)
    found = cases(arguments.coco, set(captioner.pieces.pieces))
    by_file: dict[str, list[dict[str, Any]]] = {}
    for case in found:
        by_file.setdefault(case["file"], []).append(case)
    hits = {"whole picture": 0, "region": 0, "cut-out": 0}
    helped = {"region": 0, "cut-out": 0}
    unnamed = 0
    for file, some in by_file.items():
        image = load_image(arguments.coco / "images" / file)
        boxes = [case["box"] for case in some]
        whole, *cut = captioner.caption(
            [image, *(image.crop(tuple(map(round, box))) for box in boxes)], settings
        )
        regions = captioner.caption_regions(image, boxes, settings)
        for case, region, piece in zip(some, regions, cut, strict=True):
            wanted = names(case["name"])
            said = {
                "whole picture": bool(wanted & set(whole[0].words)),
                "region": bool(wanted & set(region[0].words)),
                "cut-out": bool(wanted & set(piece[0].words)),
            }
            for name, value in said.items():
                hits[name] += value
            if not said["whole picture"]:
                unnamed += 1
                for name in helped:
                    helped[name] += said[name]
    total = len(found)
    print(f"{total} boxes of {len({case['name'] for case in found})} categories")
    for name, count in hits.items():
        print(f"  {name:14} names the box's category {count / total:6.1%}")
    print(f"of the {unnamed} that the whole picture's caption does not name")
    for name, count in helped.items():
        print(f"  {name:14} {count / max(unnamed, 1):6.1%}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
