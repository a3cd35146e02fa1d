"""The suites: what is measured, and the papers' settings as named constants.

Lengths are in [0, 1] pixel units. The authors' code works on [-1, 1], where the same lengths are doubled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

from bench.errors import UnknownName
from corruptions import FAMILIES, SEVERITIES
from reports.cell import Cell, Perturbation, Setting

SUITE_VERSION = 1
"""Bumped by every change that moves a reported number."""

Target = Literal["first", "e2e", "e2e_avg"]
Readout = Literal["last", "avg"]


@dataclass(frozen=True)
class Protocol:
    """The attack settings of a dataset."""

    epsilon: float
    pgd_step_size: float
    """Of the seven-step PGD."""


STRICT = {
    "fashion_mnist": Protocol(epsilon=0.1, pgd_step_size=0.0355),
    "cifar10": Protocol(epsilon=8 / 255, pgd_step_size=2.55 / 255),
}
CNNF_PAPER = {
    "fashion_mnist": Protocol(epsilon=0.2 / 2, pgd_step_size=0.071 / 2),
    "cifar10": Protocol(epsilon=0.063 / 2, pgd_step_size=0.02 / 2),
}
"""Huang et al., test.py, halved: their pixels are in [-1, 1]."""

PGD_STEPS = 7
LONG_PGD_STEPS = 40
SPSA_STEPS = 7
SPSA_SAMPLES = 128
SPSA_DELTA = 0.005
CNNF_PAPER_SPSA_RATE = 0.01 / 2
"""advertorch's default, never overridden by the authors: seven steps move at most 0.035."""
REACH = 2.5
"""steps * step size over epsilon, for the attacks whose step the paper does not give (Madry et al. 2018)."""

SEVERITY_TABLES = {"fashion_mnist": "fashion", "cifar10": "cifar"}
"""The severity table of `corruptions` that suits the images of a dataset."""

TRANSFER_SOURCES = {"fashion_mnist": "cnn_fmnist", "cifar10": "cnn_cifar"}
"""The plain network whose adversarial images are shown to the others, as in the paper."""


@dataclass(frozen=True)
class Sizes:
    """How many examples are used."""

    examples: int
    spsa_examples: int


GPU_SIZES = Sizes(1000, 1000)
CPU_SIZES = {"fashion_mnist": Sizes(200, 8), "cifar10": Sizes(32, 2)}
"""Chosen so that the adversarial suite takes under 2 and 6 minutes on two cores."""
CPU_CORRUPTION_SIZES = {"fashion_mnist": Sizes(500, 1), "cifar10": Sizes(64, 1)}
CNNF_PAPER_SIZES = {"fashion_mnist": Sizes(1000, 1000), "cifar10": Sizes(1000, 640)}
"""SPSA on as many as the authors: theirs are ten batches of a shuffled loader, ours the first images."""
SMOKE_SIZES = Sizes(16, 2)


@dataclass(frozen=True)
class Scored:
    """A model as far as a plan needs to know it."""

    name: str
    weights: str
    iterations: int

    @property
    def readouts(self) -> tuple[Readout, ...]:
        """A single pass has only one answer."""
        return ("last", "avg") if self.iterations else ("last",)

    @property
    def targets(self) -> tuple[Target, ...]:
        """On a single pass all targets are the same attack."""
        return ("first", "e2e", "e2e_avg") if self.iterations else ("first",)


@dataclass(frozen=True)
class Corruptions:
    """Which corrupted images are shown."""

    kinds: tuple[str, ...] = tuple(name for family in FAMILIES.values() for name in family)
    severities: tuple[int, ...] = SEVERITIES
    official_hash: Callable[[str, int, int], str] | None = None
    """(kind, severity, number of examples) to the hash of published images; None makes the images here."""


@dataclass(frozen=True)
class Request:
    """What a suite is asked to measure."""

    scored: Scored
    source: Scored | None
    """Source of the transfer attack; None leaves it out."""
    dataset: str
    sizes: Sizes
    data_hash: Callable[[int], str]
    """Number of examples to the hash of those images."""
    seed: int
    backend: str
    corruptions: Corruptions = Corruptions()

    @property
    def protocol(self) -> Protocol:
        """The strict settings of the dataset."""
        return STRICT[self.dataset]


@dataclass(frozen=True)
class Suite:
    """A named list of cells."""

    name: str
    summary: str
    cells: Callable[[Request], Iterator[Cell]]
    has_transfer: bool = True
    """Whether it needs a source for a transfer attack."""


def plan(suite: str, request: Request) -> list[Cell]:
    """Return the cells of a suite, cheapest first as the suite lists them.

    Raises:
        UnknownName: If there is no such suite.
    """
    return list(named(suite).cells(request))


def named(suite: str) -> Suite:
    """Return the suite of that name, or raise UnknownName."""
    if suite not in SUITES:
        raise UnknownName("suite", suite, SUITES)
    return SUITES[suite]


def default_sizes(suite: str, dataset: str, is_gpu: bool) -> Sizes:
    """Return how many examples a suite uses unless told otherwise."""
    if suite == "smoke":
        return SMOKE_SIZES
    if suite == "clean":
        return Sizes(1000, 1)
    if not is_gpu:
        return (CPU_CORRUPTION_SIZES if suite == "corruptions" else CPU_SIZES)[dataset]
    return CNNF_PAPER_SIZES[dataset] if suite == "cnnf-paper" else GPU_SIZES


def _clean(suite: str, request: Request) -> Iterator[Cell]:
    yield from _cells(suite, request, request.sizes.examples, None, "first", None)


def _adversarial(suite: str, request: Request) -> Iterator[Cell]:
    examples, few = request.sizes.examples, request.sizes.spsa_examples
    epsilon = request.protocol.epsilon
    pgd = _pgd(request, epsilon, PGD_STEPS, request.protocol.pgd_step_size)
    long_pgd = _pgd(request, epsilon, LONG_PGD_STEPS, REACH * epsilon / LONG_PGD_STEPS)
    spsa = _spsa(request, epsilon, REACH * epsilon / SPSA_STEPS)
    yield from _clean(suite, request)
    yield from _transfer(suite, request, examples, pgd)
    for target in request.scored.targets:
        yield from _cells(suite, request, examples, pgd, target, request.scored)
        yield from _cells(suite, request, examples, long_pgd, target, request.scored)
    for target in request.scored.targets:
        yield from _cells(suite, request, few, spsa, target, request.scored)


def _cnnf_paper(suite: str, request: Request) -> Iterator[Cell]:
    examples, few = request.sizes.examples, request.sizes.spsa_examples
    protocol = CNNF_PAPER[request.dataset]
    pgd = _pgd(request, protocol.epsilon, PGD_STEPS, protocol.pgd_step_size)
    spsa = _spsa(request, protocol.epsilon, CNNF_PAPER_SPSA_RATE)
    targets = [target for target in request.scored.targets if target != "e2e_avg"]
    yield from _clean(suite, request)
    yield from _transfer(suite, request, examples, pgd)
    for target in targets:
        yield from _cells(suite, request, examples, pgd, target, request.scored)
    for target in targets:
        yield from _cells(suite, request, few, spsa, target, request.scored)


def _corruptions(suite: str, request: Request) -> Iterator[Cell]:
    examples, wanted = request.sizes.examples, request.corruptions
    yield from _readings(suite, request, examples, None)
    family = SEVERITY_TABLES[request.dataset]
    for kind, severity in product(wanted.kinds, wanted.severities):
        made = Perturbation(
            kind="corruption", name=kind, backend="native", settings={"severity": severity, "family": family}
        )
        if wanted.official_hash is None:
            yield from _readings(suite, request, examples, made)
        else:
            official = made.model_copy(update={"backend": "official", "settings": {"severity": severity}})
            data = wanted.official_hash(kind, severity, examples)
            yield from _readings(suite, request, examples, official, data)


SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite(
            "clean", "accuracy on clean images", lambda request: _clean("clean", request), has_transfer=False
        ),
        Suite(
            "adversarial",
            "strict: PGD-7, PGD-40, SPSA that can reach epsilon and transfer; targets first, e2e, e2e_avg",
            lambda request: _adversarial("adversarial", request),
        ),
        Suite(
            "cnnf-paper",
            "the CNN-F authors' protocol: PGD-7, their short-stepped SPSA and transfer; targets first, e2e",
            lambda request: _cnnf_paper("cnnf-paper", request),
        ),
        Suite(
            "corruptions",
            "common corruptions at five severities, after every iteration",
            lambda request: _corruptions("corruptions", request),
            has_transfer=False,
        ),
        Suite(
            "smoke",
            "the strict suite on 16 images, to see that everything works",
            lambda request: _adversarial("smoke", request),
        ),
    )
}


def _pgd(request: Request, epsilon: float, steps: int, step_size: float) -> Perturbation:
    settings: dict[str, Setting] = {
        "norm": "linf",
        "epsilon": epsilon,
        "steps": steps,
        "step_size": step_size,
        "random_start": True,
        "restarts": 1,
    }
    return Perturbation(kind="attack", name="pgd", backend=request.backend, settings=settings)


def _spsa(request: Request, epsilon: float, learning_rate: float) -> Perturbation:
    settings: dict[str, Setting] = {
        "norm": "linf",
        "epsilon": epsilon,
        "steps": SPSA_STEPS,
        "samples": SPSA_SAMPLES,
        "delta": SPSA_DELTA,
        "learning_rate": learning_rate,
    }
    return Perturbation(kind="attack", name="spsa", backend=request.backend, settings=settings)


def _transfer(suite: str, request: Request, examples: int, pgd: Perturbation) -> Iterator[Cell]:
    if request.source is not None:
        yield from _cells(suite, request, examples, pgd, "first", request.source)


def _cells(
    suite: str,
    request: Request,
    examples: int,
    perturbation: Perturbation | None,
    target: Target,
    source: Scored | None,
) -> Iterator[Cell]:
    """Yield one cell per readout of the model's own iteration count."""
    for readout in request.scored.readouts:
        yield _cell(suite, request, examples, perturbation, request.scored.iterations, readout).model_copy(
            update={
                "source": source.name if source else None,
                "source_weights": source.weights if source else None,
                "attack_target": target if source else None,
                "attack_iterations": source.iterations if source and target != "first" else 0,
            }
        )


def _readings(
    suite: str, request: Request, examples: int, perturbation: Perturbation | None, data: str | None = None
) -> Iterator[Cell]:
    """Yield one cell per iteration, from the first pass on, and readout."""
    for iterations in range(request.scored.iterations + 1):
        for readout in request.scored.readouts if iterations else ("last",):
            cell = _cell(suite, request, examples, perturbation, iterations, readout)
            yield cell.model_copy(update={"data": data}) if data else cell


def _cell(
    suite: str,
    request: Request,
    examples: int,
    perturbation: Perturbation | None,
    iterations: int,
    readout: Readout,
) -> Cell:
    """Return a cell without an attacker."""
    return Cell(
        suite=suite,
        suite_version=SUITE_VERSION,
        model=request.scored.name,
        weights=request.scored.weights,
        dataset=request.dataset,
        data=request.data_hash(examples),
        examples=examples,
        perturbation=perturbation,
        source=None,
        source_weights=None,
        attack_target=None,
        attack_iterations=0,
        iterations=iterations,
        readout=readout,
        seed=request.seed,
    )
