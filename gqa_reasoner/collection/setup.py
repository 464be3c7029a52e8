"""From options and recorded settings to an index run, and to a collection open for questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectors.errors import InputError
from gqa_reasoner.collection.captions import read_captions
from gqa_reasoner.collection.database import read_settings
from gqa_reasoner.collection.models import (
    Captioner,
    PictureEncoder,
    open_captioner,
    open_encoder,
    open_reranker,
    spec_fingerprint,
)

if TYPE_CHECKING:
    from gqa_reasoner.collection.questions import Collection
    from gqa_reasoner.pipeline import Reasoner

__all__ = ["IndexPlan", "open_for_questions", "plan_index"]

INSIDE = ".gqa-reasoner"
"""The index's default name inside the folder of pictures."""


@dataclass(frozen=True)
class IndexPlan:
    """Which models make an index, with what tells them from others."""

    detector: str
    detector_fingerprint: str = ""
    encoder: PictureEncoder | None = None
    encoder_name: str | None = None
    captioner: Captioner | None = None
    captioner_name: str | None = None
    captions: Mapping[str, str] | None = None
    calibration: tuple[float, float] | None = None

    def settings(self, source: Path) -> dict[str, Any]:
        """What is kept with the index."""
        return {
            "detector": self.detector,
            "detector_fingerprint": self.detector_fingerprint or self.detector,
            "source": str(source.resolve()),
            "encoder": self.encoder_name,
            "encoder_fingerprint": getattr(self.encoder, "fingerprint", None),
            "captioner": self.captioner_name,
            "captioner_fingerprint": getattr(self.captioner, "fingerprint", None),
            "calibration": list(self.calibration) if self.calibration else None,
        }


def plan_index(
    target: Path,
    *,
    detector: str | None = None,
    encoder: Path | None = None,
    captioner: Path | None = None,
    captions: Path | None = None,
    calibration: Sequence[float] | None = None,
) -> IndexPlan:
    """Open what an index run needs; what is not given is taken from an index that exists.

    Raises:
        InputError: a model or file is missing or unusable, or the index is of another version.
    """
    known = read_settings(target) if (target / "settings.json").is_file() else {}
    spec = detector or known.get("detector") or "default"
    fingerprint = spec_fingerprint(spec)
    kept = known.get("encoder")
    if encoder is None and kept is not None and Path(kept).is_dir():
        encoder = Path(kept)
    kept = known.get("captioner")
    if captioner is None and kept is not None and Path(kept).is_dir():
        captioner = Path(kept)
    if calibration is None:
        calibration = known.get("calibration")
    return IndexPlan(
        spec,
        fingerprint,
        None if encoder is None else open_encoder(encoder),
        None if encoder is None else str(encoder.resolve()),
        None if captioner is None else open_captioner(captioner),
        None if captioner is None else str(captioner.resolve()),
        None if captions is None else read_captions(captions),
        None if calibration is None else (float(calibration[0]), float(calibration[1])),
    )


def open_for_questions(
    place: Path,
    *,
    detector: str | None = None,
    encoder: Path | None = None,
    reranker: Path | None = None,
    reasoner: Reasoner | None = None,
) -> Collection:
    """A collection with everything that answers questions, by an index or its folder of pictures.

    Raises:
        InputError: no index, or an encoder that is not the index's.
    """
    from gqa_reasoner.collection.questions import Collection
    from gqa_reasoner.pipeline import Reasoner

    folder = place / INSIDE if (place / INSIDE).is_dir() else place
    settings = read_settings(folder)
    if reasoner is None:
        spec = detector or str(settings.get("detector") or "default")
        reasoner = Reasoner.from_pretrained(detector_spec=spec)
    opened = _recorded_encoder(folder, settings, encoder)
    return Collection(
        folder,
        parser=reasoner.parser,
        ontology=reasoner.ontology,
        store=reasoner.store,
        encoder=opened,
        reranker=None if reranker is None else open_reranker(reranker),
        reasoner=reasoner,
    )


def _recorded_encoder(
    folder: Path, settings: Mapping[str, Any], given: Path | None
) -> PictureEncoder | None:
    """The encoder that the index was made with.

    Raises:
        InputError: the given one is another, or the recorded one was changed.
    """
    recorded = settings.get("encoder")
    if recorded is None:
        if given is not None:
            raise InputError(
                f"{folder}: has no picture vectors; index the folder with --encoder {given}"
            )
        return None
    path = given or Path(recorded)
    if not path.is_dir():
        return None
    found = open_encoder(path, images=False)
    if found.fingerprint != settings.get("encoder_fingerprint"):
        raise InputError(
            f"{path}: not the encoder that the index was made with (fingerprint "
            f"{found.fingerprint[:12]}, the index has "
            f"{str(settings.get('encoder_fingerprint'))[:12]}); index the folder again"
        )
    return found
