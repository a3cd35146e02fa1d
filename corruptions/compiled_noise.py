"""The inner loops of `corruptions.noise`, as in `corruptions.compiled`.

`words` are uint16 unless said otherwise; all arrays are [n, values].
"""

from __future__ import annotations

import numpy as np

from corruptions.compiled import compile_loop


@compile_loop
def add(start: int, stop: int, words: np.ndarray, levels: np.ndarray, table: np.ndarray) -> None:
    """Add the entries of a table of 2**16 that the words name to the levels."""
    for row in range(start, stop):
        for place in range(words.shape[1]):
            levels[row, place] += table[words[row, place]]


@compile_loop
def add_scaled(start: int, stop: int, words: np.ndarray, levels: np.ndarray, table: np.ndarray) -> None:
    """Add the entries of a table of 2**16 that the words name, times the level, to the levels."""
    for row in range(start, stop):
        for place in range(words.shape[1]):
            level = levels[row, place]
            levels[row, place] = table[words[row, place]] * level + level


@compile_loop
def add_spikes(start: int, stop: int, words: np.ndarray, levels: np.ndarray, half: int) -> None:
    """Subtract 255 where a word is one of the `half` lowest, add it where one of the `half` highest."""
    # Two comparisons are vector instructions, a look-up in a table is not.
    white, spike = 2**16 - half, np.float32(255)
    for row in range(start, stop):
        for place in range(words.shape[1]):
            word = np.int32(words[row, place])
            sign = np.int32(word >= white) - np.int32(word < half)
            levels[row, place] += np.float32(sign) * spike


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
