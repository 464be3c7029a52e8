"""What every detector offers: pictures in, scenes out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from detectors.scene import Scene

if TYPE_CHECKING:
    import PIL.Image

__all__ = ["Detector"]


@runtime_checkable
class Detector(Protocol):
    """Turns pictures into scenes."""

    def detect(
        self,
        images: Sequence[PIL.Image.Image | Path],
        image_ids: Sequence[str] | None = None,
    ) -> list[Scene]:
        """One scene per picture, in order.

        Args:
            images: pictures or paths of picture files.
            image_ids: ids of the scenes; default: the stem of the path, else the position.

        Raises:
            InputError: a picture cannot be read; the line names the file.
        """
        ...
