"""Profile of real training steps of the reasoner: tokens per second, memory, share of peak.

    python benchmarks/bench_training.py --config configs/reasoner_base.yaml --data DIR --output DIR
        [--detector-weights DIR] [--images 8] [--batch 16] [--steps 3] [--threads 1]
        [--precisions float32 bfloat16] [--device cpu] [--json OUT]

DATA holds images/, sceneGraphs.json and questions.json; its first pictures are detected, parsed and
encoded into OUTPUT once. A step is the training loop's own: sources dropped, losses, gradients,
clipping, AdamW, average of the weights. Tokens are real positions of the trunk. The share of peak
is 6 · weights of the trunk · tokens, over what one large matrix product reaches in the same
precision on the same threads. Each precision runs in a process of its own, whose peak memory is
counted above what it held before the model was made.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from detectors.errors import InputError
from gqa_reasoner.model.reasoner import ReasonerModel
from gqa_reasoner.model.vocabulary import ReasonerVocabulary
from gqa_reasoner.training.mapped_store import MappedShards
from gqa_reasoner.training.reasoner_config import ReasonerTrainingConfig, read_config
from gqa_reasoner.training.reasoner_engine import create_engine
from gqa_reasoner.training.reasoner_loop import ReasonerLoop
from gqa_reasoner.training.reasoner_run import read_detector_config, train_reasoner

DETECTOR = Path(__file__).parents[1] / "gqa_reasoner" / "weights" / "detector"


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("config", "data", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--detector-weights", type=Path, default=DETECTOR)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args(words)


def config_of(arguments: argparse.Namespace, precision: str) -> ReasonerTrainingConfig:
    """The file's configuration, answers alone, with this run's batch."""
    config = read_config(arguments.config)
    return replace(
        config, batch_size=arguments.batch, precision=precision, threads=arguments.threads,
        engine="plain" if arguments.device == "cpu" else "accelerate", tensorboard=False,
        pretraining=replace(config.pretraining, steps=0), pictures_per_shard=arguments.images,
    )  # fmt: skip


def encoded(arguments: argparse.Namespace) -> tuple[MappedShards, ReasonerVocabulary]:
    """The shards and the vocabulary that the run prepares."""
    cache = arguments.output / "cache"
    train_reasoner(
        config_of(arguments, "float32"), data=arguments.data, output=arguments.output,
        detector_weights=arguments.detector_weights, image_limit=arguments.images,
        prepare_only=True,
    )  # fmt: skip
    words = json.loads((cache / "vocabulary.json").read_text())
    shards = MappedShards(sorted((cache / "encoded").glob("*.npz")))
    return shards, ReasonerVocabulary.from_json(words)


def profile(arguments: argparse.Namespace, precision: str) -> dict[str, Any]:
    """Figures of one precision, in this process."""
    torch.set_num_threads(arguments.threads)
    config = config_of(arguments, precision)
    shards, vocabulary = encoded(arguments)
    size = read_detector_config(arguments.detector_weights).feature_size
    rate = matrix_rate(precision, arguments.device)
    before = resident("VmRSS")
    torch.manual_seed(0)
    model = ReasonerModel(replace(config.model, feature_size=size), vocabulary)
    engine = create_engine(config.engine, bfloat16=precision == "bfloat16")
    loop = ReasonerLoop(model, shards, config, arguments.output, 0, engine)
    losses, seconds, tokens = [], [], []
    for chosen in loop._order():
        tokens.append(sum(positions(loop, item) for item in chosen))
        started = time.perf_counter()
        figures = loop._update(chosen)
        if figures is None:
            raise InputError("the loss is not finite")
        if arguments.device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
        losses.append(round(float(figures[0]), 3))
        loop.step += 1
        if loop.step > arguments.steps:  # the first one warms up
            break
    inside = sum(p.numel() for p in model.trunk.parameters())
    speed = sum(tokens[1:]) / sum(seconds[1:])
    peak = torch.cuda.max_memory_allocated() if arguments.device == "cuda" else (
        resident("VmHWM") - before)  # fmt: skip
    return {
        "parameters": sum(p.numel() for p in model.parameters()), "batch": arguments.batch,
        "tokens a step": round(sum(tokens[1:]) / arguments.steps),
        "seconds a step": round(sum(seconds[1:]) / arguments.steps, 2),
        "tokens a second": round(speed, 1), "memory (MB)": round(peak / 2**20),
        "GFLOP/s of a matrix product": round(rate / 1e9, 1),
        "share of peak": round(6 * inside * speed / rate, 3), "losses": losses,
    }  # fmt: skip


def positions(loop: ReasonerLoop, example: Any) -> int:
    """Real positions of one question: its text tokens, the objects and the picture."""
    return len(example.question.kind) + len(loop.data.scene(example.scene).geometry)


def matrix_rate(precision: str, device: str, size: int = 2048) -> float:
    """Floating-point operations a second of a square matrix product."""
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    factors = [torch.randn(size, size, device=device, dtype=kind) for _ in range(2)]
    best = float("inf")
    for _ in range(4):
        started = time.perf_counter()
        product = factors[0] @ factors[1]
        float(product[0, 0])  # waits for a device
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def resident(name: str) -> int:
    """`VmRSS` (now) or `VmHWM` (at most) of this process in bytes; Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def main(words: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if words is None else words)
    arguments = arguments_of(words)
    if arguments.one:
        print(json.dumps(profile(arguments, arguments.one)))
        return 0
    encoded(arguments)
    report = {}
    for precision in arguments.precisions:
        command = [sys.executable, __file__, *words, "--one", precision]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        report[precision] = json.loads(done.stdout.splitlines()[-1])
        print(f"{precision}: {json.dumps(report[precision])}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as error:
        sys.exit(f"bench_training: {error}")
