"""Parts of an extraction on a Ray cluster (optional extra `ray`).

The same function as everywhere, `extraction_parts.make_part`, runs in a pool of actors of Ray Data;
the parts come back to this process, which writes them, so workers need to reach the pictures but
not the target.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from detectors.errors import InputError
from detectors.extraction_parts import Parts, make_part, single_threaded
from detectors.picture_lists import PictureReference
from detectors.protocol import Detector

__all__ = ["make_on_ray"]


class _PartMaker:
    """One actor: a detector that makes the parts it is given."""

    def __init__(self, create_detector: Callable[[], Detector]) -> None:
        self.detector = single_threaded(create_detector)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        pictures = [PictureReference(**item) for item in json.loads(row["pictures"])]
        try:
            return {"part": row["part"], "data": make_part(pictures, self.detector), "error": ""}
        except InputError as error:
            return {"part": row["part"], "data": b"", "error": str(error)}


def make_on_ray(
    parts: Parts,
    create_detector: Callable[[], Detector],
    workers: int,
    *,
    address: str | None = None,
) -> Iterator[tuple[int, bytes]]:
    """Make the parts on a Ray cluster, as they get done.

    Args:
        parts: what to do.
        create_detector: makes each actor's detector; must be picklable.
        workers: actors, one processor each.
        address: of a running cluster (`ray start`); None starts one on this machine with
            `workers` processors. A cluster that this process is connected to is used as it is.

    Raises:
        InputError: Ray is not installed, or no cluster answers at `address`.
    """
    try:
        import ray
        import ray.data
    except ImportError:
        raise InputError("--engine ray: needs Ray Data: pip install 'gqa-reasoner[ray]'") from None
    started = not ray.is_initialized()
    if started:
        options: dict[str, Any] = {"address": address} if address else {"num_cpus": workers}
        try:
            ray.init(include_dashboard=None if address else False, log_to_driver=False, **options)
        except (ConnectionError, ValueError, RuntimeError) as error:
            line = " ".join(str(error).split())[:160]
            raise InputError(f"--ray-address {address}: no Ray cluster answers ({line})") from None
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        rows = [
            {"part": number, "pictures": json.dumps([asdict(item) for item in pictures])}
            for number, pictures in parts
        ]
        made = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            _PartMaker,  # type: ignore[arg-type]  # Ray takes classes too
            fn_constructor_args=(create_detector,),
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1,
        )
        for row in made.iter_rows():
            if row["error"]:
                raise InputError(row["error"])
            yield int(row["part"]), bytes(row["data"])
    finally:
        if started:
            ray.shutdown()
