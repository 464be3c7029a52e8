"""Speed of the detector's operators and of the default detector: `python benchmarks/bench_detector.py`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from detectors.ops import nms, roi_align


def best_of(function: Callable[[], object], repeats: int = 5) -> float:
    """Shortest wall time in seconds over `repeats` calls, after one call to warm up."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with torch.inference_mode():
        bench_operators()


if __name__ == "__main__":
    main()
