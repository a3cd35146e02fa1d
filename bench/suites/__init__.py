"""The suites: what is measured. Each is a list of cells; to add one, write its module and add it here."""

from __future__ import annotations

from bench.errors import UnknownName
from bench.suites import (
    adversarial,
    cascades,
    consistency,
    corruptions,
    epsilons,
    predify,
    restoration,
    transfer,
    verdict,
)
from bench.suites.protocols import STRICT, SUITE_VERSION, TRANSFER_SOURCES, USUAL_ITERATIONS
from bench.suites.request import Corruptions, Request, Scored, Sizes, Suite
from reports.cell import Cell

__all__ = [
    "STRICT",
    "SUITES",
    "SUITE_VERSION",
    "TRANSFER_SOURCES",
    "Corruptions",
    "Request",
    "Scored",
    "Sizes",
    "Suite",
    "default_sizes",
    "named",
    "plan",
]

SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        adversarial.CLEAN,
        adversarial.PGD,
        adversarial.ADVERSARIAL,
        adversarial.PAPER,
        epsilons.EPSILON_CURVES,
        cascades.STRONGEST,
        cascades.AUTOATTACK_SUITE,
        transfer.TRANSFER,
        corruptions.CORRUPTIONS,
        consistency.CONSISTENCY,
        restoration.RESTORATION,
        verdict.VERDICT,
        *predify.SUITES,
        adversarial.SMOKE,
    )
}


def plan(suite: str, request: Request) -> list[Cell]:
    """Return the cells of a suite, cheapest first as the suite lists them.

    Raises:
        UnknownName: If there is no such suite.
    """
    return list(named(suite).cells(suite, request))


def named(suite: str) -> Suite:
    """Return the suite of that name, or raise UnknownName."""
    if suite not in SUITES:
        raise UnknownName("suite", suite, SUITES)
    return SUITES[suite]


def default_sizes(suite: str, dataset: str, is_gpu: bool, iterations: int) -> Sizes:
    """Return how many examples a suite uses unless told otherwise: on a CPU fewer where more is unrolled."""
    usual = named(suite).sizes(dataset, is_gpu)
    if is_gpu or iterations <= USUAL_ITERATIONS or not named(suite).is_for_few_iterations:
        return usual
    share = (1 + USUAL_ITERATIONS) / (1 + iterations)
    return Sizes(max(1, int(usual.examples * share)), max(1, int(usual.spsa_examples * share)))
