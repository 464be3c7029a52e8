"""Scenes by image id, from pictures, stored scenes or scene graphs, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from detectors.errors import InputError

if TYPE_CHECKING:
    from detectors.scene import Scene
    from gqa_reasoner.pipeline import Reasoner

__all__ = ["SceneSource"]

KEPT = 512
"""Detected scenes that are kept in memory."""


class SceneSource(Mapping[str, "Scene"]):
    """Scenes of a folder of pictures, detected when first asked for; or known ones.

    Args:
        images: folder of pictures, named by image id.
        graphs: file of annotated scene graphs.
        stored: folder of `.npz` scenes; together with `images`, detected scenes are added to it,
            one file a picture.

    Raises:
        InputError: a folder or file is missing or unreadable.
    """

    def __init__(
        self,
        reasoner: Reasoner,
        *,
        images: Path | None = None,
        graphs: Path | None = None,
        stored: Path | None = None,
    ) -> None:
        from gqa_reasoner.data.scene_graphs import read_scene_graphs

        self.reasoner, self.stored = reasoner, stored if images is not None else None
        self.detected: dict[str, Scene] = {}
        self.files = _pictures(images) if images is not None else {}
        self.known: dict[str, Scene] = read_scene_graphs(graphs) if graphs is not None else {}
        if stored is not None:
            self.known.update(_stored(stored, required=images is None))

    def __getitem__(self, image_id: str) -> Scene:
        if image_id in self.known:
            return self.known[image_id]
        if image_id not in self.detected:
            path = self.files[image_id]
            if len(self.detected) >= KEPT:
                self.detected.pop(next(iter(self.detected)))
            scene = self.reasoner.detect(path, image_id=image_id)
            if self.stored is not None:
                from gqa_reasoner.training.scene_cache import write_scene_shard

                write_scene_shard(self.stored / f"{image_id}.npz", [scene])
            self.detected[image_id] = scene
        return self.detected[image_id]

    def __contains__(self, image_id: object) -> bool:
        return image_id in self.known or image_id in self.files

    def __iter__(self) -> Iterator[str]:
        yield from self.known
        yield from (image_id for image_id in self.files if image_id not in self.known)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _pictures(folder: Path) -> dict[str, Path]:
    from detectors.extraction import PICTURE_SUFFIXES

    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of pictures")
    return {
        item.stem: item
        for item in sorted(folder.iterdir())
        if item.suffix.lower() in PICTURE_SUFFIXES
    }


def _stored(folder: Path, *, required: bool) -> dict[str, Scene]:
    from gqa_reasoner.training.scene_cache import read_scene_shard

    files = sorted(folder.glob("*.npz")) if folder.is_dir() else []
    if required and not files:
        raise InputError(f"{folder}: no stored scenes (*.npz); predict --images with --scenes")
    return {scene.image_id: scene for path in files for scene in read_scene_shard(path)}
