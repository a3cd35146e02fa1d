"""Does recurrent feedback really make image classifiers robust? `bench.evaluate(model)` measures it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api import evaluate

__all__ = ["evaluate"]


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that the command line answers before torch and pandas are imported.
    if name == "evaluate":
        from bench.api import evaluate

        return evaluate
    raise AttributeError(f"module 'bench' has no attribute {name!r}")
