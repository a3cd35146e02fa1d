"""Fixtures for tests of attacks."""

from __future__ import annotations

import warnings

import pytest

from bench.compat import enable_advertorch


@pytest.fixture
def advertorch() -> None:
    """Make advertorch importable; its own deprecation warnings are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        enable_advertorch()
