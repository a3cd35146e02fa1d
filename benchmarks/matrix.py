"""Print what passes of the networks cost, and what sharing adversarial images between cells saves."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

import zoo
from bench.groups import group_by_images
from bench.suites import SUITES, Request, Scored, Sizes, plan
from reports.cell import Cell, Setting
from zoo.checkpoint import build

BATCH = 64
REPEATS = 5
SHAPES = {"cnnf_fmnist": (1, 28, 28), "cnnf_cifar": (3, 32, 32)}


def milliseconds(work: Callable[[], object]) -> float:
    """Return the median time of `work` per image."""
    work()
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times) / BATCH


def costs(name: str, memory_format: torch.memory_format) -> dict[str, float]:
    """Return milliseconds per image of passes forward and of gradients, first and end-to-end."""
    entry = zoo.ENTRIES[name]
    model = build(entry).requires_grad_(False).to(memory_format=memory_format)
    images = torch.rand(BATCH, *SHAPES[name]).contiguous(memory_format=memory_format)
    labels = torch.zeros(BATCH, dtype=torch.long)

    def forward(iterations: int) -> Tensor:
        with torch.no_grad():
            return model.unroll(images, iterations)

    def gradient(iterations: int) -> tuple[Tensor, ...]:
        leaf = images.clone().requires_grad_()
        loss = F.cross_entropy(model.unroll(leaf, iterations)[-1], labels, reduction="sum")
        return torch.autograd.grad(loss, leaf)

    return {
        "forward, first": milliseconds(lambda: forward(0)),
        "forward, e2e": milliseconds(lambda: forward(entry.iterations)),
        "gradient, first": milliseconds(lambda: gradient(0)),
        "gradient, e2e": milliseconds(lambda: gradient(entry.iterations)),
    }


def passes(groups: Sequence[Sequence[Cell]]) -> int:
    """Return the passes per image of attacking and scoring groups, by the settings of their attacks."""
    total = 0
    for group in groups:
        cell = group[0]
        total += 1 + max(c.iterations for c in group)
        if cell.perturbation is not None and cell.perturbation.kind == "attack":
            total += sum(
                evaluations(settings) * (1 + (cell.attack_iterations if settings["target"] != "first" else 0))
                for settings in cell.perturbation.members
                or [cell.perturbation.settings | {"target": cell.attack_target or ""}]
            )
    return total


def evaluations(settings: Mapping[str, Setting]) -> int:
    """Return the forward and backward evaluations of an attack on an image that stands to the end."""
    if "steps" not in settings:
        return int(settings.get("queries", settings.get("samples", 1)))
    each = 3 if settings.get("attack") == "fab" else 2
    return each * int(settings["steps"]) * int(settings.get("samples", 1)) * int(settings.get("targets", 1))


def main() -> None:
    """Measure and print two Markdown tables."""
    threads = torch.get_num_threads()
    print(f"torch {torch.__version__}, {threads} threads, batches of {BATCH}, medians of {REPEATS}\n")
    print("| ms per image | layout | forward, first | forward, e2e | gradient, first | gradient, e2e |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for name in SHAPES:
        for layout in (torch.contiguous_format, torch.channels_last):
            figures = " | ".join(f"{figure:.2f}" for figure in costs(name, layout).values())
            print(f"| {name} | {str(layout).removeprefix('torch.')} | {figures} |")
    print("\n| suite | cells | groups | passes per image, cell by cell | shared | ratio |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for suite in SUITES:
        request = Request(
            Scored("m", "w", 2), (Scored("s", "v", 0),), "cifar10", Sizes(1, 1), str, 0, "native"
        )
        cells = plan(suite, request)
        groups = group_by_images(cells)
        alone, shared = passes([[cell] for cell in cells]), passes(groups)
        print(f"| {suite} | {len(cells)} | {len(groups)} | {alone} | {shared} | {shared / alone:.2f} |")


if __name__ == "__main__":
    main()
