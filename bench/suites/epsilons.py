"""Accuracy against epsilon and against iterations under a long PGD (Huang et al. 2020, standard training)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from bench.suites.cells import against, cell_of, pgd, readings
from bench.suites.protocols import EPSILONS, LONG_PGD_STEPS, REACH
from bench.suites.request import Request, Sizes, Suite
from reports.cell import Cell, Target

GPU_SIZES = Sizes(1000)
THROUGH_ALL: tuple[Target, ...] = ("e2e", "e2e_avg")
"""Each aims at one of the readouts, and is shown to both."""
CPU_SIZES = {"fashion_mnist": Sizes(32), "cifar10": Sizes(4), "cifar100": Sizes(4), "imagenet": Sizes(2)}


def _epsilons(suite: str, request: Request) -> Iterator[Cell]:
    examples = request.sizes.examples
    yield from readings(suite, request, examples, None)
    for epsilon in EPSILONS[request.dataset]:
        attack = pgd(request, epsilon, LONG_PGD_STEPS, REACH * epsilon / LONG_PGD_STEPS)
        for cell in readings(suite, request, examples, attack):
            yield against(cell, request, "first", 0)
        # An attacker through all iterations knows how many are used: each count is another attack.
        counts = range(1, request.scored.iterations + 1)
        for target, iterations in product(THROUGH_ALL, counts):
            for readout in request.scored.readouts:
                cell = cell_of(suite, request, examples, attack, iterations, readout)
                yield against(cell, request, target, iterations)


EPSILON_CURVES = Suite(
    "epsilons",
    "PGD-40 at many epsilons, targets first, e2e, e2e_avg, for every number of iterations",
    _epsilons,
    lambda dataset, is_gpu: GPU_SIZES if is_gpu else CPU_SIZES[dataset],
)
