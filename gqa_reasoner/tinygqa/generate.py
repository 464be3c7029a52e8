"""Writes a TinyGQA data set: images/*.jpg and sceneGraphs.json in GQA's own form."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import PIL

from detectors.errors import InputError
from gqa_reasoner.tinygqa.glyphs import find_font
from gqa_reasoner.tinygqa.render import image_id, jpeg_bytes, plan_scene

__all__ = ["Generated", "generate"]


@dataclass(frozen=True)
class Generated:
    """What `generate` wrote: files and how many pictures were there already."""

    images: Path
    scene_graphs: Path
    drawn: int
    kept: int


def generate(
    directory: Path,
    images: int,
    seed: int,
    workers: int = 1,
    font: Path | None = None,
    progress: bool = True,
) -> Generated:
    """Draw pictures 0..`images`-1 of `seed` into `directory`.

    Picture k depends on (seed, k) and the font alone, so any number of workers writes the same
    bytes. Pictures appear whole or not at all, so those that an interrupted run left are kept,
    unless code, font or libraries have changed since; the graph is always written anew.

    Raises:
        InputError: the font is missing, or a number is out of range.
    """
    from tqdm import tqdm

    if images < 1 or workers < 1 or seed < 0:
        raise InputError(
            f"tinygqa: images {images}, workers {workers}, seed {seed}: expected at least 1, 1, 0"
        )
    path = find_font(font)
    folder = Path(directory) / "images"
    folder.mkdir(parents=True, exist_ok=True)
    trusted = _same_recipe(Path(directory) / "tinygqa.json", path)
    jobs = ((folder, seed, index, path, trusted) for index in range(images))
    results = _run(jobs, workers)
    target = Path(directory) / "sceneGraphs.json"
    partial = target.with_suffix(f".json.{os.getpid()}.partial")
    kept = 0
    with partial.open("w", encoding="utf-8") as stream:
        stream.write("{")
        for index, (record, was_there) in enumerate(
            tqdm(results, total=images, desc="pictures", disable=None if progress else True)
        ):
            kept += was_there
            comma = "," if index else ""
            stream.write(f"{comma}\n{json.dumps(image_id(seed, index))}: ")
            stream.write(json.dumps(record, separators=(", ", ": ")))
        stream.write("\n}\n")
    partial.replace(target)
    return Generated(folder, target, images - kept, kept)


def _same_recipe(manifest: Path, font: Path) -> bool:
    """Whether the folder's pictures come from this code and font; notes these for the next run."""
    digest = hashlib.sha256(font.read_bytes())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    digest.update(f"{PIL.__version__} {numpy.__version__}".encode())
    recipe = json.dumps({"recipe": digest.hexdigest()}) + "\n"
    if manifest.is_file() and manifest.read_text(encoding="utf-8") == recipe:
        return True
    manifest.write_text(recipe, encoding="utf-8")
    return False


_Job = tuple[Path, int, int, Path, bool]


def _run(jobs: Iterator[_Job], workers: int) -> Iterator[tuple[dict[str, Any], bool]]:
    if workers == 1:
        yield from map(_draw, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(_draw, jobs, chunksize=16)


def _draw(job: _Job) -> tuple[dict[str, Any], bool]:
    folder, seed, index, font, trusted = job
    plan = plan_scene(seed, index, font)
    path = folder / f"{plan.scene.image_id}.jpg"
    kept = trusted and path.is_file()
    if not kept:
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_bytes(jpeg_bytes(seed, index, plan.paint()))
        partial.replace(path)
    return plan.scene.to_gqa(), kept
