"""The inner loops of contrast, pixelate and the clouds of fog, as in `corruptions.compiled`."""

from __future__ import annotations

import numpy as np

from corruptions.compiled import compile_loop


@compile_loop
def contrast(start: int, stop: int, planes: np.ndarray, kept: float, result: np.ndarray) -> None:
    """Draw planes [n, size] of whole levels towards their means, of which the share `1 - kept` is added."""
    factor = np.float32(kept)
    for plane in range(start, stop):
        levels, target = planes[plane], result[plane]
        total = 0
        for place in range(len(levels)):
            total += int(levels[place])
        summand = np.float32(total / len(levels) * (1 - kept))
        for place in range(len(levels)):
            target[place] = levels[place] * factor + summand


@compile_loop
def pixelate(
    start: int,
    stop: int,
    planes: np.ndarray,
    boxes: np.ndarray,
    places: np.ndarray,
    shares: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    result: np.ndarray,
) -> None:
    """Average boxes of rows, then of columns, rounding each, and repeat them over the image.

    Args:
        start: The first plane.
        stop: The plane after the last.
        planes: Whole levels [n, h, w].
        boxes: First row of every box and the one after its last, int64 [boxes, 2].
        places: Columns of every box, uint32 [longest, boxes].
        shares: 1, or 0 for those that a shorter box does not have.
        rows: The box that each row of the result shows, int64.
        columns: The box that each column shows, uint32.
        result: Receives the planes.
    """
    height, width = planes.shape[1:]
    line, small = np.empty(width, np.float32), np.empty(places.shape[1], np.float32)
    sizes, half = shares.sum(0), np.float32(0.5)
    for plane in range(start, stop):
        for row in range(height):
            target = result[plane, row]
            if row and rows[row] == rows[row - 1]:
                target[:] = result[plane, row - 1]
                continue
            first, last = boxes[rows[row]]
            line[:] = planes[plane, first]
            for other in range(first + 1, last):
                addend = planes[plane, other]
                for place in range(width):
                    line[place] += addend[place]
            size = np.float32(last - first)
            for place in range(width):
                line[place] = np.floor(line[place] / size + half)
            small[:] = 0
            for part in range(len(places)):
                named, share = places[part], shares[part]
                for box in range(len(small)):
                    small[box] += line[named[box]] * share[box]
            for box in range(len(small)):
                small[box] = np.floor(small[box] / sizes[box] + half)
            for place in range(width):
                target[place] = small[columns[place]]


@compile_loop
def plasma(start: int, stop: int, noise: np.ndarray, decay: float, heights: np.ndarray) -> None:
    """Do as `corruptions.plasma._grow`: heights [n, size, size] from noise [n, size**2] in (-1, 1)."""
    size = heights.shape[1]
    quarter = np.float32(4)
    for image in range(start, stop):
        land, bumps = heights[image], noise[image]
        land[0, 0] = 0
        step, used, wobble = size, 0, 100.0
        while step >= 2:
            half, count = step // 2, size // step
            scale = np.float32(wobble**2)
            for row in range(count):
                here, below = land[row * step], land[(row + 1) % count * step]
                target, share = land[row * step + half], bumps[used + row * count :]
                for column in range(count):
                    left, right = column * step, (column + 1) % count * step
                    total = (here[left] + below[left]) + (here[right] + below[right])
                    target[left + half] = total / quarter + share[column] * scale
            used += count**2
            for row in range(count):
                above = land[(row - 1) % count * step + half]
                here, centre = land[row * step], land[row * step + half]
                share = bumps[used + row * count :]
                for column in range(count):
                    left, right = column * step, (column + 1) % count * step
                    total = (centre[left + half] + above[left + half]) + here[left] + here[right]
                    here[left + half] = total / quarter + share[column] * scale
            used += count**2
            for row in range(count):
                here, below = land[row * step], land[(row + 1) % count * step]
                centre, share = land[row * step + half], bumps[used + row * count :]
                for column in range(count):
                    left = column * step
                    before = (column - 1) % count * step
                    total = (centre[left + half] + centre[before + half]) + here[left] + below[left]
                    centre[left] = total / quarter + share[column] * scale
            used += count**2
            step, wobble = half, wobble / decay
