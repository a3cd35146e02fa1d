"""Every network of the zoo as the source of attacks on every other, in one matrix."""

from __future__ import annotations

from collections.abc import Iterator

import zoo
from bench.suites.cells import scored_cells
from bench.suites.protocols import MOMENTUM_DECAY, REACH, TRANSFER_STEPS
from bench.suites.request import Request, Sizes, Suite
from reports.cell import Cell, Perturbation, Setting

GPU_SIZES = Sizes(1000)
CPU_SIZES = {"fashion_mnist": Sizes(200), "cifar10": Sizes(32), "cifar100": Sizes(32), "imagenet": Sizes(4)}


def _transfer(suite: str, request: Request) -> Iterator[Cell]:
    examples = request.sizes.examples
    attack = _momentum(request)
    yield from scored_cells(suite, request, examples, None, "first", None)
    for source in (request.scored, *request.sources):
        yield from scored_cells(suite, request, examples, attack, source.judged("last"), source)


def _momentum(request: Request) -> Perturbation:
    """Return MI-FGSM, whose images carry over to other networks better than PGD's (Dong et al., 2018).

    Its paper steps epsilon / steps; ours are `REACH` times as long, as those of our other attacks.
    """
    epsilon = request.protocol.epsilon
    settings: dict[str, Setting] = {
        "norm": "linf",
        "epsilon": epsilon,
        "steps": TRANSFER_STEPS,
        "step_size": REACH * epsilon / TRANSFER_STEPS,
        "random_start": False,
        "restarts": 1,
        "decay": MOMENTUM_DECAY,
    }
    return Perturbation(kind="attack", name="momentum", backend="native", settings=settings)


def _every_network(dataset: str) -> tuple[str, ...]:
    return tuple(
        name for name, entry in zoo.ENTRIES.items() if entry.dataset == dataset and entry.checkpoints
    )


TRANSFER = Suite(
    "transfer",
    "every network of the zoo for the dataset as the source of attacks, and the model itself",
    _transfer,
    lambda dataset, is_gpu: GPU_SIZES if is_gpu else CPU_SIZES[dataset],
    _every_network,
)
