"""What a suite is asked to measure, and what a suite is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from bench.suites.protocols import STRICT, Protocol
from corruptions import FAMILIES, SEVERITIES
from reports.cell import Cell, Identity, ModelSettings, Target

Readout = Literal["last", "avg"]


@dataclass(frozen=True)
class Sizes:
    """How many examples are used."""

    examples: int
    spsa_examples: int = 1


@dataclass(frozen=True)
class Scored:
    """A model as far as a plan needs to know it."""

    name: str
    weights: str
    iterations: int
    settings: ModelSettings = field(default_factory=dict, hash=False)
    """As in the cell."""

    @property
    def identity(self) -> Identity:
        """What tells it from every other model."""
        return Identity.of(self.name, self.weights, self.settings)

    @property
    def readouts(self) -> tuple[Readout, ...]:
        """A single pass has only one answer."""
        return ("last", "avg") if self.iterations else ("last",)

    def judged(self, readout: Readout) -> Target:
        """Return the target that is the scored answer itself."""
        if self.iterations == 0:
            return "first"
        return "e2e_avg" if readout == "avg" else "e2e"

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
    sources: tuple[Scored, ...]
    """Sources of transfer attacks; none leaves them out."""
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


def _no_sources(dataset: str) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class Suite:
    """A named list of cells."""

    name: str
    summary: str
    cells: Callable[[str, Request], Iterator[Cell]]
    """(name of the suite, request) to its cells, cheapest first."""
    sizes: Callable[[str, bool], Sizes]
    """(dataset, whether there is a GPU) to how many examples are used unless told otherwise."""
    sources: Callable[[str], tuple[str, ...]] = _no_sources
    """Dataset to the models of the zoo whose adversarial images are shown to the others."""
    is_for_few_iterations: bool = True
    """Whether its sizes on a CPU shrink for models with more iterations than CNN-F has."""
    gpu_batch_size: int = 1024
    """Images evaluated at once on a GPU unless told otherwise. A killed run loses the batch it was at."""
    picture: str | None = None
    """Where the function is that draws a picture beside the records, as "package.module:function"; called as
    `bench.restoration_picture.draw` is."""
