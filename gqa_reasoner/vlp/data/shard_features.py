"""Features and captions out of webdataset shards, in two streaming passes with bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from detectors.errors import InputError
from gqa_reasoner.vlp.data.feature_cache import FeatureCache, picture_tensor, write_cache
from gqa_reasoner.vlp.data.records import CaptionRecord, write_captions
from gqa_reasoner.vlp.data.shards import Sample, ShardReport, read_shards
from gqa_reasoner.vlp.tower import ImageTower

__all__ = ["build_shard_cache"]


def build_shard_cache(
    paths: Sequence[Path],
    folder: str | Path,
    tower: ImageTower,
    *,
    batch_size: int = 32,
    progress: Callable[[Iterable[Sample]], Iterable[Sample]] | None = None,
) -> tuple[FeatureCache, ShardReport]:
    """A feature cache of all whole samples, with `captions.jsonl` beside it.

    The first pass reads and checks every sample, the second computes features. A killed run begins
    anew. A key that comes twice counts once; the second is listed as skipped.

    Args:
        paths: shards.
        folder: of the cache.
        tower: frozen tower.
        batch_size: pictures at once.
        progress: wraps the second pass's samples, e.g. with tqdm.

    Raises:
        InputError: a shard is missing, or no sample is whole.
    """
    report = ShardReport()
    records: dict[str, CaptionRecord] = {}
    for sample in read_shards(paths, report):
        if sample.key in records:
            reason = "the key is given twice"
            report.skipped.append({"shard": "", "sample": sample.key, "reason": reason})
            report.samples -= 1
            continue
        records[sample.key] = CaptionRecord(sample.key, f"{sample.key}.jpg", sample.captions)
    if not records:
        raise InputError(f"{paths[0] if paths else 'shards'}: no whole sample in {len(paths)}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_captions(folder / "captions.jsonl", list(records.values()))
    samples: Iterable[Sample] = read_shards(paths)
    cache = write_cache(
        folder,
        _features(samples if progress is None else progress(samples), tower, batch_size),
        shape=(len(records), tower.grid[0] * tower.grid[1], tower.width),
        grid=tower.grid,
        tower=tower.name,
        fingerprint=tower.fingerprint,
    )
    return cache, report


def _features(
    samples: Iterable[Sample], tower: ImageTower, batch_size: int
) -> Iterator[tuple[list[str], Tensor]]:
    names: list[str] = []
    pixels: list[Tensor] = []
    seen: set[str] = set()
    for sample in samples:
        if sample.key in seen:
            continue
        seen.add(sample.key)
        names.append(f"{sample.key}.jpg")
        pixels.append(picture_tensor(sample.image, tower.image_size))
        if len(names) == batch_size:
            with torch.inference_mode():
                yield names, tower(torch.stack(pixels))
            names, pixels = [], []
    if names:
        with torch.inference_mode():
            yield names, tower(torch.stack(pixels))
