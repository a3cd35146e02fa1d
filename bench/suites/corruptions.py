"""Common corruptions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from bench.suites.cells import readings
from bench.suites.protocols import SEVERITY_TABLES
from bench.suites.request import Readout, Request, Sizes, Suite
from reports.cell import Cell, Perturbation

CPU_SIZES = {"fashion_mnist": Sizes(500), "cifar10": Sizes(64), "cifar100": Sizes(64), "imagenet": Sizes(16)}
GPU_SIZES = Sizes(1000)


def _corruptions(suite: str, request: Request) -> Iterator[Cell]:
    yield from corrupted(suite, request, ("last", "avg"))


def corrupted(suite: str, request: Request, readouts: Sequence[Readout]) -> Iterator[Cell]:
    """Yield the cells of clean images and of those corrupted as wanted, made here or published."""
    examples, wanted = request.sizes.examples, request.corruptions
    yield from readings(suite, request, examples, None, readouts=readouts)
    for kind, severity in product(wanted.kinds, wanted.severities):
        made, data = corruption(request, kind, severity), None
        if wanted.official_hash is not None:
            made = made.model_copy(update={"backend": "official", "settings": {"severity": severity}})
            data = wanted.official_hash(kind, severity, examples)
        yield from readings(suite, request, examples, made, data, readouts=readouts)


def corruption(request: Request, kind: str, severity: int) -> Perturbation:
    """Return a corruption made here, by the severity table of the dataset."""
    family = SEVERITY_TABLES[request.dataset]
    return Perturbation(
        kind="corruption", name=kind, backend="native", settings={"severity": severity, "family": family}
    )


CORRUPTIONS = Suite(
    "corruptions",
    "common corruptions at five severities, after every iteration",
    _corruptions,
    lambda dataset, is_gpu: GPU_SIZES if is_gpu else CPU_SIZES[dataset],
)
