"""One pass of a backbone whose encoders are updated as they run.

Why forward hooks: they see any network as it runs, with branches, loops and functions that tracing cannot
follow, and autograd goes through what they return. Why they are safe: they sit on a copy of the backbone,
never on the caller's, and hold no state. What they need is in a context variable that is set for the length
of one pass, is not seen by other threads, and is unset afterwards whatever happens; without it an encoder's
output passes unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar, Token
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from zoo.predictive_coding.dynamics import Balance, Recall, update
from zoo.predictive_coding.paths import canonical_name


class Pass:
    """The representations of one pass, filled by its encoders in their order.

    Args:
        encoders: Their names.
        balances: Their weights in equation 2.
        recalls: What each knows of the past; None makes this the first pass, where e_n = W^f e_{n-1}.
    """

    def __init__(
        self, encoders: Sequence[str], balances: Sequence[Balance], recalls: Sequence[Recall] | None
    ) -> None:
        self.encoders = encoders
        self.balances = balances
        self.recalls = recalls
        self.representations: list[Tensor] = []

    def __enter__(self) -> Pass:
        self._token: Token[Pass | None] = _PASSING.set(self)
        return self

    def __exit__(self, *exception: object) -> None:
        _PASSING.reset(self._token)

    def encode(self, n: int, drive: Tensor) -> Tensor:
        """Return e_n(t+1) and remember it."""
        done = len(self.representations)
        if n < done:
            raise ValueError(f"encoder {self.encoders[n]!r} ran more than once in a pass of the backbone")
        if n > done:
            raise ValueError(
                f"encoder {self.encoders[n]!r} ran before {self.encoders[done]!r}: "
                "list encoders in the order in which the backbone runs them"
            )
        if not isinstance(drive, Tensor):
            raise TypeError(f"encoder {self.encoders[n]!r} returns no tensor but {type(drive).__name__}")
        recalls = self.recalls
        representation = drive if recalls is None else update(drive, recalls[n], self.balances[n])
        self.representations.append(representation)
        # What follows in the backbone may work in place; the representation must survive it.
        return representation.clone()

    def complete(self) -> tuple[Tensor, ...]:
        """Return the representations of all encoders."""
        if len(self.representations) < len(self.encoders):
            missing = self.encoders[len(self.representations)]
            raise ValueError(f"encoder {missing!r} did not run in a pass of the backbone")
        return tuple(self.representations)


def encoder_shapes(backbone: nn.Module, encoders: Sequence[str], images: Tensor) -> list[tuple[int, ...]]:
    """Return the shape of each encoder's output, without the batch; no hook stays behind.

    Raises:
        ValueError: If an encoder does not exist, or does not run exactly once in its turn.
    """
    names = [canonical_name(backbone, path) for path in encoders]
    handles = tap(backbone, names)
    try:
        with torch.no_grad(), Pass(names, (), None) as passing:
            backbone(images)
    finally:
        for handle in handles:
            handle.remove()
    return [tuple(e.shape[1:]) for e in passing.complete()]


def tap(backbone: nn.Module, encoders: Sequence[str]) -> list[RemovableHandle]:
    """Put a hook on each encoder, which only a running `Pass` wakes.

    Hooks that came with the backbone as a copy of another network's are taken away.
    """
    for module in backbone.modules():
        for key, hook in list(module._forward_hooks.items()):
            if isinstance(hook, partial) and hook.func is _meet:
                del module._forward_hooks[key]
    modules = [backbone.get_submodule(name) for name in encoders]
    return [module.register_forward_hook(partial(_meet, n)) for n, module in enumerate(modules)]


_PASSING: ContextVar[Pass | None] = ContextVar("_PASSING", default=None)


def _meet(n: int, encoder: nn.Module, inputs: tuple[object, ...], output: Tensor) -> Tensor:
    """Let the running pass, if there is one, replace the output of its encoder n: a forward hook."""
    passing = _PASSING.get()
    return output if passing is None else passing.encode(n, output)
