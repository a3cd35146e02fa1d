"""Accuracy against epsilon and against iterations under a long PGD (Huang et al. 2020, standard training)."""

from __future__ import annotations

from collections.abc import Iterator

from bench.suites.cells import against, cell_of, pgd, readings
from bench.suites.protocols import EPSILONS, LONG_PGD_STEPS, REACH
from bench.suites.request import Request, Sizes, Suite
from reports.cell import Cell

GPU_SIZES = Sizes(1000)
CPU_SIZES = {"fashion_mnist": Sizes(32), "cifar10": Sizes(4), "cifar100": Sizes(4), "imagenet": Sizes(2)}


def _epsilons(suite: str, request: Request) -> Iterator[Cell]:
    examples = request.sizes.examples
    yield from readings(suite, request, examples, None)
    for epsilon in EPSILONS[request.dataset]:
        attack = pgd(request, epsilon, LONG_PGD_STEPS, REACH * epsilon / LONG_PGD_STEPS)
        for cell in readings(suite, request, examples, attack):
            yield against(cell, request, "first", 0)
        # An attacker end to end knows how many iterations are used: each count is another attack.
        for iterations in range(1, request.scored.iterations + 1):
            for readout in request.scored.readouts:
                cell = cell_of(suite, request, examples, attack, iterations, readout)
                yield against(cell, request, "e2e", iterations)


EPSILON_CURVES = Suite(
    "epsilons",
    "PGD-40 at many epsilons, targets first and e2e, for every number of iterations",
    _epsilons,
    lambda dataset, is_gpu: GPU_SIZES if is_gpu else CPU_SIZES[dataset],
)
