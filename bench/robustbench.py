"""Models of RobustBench's zoo (Croce et al., NeurIPS 2021 Datasets and Benchmarks), as "robustbench:NAME"."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench import compat
from bench.data import DATASETS
from bench.errors import BenchError, UnknownName
from bench.models import Candidate, from_object

if TYPE_CHECKING:
    from torch import nn

PREFIX = "robustbench:"
DEFAULT_DATASET, DEFAULT_THREAT = "cifar10", "Linf"


class Listed(NamedTuple):
    """Where a model stands in RobustBench's zoo."""

    dataset: str
    threat: str
    """Linf, L2 or corruptions: what it was trained for, which does not limit what it is measured under."""
    name: str

    @property
    def path(self) -> str:
        """The three parts, as its files are laid out."""
        return "/".join(self)


def from_robustbench(spec: str, dataset: str | None = None, folder: Path | None = None) -> Candidate:
    """Return a model of RobustBench's zoo; its weights are downloaded unless they are in the folder.

    Args:
        spec: "robustbench:NAME" for CIFAR-10 and Linf, or "robustbench:DATASET/THREAT/NAME".
        dataset: What the caller takes its classes for, if he says.
        folder: Where weights lie as DATASET/THREAT/NAME.pt; by default the environment variable
            BENCH_ROBUSTBENCH_DIR, or a folder of the user's cache.

    Raises:
        BenchError: If robustbench cannot be imported, or the model is unknown, cannot be fetched or loaded,
            or classifies what we have no images of.
    """
    compat.enable_robustbench()
    listed = find(spec)
    if dataset not in (None, listed.dataset):
        raise BenchError(f"{spec} classifies {listed.dataset}, not {dataset}")
    if listed.dataset not in DATASETS:
        raise UnknownName("dataset", listed.dataset, DATASETS)
    network = _load(listed, folder or _default_folder())
    candidate = from_object(network, listed.dataset, PREFIX + listed.path, 0)
    return replace(candidate, label=listed.name, checkpoint="robustbench")


def find(spec: str) -> Listed:
    """Return the model that "robustbench:..." names.

    Raises:
        UnknownName: If there is no such dataset, threat model or model.
    """
    from robustbench.model_zoo import model_dicts

    parts = spec.removeprefix(PREFIX).split("/")
    if len(parts) not in (1, 3):
        raise BenchError(f"{spec!r} must be {PREFIX}NAME or {PREFIX}DATASET/THREAT/NAME")
    dataset, threat = parts[:2] if len(parts) == 3 else (DEFAULT_DATASET, DEFAULT_THREAT)
    threats = _named("RobustBench dataset", dataset, {key.value: known for key, known in model_dicts.items()})
    names = _named("threat model", threat, {key.value: known for key, known in threats.items()})
    _named("RobustBench model", parts[-1], names)
    return Listed(dataset, threat, parts[-1])


def _named(kind: str, name: str, known: dict[str, Any]) -> dict[Any, Any]:
    if name not in known:
        raise UnknownName(kind, name, known)
    return known[name]


def _load(listed: Listed, folder: Path) -> nn.Module:
    from robustbench.utils import load_model

    try:
        network: nn.Module = load_model(listed.name, folder, listed.dataset, listed.threat)
    except pickle.UnpicklingError as error:
        raise BenchError(f"the weights of {listed.path} hold more than tensors and are refused") from error
    except Exception as error:
        # Whatever its downloader and its many architectures raise; the user can mend the file or the network.
        reason = " ".join(str(error).split())[:300]
        raise BenchError(
            f"cannot load {listed.path} of RobustBench: {type(error).__name__}: {reason}; its weights belong "
            f"into {folder / listed.path}.pt, where they are downloaded to if there is a network"
        ) from error
    return network


def _default_folder() -> Path:
    import pooch

    given = os.environ.get("BENCH_ROBUSTBENCH_DIR")
    return Path(given) if given else Path(pooch.os_cache("feedback-bench")) / "robustbench"
