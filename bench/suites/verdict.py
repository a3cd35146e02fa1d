"""What tells whether the numbers of the other suites can be believed; `reports.verdict` reads the answers."""

from __future__ import annotations

from collections.abc import Iterator

from bench.suites.cells import cell_of, noise, pgd, plain_network, scored_cells, spsa, square
from bench.suites.protocols import (
    REACH,
    SPSA_STEPS,
    VERDICT_EPSILONS,
    VERDICT_INSPECTED,
    VERDICT_LADDER,
    VERDICT_QUERIES,
    VERDICT_RESTARTS,
    VERDICT_SPSA_SAMPLES,
    VERDICT_STEPS,
)
from bench.suites.request import Request, Sizes, Suite
from reports.cell import Cell, Perturbation, Target

GPU_SIZES = Sizes(1000, 100)
CPU_SIZES = {
    "fashion_mnist": Sizes(200, 16),
    "cifar10": Sizes(48, 8),
    "cifar100": Sizes(48, 8),
    "imagenet": Sizes(4, 1),
}


def _verdict(suite: str, request: Request) -> Iterator[Cell]:
    examples, few, epsilon = request.sizes.examples, request.sizes.spsa_examples, request.protocol.epsilon
    yield from scored_cells(suite, request, examples, None, "first", None)
    yield from _inspections(suite, request)
    yield from scored_cells(suite, request, examples, noise(request, epsilon), "first", request.scored)
    reference = climb(request, epsilon)
    for source in request.sources:
        yield from scored_cells(suite, request, examples, reference, "first", source)
    if "first" not in _informed(request):
        yield from scored_cells(suite, request, examples, reference, "first", request.scored)
    for target in _informed(request):
        for attack in _informed_attacks(request):
            yield from scored_cells(suite, request, examples, attack, target, request.scored)
    search = square(request, epsilon, VERDICT_QUERIES)
    for target in _informed(request):
        yield from scored_cells(suite, request, examples, search, target, request.scored)
    gradient_free = spsa(request, epsilon, REACH * epsilon / SPSA_STEPS, VERDICT_SPSA_SAMPLES)
    for target in _informed(request):
        yield from scored_cells(suite, request, few, gradient_free, target, request.scored)


def _informed(request: Request) -> tuple[Target, ...]:
    """Return the targets that differentiate what is scored: all iterations, if there are any."""
    return ("e2e", "e2e_avg") if request.scored.iterations else ("first",)


def climb(request: Request, epsilon: float, times: int = 1, restarts: int = 1) -> Perturbation:
    """Return the PGD that the others are compared with, or one with more steps or restarts."""
    return pgd(request, epsilon, VERDICT_STEPS * times, REACH * epsilon / VERDICT_STEPS, restarts)


def _informed_attacks(request: Request) -> Iterator[Perturbation]:
    epsilon = request.protocol.epsilon
    # The fast gradient sign method (Goodfellow et al., ICLR 2015).
    yield pgd(request, epsilon, 1, epsilon, random_start=False)
    yield climb(request, epsilon)
    yield climb(request, epsilon, times=2)
    if request.backend == "native":
        # advertorch makes one climb.
        yield climb(request, epsilon, restarts=VERDICT_RESTARTS)
    for factor in VERDICT_LADDER:
        yield climb(request, factor * epsilon)
    for whole in VERDICT_EPSILONS:
        yield climb(request, whole)


def _inspections(suite: str, request: Request) -> Iterator[Cell]:
    """Yield looks at the model itself, one a readout."""
    examples = min(request.sizes.examples, VERDICT_INSPECTED)
    for probe in ("repeats", "gradients"):
        for readout in request.scored.readouts:
            cell = cell_of(suite, request, examples, None, request.scored.iterations, readout)
            yield cell.model_copy(update={"probe": f"{probe}_{readout}"})


VERDICT = Suite(
    "verdict",
    "whether the numbers can be believed: checks for masked gradients, randomness and state",
    _verdict,
    lambda dataset, is_gpu: GPU_SIZES if is_gpu else CPU_SIZES[dataset],
    plain_network,
)
