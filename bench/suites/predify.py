"""The experiments of Choksi et al. (NeurIPS 2021) on any model with feedback, each after every iteration.

Iterations are their timesteps; 0 is the feedforward pass, with which the others are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

from bench.data import dataset
from bench.errors import BenchError
from bench.suites.cells import against, cell_of, readings
from bench.suites.corruptions import corrupted
from bench.suites.protocols import (
    PIXEL_DEVIATIONS,
    PREDIFY_ATTACKED_ITERATIONS,
    PREDIFY_EPSILONS,
    PREDIFY_RELATIVE_STEP,
    PREDIFY_SIGMAS,
    PREDIFY_STEPS,
    PREDIFY_TARGET_SHIFT,
)
from bench.suites.request import Request, Sizes, Suite
from reports.cell import Cell, Perturbation

Part = Callable[[str, Request], Iterator[Cell]]


def _noise(suite: str, request: Request) -> Iterator[Cell]:
    for shown in (None, *_noises(request)):
        yield from readings(suite, request, request.sizes.examples, shown, readouts=("last",))


def _projection(suite: str, request: Request) -> Iterator[Cell]:
    for shown in _noises(request):
        yield from readings(
            suite, request, request.sizes.examples, shown, probe="projection", readouts=("last",)
        )


def _corruptions(suite: str, request: Request) -> Iterator[Cell]:
    yield from corrupted(suite, request, ("last",))


def _attacks(suite: str, request: Request) -> Iterator[Cell]:
    """Attack the network as it is with each number of iterations, end to end."""
    examples = request.sizes.examples
    yield from readings(suite, request, examples, None, readouts=("last",))
    last = request.scored.iterations
    attacked = [k for k in PREDIFY_ATTACKED_ITERATIONS if k <= last]
    for iterations, epsilon in product(attacked, PREDIFY_EPSILONS[request.dataset]):
        cell = cell_of(suite, request, examples, _targeted(request, epsilon), iterations, "last")
        yield against(cell, request, "e2e" if iterations else "first", iterations)


PARTS: dict[str, Part] = {
    "noise": _noise,
    "corruptions": _corruptions,
    "attacks": _attacks,
    "projection": _projection,
}


def _paper(suite: str, request: Request) -> Iterator[Cell]:
    """Yield the cells of all parts, those that two parts share once."""
    cells = (cell for part in PARTS.values() for cell in part(suite, request))
    yield from {cell.key: cell for cell in cells}.values()


def _needing_feedback(part: Part) -> Part:
    def cells(suite: str, request: Request) -> Iterator[Cell]:
        if request.scored.iterations == 0:
            raise BenchError(f"{request.scored.name} has no iterations to compare with its first pass")
        yield from part(suite, request)

    return cells


def _noises(request: Request) -> list[Perturbation]:
    deviation = PIXEL_DEVIATIONS[request.dataset]
    return [
        Perturbation(
            kind="noise",
            name="gaussian",
            backend="native",
            settings={"sigma": sigma * deviation, "deviation": deviation},
        )
        for sigma in PREDIFY_SIGMAS
    ]


def _targeted(request: Request, epsilon: float) -> Perturbation:
    return Perturbation(
        kind="attack",
        name="targeted_bim",
        backend="native",
        settings={
            "norm": "linf",
            "epsilon": epsilon,
            "steps": PREDIFY_STEPS,
            "step_size": PREDIFY_RELATIVE_STEP * epsilon,
            "target_shift": PREDIFY_TARGET_SHIFT,
            "classes": len(dataset(request.dataset).classes),
        },
    )


def _suite(name: str, summary: str, part: Part, on_cpu: dict[str, Sizes]) -> Suite:
    return Suite(
        name,
        summary,
        _needing_feedback(part),
        lambda dataset, is_gpu: Sizes(1000) if is_gpu else on_cpu[dataset],
        is_for_few_iterations=False,
    )


_MANY = {"fashion_mnist": Sizes(500), "cifar10": Sizes(200), "cifar100": Sizes(200), "imagenet": Sizes(32)}
_FEW = {"fashion_mnist": Sizes(64), "cifar10": Sizes(32), "cifar100": Sizes(32), "imagenet": Sizes(4)}

SUITES = (
    _suite("predify-paper", "the experiments of the Predify paper, after every iteration", _paper, _FEW),
    _suite("predify-noise", "Gaussian noise, after every iteration", _noise, _MANY),
    _suite("predify-corruptions", "common corruptions, relative to the first pass", _corruptions, _FEW),
    _suite("predify-attacks", "targeted BIM on the network of each iteration count", _attacks, _FEW),
    _suite("predify-projection", "distance of noisy representations to the clean ones", _projection, _MANY),
)
