"""The inner loops of `corruptions.noise`, as in `corruptions.compiled`.

Arrays are [n, values], `words` uint16 unless said otherwise. Noise that belongs to a value alone reads
the images and writes the result itself, a piece at a time that stays in the nearest cache: passes over
whole images would take longer than the noise.
"""

from __future__ import annotations

import numpy as np

from corruptions.compiled import compile_loop, inline_loop, read_line, write_line

PIECE = 8192
ADDED, SCALED, SPIKES = range(3)
"""The kinds of `noise.Disturbance`."""


@compile_loop
def disturb(
    start: int,
    stop: int,
    images: np.ndarray,
    words: np.ndarray,
    kind: int,
    table: np.ndarray,
    half: int,
    slack: float,
    highest: np.ndarray,
    result: np.ndarray,
) -> None:
    """Write images with noise: `noise.Disturbance` says what each word adds.

    Images are read as by `compiled.to_levels`, which fills `highest`, and written as by
    `compiled.from_levels`.
    """
    levels = np.empty(PIECE, np.float32)
    for image in range(start, stop):
        highest[image] = 0
        for first in range(0, images.shape[1], PIECE):
            source, drawn = images[image, first : first + PIECE], words[image, first : first + PIECE]
            part = levels[: len(source)]
            highest[image] = max(highest[image], read_line(source, part))
            if kind == SPIKES:
                _add_spikes(drawn, half, part)
            else:
                for place in range(len(part)):
                    value = table[drawn[place]]
                    part[place] += value * part[place] if kind == SCALED else value
            write_line(part, slack, result[image, first : first + PIECE])


@inline_loop
def _add_spikes(words: np.ndarray, half: int, levels: np.ndarray) -> None:
    # Two comparisons are vector instructions, a look-up in a table is not.
    white, spike = 2**16 - half, np.float32(255)
    for place in range(len(levels)):
        word = np.int32(words[place])
        sign = np.int32(word >= white) - np.int32(word < half)
        levels[place] += np.float32(sign) * spike


@compile_loop
def poisson(
    start: int,
    stop: int,
    words: np.ndarray,
    levels: np.ndarray,
    accept: np.ndarray,
    alias: np.ndarray,
    scale: float,
    counts: np.ndarray,
) -> None:
    """Draw Poisson counts by alias tables [256 * columns] and 32-bit words, as levels."""
    columns = len(accept) // 256
    bits = 0
    while 1 << bits < columns:
        bits += 1
    for row in range(start, stop):
        for place in range(words.shape[1]):
            word = words[row, place]
            column = word & np.int32(columns - 1)
            cell = np.uint32(levels[row, place]) * np.uint32(columns) + np.uint32(column)
            is_kept = (word >> np.int32(bits)) < accept[cell]
            # Arithmetic instead of a branch, which a random condition makes slow.
            count = alias[cell] + (column - alias[cell]) * np.int32(is_kept)
            counts[row, place] = np.float32(count) * scale
