"""From an index to a service: checks that the models are those that the index was made with."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from detectors.errors import InputError
from gqa_reasoner.collection.database import read_settings
from gqa_reasoner.collection.models import open_captioner, spec_fingerprint
from gqa_reasoner.collection.setup import open_for_questions
from gqa_reasoner.web.finding import SharedReasoner
from gqa_reasoner.web.library import Library
from gqa_reasoner.web.service import Service, ServiceOptions

if TYPE_CHECKING:
    from gqa_reasoner.pipeline import Reasoner

__all__ = ["index_folder_of", "open_service"]

INSIDE = ".gqa-reasoner"


def index_folder_of(place: Path) -> Path:
    """The index in or at a folder."""
    return place / INSIDE if (place / INSIDE).is_dir() else place


def open_service(
    place: Path,
    reasoner: Reasoner,
    options: ServiceOptions | None = None,
    *,
    encoder: Path | None = None,
    reranker: Path | None = None,
) -> Service:
    """A service over an index, or over the folder that was indexed; its parts are loaded.

    Raises:
        InputError: no index there, of another version, locked, or made with other models.
    """
    folder = index_folder_of(Path(place))
    settings = read_settings(folder)
    _check_detector(folder, settings, reasoner)
    options = options or ServiceOptions()
    recorded = settings.get("captioner")
    if options.captioner is None and recorded and Path(recorded).is_dir():
        options = replace(options, captioner=open_captioner(recorded))
    lock = threading.Lock()
    collection = open_for_questions(folder, encoder=encoder, reranker=reranker, reasoner=reasoner)
    collection.reasoner = cast("Reasoner", SharedReasoner(reasoner, lock))
    service = Service(Library(collection), reasoner, options, lock=lock)
    if service.options.expansion not in service.modes:
        raise InputError(f"--expansion {service.options.expansion} needs --coclick-log")
    service.warm_up()
    return service


def _check_detector(folder: Path, settings: dict[str, object], reasoner: Reasoner) -> None:
    spec, known = reasoner.detector_spec, settings.get("detector")
    if known != spec:
        raise InputError(
            f"{folder}: indexed with the detector {known!r}, now {spec!r}; leave --detector out "
            "or index again"
        )
    weights = f"default:{reasoner.weights / 'detector'}" if spec == "default" else spec
    if settings.get("detector_fingerprint") not in (None, spec, spec_fingerprint(weights)):
        raise InputError(
            f"{folder}: indexed with other weights of the detector {spec!r}; index the pictures "
            "again, or give the --weights that it was made with"
        )
