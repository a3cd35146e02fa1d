"""The inner loops of `corruptions.jpeg`, as in `corruptions.compiled`."""

from __future__ import annotations

from typing import Any

import numpy as np

from corruptions.compiled import compile_exact_loop, compile_loop, inline_loop

_MAGIC = np.float32(3 * 2**22)
"""Adding and subtracting it rounds a float32 to a whole number, halves to even."""

# In units of 2**-16, as libjpeg has them. Their sums are whole numbers that a float32 holds exactly.
_LUMA = (np.float32(19595), np.float32(38470), np.float32(7471))
_BLUENESS = (np.float32(-11059), np.float32(-21709), np.float32(32768))
_REDNESS = (np.float32(32768), np.float32(-27439), np.float32(-5329))
_LUMA_START, _COLOUR_START = np.float32(2**15 - 128 * 2**16), np.float32(2**15 - 1)
_UNIT = np.float32(2**-16)


@compile_loop
def compress_grey(
    start: int, stop: int, levels: np.ndarray, cosines: np.ndarray, steps: np.ndarray, result: np.ndarray
) -> None:
    """Do as `jpeg.compress` to planes [n, 1, h, w]."""
    height, width = levels.shape[2:]
    plane = np.empty((-(-height // 8) * 8, -(-width // 8) * 8), np.float32)
    for image in range(start, stop):
        plane[:height, :width] = levels[image, 0] - np.float32(128)
        _quantise(plane, height, width, cosines, steps)
        result[image, 0] = plane[:height, :width] + np.float32(128)


@compile_loop
def compress_colour(
    start: int,
    stop: int,
    levels: np.ndarray,
    cosines: np.ndarray,
    luminance: np.ndarray,
    chrominance: np.ndarray,
    result: np.ndarray,
) -> None:
    """Do as `jpeg.compress` to images [n, 3, h, w]."""
    height, width = levels.shape[2:]
    rows, columns = (height + 1) // 2, (width + 1) // 2
    luma = np.empty((-(-height // 8) * 8, -(-width // 8) * 8), np.float32)
    blueness = np.empty((-(-rows // 8) * 8, -(-columns // 8) * 8), np.float32)
    redness = np.empty_like(blueness)
    for image in range(start, stop):
        _separate(levels[image], luma, blueness, redness)
        _quantise(luma, height, width, cosines, luminance)
        _quantise(blueness, rows, columns, cosines, chrominance)
        _quantise(redness, rows, columns, cosines, chrominance)
        _unite(luma, blueness[:rows, :columns], redness[:rows, :columns], result[image])


@compile_exact_loop
def _separate(levels: np.ndarray, luma: np.ndarray, blueness: np.ndarray, redness: np.ndarray) -> None:
    """Write luma and the differences of colour, these at half the size, all around 0."""
    height, width = levels.shape[1:]
    size = (width + 1) // 2 * 2
    differences = np.empty((4, size), np.float32)
    for row in range((height + 1) // 2 * 2):
        source = min(row, height - 1)
        red, green, blue = levels[0, source], levels[1, source], levels[2, source]
        target = luma[source]
        line_blue, line_red = differences[2 * (row % 2)], differences[2 * (row % 2) + 1]
        for place in range(width):
            r, g, b = red[place], green[place], blue[place]
            target[place] = np.floor(_weigh(r, g, b, _LUMA, _LUMA_START) * _UNIT)
            line_blue[place] = np.floor(_weigh(r, g, b, _BLUENESS, _COLOUR_START) * _UNIT)
            line_red[place] = np.floor(_weigh(r, g, b, _REDNESS, _COLOUR_START) * _UNIT)
        line_blue[size - 1], line_red[size - 1] = line_blue[width - 1], line_red[width - 1]
        if row % 2:
            _halve(differences[0], differences[2], blueness[row // 2])
            _halve(differences[1], differences[3], redness[row // 2])


@inline_loop
def _weigh(
    red: np.float32, green: np.float32, blue: np.float32, factors: tuple[Any, Any, Any], start: np.float32
) -> Any:
    return factors[0] * red + factors[1] * green + factors[2] * blue + start


@compile_exact_loop
def _halve(upper: np.ndarray, lower: np.ndarray, target: np.ndarray) -> None:
    for place in range(len(upper) // 2):
        total = upper[2 * place] + upper[2 * place + 1] + lower[2 * place] + lower[2 * place + 1]
        target[place] = np.floor((total + np.float32(1 + (place & 1))) * np.float32(0.25))


@compile_loop
def _unite(luma: np.ndarray, blueness: np.ndarray, redness: np.ndarray, result: np.ndarray) -> None:
    """Write the colours, the differences enlarged by the triangle filter; to be truncated."""
    height, width = result.shape[1:]
    line = np.empty(blueness.shape[1] + 2, np.float32)
    blue_line = np.empty(2 * blueness.shape[1], np.float32)
    red_line = np.empty_like(blue_line)
    for row in range(height):
        _enlarge(blueness, row, line, blue_line)
        _enlarge(redness, row, line, red_line)
        source, red, green, blue = luma[row], result[0, row], result[1, row], result[2, row]
        for place in range(width):
            red[place] = source[place] + np.float32(128.5) + red_line[place] * np.float32(22970 / 2**14)
        for place in range(width):
            level = source[place] + np.float32(128.5) + blue_line[place] * np.float32(-5638 / 2**14)
            green[place] = level + red_line[place] * np.float32(-11700 / 2**14)
        for place in range(width):
            blue[place] = source[place] + np.float32(128.5) + blue_line[place] * np.float32(29032 / 2**14)


@compile_loop
def _enlarge(plane: np.ndarray, row: int, line: np.ndarray, target: np.ndarray) -> None:
    """Write one row of a plane at twice its size: 3/4 of the near and 1/4 of the far pixel each way."""
    rows, columns = plane.shape
    near = plane[row // 2]
    far = plane[min(max(row // 2 + (1 if row % 2 else -1), 0), rows - 1)]
    inner = line[1 : columns + 1]
    for place in range(columns):
        inner[place] = near[place] * np.float32(3) + far[place]
    line[0], line[columns + 1] = line[1], line[columns]
    for place in range(columns):
        before, here, after = line[place], line[place + 1] * np.float32(3), line[place + 2]
        target[2 * place] = np.floor((here + before + np.float32(8)) * np.float32(1 / 16))
        target[2 * place + 1] = np.floor((here + after + np.float32(7)) * np.float32(1 / 16))


@compile_loop
def _quantise(plane: np.ndarray, height: int, width: int, cosines: np.ndarray, steps: np.ndarray) -> None:
    """Do as `jpeg._quantise` to the first rows and columns of a plane of whole 8x8 blocks, in place."""
    rows, columns = plane.shape
    for row in range(height):
        plane[row, width:] = plane[row, width - 1]
    for row in range(height, rows):
        plane[row] = plane[height - 1]
    blocks = columns // 8
    one = np.empty((8, columns), np.float32)
    two, scratch = np.empty_like(one), np.empty_like(one)
    for strip in range(0, rows, 8):
        _forward(plane[strip : strip + 8], cosines, scratch, one)
        _turn(one, two)
        _forward(two, cosines, scratch, one)
        for across in range(8):
            for down in range(8):
                part = one[across, down * blocks : (down + 1) * blocks]
                step = steps[8 * down + across]
                divisor = step * np.float32(1 - 2**-20)
                for place in range(blocks):
                    part[place] = ((part[place] / divisor + _MAGIC) - _MAGIC) * step
        _backward(one, cosines, scratch, two)
        _turn_back(two, one)
        _backward(one, cosines, scratch, two)
        target = plane[strip : strip + 8]
        for row in range(8):
            source, line = two[row], target[row]
            for place in range(columns):
                level = (source[place] + _MAGIC) - _MAGIC
                line[place] = min(max(level, np.float32(-128)), np.float32(127))


@inline_loop
def _mix(
    a: np.ndarray,
    b: np.ndarray,
    c: np.ndarray,
    d: np.ndarray,
    factors: tuple[float, float, float, float],
    target: np.ndarray,
) -> None:
    one, two, three, four = factors
    for place in range(len(target)):
        total = a[place] * one + b[place] * two + c[place] * three
        target[place] = total + d[place] * four


@compile_loop
def _forward(values: np.ndarray, cosines: np.ndarray, scratch: np.ndarray, result: np.ndarray) -> None:
    """Transform every column of 8 values: `jpeg._forward`."""
    for near in range(4):
        upper, lower = values[near], values[7 - near]
        total, difference = scratch[near], scratch[4 + near]
        for place in range(len(upper)):
            total[place] = upper[place] + lower[place]
            difference[place] = upper[place] - lower[place]
    for frequency in range(8):
        first = 4 * (frequency % 2)
        factors = (
            cosines[frequency, 0],
            cosines[frequency, 1],
            cosines[frequency, 2],
            cosines[frequency, 3],
        )
        _mix(
            scratch[first],
            scratch[first + 1],
            scratch[first + 2],
            scratch[first + 3],
            factors,
            result[frequency],
        )


@compile_loop
def _backward(values: np.ndarray, cosines: np.ndarray, scratch: np.ndarray, result: np.ndarray) -> None:
    """Undo `_forward`: `jpeg._backward`."""
    for near in range(4):
        even = (cosines[0, near], cosines[2, near], cosines[4, near], cosines[6, near])
        odd = (cosines[1, near], cosines[3, near], cosines[5, near], cosines[7, near])
        _mix(values[0], values[2], values[4], values[6], even, scratch[0])
        _mix(values[1], values[3], values[5], values[7], odd, scratch[1])
        total, difference, upper, lower = scratch[0], scratch[1], result[near], result[7 - near]
        for place in range(len(total)):
            upper[place] = total[place] + difference[place]
            lower[place] = total[place] - difference[place]


@compile_loop
def _turn(values: np.ndarray, result: np.ndarray) -> None:
    """Gather the same column of all blocks in a row: [8, blocks * 8] to [8, 8 * blocks]."""
    blocks = values.shape[1] // 8
    for row in range(8):
        for block in range(blocks):
            for column in range(8):
                result[column, row * blocks + block] = values[row, 8 * block + column]


@compile_loop
def _turn_back(values: np.ndarray, result: np.ndarray) -> None:
    """Undo `_turn`."""
    blocks = values.shape[1] // 8
    for row in range(8):
        for block in range(blocks):
            for column in range(8):
                result[row, 8 * block + column] = values[column, row * blocks + block]
