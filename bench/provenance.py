"""With what a number was made."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.revision import of_code
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


def marks(made_with: Provenance) -> dict[str, Any]:
    """Return what all examples of a record must share of where and with what they were made."""
    return made_with.model_dump(mode="json", exclude={"batch_size", "checkpoint", "finished_at"})


def difference(kept: Mapping[str, Any], made_with: Provenance) -> str | None:
    """Return in what the makers of some examples and of the others differ, None if in nothing.

    Args:
        kept: The marks of those that are there.
        made_with: With what the others would be made.
    """
    now = marks(made_with)
    if now["is_dirty"]:
        return "code, which has changes that are not committed"
    names = [name for name in now if kept.get(name) != now[name]]
    return f"{names[0]} ({kept.get(names[0])}, now {now[names[0]]})" if names else None


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
    """Return the commit of the checkout this code runs from, or of the one it was installed from."""
    return of_code(Path(__file__).parent.parent)


def _device_name(machine: Machine) -> str:
    import torch

    if machine.device.type == "cuda":
        return torch.cuda.get_device_name(machine.device)
    return f"{machine.device.type} ({platform.machine()}, {torch.get_num_threads()} threads)"
