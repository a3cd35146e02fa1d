"""The curves of trainings, of those that still run too."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import zoo
from bench.errors import BenchError
from bench.reporting import write_figures
from bench.training import LOG
from zoo.checkpoint import WEIGHTS

if TYPE_CHECKING:
    from reports.training_curves import Epoch


def write(sources: Sequence[str], out: Path) -> list[Path]:
    """Draw trainings into a folder, in every format, and return the files.

    Args:
        sources: Folders of trainings, cards, or models of the zoo, whose shipped weights have cards.
        out: The folder.

    Raises:
        BenchError: If a source has no epochs to draw, or two have one name, or the folder cannot be written.
    """
    from reports.training_curves import training_figures

    logs: dict[str, list[Epoch]] = {}
    for source in sources:
        name, epochs = _read(source)
        if name in logs:
            raise BenchError(f"two trainings have the name {name}: rename the folder of one")
        logs[name] = epochs
    return write_figures(training_figures(logs), out)


def _read(source: str) -> tuple[str, list[Epoch]]:
    path = Path(source)
    if not path.exists() and source in zoo.ENTRIES:
        path = WEIGHTS / f"{source}.json"
    is_folder = path.is_dir()
    if is_folder:
        path = path / LOG
    try:
        text = path.read_text(encoding="utf-8")
        if is_folder:
            name, lines = path.parent.resolve().name, [json.loads(line) for line in text.splitlines()]
        else:
            card = json.loads(text)
            name, lines = card["name"], card.get("log", ())
        epochs = _epochs(lines)
    except OSError as error:
        raise BenchError(f"{source} is no training: {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise BenchError(f"{path} is neither a card nor the log of a training: {reason}") from error
    if not epochs:
        raise BenchError(f"{path} holds the log of no finished epoch")
    return name, epochs


def _epochs(lines: Iterable[object]) -> list[Epoch]:
    from reports.training_curves import Epoch

    return [Epoch.model_validate(line) for line in lines]
