"""Common corruptions of images: seeded per image, batched, on any device.

The names and groups are plain data and cheap to import. What computes (`apply`, `CORRUPTIONS`,
`TABLES`, the readers of the official sets) imports torch, so it is loaded when first used: a command
line can list the corruptions without paying for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from corruptions.names import (
    BENCHMARK_CORRUPTIONS,
    EXTRA_CORRUPTIONS,
    FAMILIES,
    SEVERITIES,
    SEVERITY_TABLES,
)

if TYPE_CHECKING:
    from corruptions.batch import apply
    from corruptions.catalogue import CORRUPTIONS, TABLES
    from corruptions.official import CifarC, ImageNetC, open_official

__all__ = [
    "BENCHMARK_CORRUPTIONS",
    "CORRUPTIONS",
    "EXTRA_CORRUPTIONS",
    "FAMILIES",
    "SEVERITIES",
    "SEVERITY_TABLES",
    "TABLES",
    "CifarC",
    "ImageNetC",
    "apply",
    "open_official",
]

_LAZY = {
    "apply": "corruptions.batch",
    "CORRUPTIONS": "corruptions.catalogue",
    "TABLES": "corruptions.catalogue",
    "CifarC": "corruptions.official",
    "ImageNetC": "corruptions.official",
    "open_official": "corruptions.official",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return __all__
