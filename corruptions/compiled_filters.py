"""The inner loops of `corruptions.filters`, as in `corruptions.compiled`: weighted sums of shifted readings.

A row of the result is summed at a time, so that it stays in the nearest cache, and several readings at
once, so that it is read and written less often.

Sums that the torch code makes without rounding, of whole levels times multiples of 2**-15, are made in
whole numbers here. They are faster, because levels are bytes and weights 16 bits: four times as many fit
in a cache, and a vector instruction multiplies and adds twice as many.
"""

from __future__ import annotations

import numpy as np

from corruptions.compiled import compile_loop, inline_loop

NEAREST, REFLECT, MIRROR = range(3)
UNIT = np.float32(2**-15)
BAND = 8
"""Rows that are summed together; what they need fits in the nearest cache."""


@inline_loop
def _inside(position: int, size: int, border: int) -> int:
    """Do as `shifts.border_index`."""
    if border == NEAREST:
        return min(max(position, 0), size - 1)
    surplus = 1 if border == REFLECT else 0
    period = 2 * (size - 1 + surplus)
    folded = position % period
    return min(folded, period - folded - surplus)


@compile_loop
def _add_border(line: np.ndarray, reach: int, border: int) -> None:
    """Fill the first and the last `reach` values of a line from those between."""
    size = len(line) - 2 * reach
    for place in range(-reach, 0):
        line[reach + place] = line[reach + _inside(place, size, border)]
        line[reach + size - 1 - place] = line[reach + _inside(size - 1 - place, size, border)]


@compile_loop
def symmetric(
    start: int, stop: int, planes: np.ndarray, weights: np.ndarray, border: int, result: np.ndarray
) -> None:
    """Filter planes [n, h, w] along columns, then rows, by an even number of weights from the centre on.

    The centre is its own pair, so its weight is half.
    """
    height, width = planes.shape[1:]
    reach = len(weights) - 1
    line = np.empty(width + 2 * reach, np.float32)
    inner = line[reach : reach + width]
    for plane in range(start, stop):
        for row in range(height):
            inner[:] = 0
            for step in range(0, len(weights), 2):
                one = planes[plane, _inside(row - step, height, border)]
                two = planes[plane, _inside(row + step, height, border)]
                three = planes[plane, _inside(row - step - 1, height, border)]
                four = planes[plane, _inside(row + step + 1, height, border)]
                _add_pairs(inner, one, two, three, four, weights[step], weights[step + 1])
            _add_border(line, reach, border)
            target = result[plane, row]
            target[:] = 0
            for step in range(0, len(weights), 2):
                one, two = line[reach - step :][:width], line[reach + step :][:width]
                three, four = line[reach - step - 1 :][:width], line[reach + step + 1 :][:width]
                _add_pairs(target, one, two, three, four, weights[step], weights[step + 1])


@inline_loop
def _add_pairs(
    total: np.ndarray,
    one: np.ndarray,
    two: np.ndarray,
    three: np.ndarray,
    four: np.ndarray,
    near: np.float32,
    far: np.float32,
) -> None:
    for place in range(len(total)):
        before = total[place] + (one[place] + two[place]) * near
        total[place] = before + (three[place] + four[place]) * far


@compile_loop
def quadrant(start: int, stop: int, planes: np.ndarray, weights: np.ndarray, result: np.ndarray) -> None:
    """Filter planes [n, h, w] of whole levels by a kernel that is symmetric in both axes.

    int16 `weights`, in units of 2**-15, are the kernel's lower half, from the centre's row on; columns of
    zeros on the right make their number a multiple of four. Planes are mirrored at their outermost pixels.
    """
    height, width = planes.shape[1:]
    reach, taps = len(weights) - 1, weights.shape[1]
    padded = np.zeros((height, width + taps), np.int16)
    pair = np.zeros((BAND + 1, width + taps), np.int16)
    total = np.empty((BAND, width + taps), np.int32)
    flat_pair, flat_total = pair.reshape(pair.size), total.reshape(total.size)
    for plane in range(start, stop):
        _pad_mirrored(planes[plane], reach, padded)
        for first in range(0, height, BAND):
            rows = min(BAND, height - first)
            flat_total[:] = 0
            for down in range(reach + 1):
                _add_mirrored(padded, first, rows, down, pair)
                for right in range(0, taps, 4):
                    factors = weights[down, right : right + 4]
                    if factors.any():
                        one, two = flat_pair[right:], flat_pair[right + 1 :]
                        three, four = flat_pair[right + 2 :], flat_pair[right + 3 :]
                        _add_four(flat_total, one, two, three, four, factors)
            for row in range(rows):
                _write(total[row], result[plane, first + row])


@compile_loop
def _pad_mirrored(plane: np.ndarray, reach: int, padded: np.ndarray) -> None:
    height, width = plane.shape
    for row in range(height):
        line = padded[row, : width + 2 * reach]
        for place in range(width):
            line[reach + place] = np.int16(plane[row, place])
        _add_border(line, reach, MIRROR)


@compile_loop
def _add_mirrored(padded: np.ndarray, first: int, rows: int, down: int, pair: np.ndarray) -> None:
    """Write the sum of the rows `down` above and below each, or the row itself."""
    height = len(padded)
    for row in range(rows):
        upper = padded[_inside(first + row - down, height, MIRROR)]
        lower = padded[_inside(first + row + down, height, MIRROR)]
        target, factor = pair[row], np.int16(down > 0)
        for place in range(len(target)):
            target[place] = upper[place] + lower[place] * factor


@inline_loop
def _write(total: np.ndarray, target: np.ndarray) -> None:
    for place in range(len(target)):
        target[place] = np.float32(total[place]) * UNIT


@inline_loop
def _add_four(
    total: np.ndarray,
    one: np.ndarray,
    two: np.ndarray,
    three: np.ndarray,
    four: np.ndarray,
    weights: np.ndarray,
) -> None:
    first, second = np.int32(weights[0]), np.int32(weights[1])
    third, fourth = np.int32(weights[2]), np.int32(weights[3])
    for place in range(len(total)):
        addend = np.int32(one[place]) * first + np.int32(two[place]) * second
        addend += np.int32(three[place]) * third
        total[place] += addend + np.int32(four[place]) * fourth


@inline_loop
def _pad_bytes(plane: np.ndarray, left: int, padded: np.ndarray) -> None:
    """Write whole levels as bytes; beyond the first and the last column, these repeat."""
    height, width = plane.shape
    for row in range(height):
        source, line = plane[row], padded[row]
        inner = line[left : left + width]
        for place in range(width):
            inner[place] = np.uint8(np.int32(source[place]))
        line[:left] = inner[0]
        line[left + width :] = inner[width - 1]


@compile_loop
def add_steps(
    start: int,
    stop: int,
    images: np.ndarray,
    down: np.ndarray,
    right: np.ndarray,
    weights: np.ndarray,
    result: np.ndarray,
) -> None:
    """Write sums of readings of images [n, c, h, w] times their weights; at the edge, pixels repeat.

    int64 `down` and `right` [n, steps] say where each image is read, int16 `weights` are in units of 2**-15.
    The number of steps is a multiple of four.
    """
    height, width = images.shape[2:]
    last, total = height - 1, np.empty(width, np.int32)
    for image in range(start, stop):
        downs = down[image]
        left, more = max(0, -right[image].min()), max(0, right[image].max())
        rights = right[image] + left
        padded = np.empty((height, left + width + more), np.uint8)
        for channel in range(images.shape[1]):
            _pad_bytes(images[image, channel], left, padded)
            for row in range(height):
                total[:] = 0
                for step in range(0, len(weights), 4):
                    one = padded[min(max(row + downs[step], 0), last), rights[step] :][:width]
                    two = padded[min(max(row + downs[step + 1], 0), last), rights[step + 1] :][:width]
                    three = padded[min(max(row + downs[step + 2], 0), last), rights[step + 2] :][:width]
                    four = padded[min(max(row + downs[step + 3], 0), last), rights[step + 3] :][:width]
                    _add_four(total, one, two, three, four, weights[step : step + 4])
                _write(total, result[image, channel, row])
