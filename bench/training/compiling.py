"""Compiled functions that are believed only where they agree with what they were compiled from."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from bench.devices import exact_float32
from bench.training.meters import synchronize

SLACK = 0.2
"""Largest difference of an output or gradient, as a share of its norm. Sums in another order flip gates: that
makes 0.03 in a Wide ResNet with drawn weights and feedback, on 32 images."""
FLOOR = 1e-3
"""Norm of a gradient, as a share of the norm of all, below which differences are measured against this."""


class CheckedCompilation:
    """A function compiled for every shape it meets, or left as it is where that fails or spoils gradients.

    torch 2.11 has compiled CNN-F for CPUs to the right loss with gradients a third of their norm off. So the
    output and every gradient are compared with the uncompiled ones, and the network is left as it was. A
    function that is not believed gives a warning and runs uncompiled.

    A function in float32 is compared at the first call with each shape. In bf16 nothing can be: gates that
    flip move the gradients of drawn weights by more than their norm. There the same function in float32 is
    compiled too, and compared at the first shape.

    Args:
        function: From images [n, c, h, w] and anything else to a tensor that has gradients.
        network: Whose parameters and buffers it uses.
        exact: The same in float32, if the function rounds more.
    """

    def __init__(
        self, function: Callable[..., Tensor], network: nn.Module, exact: Callable[..., Tensor] | None = None
    ) -> None:
        self._function = function
        self._exact = exact
        self._compiled = torch.compile(function, dynamic=False)
        self._network = network
        self._is_believed: dict[torch.Size, bool] = {}
        self.seconds = 0.0
        """Wall time of compiling and comparing so far."""

    def __call__(self, images: Tensor, *others: Any) -> Tensor:
        """Return what the function returns."""
        shape = images.shape
        if shape not in self._is_believed:
            synchronize(images.device)
            began = time.perf_counter()
            objection = self._objection(images, *others)
            if objection:
                size = "x".join(map(str, shape))
                warnings.warn(f"images {size} run uncompiled: {objection}", stacklevel=2)
            self._is_believed[shape] = objection is None
            synchronize(images.device)
            self.seconds += time.perf_counter() - began
        return (self._compiled if self._is_believed[shape] else self._function)(images, *others)

    def _objection(self, images: Tensor, *others: Any) -> str | None:
        """Return why the compiled function is not to be used, if so."""
        try:
            if self._exact is None:
                return self._difference(self._compiled, self._function, images, *others)
            self._evaluate(self._compiled, images, *others)
            if self._is_believed:
                return None if all(self._is_believed.values()) else "neither do those of another size"
            return self._difference(torch.compile(self._exact, dynamic=False), self._exact, images, *others)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            # The compiler's errors, its cache's and its C++ compiler's share no class.
            return f"torch.compile fails with {type(error).__name__}: {' '.join(str(error).split())[:200]}"

    def _difference(
        self, compiled: Callable[..., Tensor], function: Callable[..., Tensor], images: Tensor, *others: Any
    ) -> str | None:
        """Say how far a compiled function is off, if it is."""
        with exact_float32():
            found = self._evaluate(compiled, images, *others)
            try:
                expected = self._evaluate(function, images, *others)
            except torch.OutOfMemoryError:
                warnings.warn("too little memory to check what torch.compile made", stacklevel=4)
                return None
        deviation = _deviation(found, expected)
        if deviation <= SLACK:
            return None
        return (
            f"torch {torch.__version__} compiles an output or a gradient that is {deviation:.0%} off, "
            f"where {SLACK:.0%} may be rounding"
        )

    def _evaluate(self, function: Callable[..., Tensor], images: Tensor, *others: Any) -> list[Tensor]:
        """Return the output and, of a fixed sum of it, the gradients with respect to all that has one."""
        leaves: list[Tensor] = [weight for weight in self._network.parameters() if weight.requires_grad]
        leaves += [images] if images.requires_grad else []
        with _unchanged(self._network), torch.enable_grad():
            output = function(images, *others)
            factors = torch.arange(output.numel(), device=output.device).cos().view_as(output)
            found = torch.autograd.grad(output, leaves, factors, allow_unused=True, materialize_grads=True)
        return [output.detach(), *found]


def _deviation(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Return the largest difference of two outputs and their gradients, as a share of the norm of each."""
    differences = torch.stack([torch.linalg.vector_norm(a - b) for a, b in zip(found, expected, strict=True)])
    norms = torch.stack([torch.linalg.vector_norm(tensor) for tensor in expected])
    floor = FLOOR * torch.linalg.vector_norm(norms[1:])
    return float((differences / norms.clamp_min(floor.clamp_min(torch.finfo(norms.dtype).tiny))).max())


@contextmanager
def _unchanged(network: nn.Module) -> Iterator[None]:
    """Give a network's buffers their values back."""
    before = [(buffer, buffer.clone()) for buffer in network.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in before:
                buffer.copy_(value)
