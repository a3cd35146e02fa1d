"""The inner loops, compiled for the CPU by Numba.

They compute what the torch code beside their callers computes for a GPU, value by value in the same
order, and so to the same bytes: Numba keeps the order of sums and fuses no multiplication with an
addition. Only sums without rounding errors are made in another order or in whole numbers. One pass over a
row that stays in the cache takes the place of many over a batch.

Arrays are float32 unless said otherwise. The images `start` to `stop` of every array are worked on, so
that threads can share a batch.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
import torch


def _kept(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a function, once for all processes where it can be kept."""

    def compile_it(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(nogil=True, cache=True, error_model="numpy", **options)(function)
        except RuntimeError:
            # Neither the package's folder nor the user's cache can be written.
            return numba.njit(nogil=True, error_model="numpy", **options)(function)

    return compile_it


compile_loop = _kept()
compile_exact_loop = _kept(fastmath={"contract"})
"""For sums without rounding errors: there, fusing a product with an addition changes nothing."""

inline_loop = numba.njit(inline="always")


def is_used(device: torch.device) -> bool:
    """Return whether a device has compiled loops."""
    return device.type == "cpu"


def run(kernel: Callable[..., None], count: int, *arguments: Any) -> None:
    """Call a kernel on `count` images, on as many threads as torch uses."""
    threads = min(torch.get_num_threads(), count)
    arrays = [value.numpy() if isinstance(value, torch.Tensor) else value for value in arguments]
    if threads < 2:
        kernel(0, count, *arrays)
        return
    bounds = [count * place // threads for place in range(threads + 1)]
    *parts, last = itertools.pairwise(bounds)
    calls = [_pool().submit(kernel, *part, *arrays) for part in parts]
    # This thread takes a part too, instead of waiting for another to wake up.
    kernel(*last, *arrays)
    for call in calls:
        call.result()


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count())


if hasattr(os, "register_at_fork"):
    # A forked process has none of the threads; Windows forks none.
    os.register_at_fork(after_in_child=_pool.cache_clear)

LANES = 64
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_FIRST, _SECOND = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_FIRST_STEP, _SECOND_STEP = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)


@inline_loop
def _high(left: np.uint64, right: np.uint64) -> np.uint64:
    """Return the upper 64 bits of a product."""
    low = (left & _LOW) * (right & _LOW)
    middle = (left >> _HALF) * (right & _LOW) + (low >> _HALF)
    other = (left & _LOW) * (right >> _HALF) + (middle & _LOW)
    return (left >> _HALF) * (right >> _HALF) + (middle >> _HALF) + (other >> _HALF)


@compile_loop
def philox(start: int, stop: int, words: np.ndarray, key: np.ndarray, used: int, indices: np.ndarray) -> None:
    """Fill rows of uint64 `words` with Philox4x64-10, as NumPy's bit generator would.

    The counter of a row starts at (`used`, 0, its index, 0); `LANES` counters go together, so that the
    compiler can use vector instructions.
    """
    lanes = np.empty((4, LANES), np.uint64)
    one, two, three, four = lanes[0], lanes[1], lanes[2], lanes[3]
    blocks = words.shape[1] // 4
    for row in range(start, stop):
        for first in range(0, blocks, LANES):
            for lane in range(LANES):
                # NumPy counts before it draws.
                one[lane] = used + first + lane + 1
                two[lane] = 0
                three[lane] = indices[row]
                four[lane] = 0
            left, right = key[0], key[1]
            for _ in range(10):
                for lane in range(LANES):
                    near, far = one[lane], three[lane]
                    one[lane] = _high(far, _SECOND) ^ two[lane] ^ left
                    two[lane] = far * _SECOND
                    three[lane] = _high(near, _FIRST) ^ four[lane] ^ right
                    four[lane] = near * _FIRST
                left += _FIRST_STEP
                right += _SECOND_STEP
            for lane in range(min(LANES, blocks - first)):
                place = 4 * (first + lane)
                words[row, place] = one[lane]
                words[row, place + 1] = two[lane]
                words[row, place + 2] = three[lane]
                words[row, place + 3] = four[lane]


@compile_loop
def look_up(start: int, stop: int, words: np.ndarray, table: np.ndarray, picked: np.ndarray) -> None:
    """Replace 16-bit words [n, ...] by the entries of a table of 2**16."""
    for row in range(start, stop):
        for place in range(words.shape[1]):
            picked[row, place] = table[words[row, place]]


@compile_loop
def count_steps(
    start: int, stop: int, words: np.ndarray, step: np.float32, first: np.float32, counted: np.ndarray
) -> None:
    """Replace 16-bit words [n, ...] by the first number and as many steps as they say."""
    for row in range(start, stop):
        for place in range(words.shape[1]):
            counted[row, place] = np.float32(words[row, place]) * step + first


@inline_loop
def read_line(images: np.ndarray, levels: np.ndarray) -> Any:
    """Round numbers in [0, 1] to whole levels, halves to even; return the highest of their bits.

    Bits are read as whole numbers, a uint32.
    """
    # In a float32 of this size the last bit is 1, so adding it rounds.
    magic = np.float32(3 * 2**22)
    bits, highest = images.view(np.uint32), np.uint32(0)
    for place in range(len(levels)):
        levels[place] = (images[place] * np.float32(255) + magic) - magic
        highest = max(highest, bits[place])
    return highest


@inline_loop
def write_line(levels: np.ndarray, slack: float, images: np.ndarray) -> None:
    """Truncate levels to whole ones from 0 to 255 and write them as numbers in [0, 1]."""
    for place in range(len(levels)):
        level = levels[place] + slack
        level = min(max(level, np.float32(0)), np.float32(255))
        images[place] = np.float32(np.int32(level)) / np.float32(255)


@compile_loop
def to_levels(start: int, stop: int, images: np.ndarray, levels: np.ndarray, highest: np.ndarray) -> None:
    """Do as `read_line` to every row; uint32 `highest` [n] receives the highest bits."""
    for row in range(start, stop):
        highest[row] = read_line(images[row], levels[row])


@compile_loop
def from_levels(start: int, stop: int, levels: np.ndarray, slack: float, images: np.ndarray) -> None:
    """Do as `write_line` to every row."""
    for row in range(start, stop):
        write_line(levels[row], slack, images[row])
