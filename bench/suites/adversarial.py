"""Clean images, and the attack matrix of the CNN-F paper in our settings and in the authors'."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from bench.errors import BenchError
from bench.suites.cells import pgd, plain_network, scored_cells, spsa
from bench.suites.protocols import (
    CNNF_PAPER,
    CNNF_PAPER_SPSA_RATE,
    LONG_PGD_STEPS,
    PGD_STEPS,
    REACH,
    SPSA_STEPS,
)
from bench.suites.request import Request, Sizes, Suite
from reports.cell import Cell, Perturbation, Target

GPU_SIZES = Sizes(1000, 1000)
CPU_SIZES = {
    "fashion_mnist": Sizes(200, 8),
    "cifar10": Sizes(32, 2),
    "cifar100": Sizes(32, 2),
    "imagenet": Sizes(8, 1),
}
"""Chosen so that the adversarial suite takes under 2 and 6 minutes on two cores."""
CNNF_PAPER_SIZES = {"fashion_mnist": Sizes(1000, 1000), "cifar10": Sizes(1000, 640)}
"""SPSA on as many as the authors: theirs are ten batches of a shuffled loader, ours the first images."""


def _clean(suite: str, request: Request) -> Iterator[Cell]:
    yield from scored_cells(suite, request, request.sizes.examples, None, "first", None)


def _adversarial(suite: str, request: Request) -> Iterator[Cell]:
    few, epsilon = request.sizes.spsa_examples, request.protocol.epsilon
    gradient_free = spsa(request, epsilon, REACH * epsilon / SPSA_STEPS)
    yield from _with_first_pass(_clean(suite, request))
    yield from _with_first_pass(_transfer(suite, request, request.sizes.examples, _short(request)))
    for target in request.scored.targets:
        yield from _climbs(suite, request, target)
    for target in request.scored.targets:
        yield from _with_first_pass(scored_cells(suite, request, few, gradient_free, target, request.scored))


def _pgd(suite: str, request: Request) -> Iterator[Cell]:
    yield from _with_first_pass(_clean(suite, request))
    for target in request.scored.targets:
        yield from _climbs(suite, request, target)


def _climbs(suite: str, request: Request, target: Target) -> Iterator[Cell]:
    """Yield a short and a long PGD."""
    epsilon = request.protocol.epsilon
    long = pgd(request, epsilon, LONG_PGD_STEPS, REACH * epsilon / LONG_PGD_STEPS)
    for attack in (_short(request), long):
        yield from _with_first_pass(
            scored_cells(suite, request, request.sizes.examples, attack, target, request.scored)
        )


def _short(request: Request) -> Perturbation:
    return pgd(request, request.protocol.epsilon, PGD_STEPS, request.protocol.pgd_step_size)


def _paper_targets(request: Request) -> list[Target]:
    return [target for target in request.scored.targets if target != "e2e_avg"]


def _with_first_pass(cells: Iterable[Cell]) -> Iterator[Cell]:
    """Yield cells after what the first pass alone answers to the same images, where that is its own attack.

    So the feedback can be told from the weights that were trained with it.
    """
    for _, own in groupby(cells, key=lambda cell: cell.images_key):
        cell, *others = own
        if cell.iterations and cell.attack_target in (None, "first"):
            yield cell.model_copy(update={"iterations": 0, "readout": "last"})
        yield from (cell, *others)


def _cnnf_paper(suite: str, request: Request) -> Iterator[Cell]:
    examples, few = request.sizes.examples, request.sizes.spsa_examples
    if request.dataset not in CNNF_PAPER:
        raise BenchError(f"{suite} has no settings for {request.dataset}: the authors did not use it")
    protocol = CNNF_PAPER[request.dataset]
    short = pgd(request, protocol.epsilon, PGD_STEPS, protocol.pgd_step_size)
    gradient_free = spsa(request, protocol.epsilon, CNNF_PAPER_SPSA_RATE)
    targets = _paper_targets(request)
    yield from _clean(suite, request)
    yield from _transfer(suite, request, examples, short)
    for target in targets:
        yield from scored_cells(suite, request, examples, short, target, request.scored)
    for target in targets:
        yield from scored_cells(suite, request, few, gradient_free, target, request.scored)


def _transfer(suite: str, request: Request, examples: int, attack: Perturbation) -> Iterator[Cell]:
    for source in request.sources:
        yield from scored_cells(suite, request, examples, attack, "first", source)


CLEAN = Suite("clean", "accuracy on clean images", _clean, lambda dataset, is_gpu: Sizes(1000))
ADVERSARIAL = Suite(
    "adversarial",
    "strict: PGD-7, PGD-40, SPSA that can reach epsilon and transfer; targets first, e2e, e2e_avg",
    _adversarial,
    lambda dataset, is_gpu: GPU_SIZES if is_gpu else CPU_SIZES[dataset],
    plain_network,
)
PGD = Suite(
    "pgd",
    "PGD-7 and PGD-40 of the suite adversarial; targets first, e2e, e2e_avg: what a checkpoint's card tells",
    _pgd,
    lambda dataset, is_gpu: GPU_SIZES if is_gpu else CPU_SIZES[dataset],
)
PAPER = Suite(
    "cnnf-paper",
    "the CNN-F authors' protocol: PGD-7, their short-stepped SPSA and transfer; targets first, e2e",
    _cnnf_paper,
    lambda dataset, is_gpu: (CNNF_PAPER_SIZES if is_gpu else CPU_SIZES).get(dataset, GPU_SIZES),
    plain_network,
)
SMOKE = Suite(
    "smoke",
    "the strict suite on 16 images, to see that everything works",
    _adversarial,
    lambda dataset, is_gpu: Sizes(16, 2),
    plain_network,
)
