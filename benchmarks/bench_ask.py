"""What one more question costs in a running process, picture included, and a whole `ask` process.

python benchmarks/bench_ask.py
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from gqa_reasoner import Reasoner

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "gqa_reasoner" / "examples"


def main() -> None:
    command = [sys.executable, "-m", "gqa_reasoner", "ask", str(EXAMPLES / "elephant.jpg")]
    wholes = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run([*command, "What is the girl riding?", "--json"], check=True, stdout=-3)
        wholes.append(time.perf_counter() - began)
    reasoner = Reasoner.from_pretrained()
    reasoner.answer(EXAMPLES / "elephant.jpg", "What is the girl riding?")
    times = []
    for item in json.loads((EXAMPLES / "examples.json").read_text()):
        for question in item["questions"]:
            began = time.perf_counter()
            reasoner.answer(EXAMPLES / item["image"], question)
            times.append(time.perf_counter() - began)
    print(f"whole process: {min(wholes):.2f} s (best of 3, {max(wholes):.2f} s at worst)")
    print(
        f"a further picture and question: median {statistics.median(times) * 1e3:.0f} ms, "
        f"slowest of {len(times)} {max(times) * 1e3:.0f} ms"
    )


if __name__ == "__main__":
    main()
