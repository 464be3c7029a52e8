"""Slow, obvious forms of the detector's operators, written from their definitions."""

from __future__ import annotations

import math

import numpy as np


def iou(a: np.ndarray, b: np.ndarray) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return shared / (area - shared) if area > shared else 0.0


def nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(iou(boxes[index], boxes[other]) <= threshold for other in kept):
            kept.append(index)
    return kept


def bilinear(plane: np.ndarray, y: float, x: float) -> float:
    height, width = plane.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = min(max(y, 0.0), height - 1), min(max(x, 0.0), width - 1)
    y0, x0 = math.floor(y), math.floor(x)
    y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
    fy, fx = y - y0, x - x0
    upper = plane[y0, x0] * (1 - fx) + plane[y0, x1] * fx
    lower = plane[y1, x0] * (1 - fx) + plane[y1, x1] * fx
    return upper * (1 - fy) + lower * fy


def roi_align(
    features: np.ndarray,
    regions: np.ndarray,
    size: tuple[int, int],
    scale: float,
    ratio: int,
    aligned: bool,
) -> np.ndarray:
    output = np.zeros((len(regions), features.shape[1], *size))
    shift = 0.5 if aligned else 0.0
    for r, (picture, x1, y1, x2, y2) in enumerate(regions):
        left, top = x1 * scale - shift, y1 * scale - shift
        width, height = x2 * scale - shift - left, y2 * scale - shift - top
        if not aligned:
            width, height = max(width, 1.0), max(height, 1.0)
        bin_height, bin_width = height / size[0], width / size[1]
        rows = ratio if ratio > 0 else math.ceil(bin_height)
        columns = ratio if ratio > 0 else math.ceil(bin_width)
        for channel in range(features.shape[1]):
            plane = features[int(picture), channel]
            for p in range(size[0]):
                for q in range(size[1]):
                    total = 0.0
                    for i in range(rows):
                        for j in range(columns):
                            y = top + p * bin_height + (i + 0.5) * bin_height / rows
                            x = left + q * bin_width + (j + 0.5) * bin_width / columns
                            total += bilinear(plane, y, x)
                    output[r, channel, p, q] = total / max(rows * columns, 1)
    return output


def roi_pool(
    features: np.ndarray, regions: np.ndarray, size: tuple[int, int], scale: float
) -> np.ndarray:
    height, width = features.shape[2:]
    output = np.zeros((len(regions), features.shape[1], *size))
    for r, (picture, *box) in enumerate(regions):
        x1, y1, x2, y2 = (math.floor(value * scale + 0.5) for value in box)
        tall = max(y2 - y1 + 1, 1) / size[0]
        wide = max(x2 - x1 + 1, 1) / size[1]
        for p in range(size[0]):
            for q in range(size[1]):
                rows = range(math.floor(p * tall) + y1, math.ceil((p + 1) * tall) + y1)
                columns = range(math.floor(q * wide) + x1, math.ceil((q + 1) * wide) + x1)
                rows = [y for y in rows if 0 <= y < height]
                columns = [x for x in columns if 0 <= x < width]
                for channel in range(features.shape[1]):
                    cells = [features[int(picture), channel, y, x] for y in rows for x in columns]
                    output[r, channel, p, q] = max(cells, default=0.0)
    return output
