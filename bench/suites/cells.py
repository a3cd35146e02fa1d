"""What suites are made of: perturbations with every setting spelt out, and the cells around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.suites.protocols import SPSA_DELTA, SPSA_SAMPLES, SPSA_STEPS, SUITE_VERSION, TRANSFER_SOURCES
from bench.suites.request import Readout, Request, Scored
from reports.cell import Cell, Perturbation, Setting, Target


def pgd(
    request: Request,
    epsilon: float,
    steps: int,
    step_size: float,
    restarts: int = 1,
    random_start: bool = True,
) -> Perturbation:
    """Return PGD in the l-infinity ball; lengths in [0, 1] pixel units."""
    settings: dict[str, Setting] = {
        "norm": "linf",
        "epsilon": epsilon,
        "steps": steps,
        "step_size": step_size,
        "random_start": random_start,
        "restarts": restarts,
    }
    return Perturbation(kind="attack", name="pgd", backend=request.backend, settings=settings)


def spsa(request: Request, epsilon: float, learning_rate: float, samples: int = SPSA_SAMPLES) -> Perturbation:
    """Return SPSA as in the papers but for its learning rate, in [0, 1] pixel units a step."""
    settings: dict[str, Setting] = {
        "norm": "linf",
        "epsilon": epsilon,
        "steps": SPSA_STEPS,
        "samples": samples,
        "delta": SPSA_DELTA,
        "learning_rate": learning_rate,
    }
    return Perturbation(kind="attack", name="spsa", backend=request.backend, settings=settings)


def noise(request: Request, epsilon: float) -> Perturbation:
    """Return a random corner of the l-infinity ball; only we have it, whatever the backend of the attacks."""
    settings: dict[str, Setting] = {"norm": "linf", "epsilon": epsilon, "samples": 1}
    return Perturbation(kind="attack", name="noise", backend="native", settings=settings)


def square(request: Request, epsilon: float, queries: int) -> Perturbation:
    """Return Square; native, whatever the backend of the attacks."""
    settings: dict[str, Setting] = {
        "norm": "linf",
        "epsilon": epsilon,
        "queries": queries,
        "initial_share": 0.8,
    }
    return Perturbation(kind="attack", name="square", backend="native", settings=settings)


def plain_network(dataset: str) -> tuple[str, ...]:
    """Return the source of a suite's only transfer attack, where the zoo has one."""
    return (TRANSFER_SOURCES[dataset],) if dataset in TRANSFER_SOURCES else ()


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
                "source_settings": source.settings if source else {},
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
    readouts: Sequence[Readout] = ("last", "avg"),
) -> Iterator[Cell]:
    """Yield one cell per iteration, from the first pass on, and readout; the first pass is its own average.

    Args:
        suite: Its name.
        request: What is measured.
        examples: Images shown.
        perturbation: What is done to them, without an attacker.
        data: Hash of the images if they are others than the dataset's.
        probe: A key of `bench.probes.PROBES`.
        readouts: Those wanted.
    """
    for iterations in range(request.scored.iterations + 1):
        for readout in readouts if iterations else ("last",):
            cell = cell_of(suite, request, examples, perturbation, iterations, readout)
            yield cell.model_copy(update={"data": data or cell.data, "probe": probe})


def against(cell: Cell, request: Request, target: Target, attack_iterations: int) -> Cell:
    """Return a cell attacked through the scored model itself, of which the attacker unrolls that much."""
    return cell.model_copy(
        update={
            "source": request.scored.name,
            "source_weights": request.scored.weights,
            "source_settings": request.scored.settings,
            "attack_target": target,
            "attack_iterations": attack_iterations,
        }
    )


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
        settings=request.scored.settings,
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
