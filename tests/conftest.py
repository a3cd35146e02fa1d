"""Fixtures shared by all tests."""

from __future__ import annotations

import os

# Before torch is imported: on few cores, threads of small tensors cost more than they give.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable
from pathlib import Path

import pytest
import torch


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that rewrites golden texts; read the difference before committing it."""
    parser.addoption("--update-golden", action="store_true", help="write golden texts instead of comparing")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Return a function that compares a text with the golden file of a name."""

    def compare(name: str, text: str) -> None:
        path = Path(__file__).parent / "golden" / name
        if request.config.getoption("--update-golden"):
            path.write_text(text)
        assert text == path.read_text()

    return compare


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Every test draws the same numbers, alone or together with others."""
    torch.manual_seed(0)
