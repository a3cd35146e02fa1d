"""The Python that the documentation shows works as it stands; predictive coding's is tested beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]


def run_python(page: str, having: str, names: dict[str, object]) -> dict[str, object]:
    """Run the one block of Python of a page that has a text, with some names known, and return all names."""
    (code,) = [
        block
        for block in re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
        if having in block
    ]
    exec(code, names)
    return names


def test_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of one's own gets a frame with the attacks of the suite; the zoo unrolls, fog falls."""
    monkeypatch.chdir(tmp_path)
    images = torch.rand(3, 3, 32, 32)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 10))
    names = run_python("README.md", "bench.evaluate", {"model": network, "images": images})

    assert set(names["frame"]["status"]) == {"ok"}
    assert {"pgd", "spsa"} <= set(names["frame"]["attack"])
    assert names["logits"].shape == (3, 3, 10)
    assert names["foggy"].shape == images.shape


def test_attacking() -> None:
    """An attack at settings of one's own finds what the suites' would: inside its ball, and it fools."""
    names = run_python("docs/attacks.md", "attacks.build", {})
    lengths = (names["adversarial"] - names["images"]).flatten(1).norm(dim=1)

    assert lengths.max() <= 1.5 + 1e-4
    assert names["adversarial"].min() >= 0
    assert names["adversarial"].max() <= 1
    assert names["robust_accuracy"] < 0.7


def test_corrupting() -> None:
    """Fog keeps the shape and lies in [0, 1]."""
    images = torch.rand(2, 3, 32, 32)
    names = run_python("docs/corruptions.md", "corruptions.apply", {"images": images})

    assert names["foggy"].shape == images.shape
    assert not torch.equal(names["foggy"], images)
