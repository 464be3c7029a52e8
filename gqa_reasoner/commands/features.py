"""`features info/convert/check`: read, convert and compare region-feature files."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    info = actions.add_parser("info", help="say what a feature file holds")
    info.add_argument("path", type=Path)
    info.add_argument("--json", action="store_true")
    convert = actions.add_parser("convert", help="write a feature file in another layout")
    convert.add_argument("source", type=Path, help="a feature file or folder of any known layout")
    convert.add_argument("target", type=Path, help="OUT.h5, or a folder with --to official")
    convert.add_argument(
        "--to",
        choices=("own", "official"),
        default="own",
        help="own: one .h5 with random access by image id (default); official: GQA's "
        "gqa_objects_*.h5 with their info file",
    )
    convert.add_argument("--half", action="store_true", help="store features as float16")
    check = actions.add_parser(
        "check", help="may a model trained on the first file be used with the second?"
    )
    check.add_argument("first", type=Path)
    check.add_argument("second", type=Path)
    check.add_argument("--limit", type=int, default=200, help="images to compare (default: 200)")
    check.add_argument("--json", action="store_true")


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen action; `check` exits 1 when the files do not fit."""
    from detectors.features.opening import compare_features, open_features

    if arguments.action == "info":
        description = open_features(arguments.path).describe().to_json()
        if arguments.json:
            print(json.dumps(description))
        else:
            for key, value in description.items():
                for line in value if isinstance(value, list) else [value]:
                    print(f"{key}: {line}")
        return 0
    if arguments.action == "convert":
        return _convert(arguments)
    comparison = compare_features(
        open_features(arguments.first), open_features(arguments.second), limit=arguments.limit
    )
    if arguments.json:
        print(json.dumps(comparison.to_json()))
    else:
        for key, value in comparison.to_json().items():
            print(f"{key.replace('_', ' ')}: {'n/a' if value is None else value}")
    return 0 if comparison.verdict.startswith("usable") else 1


def _convert(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from detectors.errors import InputError
    from detectors.features.official_h5 import GqaObjectsWriter
    from detectors.features.opening import open_features
    from detectors.features.own_h5 import write_region_file

    if arguments.to == "own" and arguments.target.suffix not in (".h5", ".hdf5"):
        raise InputError(f"{arguments.target}: the target is an HDF5 file; name it OUT.h5")
    reader = open_features(arguments.source)
    ids = tqdm(reader.image_ids, desc="convert", unit="image", disable=None)
    records = (reader.read(image_id) for image_id in ids)
    if arguments.to == "own":
        count = write_region_file(
            arguments.target, records, half=arguments.half,
            attributes={"converted_from": str(arguments.source)},
        )  # fmt: skip
    else:
        description = reader.describe()
        most = int(description.regions.split("-")[-1].split("x")[0] or 100)
        writer = GqaObjectsWriter(
            arguments.target, images=len(reader), feature_size=description.feature_size,
            regions=max(100, most), half=arguments.half,
        )  # fmt: skip
        for record in records:
            writer.write(record)
        writer.close()
        count = len(writer.info)
    print(f"{count} images written to {arguments.target}", file=sys.stderr)
    return 0
