"""Pooling of regions: RoIAlign and RoIPool in vectorized torch.

Legend: B pictures, R regions, C channels, H x W feature cells, (ph, pw) output bins, K cells that
a bin touches along one axis. Regions are (picture index, x1, y1, x2, y2) in picture pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["interpolation", "pool_dense", "pool_windows", "roi_pool"]

_CHUNK_BYTES = 32_000_000
_CACHE_BYTES = 4_000_000
"""Intermediate sums of a group of regions, so that they are read back from the cache."""


def interpolation(
    start: Tensor,
    end: Tensor,
    bins: int,
    cells: int,
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """RoIAlign's interpolation matrix (R, bins, cells) of one axis.

    Row p averages the samples of bin p, each of them shared between its two neighbouring cells.
    `start` and `end` are (R,) in pixels; the other arguments are those of `ops.roi_align`.
    """
    shift = 0.5 if aligned else 0.0
    start = start.float() * spatial_scale - shift
    length = end.float() * spatial_scale - shift - start
    if not aligned:
        length = length.clamp(min=1.0)
    bin_size = length / bins
    if sampling_ratio > 0:
        samples = torch.full_like(start, float(sampling_ratio))
    else:
        samples = torch.ceil(bin_size)
    largest = max(int(samples.max()), 1) if samples.numel() else 1
    index = torch.arange(largest, device=start.device, dtype=start.dtype)
    inside_bin = (index[None] + 0.5) / samples.clamp(min=1)[:, None] * bin_size[:, None]
    bin_start = start[:, None] + bin_size[:, None] * torch.arange(
        bins, device=start.device, dtype=start.dtype
    )
    position = bin_start[:, :, None] + inside_bin[:, None, :]
    counted = (position >= -1.0) & (position <= cells) & (index < samples[:, None])[:, None, :]
    position = position.clamp(min=0.0, max=cells - 1.0)
    low = position.floor()
    high = (low + 1).clamp(max=cells - 1.0)
    fraction = position - low
    share = counted / samples.clamp(min=1)[:, None, None]
    matrix = start.new_zeros(start.shape[0], bins, cells)
    matrix.scatter_add_(2, low.long(), share * (1 - fraction))
    return matrix.scatter_add_(2, high.long(), share * fraction)


def pool_dense(features: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """`rows (B,R,ph,H) x features (B,C,H,W) x columns (B,R,pw,W)` -> (B, R, ph, pw, C)."""
    batch, channels, height, width = features.shape
    count, bins_y = rows.shape[1:3]
    cells = features.permute(0, 2, 3, 1).reshape(batch, height, width * channels)
    by_row = torch.bmm(rows.reshape(batch, -1, height).to(cells.dtype), cells)
    by_row = by_row.view(batch * count, bins_y, width, channels)
    selector = columns.reshape(batch * count, 1, -1, width).to(cells.dtype)
    pooled = torch.matmul(selector, by_row)
    return pooled.view(batch, count, bins_y, -1, channels)


def pool_windows(features: Tensor, pictures: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The same product over the window of cells that each region touches -> (R, ph, pw, C).

    Args:
        features: (B, C, H, W).
        pictures: (R,) int64.
        rows: (R, ph, H).
        columns: (R, pw, W).

    Differentiable with respect to `features`.
    """
    return _WindowPooling.apply(features, pictures, rows, columns)  # type: ignore[no-any-return]


class _WindowPooling(torch.autograd.Function):
    """`pool_windows` and its gradient.

    With the map laid out as (B, H, W * C), the window of a region is a plain slice, which matrix
    products read in place; likewise gradients are added to slices. Neither direction gathers cells.
    """

    @staticmethod
    def forward(
        context: Any, features: Tensor, pictures: Tensor, rows: Tensor, columns: Tensor
    ) -> Tensor:
        rows, columns = rows.to(features.dtype), columns.to(features.dtype)
        context.save_for_backward(pictures, rows, columns)
        context.shape = features.shape
        batch, channels, height, width = features.shape
        cells = features.permute(0, 2, 3, 1).reshape(batch, height, width * channels)
        bins_y, bins_x = rows.shape[1], columns.shape[1]
        pooled = features.new_empty(rows.shape[0], bins_y, bins_x, channels)
        with torch.autocast(features.device.type, enabled=False):
            for part in _windows(pictures, rows, columns, channels):
                by_row = cells.new_empty(len(part.regions), bins_y, part.width * channels)
                for place, (region, picture, y, x) in enumerate(part.spots):
                    weights, window = rows[region, :, y], cells[picture, y, _wide(x, channels)]
                    torch.mm(weights, window, out=by_row[place])
                by_row = by_row.view(-1, bins_y, part.width, channels)
                pooled[part.regions] = torch.matmul(part.columns[:, None], by_row)
        return pooled

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        pictures, rows, columns = context.saved_tensors
        batch, channels, height, width = context.shape
        total = gradients[0].new_zeros(batch, height, width * channels)
        with torch.autocast(total.device.type, enabled=False):
            for part in _windows(pictures, rows, columns, channels):
                selector = part.columns.transpose(1, 2)[:, None]
                by_row = torch.matmul(selector, gradients[0][part.regions]).flatten(2)
                for place, (region, picture, y, x) in enumerate(part.spots):
                    window = total[picture, y, _wide(x, channels)]
                    window.addmm_(rows[region, :, y].T, by_row[place])
        return total.view(batch, height, width, channels).permute(0, 3, 1, 2), None, None, None


class _Windows(NamedTuple):
    """Regions whose windows are equally wide."""

    regions: Tensor
    """(n,) int64."""
    width: int
    columns: Tensor
    """(n, pw, width): the weights inside the windows."""
    spots: list[tuple[int, int, slice, slice]]
    """Region, picture, rows and columns of each."""


def _windows(pictures: Tensor, rows: Tensor, columns: Tensor, channels: int) -> Iterator[_Windows]:
    """All regions, in groups of similar width that fit the processor's cache."""
    top, tall = _touched(rows)
    left, wide = _touched(columns)
    cells = columns.shape[-1]
    order = wide.argsort(stable=True)
    start = 0
    while start < len(order):
        size = rows.shape[1] * channels * rows.element_size()
        count = max(_CACHE_BYTES // (size * int(wide[order[start]])), 1)
        part = order[start : start + count]
        start += count
        width = int(wide[part].max())
        first = left[part].clamp(max=cells - width)
        index = (first[:, None] + torch.arange(width, device=first.device))[:, None, :]
        inside = columns[part].gather(2, index.expand(-1, columns.shape[1], -1))
        corners = zip(
            part.tolist(),
            pictures[part].tolist(),
            top[part].tolist(),
            tall[part].tolist(),
            first.tolist(),
            strict=True,
        )
        spots = [(r, p, slice(y, y + h), slice(x, x + width)) for r, p, y, h, x in corners]
        yield _Windows(part, width, inside, spots)


def _wide(cells: slice, channels: int) -> slice:
    """The columns of a (H, W * C) map that hold these cells."""
    return slice(cells.start * channels, cells.stop * channels)


def _touched(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """First cell (R,) that any bin of a region touches, and how many there are up to the last."""
    used = (matrix > 0).any(dim=1)
    first = used.to(torch.uint8).argmax(dim=-1)
    last = matrix.shape[-1] - 1 - used.flip(-1).to(torch.uint8).argmax(dim=-1)
    return first, torch.where(used.any(dim=-1), last - first + 1, torch.ones_like(first))


def roi_pool(
    features: Tensor, regions: Tensor, output_size: tuple[int, int], *, spatial_scale: float = 1.0
) -> Tensor:
    """RoIPool (Girshick 2015, section 2.1): the maximum of each bin of whole cells.

    Corners are rounded to cells (halves away from zero) and both belong to the region; bins may
    share a row of cells; empty bins are 0. Maxima over rectangles come from four overlapping
    squares of power-of-two sides, so the cost does not depend on the size of a region.

    Args:
        features: (B, C, H, W).
        regions: (R, 5).
        output_size: (ph, pw).
        spatial_scale: feature cells per picture pixel.

    Returns:
        (R, C, ph, pw).
    """
    _, channels, height, width = features.shape
    if regions.shape[0] == 0:
        return features.new_zeros(0, channels, *output_size)
    corners = torch.floor(regions[:, 1:].float() * spatial_scale + 0.5)
    top, bottom = _bins(corners[:, 1], corners[:, 3], output_size[0], height)
    left, right = _bins(corners[:, 0], corners[:, 2], output_size[1], width)
    tables: dict[tuple[int, int], Tensor] = {}
    pictures = regions[:, 0].long()
    chunk = max(_CHUNK_BYTES // (channels * output_size[0] * output_size[1] * 4), 1)
    pooled = [
        _rectangle_maxima(features, tables, pictures[s], top[s], bottom[s], left[s], right[s])
        for s in (slice(i, i + chunk) for i in range(0, regions.shape[0], chunk))
    ]
    return torch.cat(pooled)


def _bins(start: Tensor, end: Tensor, bins: int, cells: int) -> tuple[Tensor, Tensor]:
    """First and one-past-last cell (R, bins) of each bin along one axis."""
    size = (end - start + 1).clamp(min=1) / bins
    place = torch.arange(bins, dtype=start.dtype)
    low = torch.floor(place * size[:, None]) + start[:, None]
    high = torch.ceil((place + 1) * size[:, None]) + start[:, None]
    return low.clamp(0, cells).long(), high.clamp(0, cells).long()


def _rectangle_maxima(
    features: Tensor,
    tables: dict[tuple[int, int], Tensor],
    pictures: Tensor,
    top: Tensor,
    bottom: Tensor,
    left: Tensor,
    right: Tensor,
) -> Tensor:
    """Maxima (R, C, ph, pw) over rows top..bottom and columns left..right of each bin."""
    _, channels, height, width = features.shape
    tall, wide = (bottom - top)[:, :, None], (right - left)[:, None, :]
    shape = (top.shape[0], top.shape[1], left.shape[1])
    empty = ((tall <= 0) | (wide <= 0)).expand(shape)
    level_y = torch.log2(tall.clamp(min=1).float()).floor().long()
    level_x = torch.log2(wide.clamp(min=1).float()).floor().long()
    level = (level_y * 32 + level_x).expand(shape)
    output = features.new_zeros(*shape, channels)
    base = (pictures * (height * width))[:, None, None]
    for value in torch.unique(level[~empty]).tolist():
        level_pair = divmod(value, 32)
        table = _maximum_table(features, tables, level_pair)
        spot = (level == value) & ~empty
        row_pair = (top[:, :, None], bottom[:, :, None] - (1 << level_pair[0]))
        column_pair = (left[:, None, :], right[:, None, :] - (1 << level_pair[1]))
        best: Tensor | None = None
        for row in row_pair:
            for column in column_pair:
                index = (base + row * width + column).expand(shape)[spot]
                part = table[index]
                best = part if best is None else torch.maximum(best, part)
        if best is not None:
            output[spot] = best
    return output.permute(0, 3, 1, 2)


def _maximum_table(
    features: Tensor, tables: dict[tuple[int, int], Tensor], level: tuple[int, int]
) -> Tensor:
    """Maxima (B * H * W, C) over 2^a rows and 2^b columns from each cell on."""
    if level not in tables:
        rows, columns = 1 << level[0], 1 << level[1]
        padded = torch.nn.functional.pad(features, (0, columns - 1, 0, rows - 1), value=-torch.inf)
        maxima = torch.nn.functional.max_pool2d(padded, (rows, columns), stride=1)
        tables[level] = maxima.permute(0, 2, 3, 1).reshape(-1, features.shape[1])
    return tables[level]
