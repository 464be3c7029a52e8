"""Writes what the real detectron2 and torchvision answer, as numbers for our tests.

    python benchmarks/golden_published.py tests/detectors/golden

Needs both libraries (see `compare_published.py`). The weights are those that
`tests/detectors/published.py` draws from a seed, with four layers scaled so that each stage has
something to decide; the scales are kept in the file beside the answers.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.compare_published import Detectron2Reference, TorchvisionReference, spread
from tests.detectors import published
from tests.detectors.test_golden import KEPT, PROPOSALS, SIDE, golden_picture

KINDS: dict[str, tuple[Any, Any]] = {
    "detectron2-fpn": (Detectron2Reference, published.detectron2_fpn),
    "detectron2-c4": (Detectron2Reference, published.detectron2_c4),
    "torchvision-fpn": (
        TorchvisionReference,
        lambda: published.torchvision_fpn(new_names=True),
    ),
}


def layers(reference: Any) -> list[tuple[str, float]]:
    """The layers that are scaled, with the deviation that their outputs shall have."""
    if isinstance(reference, TorchvisionReference):
        names = ["rpn.head.cls_logits", "rpn.head.bbox_pred"]
    else:
        head = "proposal_generator.rpn_head"
        names = [f"{head}.objectness_logits", f"{head}.anchor_deltas"]
    predictor = "roi_heads.box_predictor"
    names += [f"{predictor}.cls_score", f"{predictor}.bbox_pred"]
    return list(zip(names, (2.0, 0.3, 2.5, 1.0), strict=True))


def answers(kind: str) -> dict[str, np.ndarray]:
    """Scales and stages of one reference."""
    build, draw = KINDS[kind]
    options = argparse.Namespace(reference=kind, seed=0, minimum_side=SIDE, proposals=PROPOSALS)
    picture = golden_picture()
    reference = build(options, picture)
    own = {"cell_anchors", "pixel_mean", "pixel_std", "num_batches_tracked"}
    wanted = {name: v for name, v in draw().items() if not any(part in name for part in own)}
    answer = reference.model.load_state_dict(wanted, strict=False)
    missing = [name for name in answer.missing_keys if not any(part in name for part in own)]
    if missing or answer.unexpected_keys:
        raise SystemExit(f"{kind}: missing {missing}, unexpected {answer.unexpected_keys}")
    found: dict[str, np.ndarray] = {}
    for name, deviation in layers(reference):
        layer = reference.model.get_submodule(name)
        before = layer.weight.detach().clone()
        spread([(layer, deviation)], lambda: reference.stages(picture))
        found[f"scale {name}"] = (layer.weight.detach() / before).mean().numpy()
    stages = reference.stages(picture)
    for name in KEPT:
        if name in stages:
            found[name] = stages[name].numpy()
    found["pooled"] = stages["pooled"].mean(dim=(2, 3)).numpy()[:, :32]
    for level in range(5):
        if f"map {level}" in stages:
            found[f"map {level}"] = stages[f"map {level}"][0, :8].numpy()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=list(KINDS))
    arguments = parser.parse_args()
    folder = arguments.folder
    torch.set_num_threads(1)
    folder.mkdir(exist_ok=True)
    for kind in [arguments.only] if arguments.only else KINDS:
        found = answers(kind)
        np.savez_compressed(folder / f"{kind}.npz", **found)
        print(f"{kind}: {len(found['proposals'])} proposals, {len(found['boxes'])} objects")


if __name__ == "__main__":
    main()
