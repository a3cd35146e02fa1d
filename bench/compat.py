"""Work-arounds for dependencies: each with its reason and what would end it."""

from __future__ import annotations

import importlib
import sys
import warnings
from typing import Any

from bench.errors import BenchError


def enable_advertorch() -> None:
    """Make `import advertorch` work on today's torch.

    advertorch 0.2.3 (its last release, 2020) imports `zero_gradients` from `torch.autograd.gradcheck`, from
    which torch 1.9 removed it. Ends when advertorch releases a version for torch >= 1.9.

    Raises:
        BenchError: If advertorch cannot be imported even so.
    """
    importlib.import_module("torch.autograd.gradcheck")
    # The attribute torch.autograd.gradcheck is a function of that name; the module is only in sys.modules.
    gradcheck = sys.modules["torch.autograd.gradcheck"]
    if not hasattr(gradcheck, "zero_gradients"):
        gradcheck.zero_gradients = _zero_gradients  # type: ignore[attr-defined]
    try:
        importlib.import_module("advertorch.attacks")
    except ImportError as error:
        raise BenchError(f"the attack backend advertorch cannot be imported: {error}") from error


def enable_robustbench() -> None:
    """Make `import robustbench` work as it comes from PyPI.

    robustbench 1.1.1 (2025) imports `autoattack` but depends on pyautoattack, whose module has that name; the
    one is put in the other's place. Ends when robustbench imports what it depends on. It also imports
    `pkg_resources`, which setuptools 82 removed: the extra asks for setuptools below 82, until robustbench
    uses importlib.resources.

    Raises:
        BenchError: If robustbench cannot be imported even so.
    """
    try:
        with warnings.catch_warnings():
            # Its dependencies warn of their own future, about which a user of ours can do nothing.
            warnings.simplefilter("ignore")
            for module in ("", ".state"):
                found = importlib.import_module(f"pyautoattack{module}")
                sys.modules.setdefault(f"autoattack{module}", found)
            importlib.import_module("robustbench.utils")
    except ImportError as error:
        raise BenchError(
            f"RobustBench cannot be imported ({error}); "
            "install it from a checkout by pip install '.[robustbench]'"
        ) from error


def require_pyautoattack() -> None:
    """Check that `import pyautoattack` works.

    Its resuming, its seeding and its check for dynamic defences are not used. Version 0.2.0 writes its set of
    attacks as text and then refuses its own file; it draws in the order of a batch; and the check counts
    calls in a module-level dictionary that one flagged model leaves dirty for later ones, and ends with
    `sys.settrace(None)`, which stops debuggers and coverage.

    Raises:
        BenchError: If it cannot be imported.
    """
    try:
        importlib.import_module("pyautoattack")
    except ImportError as error:
        raise BenchError(f"the attack backend pyautoattack cannot be imported: {error}") from error


def _zero_gradients(tensors: Any) -> None:
    for tensor in [tensors] if hasattr(tensors, "grad") else tensors:
        if tensor.grad is not None:
            tensor.grad.detach_().zero_()
