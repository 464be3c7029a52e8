"""Speed of the trunk beside `transformers`: same weights, same inputs, float32, one process.

    python benchmarks/bench_trunk.py [--size small|base] [--threads 2] [--repeats 5]
        [--only visualbert lxmert bert expanded] [--no-memory] [--processor-time]
        [--json OUT]

Cases: 32 questions of 6 to 20 tokens with 36 regions (VisualBERT, LXMERT, and BERT with SDPA over
as many tokens); expanded inputs of 60 to 260 tokens, padded to the longest. The trunk leaves
padding out, which BERT cannot. Each pair first has to agree to 1e-5 at real positions; the times
are medians, taken in turn, with `torch.inference_mode` on both sides. `frozen` is the trunk after
`Trunk.freeze()`, `bfloat16` the same with its weights and states in bfloat16. The memory is the
peak of a fresh process while it runs one side three times and, unless frozen, a training step:
weights, gradients and states, above what the process took before it had a model. A case that
fails is named, the others go on, and the exit status is 1; OUT keeps the cases of earlier calls
of the same size and threads, so that they may be run one by one.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from gqa_reasoner.model.parity import bert, lxmert, visualbert
from gqa_reasoner.model.parity.keymap import from_theirs

SIZES = {
    "small": {"hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024,
              "num_hidden_layers": 4},
    "base": {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072,
             "num_hidden_layers": 12},
}  # fmt: skip
CASES = {
    "visualbert": "VisualBertModel, 36 regions",
    "lxmert": "LxmertModel, 36 regions",
    "bert": "BertModel (SDPA), 42–56 tokens",
    "expanded": "BertModel (SDPA), 60–260 tokens",
}
BATCH = 32
CLOCK = [time.perf_counter]


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument(
        "--processor-time", action="store_true", help="for a busy machine, with one thread"
    )
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path)
    return parser.parse_args(words)


def mask_of(least: int, most: int, generator: torch.Generator) -> Tensor:
    lengths = torch.randint(least, most + 1, (BATCH,), generator=generator)
    lengths[0] = most
    return (torch.arange(most)[None] < lengths[:, None]).long()


def loaded(
    ours: nn.Module, theirs: nn.Module | None, rules: Any, ignored: Sequence[str]
) -> nn.Module:
    """Ours with their weights; without them as it is."""
    if theirs is None:
        return ours.eval()
    ours.load_state_dict(from_theirs(rules, theirs.state_dict(), "bench", ignored=ignored))
    return ours.eval()


def visualbert_case(
    sizes: dict[str, int], generator: torch.Generator, alone: str
) -> dict[str, Any]:
    config = transformers.VisualBertConfig(vocab_size=1000, visual_embedding_dim=512, **sizes)
    theirs = None if "ours" in alone else transformers.VisualBertModel(config).eval()
    record = config.to_dict()
    ours = None
    if alone != "theirs":
        ours = loaded(visualbert.build(record), theirs, visualbert.rules(record),
                      visualbert.IGNORED)  # fmt: skip
    mask = mask_of(6, 20, generator)
    ids = torch.randint(5, 1000, mask.shape, generator=generator)
    features = torch.randn(BATCH, 36, 512, generator=generator)
    both = torch.cat([mask, torch.ones(BATCH, 36, dtype=torch.long)], dim=1).bool()
    return {
        "ours": lambda: ours(ids, features, mask.bool(), packed=True).last[both],
        "theirs": lambda: theirs(ids, mask, visual_embeds=features).last_hidden_state[both],
        "models": (ours, theirs),
    }


def lxmert_case(sizes: dict[str, int], generator: torch.Generator, alone: str) -> dict[str, Any]:
    sizes = dict(sizes)
    layers = sizes.pop("num_hidden_layers")
    config = transformers.LxmertConfig(
        vocab_size=1000, visual_feat_dim=512, l_layers=max(1, layers * 3 // 4),
        r_layers=max(1, layers * 5 // 12), x_layers=max(1, layers * 5 // 12), **sizes
    )  # fmt: skip
    theirs = None if "ours" in alone else transformers.LxmertModel(config).eval()
    record = config.to_dict()
    ours = (
        None
        if alone == "theirs"
        else loaded(lxmert.build(record), theirs, lxmert.rules(record), lxmert.IGNORED)
    )
    mask = mask_of(6, 20, generator)
    ids = torch.randint(5, 1000, mask.shape, generator=generator)
    features = torch.randn(BATCH, 36, 512, generator=generator)
    boxes = torch.rand(BATCH, 36, 4, generator=generator)
    return {
        "ours": lambda: ours(ids, features, boxes, mask.bool(), packed=True).text[mask.bool()],
        "theirs": lambda: theirs(ids, features, boxes, mask).language_output[mask.bool()],
        "models": (ours, theirs),
    }


def bert_case(
    sizes: dict[str, int], generator: torch.Generator, least: int, most: int, alone: str
) -> dict[str, Any]:
    config = transformers.BertConfig(
        vocab_size=1000, attn_implementation="sdpa", max_position_embeddings=512, **sizes
    )
    theirs = None if "ours" in alone else transformers.BertModel(config).eval()
    record = config.to_dict()
    ours = (
        None
        if alone == "theirs"
        else loaded(bert.build(record), theirs, bert.rules(record), bert.IGNORED)
    )
    mask = mask_of(least, most, generator)
    ids = torch.randint(5, 1000, mask.shape, generator=generator)
    real = mask.bool()

    def run_ours() -> Tensor:
        output = ours.trunk(ours.embedding(ids), text_mask=real, packed=True)
        return output.text[real]

    return {
        "ours": run_ours,
        "theirs": lambda: theirs(ids, mask).last_hidden_state[real],
        "models": (ours, theirs),
        "filled": float(mask.float().mean()),
    }


def seconds_of(run: Callable[[], Tensor], model: nn.Module, train: bool) -> float:
    started = CLOCK[0]()
    if train:
        model.zero_grad(set_to_none=True)
        run().square().mean().backward()
    else:
        with torch.inference_mode():
            run()
    return CLOCK[0]() - started


def compare(case: dict[str, Any], repeats: int) -> dict[str, float]:
    """Median seconds of both sides, inference and training step, measured in turn."""
    ours, theirs = case["models"]
    with torch.inference_mode():
        first, second = case["ours"](), case["theirs"]()
    error = float((first - second).abs().max() / second.abs().max())
    if error > 1e-5:
        raise RuntimeError(f"the two sides disagree: relative error {error}")
    result = {"relative error": error}
    for model in (ours, theirs):
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
    in_turn(result, "inference", case, repeats, train=False)
    in_turn(result, "training step", case, repeats, train=True)
    for model in (ours, theirs):
        model.zero_grad(set_to_none=True)
    half = copy.deepcopy(ours.trunk).to(torch.bfloat16).freeze()
    ours.trunk.freeze()
    with torch.inference_mode():
        frozen = case["ours"]()
    result["frozen, relative error"] = float((frozen - second).abs().max() / second.abs().max())
    in_turn(result, "frozen inference", case, repeats, train=False)
    times: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    whole = ours.trunk
    for _ in range(repeats + 1):
        for name, trunk in (("float32", whole), ("bfloat16", HalfTrunk(half))):
            ours.trunk = trunk
            times[name].append(seconds_of(case["ours"], ours, False))
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    result["bfloat16 over frozen float32"] = round(medians["float32"] / medians["bfloat16"], 2)
    return result


class HalfTrunk(nn.Module):
    """A bfloat16 trunk between float32 embeddings and heads."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, *streams: Tensor, **options: Any) -> Any:
        found = self.trunk(*(stream.bfloat16() for stream in streams), **options)
        vision = None if found.vision is None else found.vision.float()
        return found._replace(text=found.text.float(), vision=vision)


def in_turn(
    result: dict[str, float], name: str, case: dict[str, Any], repeats: int, *, train: bool
) -> None:
    """Add the medians and their ratio to `result`."""
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(repeats + 1):
        for side, model in zip(times, case["models"], strict=True):
            times[side].append(seconds_of(case[side], model, train))
    medians = {side: statistics.median(values[1:]) for side, values in times.items()}
    result[f"{name}, ours"] = round(medians["ours"], 4)
    result[f"{name}, theirs"] = round(medians["theirs"], 4)
    result[f"{name}, ratio"] = round(medians["theirs"] / medians["ours"], 2)


def peak_of(make: Callable[[str], dict[str, Any]], side: str) -> int:
    """Bytes that one side takes at most while it runs, its weights included."""
    seconds_of(lambda: torch.ones(64, 64) @ torch.ones(64, 64), nn.Linear(1, 1), False)
    before = resident("VmRSS")
    case = make(side)
    place = ("ours", "theirs").index(side.removeprefix("frozen "))
    model, run = case["models"][place], case[("ours", "theirs")[place]]
    if side.startswith("frozen"):
        model.trunk.freeze()
    del case
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    for _ in range(3):
        seconds_of(run, model, False)
    if not side.startswith("frozen"):
        seconds_of(run, model, True)
    return resident("VmHWM") - before


def resident(name: str) -> int:
    """`VmRSS` (now) or `VmHWM` (at most) of this process in bytes; Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def memory(arguments: argparse.Namespace, case: str) -> dict[str, float]:
    """Peak megabytes of each side in a process of its own."""
    words = [sys.executable, __file__, "--size", arguments.size, "--threads",
             str(arguments.threads), "--only", case, "--peak"]  # fmt: skip
    return {
        f"memory, {side} (MB)": round(
            int(subprocess.run([*words, side], capture_output=True, check=True).stdout) / 2**20
        )
        for side in ("ours", "frozen ours", "theirs")
    }


def main(words: Sequence[str] | None = None) -> int:
    arguments = arguments_of(words)
    torch.set_num_threads(arguments.threads)
    if arguments.processor_time:
        CLOCK[0] = time.process_time
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    sizes = SIZES[arguments.size]
    cases = {
        "visualbert": lambda alone: visualbert_case(sizes, generator, alone),
        "lxmert": lambda alone: lxmert_case(sizes, generator, alone),
        "bert": lambda alone: bert_case(sizes, generator, 42, 56, alone),
        "expanded": lambda alone: bert_case(sizes, generator, 60, 260, alone),
    }
    if arguments.peak:
        print(peak_of(cases[arguments.only[0]], arguments.peak))
        return 0
    key = {"size": arguments.size, "threads": arguments.threads}
    report, failed = earlier(arguments.json, key), False
    for name in arguments.only:
        try:
            found: dict[str, Any] = compare(cases[name](""), arguments.repeats)
            if not arguments.no_memory:
                found |= memory(arguments, name)
        except (RuntimeError, MemoryError, subprocess.CalledProcessError, ValueError) as error:
            print(f"{name}: failed: {error}", file=sys.stderr, flush=True)
            failed = True
            continue
        gc.collect()
        report[name] = found | {"load average": round(os.getloadavg()[0], 1)}
        print(f"{name}: {json.dumps(report[name])}", file=sys.stderr, flush=True)
        if arguments.json:
            arguments.json.write_text(json.dumps({**key, "cases": report}, indent=1) + "\n")
    print("\n".join(table_of(report)))
    return int(failed)


def earlier(path: Path | None, key: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The cases that the file holds already, if it is of the same size and threads."""
    if path is None or not path.is_file():
        return {}
    record = json.loads(path.read_text())
    return record["cases"] if all(record.get(k) == v for k, v in key.items()) else {}


def table_of(report: dict[str, dict[str, Any]]) -> list[str]:
    """Ratios theirs / ours and peak memory, as the results page has them."""
    lines = [
        "| beside | inference | frozen | training step | bfloat16 over frozen float32 "
        "| memory, ours / frozen / theirs (MB) | load |",
        "| --- " * 7 + "|",
    ]
    for name in CASES:
        if name in report:
            row = report[name]
            ratios = [row[f"{part}, ratio"] for part in
                      ("inference", "frozen inference", "training step")]  # fmt: skip
            peaks = [row.get(f"memory, {side} (MB)") for side in ("ours", "frozen ours", "theirs")]
            cells = [f"{ratio:.2f}" for ratio in (*ratios, row["bfloat16 over frozen float32"])]
            cells.append("–" if None in peaks else " / ".join(f"{n:,}" for n in peaks))
            lines.append(f"| {CASES[name]} | {' | '.join(cells)} | {row['load average']} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
