"""Random numbers that belong to an example and not to the batch it happens to be in."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


class Draws:
    """One counter-based random stream (Philox) per example of a batch.

    The numbers depend on the key, the example's index in the dataset, and how many were drawn before for
    that example. They are drawn on the CPU, so every device sees the same ones.

    Args:
        key: Any text; other keys give independent streams.
        examples: Index in the dataset of each image of the batch.
        like: A tensor with the device and dtype that the draws should have.
    """

    def __init__(self, key: str, examples: Sequence[int], like: Tensor) -> None:
        entropy = int.from_bytes(hashlib.sha256(key.encode()).digest())
        self._streams = [
            np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy, spawn_key=(example,))))
            for example in examples
        ]
        self._like = like
        self._entropy = entropy

    def of(self, rows: Int[Tensor, " m"]) -> Draws:
        """Return the streams of some examples of the batch, by their rows; they stay shared."""
        part = copy.copy(self)
        part._streams = [self._streams[row] for row in rows.tolist()]
        return part

    def shared_seed(self) -> int:
        """Return a seed below 2^63 that all examples of the key share, for generators other than ours."""
        return self._entropy % 2**63

    def uniform(self, shape: Sequence[int]) -> Float[Tensor, "n ..."]:
        """Draw from [0, 1)."""
        return self._tensor([stream.random(tuple(shape)) for stream in self._streams])

    def normal(self, shape: Sequence[int]) -> Float[Tensor, "n ..."]:
        """Draw from the standard normal distribution."""
        return self._tensor([stream.standard_normal(tuple(shape)) for stream in self._streams])

    def signs(self, shape: Sequence[int]) -> Float[Tensor, "n ..."]:
        """Draw -1 and +1 with equal probability."""
        count = int(np.prod(shape))
        packed = np.stack([np.frombuffer(stream.bytes(-(-count // 8)), np.uint8) for stream in self._streams])
        bits = torch.from_numpy(np.unpackbits(packed, axis=1, count=count)).to(self._like.device)
        return bits.to(self._like.dtype).mul_(2).sub_(1).reshape(-1, *shape)

    def seeds(self) -> list[int]:
        """Draw one seed per example, for generators other than ours."""
        return [int(stream.integers(2**63)) for stream in self._streams]

    def _tensor(self, values: list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack(values)).to(self._like)
