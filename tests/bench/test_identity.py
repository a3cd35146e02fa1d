"""What tells a person's own models apart."""

from __future__ import annotations

import importlib
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.identity import source_hash, state_hash


def test_extra_state_is_part_of_the_identity() -> None:
    """A module may keep what is no tensor."""

    class Stated(nn.Linear):
        extra = 1

        def get_extra_state(self) -> dict[str, int]:
            return {"extra": self.extra}

        def set_extra_state(self, state: dict[str, int]) -> None:
            self.extra = state["extra"]

    network = Stated(2, 2)
    before = state_hash(network)
    network.extra = 2

    assert state_hash(network) != before


class Centred(nn.Module):
    """Keeps its mean outside its state dict, as normalisations do."""

    def __init__(self, mean: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images - self.mean).flatten(1)[:, :10]


def test_buffers_outside_the_state_dict_are_part_of_the_identity() -> None:
    """Otherwise a network would be told the numbers of one with another normalisation."""
    assert state_hash(Centred(0.1)) != state_hash(Centred(9.0))


def test_the_code_of_bases_is_part_of_the_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a class inherits is its code too."""
    monkeypatch.syspath_prepend(tmp_path)
    hashes = []
    for number, sign in enumerate(("", "-")):
        code = f"""
            import torch

            class Base(torch.nn.Module):
                def forward(self, images):
                    return {sign}images.flatten(1)[:, :10]

            class Net(Base):
                pass
        """
        (tmp_path / f"net{number}.py").write_text(textwrap.dedent(code))
        hashes.append(source_hash(importlib.import_module(f"net{number}").Net()))

    assert hashes[0] != hashes[1]


def test_the_identity_of_weights() -> None:
    """One changed weight, of any dtype, is another model; the same weights in a new object are the same."""
    torch.manual_seed(0)
    one = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).bfloat16()
    torch.manual_seed(0)
    two = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).bfloat16()
    same = state_hash(one) == state_hash(two)
    two[1].weight.data[0, 0] += 1

    assert same
    assert state_hash(one) != state_hash(two)
