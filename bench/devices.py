"""Where to compute."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.errors import BenchError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Machine:
    """Where and how numbers are computed; none of it is part of a cell."""

    device: torch.device
    batch_size: int
    """Images shown to a model at once, at most."""
    dtype: torch.dtype


def resolve(name: str) -> torch.device:
    """Return the device of that name; "auto" is the GPU if there is one.

    Raises:
        BenchError: If this machine has no such device.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise BenchError(f"device must be auto, cpu, cuda or cuda:N, got {name!r}")
    try:
        device = torch.device(name)
        torch.zeros((), device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise BenchError(f"device {name!r} cannot be used: {reason}") from error
    return device


@contextmanager
def exact_float32() -> Iterator[None]:
    """Compute in float32 what says so.

    GPUs round the inputs of float32 convolutions to 10 bits by default (TF32): enough to change answers, and
    differently so in batches of other sizes.
    """
    import torch

    convolutions, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = convolutions.allow_tf32, products.allow_tf32
    convolutions.allow_tf32 = products.allow_tf32 = False
    try:
        yield
    finally:
        convolutions.allow_tf32, products.allow_tf32 = before
