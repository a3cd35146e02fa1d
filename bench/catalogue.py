"""What there is, for `bench list`: name to one line."""

from __future__ import annotations

from collections.abc import Callable

import zoo
from bench.data import DATASETS, Dataset
from bench.suites import SUITES


def models() -> dict[str, str]:
    """Return the models of the zoo."""
    return {
        name: f"{entry.label} on {entry.dataset}, {entry.iterations} iterations; "
        f"checkpoints {', '.join(entry.checkpoints) or 'none yet'}"
        for name, entry in zoo.ENTRIES.items()
    }


def suites() -> dict[str, str]:
    """Return the suites."""
    return {name: suite.summary for name, suite in SUITES.items()}


def attacks() -> dict[str, str]:
    """Return the attacks of every backend."""
    from attacks import ATTACKS

    return {
        f"{backend}:{name}": (attack.__doc__ or "").split("\n")[0]
        for backend, attacks in ATTACKS.items()
        for name, attack in attacks.items()
    }


def datasets() -> dict[str, str]:
    """Return the datasets."""
    return {
        name: f"{known.sizes['test']:,} test images {'x'.join(map(str, known.shape))}, "
        f"{len(known.classes):,} classes; "
        + (f"the first {known.embedded:,} come with the package" if known.embedded else _origin(known))
        for name, known in DATASETS.items()
    }


def _origin(known: Dataset) -> str:
    return "from a local folder or a download" if known.torchvision else "from a local folder"


def tables() -> dict[str, str]:
    """Return the tables of reports."""
    from reports.catalogue import TABLES

    return {name: f"{kind.summary}; suites {', '.join(kind.suites)}" for name, kind in TABLES.items()}


def figures() -> dict[str, str]:
    """Return the figures of reports."""
    from reports.catalogue import FIGURES

    return {name: f"{kind.summary}; suites {', '.join(kind.suites)}" for name, kind in FIGURES.items()}


def robustbench() -> dict[str, str]:
    """Return the models of RobustBench's zoo, as `--model robustbench:...` names them.

    Raises:
        BenchError: If robustbench cannot be imported.
    """
    from bench.robustbench import PREFIX, every

    return {PREFIX + listed.path: f"on {listed.dataset}, trained for {listed.threat}" for listed in every()}


CATALOGUES: dict[str, Callable[[], dict[str, str]]] = {
    "models": models,
    "suites": suites,
    "attacks": attacks,
    "datasets": datasets,
    "tables": tables,
    "figures": figures,
    "robustbench": robustbench,
}
