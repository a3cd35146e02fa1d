"""How trainings went, epoch by epoch, drawn from the lines that they log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from reports.figures import Figure, Panel, Point, Series, filled, percent_at
from reports.metrics import Accuracy

Share = Annotated[float, Field(ge=0, le=1)]


class Epoch(BaseModel):
    """What the curves need of a line of a training's log."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    epoch: int = Field(ge=1)
    loss: float
    """Mean over the epoch."""
    held_out: int = Field(ge=1)
    """Images that the accuracies are of."""
    clean_accuracy: Share
    robust_accuracy: Share | None
    """None where no epsilon is known."""


Logs = Mapping[str, Sequence[Epoch]]
"""Name of a training -> its epochs."""
LAST = "last logits"


def training_figures(logs: Logs) -> dict[str, Figure]:
    """Return the figures `accuracy` and `loss`, a line a training; one without points is left out."""
    accuracies = (
        Panel("clean", _series(logs, _clean)),
        Panel("PGD-10 on the first pass", _series(logs, _robust)),
    )
    figures = {
        "accuracy": _figure("accuracy on held-out training images", "accuracy (%)", accuracies),
        "loss": _figure("loss", "mean loss of the epoch", (Panel("", _series(logs, _loss)),)),
    }
    return {name: kept for name, figure in figures.items() if (kept := filled(figure))}


def _figure(title: str, y_label: str, panels: tuple[Panel, ...]) -> Figure:
    notes = (LAST, "bars: 95 % intervals") if "%" in y_label else ()
    return Figure(f"Training: {title}", "curves", "epoch", y_label, panels, "training", notes=notes)


def _series(logs: Logs, point: Callable[[Epoch], Point | None]) -> tuple[Series, ...]:
    return tuple(
        Series(name, tuple(found for epoch in epochs if (found := point(epoch))))
        for name, epochs in logs.items()
    )


def _clean(epoch: Epoch) -> Point:
    return _share(epoch, epoch.clean_accuracy)


def _robust(epoch: Epoch) -> Point | None:
    return None if epoch.robust_accuracy is None else _share(epoch, epoch.robust_accuracy)


def _loss(epoch: Epoch) -> Point:
    return Point(epoch.epoch, epoch.loss, epoch.loss, epoch.loss, 1)


def _share(epoch: Epoch, share: float) -> Point:
    return percent_at(epoch.epoch, Accuracy(round(share * epoch.held_out), epoch.held_out))
