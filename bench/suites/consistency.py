"""Self-consistency of CNN-F: how far feedback and feedforward features are apart, iteration by iteration."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench.errors import BenchError
from bench.suites.cells import against, pgd, readings
from bench.suites.corruptions import corruption
from bench.suites.protocols import CONSISTENCY_KINDS, CONSISTENCY_SEVERITY, LONG_PGD_STEPS, REACH
from bench.suites.request import Request, Sizes, Suite
from reports.cell import Cell

GPU_SIZES = Sizes(1000)
CPU_SIZES = {"fashion_mnist": Sizes(500), "cifar10": Sizes(32), "cifar100": Sizes(32), "imagenet": Sizes(4)}


def _consistency(suite: str, request: Request) -> Iterator[Cell]:
    if request.scored.iterations == 0:
        raise BenchError(f"{request.scored.name} has no feedback whose consistency could be measured")
    examples, epsilon = request.sizes.examples, request.protocol.epsilon
    attack = pgd(request, epsilon, LONG_PGD_STEPS, REACH * epsilon / LONG_PGD_STEPS)
    look = partial(readings, suite, request, examples, probe="consistency", readouts=("last",))
    yield from look(perturbation=None)
    for kind in CONSISTENCY_KINDS:
        yield from look(perturbation=corruption(request, kind, CONSISTENCY_SEVERITY))
    for target in ("first", "e2e"):
        attacker = request.scored.iterations if target == "e2e" else 0
        for cell in look(perturbation=attack):
            yield against(cell, request, target, attacker)


CONSISTENCY = Suite(
    "consistency",
    "CNN-F's self-consistency after every iteration on clean, corrupted and attacked images",
    _consistency,
    lambda dataset, is_gpu: GPU_SIZES if is_gpu else CPU_SIZES[dataset],
)
