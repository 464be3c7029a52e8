"""A million questions, file to table: `eval.gqa` against the plain loop of `literal_gqa.py`.

Usage: python benchmarks/bench_eval.py --records ../shared/data/gqa [--questions 1000000]

The questions are the records under --records with new ids, seven of ten answered rightly. Each
side runs as a process of its own, in turns. Printed per side: wall time, processor time with all
children, peak memory (this process, and the largest child).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

HERE = Path(__file__).resolve().parent


def make_files(records: Path, number: int, folder: Path) -> None:
    """questions.json, predictions.json and choices.json of `number` renamed records."""
    source: dict = {}
    for name in ("testdev_questions.json", "val_questions.json"):
        source |= orjson.loads((records / name).read_bytes())
    answers = sorted({record["answer"] for record in source.values()})
    rng, ids = random.Random(0), list(source)
    with (
        (folder / "questions.json").open("wb") as questions,
        (folder / "predictions.json").open("wb") as predictions,
        (folder / "choices.json").open("wb") as choices,
    ):
        for stream, opening in ((questions, b"{"), (predictions, b"["), (choices, b"{")):
            stream.write(opening)
        for written in range(number):
            copy, identifier = divmod(written, len(ids))
            old, comma = ids[identifier], b", " if written else b""
            record = dict(source[old])
            for key in ("entailed", "equivalent"):
                record[key] = [f"{copy:03d}{other}" for other in record[key]]
            new = json.dumps(f"{copy:03d}{old}").encode()
            text = json.dumps(record).encode()  # with blanks, as GQA's own files
            questions.write(comma + new + b": " + text)
            said = record["answer"] if rng.random() < 0.7 else rng.choice(answers)
            item = {"questionId": f"{copy:03d}{old}", "prediction": said}
            predictions.write(comma + json.dumps(item).encode())
            some = rng.sample(answers, 12)
            item = {"valid": [*some, record["answer"]], "plausible": some[:6]}
            choices.write(comma + new + b": " + json.dumps(item).encode())
        for stream, closing in ((questions, b"}"), (predictions, b"]"), (choices, b"}")):
            stream.write(closing)


OURS = """
import json, sys
from pathlib import Path
from eval.gqa import score_gqa
from eval.gqa_text import scores_text
paths = [Path(word) for word in sys.argv[1:]]
scores = score_gqa(*paths[:2], choices=paths[2] if len(paths) > 2 else None)
print(scores_text(scores), file=sys.stderr)
print(json.dumps({"figures": scores.to_json()}))
"""


def measure(command: list[str]) -> dict:
    """Run one side; its JSON line with seconds and memory."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    wrapped = (
        "import json,resource,subprocess,sys; r=subprocess.run(sys.argv[1:],stdout=-1,stderr=-3);"
        "print(r.stdout.decode().splitlines()[-1]);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(r.returncode)"
    )
    done = subprocess.run(
        [sys.executable, "-c", wrapped, *command],
        stdout=subprocess.PIPE,
        check=True,
        env=os.environ | {"PYTHONPATH": str(HERE.parent)},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    line, peak = done.stdout.decode().splitlines()[-2:]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(line) | {
        "wall": time.perf_counter() - started,
        "cpu": cpu,
        "largest_process_mib": int(peak) / 1024,
    }


def same(ours: dict, theirs: dict) -> float:
    """The largest difference over all figures and breakdowns."""
    worst = 0.0
    for name, value in theirs.items():
        if isinstance(value, dict):
            part = ours["by"][name]
            worst = max(worst, *(abs(part[str(k)] - v) for k, v in value.items()))
        elif ours[name] is not None:
            worst = max(worst, abs(ours[name] - value))
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--choices", action="store_true")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        if not (folder / "choices.json").is_file():
            make_files(arguments.records, arguments.questions, folder)
        names = ["questions.json", "predictions.json"] + ["choices.json"] * arguments.choices
        files = [str(folder / name) for name in names]
        size = Path(files[0]).stat().st_size / 2**20
        print(f"{arguments.questions:,} questions, {size:,.0f} MiB, load {os.getloadavg()[0]:.1f}")
        for _ in range(arguments.rounds):
            ours = measure([sys.executable, "-c", OURS, *files])
            theirs = measure([sys.executable, str(HERE / "literal_gqa.py"), *files])
            for name, side in (("eval.gqa", ours), ("plain loop", theirs)):
                print(
                    f"{name:<11} {side['wall']:7.1f} s wall  {side['cpu']:7.1f} s processor  "
                    f"{side['largest_process_mib']:8.0f} MiB in the largest process"
                )
            print(
                f"ratio       {theirs['wall'] / ours['wall']:7.2f} wall    "
                f"{theirs['cpu'] / ours['cpu']:7.2f} processor  "
                f"{theirs['largest_process_mib'] / ours['largest_process_mib']:8.2f} memory; "
                f"largest difference of a figure {same(ours['figures'], theirs['figures']):.1e}"
            )


if __name__ == "__main__":
    main()
