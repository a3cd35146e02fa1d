"""What suites are made of: perturbations with every setting spelt out, and the cells around them."""

from __future__ import annotations

from collections.abc import Iterator

from bench.suites.protocols import SPSA_DELTA, SPSA_SAMPLES, SPSA_STEPS, SUITE_VERSION
from bench.suites.request import Readout, Request, Scored
from reports.cell import Cell, Perturbation, Setting, Target


def pgd(request: Request, epsilon: float, steps: int, step_size: float) -> Perturbation:
    """Return PGD in the l-infinity ball with a random start; lengths in [0, 1] pixel units."""
    settings: dict[str, Setting] = {
        "norm": "linf",
        "epsilon": epsilon,
        "steps": steps,
        "step_size": step_size,
        "random_start": True,
        "restarts": 1,
    }
    return Perturbation(kind="attack", name="pgd", backend=request.backend, settings=settings)


def spsa(request: Request, epsilon: float, learning_rate: float) -> Perturbation:
    """Return SPSA as in the papers but for its learning rate, in [0, 1] pixel units a step."""
    settings: dict[str, Setting] = {
        "norm": "linf",
        "epsilon": epsilon,
        "steps": SPSA_STEPS,
        "samples": SPSA_SAMPLES,
        "delta": SPSA_DELTA,
        "learning_rate": learning_rate,
    }
    return Perturbation(kind="attack", name="spsa", backend=request.backend, settings=settings)


def scored_cells(
    suite: str,
    request: Request,
    examples: int,
    perturbation: Perturbation | None,
    target: Target,
    source: Scored | None,
) -> Iterator[Cell]:
    """Yield one cell per readout of the model's own iteration count."""
    for readout in request.scored.readouts:
        yield cell_of(suite, request, examples, perturbation, request.scored.iterations, readout).model_copy(
            update={
                "source": source.name if source else None,
                "source_weights": source.weights if source else None,
                "attack_target": target if source else None,
                "attack_iterations": source.iterations if source and target != "first" else 0,
            }
        )


def readings(
    suite: str,
    request: Request,
    examples: int,
    perturbation: Perturbation | None,
    data: str | None = None,
    probe: str | None = None,
) -> Iterator[Cell]:
    """Yield one cell per iteration, from the first pass on, and readout; with a probe only the last answer.

    Args:
        suite: Its name.
        request: What is measured.
        examples: Images shown.
        perturbation: What is done to them, without an attacker.
        data: Hash of the images if they are others than the dataset's.
        probe: A key of `bench.probes.PROBES`.
    """
    for iterations in range(request.scored.iterations + 1):
        readouts = request.scored.readouts if iterations and probe is None else ("last",)
        for readout in readouts:
            cell = cell_of(suite, request, examples, perturbation, iterations, readout)
            yield cell.model_copy(update={"data": data or cell.data, "probe": probe})


def cell_of(
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
