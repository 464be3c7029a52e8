"""Random reads of 36 x 2,048 features: ours against bare h5py, and against loading a TSV whole.

python benchmarks/bench_features.py [--images 3000]
"""

from __future__ import annotations

import argparse
import base64
import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

from detectors.features.opening import open_features
from detectors.features.own_h5 import write_region_file
from detectors.features.protocol import RegionFeatures

REGIONS, SIZE, READS = 36, 2048, 1000


def records(images: int):
    rng = np.random.default_rng(0)
    for number in range(images):
        low = rng.uniform(0, 300, (REGIONS, 2)).astype(np.float32)
        boxes = np.concatenate([low, low + 100], axis=1)
        yield RegionFeatures(str(number), 640, 480, rng.random((REGIONS, SIZE), np.float32), boxes)


def resident_mb() -> float:
    with open("/proc/self/status") as stream:  # noqa: PTH123
        line = next(line for line in stream if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def read_ours(path: str) -> None:
    began = time.perf_counter()
    reader = open_features(path)
    ids = np.random.default_rng(1).choice(reader.image_ids, READS)
    for image_id in ids[:32]:
        reader.read(str(image_id))
    first = time.perf_counter() - began
    began = time.perf_counter()
    for image_id in ids:
        reader.read(str(image_id))
    each = (time.perf_counter() - began) / READS
    print(f"{first:.4f} {each * 1e3:.4f} {resident_mb():.0f}")


def read_bare(path: str) -> None:
    began = time.perf_counter()
    with h5py.File(path, "r") as handle:
        features, boxes, offsets = handle["features"], handle["boxes"], handle["offsets"][:]
        rows = np.random.default_rng(1).integers(0, len(offsets) - 1, READS)
        first = time.perf_counter() - began
        began = time.perf_counter()
        for row in rows:
            features[offsets[row] : offsets[row + 1]]
            boxes[offsets[row] : offsets[row + 1]]
        each = (time.perf_counter() - began) / READS
    print(f"{first:.4f} {each * 1e3:.4f} {resident_mb():.0f}")


def read_whole_tsv(path: str) -> None:
    """What LXMERT's loader does: decode every line of the file before the first batch."""
    csv.field_size_limit(sys.maxsize)
    began = time.perf_counter()
    data = {}
    with open(path) as stream:  # noqa: PTH123
        for row in csv.reader(stream, delimiter="\t"):
            count = int(row[7])
            data[row[0]] = [
                np.frombuffer(base64.b64decode(row[column]), np.float32).reshape(count, -1)
                for column in (8, 9)
            ]
    first = time.perf_counter() - began
    print(f"{first:.4f} 0 {resident_mb():.0f}")


def write_tsv(path: Path, images: int) -> None:
    def code(values: np.ndarray) -> str:
        return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()

    ids, scores = code(np.zeros(REGIONS, np.int64)), code(np.ones(REGIONS, np.float32))
    with path.open("w") as stream:
        for item in records(images):
            columns = [item.image_id, "480", "640", ids, scores, ids, scores, str(REGIONS)]
            stream.write("\t".join([*columns, code(item.boxes), code(item.features)]) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--only", nargs=2, metavar=("WHAT", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        what, file = arguments.only
        {"ours": read_ours, "bare": read_bare, "whole": read_whole_tsv}[what](file)
        return
    with tempfile.TemporaryDirectory() as folder:
        own, tsv = Path(folder) / "own.h5", Path(folder) / "lxmert.tsv"
        write_region_file(own, records(arguments.images))
        write_tsv(tsv, arguments.images)
        open_features(tsv).close()  # the offset index is built once
        results = {}
        for name, what, file in (
            ("ours, own h5", "ours", own),
            ("bare h5py", "bare", own),
            ("ours, LXMERT TSV", "ours", tsv),
            ("LXMERT TSV whole", "whole", tsv),
        ):
            command = [sys.executable, __file__, "--only", what, str(file)]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            results[name] = [float(value) for value in output.split()]
    print(f"{arguments.images} images, {READS} random reads, {REGIONS} x {SIZE} float32")
    print("| reader | first batch of 32, s | ms a read | peak resident, MB |")
    print("| --- | ---: | ---: | ---: |")
    for name, (first, each, memory) in results.items():
        print(f"| {name} | {first:.3f} | {each:.3f} | {memory:.0f} |")
    ours, bare = results["ours, own h5"], results["bare h5py"]
    whole, lazy = results["LXMERT TSV whole"], results["ours, LXMERT TSV"]
    print(f"read time over bare h5py: {ours[1] / bare[1]:.2f}x")
    print(f"whole TSV over ours: {whole[0] / lazy[0]:.0f}x to the first batch, "
          f"{whole[2] / lazy[2]:.1f}x the memory")  # fmt: skip


if __name__ == "__main__":
    main()
