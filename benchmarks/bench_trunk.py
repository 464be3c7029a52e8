"""Speed of the trunk beside `transformers`: same weights, same inputs, float32, one process.

    python benchmarks/bench_trunk.py [--size small|base] [--threads 2] [--repeats 5] [--json OUT]

Cases: 32 questions of 6 to 20 tokens with 36 regions (VisualBERT, LXMERT, and BERT with SDPA over
as many tokens); expanded inputs of 60 to 260 tokens, padded to the longest, where the trunk leaves padding out
real positions and BERT cannot. Each pair first has to agree to 1e-4 at real positions; the times
are medians, taken in turn. The peak memory is not compared here.
"""

from __future__ import annotations

import argparse
import json
import statistics
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
BATCH = 32


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    return parser.parse_args(words)


def mask_of(least: int, most: int, generator: torch.Generator) -> Tensor:
    lengths = torch.randint(least, most + 1, (BATCH,), generator=generator)
    lengths[0] = most
    return (torch.arange(most)[None] < lengths[:, None]).long()


def loaded(ours: nn.Module, theirs: nn.Module, rules: Any, ignored: Sequence[str]) -> nn.Module:
    ours.load_state_dict(from_theirs(rules, theirs.state_dict(), "bench", ignored=ignored))
    return ours.eval()


def visualbert_case(sizes: dict[str, int], generator: torch.Generator) -> dict[str, Any]:
    config = transformers.VisualBertConfig(vocab_size=1000, visual_embedding_dim=512, **sizes)
    theirs = transformers.VisualBertModel(config).eval()
    ours = loaded(visualbert.build(config.to_dict()), theirs, visualbert.rules(config.to_dict()),
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


def lxmert_case(sizes: dict[str, int], generator: torch.Generator) -> dict[str, Any]:
    sizes = dict(sizes)
    layers = sizes.pop("num_hidden_layers")
    config = transformers.LxmertConfig(
        vocab_size=1000, visual_feat_dim=512, l_layers=max(1, layers * 3 // 4),
        r_layers=max(1, layers * 5 // 12), x_layers=max(1, layers * 5 // 12), **sizes
    )  # fmt: skip
    theirs = transformers.LxmertModel(config).eval()
    record = config.to_dict()
    ours = loaded(lxmert.build(record), theirs, lxmert.rules(record), lxmert.IGNORED)
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
    sizes: dict[str, int], generator: torch.Generator, least: int, most: int, *, packed: bool
) -> dict[str, Any]:
    config = transformers.BertConfig(
        vocab_size=1000, attn_implementation="sdpa", max_position_embeddings=512, **sizes
    )
    theirs = transformers.BertModel(config).eval()
    record = config.to_dict()
    ours = loaded(bert.build(record), theirs, bert.rules(record), bert.IGNORED)
    mask = mask_of(least, most, generator)
    ids = torch.randint(5, 1000, mask.shape, generator=generator)
    real = mask.bool()

    def run_ours() -> Tensor:
        output = ours.trunk(ours.embedding(ids), text_mask=real, packed=packed)
        return output.text[real]

    return {
        "ours": run_ours,
        "theirs": lambda: theirs(ids, mask).last_hidden_state[real],
        "models": (ours, theirs),
        "filled": float(mask.float().mean()),
    }


def seconds_of(run: Callable[[], Tensor], model: nn.Module, train: bool) -> float:
    started = time.perf_counter()
    if train:
        model.zero_grad(set_to_none=True)
        run().square().mean().backward()
    else:
        with torch.inference_mode():
            run()
    return time.perf_counter() - started


def compare(case: dict[str, Any], repeats: int) -> dict[str, float]:
    """Median seconds of both sides, inference and training step, measured in turn."""
    ours, theirs = case["models"]
    with torch.inference_mode():
        first, second = case["ours"](), case["theirs"]()
    error = float((first - second).abs().max() / second.abs().max())
    if error > 1e-4:
        raise SystemExit(f"the two sides disagree: relative error {error}")
    result = {"relative error": error}
    for train in (False, True):
        for model in (ours, theirs):
            for module in model.modules():
                if isinstance(module, nn.Dropout):
                    module.p = 0.0
        times: dict[str, list[float]] = {"ours": [], "theirs": []}
        for _ in range(repeats + 1):
            for side, model in (("ours", ours), ("theirs", theirs)):
                times[side].append(seconds_of(case[side], model, train))
        name = "training step" if train else "inference"
        medians = {side: statistics.median(values[1:]) for side, values in times.items()}
        result[f"{name}, ours"] = round(medians["ours"], 4)
        result[f"{name}, theirs"] = round(medians["theirs"], 4)
        result[f"{name}, ratio"] = round(medians["theirs"] / medians["ours"], 2)
    return result


def main(words: Sequence[str] | None = None) -> int:
    arguments = arguments_of(words)
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    sizes = SIZES[arguments.size]
    cases = {
        "VisualBertModel, 36 regions": lambda: visualbert_case(sizes, generator),
        "LxmertModel, 36 regions": lambda: lxmert_case(sizes, generator),
        "BertModel (SDPA), 42-56 tokens": lambda: bert_case(sizes, generator, 42, 56, packed=False),
        "BertModel (SDPA), 60-260 tokens, packed": lambda: bert_case(
            sizes, generator, 60, 260, packed=True
        ),
    }
    report = {}
    for name, make in cases.items():
        report[name] = compare(make(), arguments.repeats)
        print(f"{name}: {json.dumps(report[name])}", flush=True)
    if arguments.json:
        record = {"size": arguments.size, "threads": arguments.threads, "cases": report}
        arguments.json.write_text(json.dumps(record, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
