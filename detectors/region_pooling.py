"""Pooling of regions: RoIAlign and RoIPool in vectorized torch.

Legend: B pictures, R regions, C channels, H x W feature cells, (ph, pw) output bins, K cells that
a bin touches along one axis. Regions are (picture index, x1, y1, x2, y2) in picture pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["in_order", "interpolation", "pool_dense", "pool_sparse", "roi_pool"]

_CHUNK_BYTES = 32_000_000


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


def pool_sparse(features: Tensor, pictures: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The same product over touched cells only -> (R, ph, pw, C).

    Regions are grouped by how many cells their bins touch, and each group is one weighted
    `embedding_bag` over the map's cells.

    Args:
        features: (B, C, H, W).
        pictures: (R,) int64.
        rows: (R, ph, H).
        columns: (R, pw, W).
    """
    _, channels, height, width = features.shape
    bins_y, bins_x = rows.shape[1], columns.shape[1]
    table = features.permute(0, 2, 3, 1).reshape(-1, channels)
    row_first, row_span = _touched(rows)
    column_first, column_span = _touched(columns)
    group = _group(row_span) * 64 + _group(column_span)
    parts, order = [], []
    for value in torch.unique(group).tolist():
        mine = (group == value).nonzero().squeeze(1)
        near = row_first[mine, 0] + height * pictures[mine]
        mine = mine[near.argsort()]  # neighbours in the map follow one another: cache hits
        row_cells, row_weights = _window(rows[mine], row_first[mine], row_span[mine])
        column_cells, column_weights = _window(columns[mine], column_first[mine], column_span[mine])
        index = (
            (pictures[mine] * (height * width))[:, None, None, None, None]
            + row_cells[:, :, None, :, None] * width
            + column_cells[:, None, :, None, :]
        )
        weights = row_weights[:, :, None, :, None] * column_weights[:, None, :, None, :]
        bags = index.shape[0] * bins_y * bins_x
        part = torch.nn.functional.embedding_bag(
            index.reshape(bags, -1),
            table,
            per_sample_weights=weights.reshape(bags, -1).to(table.dtype),
            mode="sum",
        )
        parts.append(part.view(-1, bins_y, bins_x, channels))
        order.append(mine)
    return in_order(parts, order)


def in_order(parts: Sequence[Tensor], order: Sequence[Tensor]) -> Tensor:
    """Rows of `parts` at the positions that `order` gives for them, which cover 0..R-1."""
    rows = torch.cat(list(order))
    place = torch.empty_like(rows)
    place[rows] = torch.arange(rows.shape[0], device=rows.device)
    return torch.cat(list(parts))[place]


def _touched(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """First touched cell (R, bins) of each row, and the widest span (R,) over a region's bins."""
    used = matrix > 0
    first = used.to(torch.uint8).argmax(dim=-1)
    last = matrix.shape[-1] - 1 - used.flip(-1).to(torch.uint8).argmax(dim=-1)
    span = torch.where(used.any(dim=-1), last - first + 1, torch.ones_like(first))
    return first, span.amax(dim=1)


def _group(span: Tensor) -> Tensor:
    """Groups of similar spans: every span up to 8, then steps of a quarter."""
    coarse = 8 + torch.ceil(torch.log(span.clamp(min=8) / 8) / 0.223).long()
    return torch.where(span <= 8, span, coarse)


def _window(matrix: Tensor, first: Tensor, span: Tensor) -> tuple[Tensor, Tensor]:
    """Cells and weights (R, bins, K) of the K consecutive cells that hold each row's weights."""
    widest = int(span.max())
    offsets = torch.arange(widest, device=matrix.device)
    index = first.clamp(max=matrix.shape[-1] - widest)[..., None] + offsets
    return index, matrix.gather(-1, index)


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
