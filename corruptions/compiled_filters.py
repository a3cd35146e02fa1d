"""The inner loops of `corruptions.filters`, as in `corruptions.compiled`: exact sums of shifted readings.

The torch code sums whole levels times multiples of 2**-15 in float32, without rounding. The same sums in
whole numbers are faster, because levels are bytes and weights 16 bits: four times as many fit in a cache,
and a vector instruction multiplies and adds twice as many. A row of the result is summed at a time, and
four readings at once, so that it is read and written less often.
"""

from __future__ import annotations

import numpy as np

from corruptions.compiled import compile_loop, inline_loop

UNIT = np.float32(2**-15)


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
                target = result[image, channel, row]
                for place in range(width):
                    target[place] = np.float32(total[place]) * UNIT
