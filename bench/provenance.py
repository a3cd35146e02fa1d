"""With what a number was made."""

from __future__ import annotations

import platform
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from reports.records import Provenance

if TYPE_CHECKING:
    from bench.devices import Machine

_PACKAGES = (
    "feedback-bench",
    "torch",
    "torchvision",
    "numpy",
    "numba",
    "advertorch",
    "pyautoattack",
    "robustbench",
)
"""Whose versions can move a number."""


def collect(machine: Machine, checkpoint: str) -> Provenance:
    """Return the provenance of a record finished now."""
    revision, is_dirty = _revision()
    return Provenance(
        revision=revision,
        is_dirty=is_dirty,
        versions=_versions(),
        device=_device_name(machine),
        dtype=str(machine.dtype).removeprefix("torch."),
        batch_size=machine.batch_size,
        checkpoint=checkpoint,
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


@cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        # robustbench is an extra.
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


@cache
def _revision() -> tuple[str | None, bool | None]:
    """Return the commit of the checkout this code runs from, if it does."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return None, None

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return None, None


def _device_name(machine: Machine) -> str:
    import torch

    if machine.device.type == "cuda":
        return torch.cuda.get_device_name(machine.device)
    return f"{machine.device.type} ({platform.machine()}, {torch.get_num_threads()} threads)"
