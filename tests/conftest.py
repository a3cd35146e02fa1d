"""Fixtures shared by all tests."""

from __future__ import annotations

import os

# Before torch is imported: on few cores, threads of small tensors cost more than they give.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Every test draws the same numbers, alone or together with others."""
    torch.manual_seed(0)
