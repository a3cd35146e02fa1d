"""Does the feedback repair images? The restoration figure of the CNN-F paper, with numbers."""

from __future__ import annotations

from collections.abc import Iterator

from bench.errors import BenchError
from bench.suites.cells import readings
from bench.suites.corruptions import corruption
from bench.suites.request import Request, Sizes, Suite
from reports.cell import Cell

KINDS = ("shot_noise", "gaussian_noise", "dotted_line")
"""The columns of the authors' figure. Their strength is not published."""
SEVERITY = 5


def _restoration(suite: str, request: Request) -> Iterator[Cell]:
    if request.scored.iterations == 0:
        raise BenchError(f"{request.scored.name} has no feedback that could restore images")
    for shown in (None, *(corruption(request, kind, SEVERITY) for kind in KINDS)):
        yield from readings(
            suite, request, request.sizes.examples, shown, probe="restoration", readouts=("last",)
        )


RESTORATION = Suite(
    "restoration",
    "corrupted images and what feedback to the pixels makes of them: distances and a picture",
    _restoration,
    lambda dataset, is_gpu: Sizes(1000 if is_gpu else 200),
    is_for_few_iterations=False,
    picture="bench.restoration_picture:draw",
)
