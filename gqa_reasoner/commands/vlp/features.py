"""`vlp features`: compute a frozen tower's features of pictures once; killed, it goes on later."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--images", type=Path, help="folder, .zip or .tar of pictures")
    parser.add_argument("--shards", metavar="PATTERN", help="webdataset tars instead of --images")
    parser.add_argument("--captions", type=Path, help="only pictures of this caption file")
    parser.add_argument("--tower", help="such as mobilenet:DIR")
    parser.add_argument("--output", type=Path, required=True, help="folder of the cache")
    parser.add_argument("--flip", metavar="SPLIT", help="mirrored rows too, of this split")
    parser.add_argument("--batch-size", type=int, default=32)
    reduce = parser.add_argument_group("make a smaller cache out of a finished one")
    reduce.add_argument("--reduce", type=Path, metavar="CACHE", help="the finished cache")
    reduce.add_argument("--size", default="4x4x512", help="rows, columns, width (4x4x512)")
    reduce.add_argument("--fit", metavar="SPLIT", default="train", help="components from it")


def run(arguments: argparse.Namespace) -> int:
    """Build; exit 1 when some pictures could not be read."""
    from detectors.errors import InputError

    if arguments.reduce:
        return _reduce(arguments)
    if arguments.shards and arguments.tower:
        return _shards(arguments)
    if not arguments.images or not arguments.tower:
        raise InputError("vlp features: expected --images or --shards and --tower, or --reduce")
    from gqa_reasoner.vlp.data.feature_cache import FeatureCache
    from gqa_reasoner.vlp.data.pictures import PictureSource
    from gqa_reasoner.vlp.data.records import read_captions
    from gqa_reasoner.vlp.tower import open_tower

    def progress(starts: Sequence[int]) -> Iterator[int]:
        from tqdm import tqdm

        return iter(tqdm(starts, unit="batch", disable=None))

    source = PictureSource.open(arguments.images)
    flip: list[str] = []
    if arguments.captions:
        records = read_captions(arguments.captions)
        order = {"train": 0, "dev": 1}
        records.sort(key=lambda record: order.get(record.split or "", 2))
        names = [record.image for record in records]
        flip = [item.image for item in records if arguments.flip and item.split == arguments.flip]
    else:
        names = source.names()
    cache = FeatureCache.build(
        arguments.output,
        source,
        names,
        open_tower(arguments.tower),
        batch_size=arguments.batch_size,
        flip=flip,
        progress=progress,
    )
    print(
        f"{arguments.output}: {len(cache)} rows of {cache.cells} x {cache.width}, "
        f"{len(cache.failures)} unreadable",
        file=sys.stderr,
    )
    for failure in cache.failures[:20]:
        print(f"  {failure['reason']}", file=sys.stderr)
    return 1 if cache.failures else 0


def _shards(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from gqa_reasoner.vlp.data.shard_features import build_shard_cache
    from gqa_reasoner.vlp.data.shards import expand_shards
    from gqa_reasoner.vlp.tower import open_tower

    cache, report = build_shard_cache(
        expand_shards(arguments.shards),
        arguments.output,
        open_tower(arguments.tower),
        batch_size=arguments.batch_size,
        progress=lambda samples: tqdm(samples, unit="picture", disable=None),
    )
    bad = [*report.broken_shards, *report.skipped]
    print(
        f"{arguments.output}: {len(cache)} rows of {cache.cells} x {cache.width} from "
        f"{report.shards} shards; {len(report.broken_shards)} shards damaged, "
        f"{len(report.skipped)} samples skipped",
        file=sys.stderr,
    )
    for item in bad[:20]:
        print(f"  {item['shard']}: {item.get('sample', '')} {item['reason']}", file=sys.stderr)
    return 1 if bad else 0


def _reduce(arguments: argparse.Namespace) -> int:
    from detectors.errors import InputError
    from gqa_reasoner.vlp.data.feature_cache import FeatureCache
    from gqa_reasoner.vlp.data.records import read_captions
    from gqa_reasoner.vlp.reduction import Reduction, reduce_cache

    size = re.fullmatch(r"(\d+)x(\d+)x(\d+)", arguments.size)
    if size is None:
        raise InputError(f"--size {arguments.size!r}: expected ROWSxCOLUMNSxWIDTH, as in 4x4x512")
    rows, columns, width = map(int, size.groups())
    cache = FeatureCache.open(arguments.reduce)
    names = cache.names()
    if arguments.captions:
        records = read_captions(arguments.captions, split=arguments.fit)
        names = [record.image for record in records if record.image in cache]
    reduction = Reduction.fit(
        cache, names, grid=(rows, columns), width=width, inner=arguments.tower or cache.tower
    )
    reduction.save(arguments.output)
    small = reduce_cache(cache, reduction, arguments.output, f"reduced:{arguments.output}")
    print(
        f"{arguments.output}: {len(small)} rows of {small.cells} x {small.width}", file=sys.stderr
    )
    return 0
