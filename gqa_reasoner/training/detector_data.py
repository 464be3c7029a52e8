"""Scene graphs and pictures as batches for the detector.

Legend: N pictures, B pictures of a batch, M objects, A attributes, R predicates, H x W pixels.
Pictures are decoded once into one uint8 array on disk that is memory-mapped afterwards.
"""

from __future__ import annotations

import itertools
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from torch import Tensor
from tqdm import tqdm

from detectors.boxes import flip_boxes
from detectors.config import DetectorVocabulary
from detectors.errors import InputError
from detectors.faster_rcnn import Targets
from detectors.images import load_image
from detectors.scene import Scene
from gqa_reasoner.data.scene_graphs import iterate_scene_graphs
from gqa_reasoner.data.visual_genome import iterate_visual_genome, picture_sizes

__all__ = [
    "DetectorData",
    "PictureSet",
    "build_vocabulary",
    "find_image",
    "fit_into",
    "mirrored_name",
    "read_folder",
    "read_scenes",
]

NOT_STATED = "none"
"""Value of a picture's fact that its record leaves out."""
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


@dataclass(frozen=True)
class PictureSet:
    """Pictures with their scenes."""

    name: str
    """What the model card calls them."""
    folder: Path
    """Where the picture files are; see `find_image`."""
    scenes: list[Scene]


def read_folder(folder: Path, limit: int | None = None) -> PictureSet:
    """A folder of pictures with GQA's `sceneGraphs.json` or Visual Genome's `scene_graphs.json`.

    Raises:
        InputError: see `read_scenes` and `iterate_visual_genome`.
    """
    genome = folder / "scene_graphs.json"
    if not genome.is_file() or (folder / "sceneGraphs.json").is_file():
        return PictureSet(str(folder), folder, read_scenes(folder / "sceneGraphs.json", limit))
    listed = folder / "image_data.json"
    sizes = picture_sizes(listed) if listed.is_file() else {}

    def size_of(image_id: str) -> tuple[int, int]:
        return sizes.get(image_id) or load_image(find_image(folder, image_id)).size

    scenes = list(itertools.islice(iterate_visual_genome(genome, size_of), limit))
    if not scenes:
        raise InputError(f"{genome}: scene graphs: the list is empty")
    return PictureSet(str(folder), folder, scenes)


def read_scenes(path: Path, limit: int | None = None) -> list[Scene]:
    """Scenes of a GQA scene-graph file, in file order; dangling relations are left out.

    Raises:
        InputError: the file is missing or unreadable, or holds no scene.
    """
    if not path.is_file():
        raise InputError(f"{path}: scene graphs: no such file")
    scenes = list(itertools.islice(iterate_scene_graphs(path, on_problem="repair"), limit))
    if not scenes:
        raise InputError(f"{path}: scene graphs: expected image ids mapped to scene graphs")
    return scenes


def build_vocabulary(
    scenes: Iterable[Scene], *, minimum_count: int, facts: Sequence[str]
) -> DetectorVocabulary:
    """Names that occur at least `minimum_count` times, sorted, so that order never depends on
    the file.

    A fact that some pictures state and others do not gets the value "none" in addition.
    """
    classes: Counter[str] = Counter()
    attributes: Counter[str] = Counter()
    predicates: Counter[str] = Counter()
    values: dict[str, Counter[str]] = {fact: Counter() for fact in facts}
    pictures = 0
    for scene in scenes:
        pictures += 1
        classes.update(item.name for item in scene.objects)
        attributes.update(name for item in scene.objects for name in item.attributes)
        predicates.update(relation.predicate for relation in scene.relations)
        for fact in facts:
            if isinstance(scene.scene_attributes.get(fact), str):
                values[fact][scene.scene_attributes[fact]] += 1

    def frequent(counts: Counter[str]) -> tuple[str, ...]:
        return tuple(sorted(name for name, count in counts.items() if count >= minimum_count))

    stated = {}
    for fact, counts in values.items():
        names = frequent(counts)
        if names:
            stated[fact] = names + ((NOT_STATED,) if sum(counts.values()) < pictures else ())
    return DetectorVocabulary(frequent(classes), frequent(attributes), frequent(predicates), stated)


def find_image(folder: Path, image_id: str) -> Path:
    """The picture file of an image id in `folder`, its `images` or Visual Genome's two folders.

    Raises:
        InputError: there is none.
    """
    for parent in (folder / "images", folder, folder / "VG_100K", folder / "VG_100K_2"):
        for suffix in _SUFFIXES:
            path = parent / f"{image_id}{suffix}"
            if path.is_file():
                return path
    raise InputError(f"{folder}: image {image_id}: no picture file with this id")


def fit_into(picture: PIL.Image.Image, size: tuple[int, int]) -> tuple[np.ndarray, float]:
    """A picture scaled to fit `size` (height, width), top left, the rest black.

    Returns:
        (H, W, 3) uint8 and the scale factor that takes original pixels to these.
    """
    height, width = size
    scale = min(width / picture.width, height / picture.height)
    if scale != 1:
        fitted = (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1))
        picture = picture.resize(fitted, PIL.Image.Resampling.BILINEAR)
    frame = np.zeros((height, width, 3), dtype=np.uint8)
    pixels = np.asarray(picture)
    frame[: pixels.shape[0], : pixels.shape[1]] = pixels
    return frame, scale


def mirrored_name(name: str) -> str:
    """The name that holds in the mirrored picture: "left" and "right" change places."""
    swap = {"left": "right", "right": "left"}
    return " ".join(swap.get(word, word) for word in name.split(" "))


def _mirror(names: Sequence[str]) -> Tensor:
    """For every name the position of its mirrored name (its own if that is unknown)."""
    place = {name: position for position, name in enumerate(names)}
    rows = [place.get(mirrored_name(name), i) for i, name in enumerate(names)]
    return torch.tensor(rows, dtype=torch.int64)


@dataclass
class _Labels:
    """Encoded truth of one picture."""

    boxes: np.ndarray
    labels: np.ndarray
    attributes: np.ndarray
    relations: np.ndarray
    facts: dict[str, int]


class DetectorData:
    """Pictures and their encoded scene graphs.

    Args:
        folder: holds `sceneGraphs.json` and `images/`.
        scenes: its scene graphs.
        vocabulary: names to encode; objects of other classes are left out.
        size: height and width of the network's input.
        cache: folder for the decoded pixels.
    """

    def __init__(
        self,
        folder: Path,
        scenes: Sequence[Scene],
        vocabulary: DetectorVocabulary,
        size: tuple[int, int],
        cache: Path,
    ) -> None:
        self.size = size
        self.scenes = list(scenes)
        self.vocabulary = vocabulary
        self.pixels, scales = _cached_pixels(folder, self.scenes, size, cache)
        self._labels = [
            _encode(scene, vocabulary, scale)
            for scene, scale in zip(self.scenes, scales, strict=True)
        ]
        self._mirror_attribute = _mirror(vocabulary.attributes)
        self._mirror_predicate = _mirror(vocabulary.predicates)

    def __len__(self) -> int:
        return len(self.scenes)

    def batch(self, index: Sequence[int], flip: Sequence[bool]) -> tuple[Tensor, Targets]:
        """Pictures (B, 3, H, W) uint8 (channels last in memory) and their padded targets."""
        rows = [self._labels[i] for i in index]
        most = max([len(row.labels) for row in rows] + [1])
        count, names = len(rows), self.vocabulary
        boxes = torch.zeros(count, most, 4)
        labels = torch.zeros(count, most, dtype=torch.int64)
        mask = torch.zeros(count, most, dtype=torch.bool)
        attributes = torch.zeros(count, most, len(names.attributes))
        relations = torch.zeros(count, most, most, len(names.predicates))
        pictures = torch.from_numpy(np.stack([self.pixels[i] for i in index])).permute(0, 3, 1, 2)
        for place, (row, mirrored) in enumerate(zip(rows, flip, strict=True)):
            n = len(row.labels)
            own = torch.from_numpy(row.boxes)
            boxes[place, :n] = flip_boxes(own, self.size[1]) if mirrored else own
            labels[place, :n] = torch.from_numpy(row.labels)
            mask[place, :n] = True
            own = torch.from_numpy(row.attributes).float()
            attributes[place, :n] = own[:, self._mirror_attribute] if mirrored else own
            if len(row.relations):
                subject, predicate, target = torch.from_numpy(row.relations).unbind(1)
                if mirrored:
                    predicate = self._mirror_predicate[predicate]
                relations[place, subject, target, predicate] = 1.0
            if mirrored:
                pictures[place] = pictures[place].flip(-1)
        facts = {
            fact: torch.tensor([row.facts[fact] for row in rows]) for fact in names.scene_attributes
        }
        return pictures, Targets(boxes, labels, mask, attributes, relations, facts)


def _encode(scene: Scene, names: DetectorVocabulary, scale: float) -> _Labels:
    class_index = {name: i for i, name in enumerate(names.classes)}
    attribute_index = {name: i for i, name in enumerate(names.attributes)}
    predicate_index = {name: i for i, name in enumerate(names.predicates)}
    inside = {item.id: _clipped(item.box, scene) for item in scene.objects}
    known = [
        item
        for item in scene.objects
        if item.name in class_index
        and inside[item.id][2] > inside[item.id][0]
        and inside[item.id][3] > inside[item.id][1]
    ]
    place = {item.id: i for i, item in enumerate(known)}
    attributes = np.zeros((len(known), len(names.attributes)), dtype=bool)
    for row, item in enumerate(known):
        for name in item.attributes:
            if name in attribute_index:
                attributes[row, attribute_index[name]] = True
    relations = [
        (place[r.subject], predicate_index[r.predicate], place[r.object])
        for r in scene.relations
        if r.subject in place and r.object in place and r.predicate in predicate_index
    ]
    facts = {}
    for fact, values in names.scene_attributes.items():
        value = scene.scene_attributes.get(fact, NOT_STATED)
        facts[fact] = values.index(value) if value in values else -1
    return _Labels(
        np.array([inside[item.id] for item in known], dtype=np.float32).reshape(-1, 4) * scale,
        np.array([class_index[item.name] for item in known], dtype=np.int64),
        attributes,
        np.array(relations, dtype=np.int64).reshape(-1, 3),
        facts,
    )


def _clipped(box: Sequence[float], scene: Scene) -> list[float]:
    """A box cut at the picture's borders; one that lies outside becomes empty."""
    limit = (scene.width, scene.height) * 2
    return [
        min(max(float(value), 0.0), float(most)) for value, most in zip(box, limit, strict=True)
    ]


def _cached_pixels(
    folder: Path, scenes: Sequence[Scene], size: tuple[int, int], cache: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Decoded pictures (N, H, W, 3), memory-mapped, and their scale factors (N,)."""
    cache.mkdir(parents=True, exist_ok=True)
    pixel_file, note_file = cache / "pixels.npy", cache / "cache.json"
    note = {
        "folder": str(folder.resolve()),
        "size": list(size),
        "images": [scene.image_id for scene in scenes],
    }
    scales = np.array(
        [min(size[1] / max(scene.width, 1), size[0] / max(scene.height, 1)) for scene in scenes]
    )
    if note_file.is_file() and pixel_file.is_file() and json.loads(note_file.read_text()) == note:
        return np.load(pixel_file, mmap_mode="r"), scales
    note_file.unlink(missing_ok=True)
    temporary = cache / "pixels.partial.npy"
    array = np.lib.format.open_memmap(
        temporary, mode="w+", dtype=np.uint8, shape=(len(scenes), *size, 3)
    )
    for row, scene in enumerate(tqdm(scenes, desc="decode pictures", disable=None)):
        picture = load_image(find_image(folder, scene.image_id))
        if picture.size != (scene.width, scene.height):
            raise InputError(
                f"{folder}: image {scene.image_id}: the picture has {picture.width}x"
                f"{picture.height} pixels, its scene graph says {scene.width}x{scene.height}"
            )
        array[row], _ = fit_into(picture, size)
    array.flush()
    del array
    os.replace(temporary, pixel_file)  # noqa: PTH105
    note_file.write_text(json.dumps(note))
    return np.load(pixel_file, mmap_mode="r"), scales
