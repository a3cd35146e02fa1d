"""What a training says of its own course and speed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bench.training import loop, train

from .conftest import STEPS, run, untimed


def test_log_has_a_line_an_epoch(toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each epoch, the last part of one too, leaves its numbers in log.jsonl and on standard output."""
    train(str(toy), tmp_path / "out", device="cpu", progress=True)
    rows = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["step"] for row in rows] == [4, 8, STEPS]
    assert [row["image_size"] for row in rows] == [8, 16, 16]
    assert rows[-1]["minutes_left"] == 0
    for row in rows:
        assert 0 < row["learning_rate"] <= 0.05
        assert row["held_out"] == 6
        assert 0 <= row["clean_accuracy"] <= 1
        assert 0 <= row["robust_accuracy"] <= row["clean_accuracy"] + 0.5
        assert 0 < row["data_share"] < 1
        assert row["loss"] > 0
        assert row["images_per_second"] > 0
        assert row["seconds"] > 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert printed == rows
    assert json.loads((tmp_path / "out" / "toy.json").read_text())["log"] == rows


def test_an_unfinished_training_says_so(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The path of its weights alone would look like the end of a whole one."""
    train(str(toy), tmp_path / "out", device="cpu", max_minutes=1e-9, progress=True)
    assert f"stopped after 0 of {STEPS} steps" in capsys.readouterr().err
    train(str(toy), tmp_path / "out", device="cpu", progress=True)
    assert "stopped" not in capsys.readouterr().err


def test_counting_flops_changes_nothing(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the peak is known each epoch says how much of it was used; the weights stay the same."""
    plain = run(toy, tmp_path / "plain")
    monkeypatch.setattr(loop, "peak_flops", lambda device, amp: 1e12)
    counted = run(toy, tmp_path / "counted")
    assert counted.read_bytes() == plain.read_bytes()
    rows = untimed(tmp_path / "counted")
    assert all(0 < row.pop("flop_utilisation") < 1 for row in rows)
    assert rows == untimed(tmp_path / "plain")


def test_without_memory_to_count_flops_training_goes_on(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiled functions need less of it than those that are counted."""

    def hungry(step: Callable[[], object]) -> int:
        raise torch.OutOfMemoryError("CUDA out of memory")

    plain = run(toy, tmp_path / "plain")
    monkeypatch.setattr(loop, "peak_flops", lambda device, amp: 1e12)
    monkeypatch.setattr(loop, "count_flops", hungry)

    assert run(toy, tmp_path / "counted").read_bytes() == plain.read_bytes()
    assert untimed(tmp_path / "counted") == untimed(tmp_path / "plain")


def test_compiling_is_no_part_of_the_speed(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half an hour of it is told beforehand, and counts as minutes of the run alone."""

    class Slow(loop.Objective):
        is_compiled = True
        seconds_compiling = 0.0

        def loss(self, *batch: Any) -> torch.Tensor:
            clock.now += 2.0
            if not self.seconds_compiling:
                self.seconds_compiling = 1800.0
                clock.now += 1800.0
            return super().loss(*batch)

    clock = SimpleNamespace(now=0.0, perf_counter=lambda: clock.now)
    monkeypatch.setattr(loop, "Objective", Slow)
    monkeypatch.setattr(loop, "time", clock)
    train(str(toy), tmp_path / "out", device="cpu")
    rows = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    card = json.loads((tmp_path / "out" / "toy.json").read_text())

    assert [row["seconds"] for row in rows] == [8.0, 8.0, 2.0 * (STEPS - 8)]
    assert card["minutes"] == round((1800 + 2 * STEPS) / 60, 1)
    assert "compiling" in capsys.readouterr().err
