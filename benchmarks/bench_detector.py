"""Speed of the operators and detectors: `python benchmarks/bench_detector.py`."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import PIL.Image
import torch

from detectors.default import RegionDetector
from detectors.faster_rcnn import Targets, TrainingSettings, build_detector
from detectors.ops import nms, roi_align
from detectors.rcnn import RCNN
from detectors.rcnn_config import detectron2_fpn
from detectors.rcnn_training import freeze_early_stages, rcnn_losses

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
_clock = CLOCKS["wall"]


def best_of(function: Callable[[], object], repeats: int = 5) -> float:
    """Shortest time in seconds over `repeats` calls, after one call to warm up."""
    function()
    times = []
    for _ in range(repeats):
        start = _clock()
        function()
        times.append(_clock() - start)
    return min(times)


def random_boxes(
    count: int, width: float, height: float, generator: torch.Generator
) -> torch.Tensor:
    corner = torch.rand(count, 2, generator=generator) * torch.tensor([width, height]) * 0.9
    size = torch.rand(count, 2, generator=generator) * 200 + 10
    limit = torch.tensor([width, height])
    return torch.cat([corner, torch.minimum(corner + size, limit)], dim=1)


def bench_operators() -> None:
    generator = torch.Generator().manual_seed(0)
    boxes = random_boxes(6000, 800, 600, generator)
    scores = torch.rand(6000, generator=generator)
    for threshold in (0.5, 0.7):
        seconds = best_of(lambda t=threshold: nms(boxes, scores, t, backend="torch"))
        print(f"nms 6,000 boxes, threshold {threshold}: {1e3 * seconds:.1f} ms")
    for height, width, scale in ((150, 200, 0.25), (38, 50, 1 / 16)):
        features = torch.randn(1, 256, height, width, generator=generator)
        regions = torch.cat([torch.zeros(1000, 1), boxes[:1000]], dim=1)
        for ratio in (0, 2):
            seconds = best_of(
                lambda f=features, s=scale, r=ratio, g=regions: roi_align(
                    f, g, (7, 7), spatial_scale=s, sampling_ratio=r, backend="torch"
                ),
                3,
            )
            print(
                f"roi_align 1,000 boxes x 256 channels on {height}x{width}, sampling "
                f"{ratio or 'adaptive'}: {seconds:.3f} s"
            )


def toy_targets(batch: int, attributes: int, predicates: int, facts: dict[str, int]) -> Targets:
    boxes = torch.tensor([[20.0 + 60 * row, 40, 70 + 60 * row, 110] for row in range(4)])
    return Targets(
        boxes.expand(batch, -1, -1).contiguous(),
        torch.zeros(batch, 4, dtype=torch.int64),
        torch.ones(batch, 4, dtype=torch.bool),
        torch.zeros(batch, 4, attributes),
        torch.zeros(batch, 4, 4, predicates),
        {key: torch.zeros(batch, dtype=torch.int64) for key in facts},
    )


def bench_default() -> None:
    """The shipped detector on one 320x240 picture, and a training step of 16 pictures."""
    detector = RegionDetector.from_pretrained()
    examples = sorted(EXAMPLES.rglob("*.jpg"))
    picture = PIL.Image.open(examples[0]) if examples else PIL.Image.new("RGB", (320, 240))
    with torch.inference_mode():
        seconds = best_of(lambda: detector.detect([picture]), 10)
        batch = best_of(lambda: detector.detect([picture] * 8), 3)
    print(f"default detector, one 320x240 picture: {1e3 * seconds:.0f} ms")
    print(f"default detector, 8 pictures together: {1e3 * batch / 8:.0f} ms a picture")
    model = build_detector(detector.config).train()
    names = detector.config.vocabulary
    facts = {key: len(values) for key, values in names.scene_attributes.items()}
    targets = toy_targets(16, len(names.attributes), len(names.predicates), facts)
    pictures = torch.randint(0, 256, (16, 3, 240, 320)).float()
    for kind, enabled in (("float32", False), ("bfloat16", True)):

        def step(enabled: bool = enabled) -> None:
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                losses = model.losses(pictures, targets, TrainingSettings())
            torch.stack(list(losses.values())).sum().backward()

        seconds = best_of(step, 3)
        print(
            f"default detector, training step of 16 pictures, {kind}: {16 / seconds:.1f} images/s"
        )


def bench_resnet_pyramid() -> None:
    """R-50-FPN (detectron2's form, random weights) on one 800x600 picture."""
    config = detectron2_fpn(tuple(f"class {number}" for number in range(80)))
    model = RCNN(config)
    model.proposals.settings = model.proposals.settings._replace(after_nms=1000)
    freeze_early_stages(model)
    picture = torch.randn(1, 3, 608, 800)
    model.eval()
    with torch.inference_mode():
        seconds = best_of(lambda: model(picture, [(600, 800)]), 2)
    print(f"R-50-FPN, one 800x600 picture, forward: {seconds:.2f} s")
    targets = toy_targets(1, 0, 0, {})

    def step() -> None:
        losses = rcnn_losses(model, picture, targets)
        torch.stack(list(losses.values())).sum().backward()

    print(f"R-50-FPN, one 800x600 picture, training step: {best_of(step, 2):.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--only", choices=["operators", "default", "resnet"], help="run this part alone"
    )
    parser.add_argument(
        "--clock",
        choices=list(CLOCKS),
        default="wall",
        help="processor: this process's own time, for machines that others use; take --threads 1",
    )
    arguments = parser.parse_args()
    global _clock
    _clock = CLOCKS[arguments.clock]
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    load = os.getloadavg()[0]
    print(f"{arguments.threads} threads, {arguments.clock} time, load average {load:.1f}")
    if arguments.only in (None, "operators"):
        with torch.inference_mode():
            bench_operators()
    if arguments.only in (None, "default"):
        bench_default()
    if arguments.only in (None, "resnet"):
        bench_resnet_pyramid()


if __name__ == "__main__":
    main()
