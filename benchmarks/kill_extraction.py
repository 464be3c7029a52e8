"""Kills `gqa-reasoner extract` with SIGKILL at random moments and compares what comes out.

    python benchmarks/kill_extraction.py PICTURES [--kills 10] [--workers 2] [--engine ray]

One run is left alone. Another is started again and again and killed at a moment drawn from the
whole length of the first; a run that ends before its kill is compared and begun anew. The last run
goes to its end. Every dataset, attribute and line of the failures list must be the same, byte for
byte. Exit status 1 if anything differs.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py

from detectors.extraction import failures_file


def command(options: argparse.Namespace, target: Path) -> list[str]:
    words = [
        sys.executable,
        "-m",
        "gqa_reasoner",
        "extract",
        str(options.pictures),
        str(target),
    ]
    words += ["--part-size", str(options.part_size), "--detector", options.detector]
    return [*words, "--workers", str(options.workers), "--engine", options.engine]


def finish(options: argparse.Namespace, target: Path) -> None:
    """One run to its end (status 1 means that some pictures were unreadable)."""
    done = subprocess.run(command(options, target), capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1) or not target.exists():
        raise SystemExit(f"the extraction ended with {done.returncode}: {done.stderr[-500:]}")


def content(target: Path) -> dict[str, bytes]:
    """Everything that a finished run left behind."""
    found: dict[str, bytes] = {}

    def keep(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[f"{name} {item.dtype} {item.shape}"] = item[()].tobytes()

    with h5py.File(target, "r") as handle:
        handle.visititems(keep)
        found |= {f"@{key}": str(value).encode() for key, value in handle.attrs.items()}
    failures = failures_file(target)
    found["failures"] = failures.read_bytes()
    found["left over"] = str(target.with_name(target.name + ".parts").exists()).encode()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--engine", default="local")
    parser.add_argument("--detector", default="default")
    parser.add_argument("--part-size", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole.h5", Path(folder) / "killed.h5"
        began = time.perf_counter()
        finish(options, whole)
        length = time.perf_counter() - began
        wanted = content(whole)
        kills = runs = finished = 0
        parts = killed.with_name(killed.name + ".parts")
        while kills < options.kills:
            runs += 1
            process = subprocess.Popen(command(options, killed), stderr=subprocess.DEVNULL)
            moment = moments.uniform(0, length)
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
                there = len(list(parts.glob("part-*"))) if parts.exists() else 0
                print(f"kill {kills} after {moment:.2f} s: {there} parts finished", flush=True)
                continue
            finished += 1
            if content(killed) != wanted:
                print("a run that ended before its kill differs")
                return 1
            killed.unlink()
        finish(options, killed)
        same = content(killed) == wanted
    print(
        f"{kills} kills in {runs + 1} runs of up to {length:.1f} s ({finished} ended before their "
        f"kill), {options.workers} workers, engine {options.engine}: "
        f"{'the same content, byte for byte' if same else 'THE CONTENT DIFFERS'}"
    )
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
