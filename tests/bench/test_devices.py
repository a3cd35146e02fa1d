"""Switches of torch that change numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from bench.devices import exact_float32, reproducible

HAS_NEW_SWITCHES = hasattr(torch.backends.cuda.matmul, "fp32_precision")
NEW = pytest.mark.skipif(not HAS_NEW_SWITCHES, reason="switches of torch 2.9")


def switches() -> dict[str, Any]:
    """Return what each switch says, old and new; old ones cannot be read after a change by the new ones."""
    backends = torch.backends
    readers: dict[str, Callable[[], Any]] = {
        "products": torch.get_float32_matmul_precision,
        "convolutions": lambda: backends.cudnn.allow_tf32,
    }
    if HAS_NEW_SWITCHES:
        for name in ("cuda.matmul", "cudnn.conv", "cudnn.rnn", "mkldnn.matmul", "mkldnn.conv"):
            family, part = name.split(".")
            owner = getattr(getattr(backends, family), part)
            readers[name] = lambda owner=owner: owner.fp32_precision
    found = {}
    for name, read in readers.items():
        try:
            found[name] = read()
        except RuntimeError:
            found[name] = "mixed"
    return found


def is_exact(found: dict[str, Any]) -> bool:
    """Return whether nothing is rounded to fewer bits than float32 has."""
    return not {"tf32", "bf16", "high", "medium", True} & set(found.values())


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Put the switches back to what they are in a new process."""
    yield
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = True
    if HAS_NEW_SWITCHES:
        torch.backends.fp32_precision = "none"
        torch.backends.cuda.matmul.fp32_precision = "none"
        torch.backends.cudnn.conv.fp32_precision = torch.backends.cudnn.rnn.fp32_precision = "tf32"


@pytest.mark.parametrize(
    "use",
    [
        lambda: None,
        lambda: setattr(torch.backends.cudnn, "allow_tf32", False),
        lambda: setattr(torch.backends.cuda.matmul, "allow_tf32", True),
        lambda: torch.set_float32_matmul_precision("medium"),
        pytest.param(lambda: setattr(torch.backends, "fp32_precision", "tf32"), marks=NEW),
        pytest.param(lambda: setattr(torch.backends.cuda.matmul, "fp32_precision", "tf32"), marks=NEW),
        pytest.param(lambda: setattr(torch.backends.cudnn.conv, "fp32_precision", "ieee"), marks=NEW),
    ],
    ids=["nothing", "convolutions", "products", "medium", "all-new", "products-new", "convolutions-new"],
)
def test_float32_is_exact_whatever_was_chosen_before(use: Callable[[], None]) -> None:
    """By the switches of any torch, and afterwards all are as they were."""
    use()
    before = switches()

    with exact_float32():
        assert is_exact(switches())

    assert switches() == before


def test_algorithms_are_not_chosen_by_timing() -> None:
    """Training does so, and an evaluation in the same process must not."""
    cudnn = torch.backends.cudnn
    cudnn.benchmark = True
    try:
        with reproducible():
            assert (cudnn.benchmark, cudnn.deterministic) == (False, True)
            assert is_exact(switches())
        assert (cudnn.benchmark, cudnn.deterministic) == (True, False)
    finally:
        cudnn.benchmark = False
