"""Models and their checkpoints. `zoo.load(name)` returns a verified model; the catalogue is `zoo.ENTRIES`.

Importing this package does not import torch: what needs it is loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from zoo.entry import CheckpointError, UnknownModelError, ZooEntry
from zoo.registry import ENTRIES

if TYPE_CHECKING:
    from zoo import cnnf, feedback, layers, plain, predictive_coding
    from zoo.checkpoint import load

__all__ = [
    "ENTRIES",
    "CheckpointError",
    "UnknownModelError",
    "ZooEntry",
    "cnnf",
    "feedback",
    "layers",
    "load",
    "plain",
    "predictive_coding",
]


def __getattr__(name: str) -> Any:
    if name == "load":
        return importlib.import_module("zoo.checkpoint").load
    if name in {"cnnf", "feedback", "layers", "plain", "predictive_coding"}:
        return importlib.import_module(f"zoo.{name}")
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")
