"""The inner loops that read images at fractional or random places, as in `corruptions.compiled`.

Such reading cannot use vector instructions, so whole levels are packed first: one word of 32 bits holds
the channels of a pixel, and one reading serves all of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corruptions.compiled import compile_loop, inline_loop

_BYTE = np.uint32(255)
_ZERO, _ONE = np.int32(0), np.int32(1)


@compile_loop
def pack(start: int, stop: int, images: np.ndarray, slack: float, pixels: np.ndarray) -> None:
    """Write levels [n, c, size] plus the slack, truncated, as words [n, size].

    The first channel is the lowest byte.
    """
    offset = np.float32(slack)
    for image in range(start, stop):
        words = pixels[image]
        words[:] = 0
        for channel in range(images.shape[1]):
            levels, shift = images[image, channel], np.uint32(8 * channel)
            for place in range(len(words)):
                words[place] |= np.uint32(np.int32(levels[place] + offset)) << shift


@compile_loop
def unpack(start: int, stop: int, pixels: np.ndarray, images: np.ndarray) -> None:
    """Undo `pack`."""
    for image in range(start, stop):
        for channel in range(images.shape[1]):
            _unpack_line(pixels[image], channel, images[image, channel])


@inline_loop
def _unpack_line(words: np.ndarray, channel: int, levels: np.ndarray) -> None:
    shift = np.uint32(8 * channel)
    for place in range(len(levels)):
        levels[place] = np.float32(np.int32((words[place] >> shift) & _BYTE))


@compile_loop
def copy_neighbours(start: int, stop: int, words: np.ndarray, reach: int, pixels: np.ndarray) -> None:
    """Overwrite every inner pixel of [n, h, w] by a near one, from the last to the first, as published.

    uint16 `words` [n, 2, h, w], of the inner pixels, say how far down and right, from -reach to reach - 1,
    the near one lies.
    """
    height, width = pixels.shape[1:]
    span, bits = np.uint32(2 * reach), np.uint32(16)
    steps = np.empty(words.shape[3], np.int32)
    for image in range(start, stop):
        flat = pixels[image].reshape(height * width)
        for row in range(height - reach, reach, -1):
            downs, rights = words[image, 0, row - reach - 1], words[image, 1, row - reach - 1]
            # Apart from the copying, which must go pixel by pixel, this can use vector instructions.
            for place in range(len(steps)):
                down = np.int32((downs[place] * span) >> bits) - reach
                right = np.int32((rights[place] * span) >> bits) - reach
                steps[place] = down * width + right
            first = row * width + reach + 1
            for place in range(len(steps) - 1, -1, -1):
                flat[np.uint32(first + place)] = flat[np.uint32(first + place + steps[place])]


@inline_loop
def _fold(position: Any, last: Any, is_edge: Any) -> Any:
    """Mirror a position less than one size outside; farther ones go to the edge. All are int32."""
    inside = max(position, np.int32(-position - is_edge))
    inside = min(inside, np.int32(last + last + is_edge - inside))
    return max(inside, _ZERO)


@inline_loop
def _find(
    rows: np.ndarray, columns: np.ndarray, height: int, is_edge: int, places: np.ndarray, shares: np.ndarray
) -> None:
    """Write which four pixels lie around each position, row by row, and how near the second ones are.

    The image is mirrored at the edge of its outermost pixels or, with `is_edge` 0, at their centre.
    """
    width, edge = np.int32(len(rows)), np.int32(is_edge)
    bottom, end = np.int32(height - 1), np.int32(width - 1)
    for place in range(len(rows)):
        top, left = np.floor(rows[place]), np.floor(columns[place])
        shares[0, place], shares[1, place] = rows[place] - top, columns[place] - left
        row, column = np.int32(top), np.int32(left)
        upper = np.int32(_fold(row, bottom, edge) * width)
        lower = np.int32(_fold(np.int32(row + _ONE), bottom, edge) * width)
        near = _fold(column, end, edge)
        far = _fold(np.int32(column + _ONE), end, edge)
        places[0, place], places[1, place] = upper + near, upper + far
        places[2, place], places[3, place] = lower + near, lower + far


@inline_loop
def _blend(corners: np.ndarray, shares: np.ndarray, target: np.ndarray) -> None:
    """Write the linear mixtures of four lines of readings [4, size]."""
    for place in range(len(target)):
        down, right = shares[0, place], shares[1, place]
        one, two, three, four = corners[0, place], corners[1, place], corners[2, place], corners[3, place]
        first, second = (two - one) * right + one, (four - three) * right + three
        target[place] = (second - first) * down + first


@compile_loop
def warp(start: int, stop: int, pixels: np.ndarray, matrices: np.ndarray, result: np.ndarray) -> None:
    """Read packed pixels [n, size] where matrices, float64 [n, 3, 2], map those of the result, to 1/32 pixel.

    A matrix has the factors of column and row and the summand; it gives column and row.
    """
    channels, height, width = result.shape[1:]
    rows, columns = np.empty(width, np.float32), np.empty(width, np.float32)
    places, shares = np.empty((4, width), np.uint32), np.empty((2, width), np.float32)
    words, corners = np.empty((4, width), np.uint32), np.empty((4, width), np.float32)
    for image in range(start, stop):
        matrix = matrices[image]
        for row in range(height):
            _map(matrix[:, 0], row, columns)
            _map(matrix[:, 1], row, rows)
            _find(rows, columns, height, 0, places, shares)
            for corner in range(4):
                for place in range(width):
                    words[corner, place] = pixels[image, places[corner, place]]
            for channel in range(channels):
                for corner in range(4):
                    _unpack_line(words[corner], channel, corners[corner])
                _blend(corners, shares, result[image, channel, row])


@inline_loop
def _map(factors: np.ndarray, row: int, positions: np.ndarray) -> None:
    first = factors[1] * row + factors[2]
    for column in range(len(positions)):
        positions[column] = np.rint((first + factors[0] * column) * 32) / 32


@compile_loop
def displace(
    start: int, stop: int, images: np.ndarray, field: np.ndarray, strength: float, result: np.ndarray
) -> None:
    """Read images [n, c, h, w] `strength` times a field [n, 2, h, w] to the right and down of each pixel."""
    channels, height, width = images.shape[1:]
    factor = np.float32(strength)
    rows, columns = np.empty(width, np.float32), np.empty(width, np.float32)
    places, shares = np.empty((4, width), np.uint32), np.empty((2, width), np.float32)
    corners = np.empty((4, width), np.float32)
    for image in range(start, stop):
        planes = images[image].reshape(channels, height * width)
        for row in range(height):
            right, down = field[image, 0, row], field[image, 1, row]
            for column in range(width):
                columns[column] = np.float32(column) + right[column] * factor
                rows[column] = np.float32(row) + down[column] * factor
            _find(rows, columns, height, 1, places, shares)
            for channel in range(channels):
                plane = planes[channel]
                for corner in range(4):
                    for place in range(width):
                        corners[corner, place] = plane[places[corner, place]]
                _blend(corners, shares, result[image, channel, row])
