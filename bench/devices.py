"""Where to compute."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

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
    new = _new_switches()
    before = [(switch, switch.read()) for switch in new]
    try:
        old = [(switch, switch.read()) for switch in _old_switches()]
    except RuntimeError:
        # Somebody has used the new ones, after which the old ones cannot be read.
        old = []
    # What is written anew counts as changed even if it is the same: compiled functions would be made again.
    moved = [(switch, value) for switch, value in old if value not in switch.exact]
    for switch in (*(switch for switch, _ in moved), *new):
        if switch.read() not in switch.exact:
            switch.write(switch.exact[0])
    try:
        yield
    finally:
        for switch, value in moved:
            switch.write(value)
        # One old switch moves several new ones.
        for switch, value in before:
            if switch.read() != value:
                switch.write(value)


@contextmanager
def reproducible() -> Iterator[None]:
    """Compute in exact float32, and let cuDNN take algorithms that neither timing nor chance decides."""
    import torch

    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.deterministic
    cudnn.benchmark, cudnn.deterministic = False, True
    try:
        with exact_float32():
            yield
    finally:
        cudnn.benchmark, cudnn.deterministic = before


@contextmanager
def timed_convolutions() -> Iterator[None]:
    """Let cuDNN try its convolutions and keep the fastest: where all batches have one shape that pays."""
    import torch

    cudnn = torch.backends.cudnn
    before = cudnn.benchmark
    cudnn.benchmark = True
    try:
        yield
    finally:
        cudnn.benchmark = before


class _Switch(NamedTuple):
    """A setting of torch that decides how much float32 is rounded."""

    read: Callable[[], Any]
    write: Callable[[Any], object]
    exact: tuple[Any, ...]
    """The values under which it is not, that to choose first."""


def _old_switches() -> list[_Switch]:
    """Return the switches that every torch has."""
    import torch

    products = (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision)
    return [_Switch(*products, ("highest",)), _attribute(torch.backends.cudnn, "allow_tf32", False)]


def _new_switches() -> list[_Switch]:
    """Return those since torch 2.9."""
    from torch import backends

    if not hasattr(backends.cuda.matmul, "fp32_precision"):
        return []
    families: tuple[Any, ...] = (backends.cudnn, backends.mkldnn)
    owners = [own for family in families for own in (family.conv, family.rnn)]
    owners += [backends.cuda.matmul, families[1].matmul]
    return [_attribute(owner, "fp32_precision", "ieee", "none") for owner in owners]


def _attribute(owner: Any, name: str, *exact: Any) -> _Switch:
    return _Switch(partial(getattr, owner, name), partial(setattr, owner, name), exact)
