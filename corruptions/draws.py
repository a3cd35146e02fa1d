"""Random numbers that belong to an image, not to the batch it arrives in.

Every image has its own stream of a counter-based generator (Philox, Salmon et al. 2011): the seed, the
corruption and the severity make the key, the image's index is the third word of the counter. Only the
generator's raw words are used, the same as NumPy's `Philox` gives, and no library's distributions: those
may change. A 16-bit word becomes a normal number by a table of the inverse distribution function: its
tails end at 4.3 standard deviations, its variance is 1 to four digits, and it is the same number on every
device.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from corruptions import compiled

WORD = 2**16
WORDS_PER_BLOCK = 4
"""64-bit words that Philox makes from one value of its counter."""


@functools.cache
def normal_quantiles(device: torch.device) -> Float[Tensor, " words"]:
    """Return the normal number that each 16-bit word stands for."""
    middles = (torch.arange(WORD, dtype=torch.float64) + 0.5) / WORD
    # Rounded, so that another math library's last digit cannot show.
    quantiles: Tensor = torch.special.ndtri(middles).mul(4096).round().div(4096)
    return quantiles.float().to(device)


class Draws:
    """The random numbers of a batch of images, in the order in which a corruption asks for them.

    Args:
        key: What the numbers belong to besides the image: seed, corruption, severity.
        indices: The images' indices in their dataset, one per image.
        device: Where the numbers are wanted. They are drawn on the CPU.
    """

    def __init__(self, key: str, indices: Sequence[int], device: torch.device) -> None:
        # NumPy's Philox reads the key as one whole number, the lower word first.
        digest = hashlib.sha256(key.encode()).digest()[:16]
        self._key = np.frombuffer(digest, ">u8")[::-1].astype(np.uint64)
        self._used = 0
        self._indices = np.array(indices, np.uint64)
        self._device = device

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._indices)

    def _raw(self, count: int, bits: int) -> np.ndarray:
        """Return `count` numbers of `bits` bits per image; rows are padded to whole Philox blocks."""
        blocks = -(-count * bits // (64 * WORDS_PER_BLOCK))
        words = np.empty((len(self), blocks * WORDS_PER_BLOCK), np.uint64)
        compiled.run(compiled.philox, len(self), words, self._key, self._used, self._indices)
        self._used += blocks
        return words.view(f"uint{bits}")[:, :count]

    def short_words(self, *shape: int) -> np.ndarray:
        """Draw 16 random bits each, a uint16 array [n, *shape] on the CPU."""
        return self._raw(int(np.prod(shape)), 16).reshape(len(self), *shape)

    def words(self, *shape: int) -> Int[Tensor, "n ..."]:
        """Draw integers from 0 to 2**16 - 1, an int32 tensor of `shape` per image."""
        return torch.from_numpy(self.short_words(*shape)).int().to(self._device)

    def long_words(self, *shape: int) -> Int[Tensor, "n ..."]:
        """Draw 32 random bits each, an int32 tensor of `shape` per image (so half are negative)."""
        raw = self._raw(int(np.prod(shape)), 32).view(np.int32).reshape(len(self), *shape)
        return torch.from_numpy(raw).to(self._device)

    def pick(self, table: Float[Tensor, " words"], *shape: int) -> Float[Tensor, "n ..."]:
        """Draw entries of a table of 2**16, all equally likely."""
        if compiled.is_used(self._device):
            raw = self._raw(int(np.prod(shape)), 16)
            picked = torch.empty(raw.shape)
            compiled.run(compiled.look_up, len(self), raw, table, picked)
            return picked.view(len(self), *shape)
        words = self.words(*shape)
        return table.index_select(0, words.flatten()).view(words.shape)

    def normal(self, *shape: int) -> Float[Tensor, "n ..."]:
        """Draw standard normal numbers."""
        return self.pick(normal_quantiles(self._device), *shape)

    def uniform(self, *shape: int) -> Float[Tensor, "n ..."]:
        """Draw from (0, 1): the middles of 2**16 equal steps."""
        return self._steps(1 / WORD, 0.5 / WORD, *shape)

    def signed(self, *shape: int) -> Float[Tensor, "n ..."]:
        """Draw from (-1, 1): the middles of 2**16 equal steps."""
        return self._steps(2 / WORD, 1 / WORD - 1, *shape)

    def _steps(self, step: float, first: float, *shape: int) -> Float[Tensor, "n ..."]:
        """Draw one of 2**16 numbers; neither product nor sum needs rounding."""
        if not compiled.is_used(self._device):
            return self.words(*shape).float().mul_(step).add_(first)
        raw = self._raw(int(np.prod(shape)), 16)
        drawn = torch.empty(raw.shape)
        compiled.run(compiled.count_steps, len(self), raw, np.float32(step), np.float32(first), drawn)
        return drawn.view(len(self), *shape)

    def integers(self, below: int, *shape: int) -> Int[Tensor, "n ..."]:
        """Draw integers from 0 to `below` - 1, an int32 tensor; `below` is at most 2**15."""
        return self.words(*shape).mul_(below).bitwise_right_shift_(16)

    def angles(self, low: float, high: float) -> np.ndarray:
        """Draw one angle per image, in degrees, as float64 on the CPU."""
        raw = self._raw(1, 32)[:, 0]
        return low + (high - low) * (raw.astype(np.float64) + 0.5) / 2**32
