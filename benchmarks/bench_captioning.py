"""Captioning throughput beside `transformers` generate, in one run.

Both models have the same sizes: an encoder over a 7 x 7 grid of 1,280 features and a decoder with
cross-attention and a tied word head (theirs: `VisionEncoderDecoderModel` of a ViT whose patches
are the cells and a BERT decoder; it has one position more, the class token). Untrained weights;
both read the same pictures and write captions of the same fixed length with the same beams, so
nobody gains by stopping early. Rounds alternate; the best round of each counts. The ratio is of
processor time, which on one thread is what an idle machine would need; `wall_ratio` is of time.

    python benchmarks/bench_captioning.py
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

import torch

from gqa_reasoner.vlp.captioning.beam import BeamSettings, beam_search
from gqa_reasoner.vlp.captioning.beam_steps import BeamSteps, Memory
from gqa_reasoner.vlp.captioning.rules import Rules
from gqa_reasoner.vlp.config import ModelConfig
from gqa_reasoner.vlp.model import VisionLanguageModel
from gqa_reasoner.vlp.recipe import Sizes

GRID, FEATURES = 7, 1280
START, END = 5, 6


def ours(arguments: argparse.Namespace) -> tuple[Callable[[torch.Tensor], Any], int]:
    config = ModelConfig(
        recipe="xgpt",
        plan="encoder_decoder",
        vision="patches",
        sizes=Sizes(
            layers=arguments.layers,
            vision_layers=arguments.encoder_layers,
            width=arguments.width,
            heads=arguments.width // 64,
            hidden=arguments.hidden,
        ),
        losses=("next_token",),
        vocabulary=arguments.vocabulary,
        tower_width=FEATURES,
        grid=(GRID, GRID),
    )
    model = VisionLanguageModel(config).eval()
    words = arguments.words - 1  # and the end
    rules = Rules(START, END, (0,), words, words)
    settings = BeamSettings(arguments.beams, 1.0)

    @torch.inference_mode()
    def decode(features: torch.Tensor) -> Any:
        steps = BeamSteps(model, Memory.encode(model, features), words + 1)
        return beam_search(steps, rules, settings)

    return decode, sum(value.numel() for value in model.parameters())


def theirs(arguments: argparse.Namespace) -> tuple[Callable[[torch.Tensor], Any], int]:
    import transformers

    transformers.logging.set_verbosity_error()
    shape = {
        "hidden_size": arguments.width,
        "num_attention_heads": arguments.width // 64,
        "intermediate_size": arguments.hidden,
    }
    encoder = transformers.ViTConfig(
        **shape,
        num_hidden_layers=arguments.encoder_layers,
        image_size=GRID,
        patch_size=1,
        num_channels=FEATURES,
    )
    decoder = transformers.BertConfig(
        **shape,
        num_hidden_layers=arguments.layers,
        vocab_size=arguments.vocabulary,
        max_position_embeddings=32,
        is_decoder=True,
        add_cross_attention=True,
    )
    config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    model = transformers.VisionEncoderDecoderModel(config=config).eval()
    generation = transformers.GenerationConfig(
        decoder_start_token_id=START,
        bos_token_id=START,
        eos_token_id=END,
        pad_token_id=0,
        num_beams=arguments.beams,
        do_sample=False,
        min_new_tokens=arguments.words,
        max_new_tokens=arguments.words,
        use_cache=True,
    )

    @torch.inference_mode()
    def decode(features: torch.Tensor) -> Any:
        pixels = features.transpose(1, 2).unflatten(2, (GRID, GRID)).contiguous()
        return model.generate(pixel_values=pixels, generation_config=generation)

    return decode, sum(value.numel() for value in model.parameters())


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    decoders = {"ours": ours(arguments), "transformers": theirs(arguments)}
    features = torch.rand(arguments.pictures, GRID * GRID, FEATURES)
    best: dict[str, float] = {}
    wall: dict[str, float] = {}
    for _ in range(arguments.rounds + 1):  # the first round warms up
        for name, (decode, _) in decoders.items():
            began, processor = time.perf_counter(), time.process_time()
            found = decode(features)
            seconds = time.process_time() - processor
            elapsed = time.perf_counter() - began
            if name == "transformers" and found.shape[1] != arguments.words + 1:
                raise SystemExit(f"transformers wrote {found.shape[1] - 1} words")
            best[name] = min(best.get(name, seconds), seconds)
            wall[name] = min(wall.get(name, elapsed), elapsed)
    return {
        **{f"{name}_captions_per_second": arguments.pictures / best[name] for name in best},
        "ratio": best["transformers"] / best["ours"],
        "wall_ratio": wall["transformers"] / wall["ours"],
        **{f"{name}_parameters": count for name, (_, count) in decoders.items()},
        "load_average": os.getloadavg()[0],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=32, help="per batch")
    parser.add_argument("--beams", type=int, default=3)
    parser.add_argument("--words", type=int, default=14, help="per caption, the end included")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--encoder-layers", type=int, default=1)
    parser.add_argument("--vocabulary", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--least", type=float, default=1.5, help="exit 1 below this ratio")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = measure(arguments)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:38} {value:,.2f}")
    return 0 if figures["ratio"] >= arguments.least else 1


if __name__ == "__main__":
    raise SystemExit(main())
