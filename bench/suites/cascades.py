"""Suites of attacks in turn: standard AutoAttack, and a cheaper cascade that knows of feedback."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.suites.cells import scored_cells
from bench.suites.request import Readout, Request, Sizes, Suite
from reports.cell import Cell, Perturbation, Setting, Target

Member = dict[str, Setting]

AUTOATTACK: tuple[Member, ...] = (
    {"attack": "apgd", "loss": "ce", "steps": 100, "restarts": 1, "targets": 1, "early_stop": True},
    {"attack": "apgd", "loss": "dlr_targeted", "steps": 100, "restarts": 1, "targets": 9, "early_stop": True},
    {"attack": "fab", "steps": 100, "targets": 9},
    {"attack": "square", "queries": 5000, "initial_share": 0.8},
)
"""The standard version (Croce & Hein, ICML 2020)."""

GPU_SIZES = Sizes(1000)
GPU_BATCH_SIZE = 256
"""Its attacks take hundreds of steps: a killed run should lose only some of the images."""
CPU_SIZES = {"strongest": Sizes(32), "autoattack": Sizes(16)}


def _autoattack(suite: str, request: Request) -> Iterator[Cell]:
    for readout in request.scored.readouts:
        judge = request.scored.judged(readout)
        members = [{"target": judge} | member for member in AUTOATTACK]
        yield from _judged_cells(suite, request, readout, cascade("pyautoattack", request, suite, members))


def _strongest(suite: str, request: Request) -> Iterator[Cell]:
    for readout in request.scored.readouts:
        members = _members(request.scored.judged(readout))
        yield from _judged_cells(suite, request, readout, cascade("native", request, suite, members))


def _apgd(target: Target, loss: str, steps: int, targets: int = 1, early_stop: bool = True) -> Member:
    return {
        "attack": "apgd",
        "target": target,
        "loss": loss,
        "steps": steps,
        "restarts": 1,
        "targets": targets,
        "early_stop": early_stop,
    }


def _members(judge: Target) -> list[Member]:
    """Return the cascade for an answer: a cheap climb on it, climbs around masked gradients, long ones on it.

    At last random search goes on from the image nearest to an error. For what each part breaks, and what all
    of it costs beside standard AutoAttack, see benchmarks/README.md.
    """
    thorough: list[Member] = [
        _apgd(judge, "ce", 100),
        _apgd(judge, "dlr_targeted", 30, targets=9),
        {"attack": "square", "target": judge, "start": "strongest", "queries": 1500, "initial_share": 0.8},
    ]
    if judge == "first":
        return [_apgd("first", "ce", 10), _apgd("first", "dlr", 30), *thorough]
    softened: Target = "e2e_avg_bpda" if judge == "e2e_avg" else "e2e_bpda"
    return [
        _apgd(judge, "ce", 10),
        _apgd("first", "ce", 20, early_stop=False),
        _apgd("first", "dlr", 30, early_stop=False),
        _apgd("e2e_sum", "dlr", 30, early_stop=False),
        _apgd(softened, "dlr", 30),
        *thorough,
    ]


def cascade(backend: str, request: Request, name: str, members: Sequence[Member]) -> Perturbation:
    """Return attacks in turn inside the l-infinity ball of the dataset, with every setting spelt out."""
    settings: dict[str, Setting] = {"norm": "linf", "epsilon": request.protocol.epsilon}
    for number, member in enumerate(members, 1):
        settings |= {f"{number}.{setting}": value for setting, value in member.items()}
    return Perturbation(kind="attack", name=name, backend=backend, settings=settings)


def _judged_cells(
    suite: str, request: Request, readout: Readout, perturbation: Perturbation
) -> Iterator[Cell]:
    """Yield the clean cell of an answer and the attacked one; an attack is scored by what judged it."""
    examples, judge = request.sizes.examples, request.scored.judged(readout)
    clean = scored_cells(suite, request, examples, None, "first", None)
    attacked = scored_cells(suite, request, examples, perturbation, judge, request.scored)
    yield from (cell for cell in (*clean, *attacked) if cell.readout == readout)


AUTOATTACK_SUITE = Suite(
    "autoattack",
    "standard AutoAttack by its authors' code, on each scored answer",
    _autoattack,
    lambda dataset, is_gpu: GPU_SIZES if is_gpu else CPU_SIZES["autoattack"],
    gpu_batch_size=GPU_BATCH_SIZE,
)
STRONGEST = Suite(
    "strongest",
    "a cascade of attacks on several targets; only images that still stand go on",
    _strongest,
    lambda dataset, is_gpu: GPU_SIZES if is_gpu else CPU_SIZES["strongest"],
    gpu_batch_size=GPU_BATCH_SIZE,
)
