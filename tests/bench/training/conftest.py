"""A training of toy size: 38 + 6 images of 16 pixels."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.data import LabelledImages
from bench.training import progress, session, train
from zoo import ENTRIES

RECIPE = """
model = "toy"
seed = 3
epochs = 2.5
batch_size = 8
held_out = 6
flip = true
crop_padding = 2
image_sizes = [{ epochs = 1.5, size = 8 }, { epochs = 1, size = 16 }]
learning_rate = 0.05
nesterov = true
weight_decay = 5e-4
schedule = "cosine"
warmup_epochs = 0.5
gradient_clip = 0.5
ema_decay = 0.9
clean_weight = 0.05
reconstruction_weight = 0.1
[attack]
epsilon = "8/255"
step_size = "10/255"
steps = 1
"""
STEPS = 10
"""Of RECIPE: 38 training images are 4 batches of 8."""


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A small network on 38 + 6 images of 16 pixels; returns the path of its recipe."""
    settings = {"depth": 10, "width": 1, "feedback_to": 1}
    entry = replace(ENTRIES["cnnf_cifar"], name="toy", settings=settings, iterations=1, checkpoints={})
    monkeypatch.setitem(ENTRIES, "toy", entry)
    rng = np.random.default_rng(0)
    found = LabelledImages(rng.integers(0, 256, (44, 16, 16, 3), np.uint8), rng.integers(0, 10, 44))
    monkeypatch.setattr(session, "train_images", lambda name, folder: found)
    path = tmp_path / "toy.toml"
    path.write_text(RECIPE)
    return path


def run(recipe: Path, out: Path, device: str = "cpu", **settings: Any) -> Path:
    return train(str(recipe), out, device=device, progress=False, **settings)


def interrupt_at(monkeypatch: pytest.MonkeyPatch, *steps: int) -> None:
    """Press Ctrl-C, once each, while these steps are being made."""
    pending, forward = set(steps), session.Reporter.step

    def step(self: progress.Reporter, done: int) -> None:
        forward(self, done)
        if done in pending:
            pending.remove(done)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(session.Reporter, "step", step)


def untimed(out: Path) -> list[dict[str, Any]]:
    """The log without what depends on the clock."""
    clocked = {"seconds", "images_per_second", "data_share", "minutes_left"}
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in clocked} for row in rows]
