"""The type of a severity table."""

from __future__ import annotations

from typing import TypeVar

Setting = TypeVar("Setting")

Table = dict[str, tuple[Setting, Setting, Setting, Setting, Setting]]
"""Name of the table (`imagenet`, `cifar`, `fashion`) -> the setting of severities 1 to 5."""
