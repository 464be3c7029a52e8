"""The detector that knows: scenes looked up in a GQA scene-graph file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from detectors.errors import InputError
from detectors.scene import Scene

__all__ = ["OracleDetector"]


class OracleDetector:
    """Reads scenes from a scene-graph file by image id (a path's stem by default).

    Raises:
        InputError: the file is not a scene-graph file.
    """

    name = "oracle"

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.records = json.loads(self.path.read_text(encoding="utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise InputError(f"{path}: not a JSON scene-graph file ({error})") from None
        if not isinstance(self.records, dict):
            raise InputError(f"{path}: expected an object of scene graphs by image id")

    def detect(
        self,
        images: Sequence[Image.Image | str | Path],
        image_ids: Sequence[str] | None = None,
    ) -> list[Scene]:
        """The annotated scenes of `images`.

        Raises:
            InputError: a picture has no id, or no scene graph.
        """
        scenes = []
        for position, item in enumerate(images):
            if image_ids is not None:
                image_id = image_ids[position]
            elif isinstance(item, (str, Path)):
                image_id = Path(item).stem
            else:
                raise InputError(f"{self.path}: the oracle needs image ids for pictures in memory")
            if image_id not in self.records:
                raise InputError(f"{self.path}: no scene graph for image {image_id!r}")
            scenes.append(Scene.from_gqa(self.records[image_id], image_id, source=str(self.path)))
        return scenes
