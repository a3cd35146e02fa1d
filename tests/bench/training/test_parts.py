"""The small parts of a training run: files, signals, meters, imports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from bench.training import progress
from bench.training.card import to_float16
from bench.training.meters import DeviceClock, count_flops, peak_flops
from reports.files import replace_file

CPU = torch.device("cpu")


def test_flops_of_a_convolution_by_hand() -> None:
    """A multiplication and an addition for each weight at each place."""
    images, weight = torch.rand(2, 3, 8, 8), torch.rand(5, 3, 3, 3)
    assert count_flops(lambda: F.conv2d(images, weight, padding=1)) == 2 * 2 * 64 * 5 * 3 * 9


def test_utilisation_is_left_out_where_the_peak_is_not_known() -> None:
    """A CPU has no peak in the table, and float32 is not what the table is about."""
    assert peak_flops(CPU, "bf16") is None
    assert peak_flops(torch.device("cuda"), "off") is None


def test_clock_counts_what_runs_inside_once() -> None:
    """Time is counted inside the marked stretches, and forgotten once it was asked for."""
    clock = DeviceClock(CPU)
    for _ in range(2):
        with clock.running():
            sum(range(1000))
    assert 0 < clock.reset() < 1
    assert clock.reset() == 0


def test_weights_too_large_for_float16_are_refused() -> None:
    """Rounding must not turn a weight into infinity."""
    layer = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(layer.weight, 1e6)
    with pytest.raises(ValueError, match="weight does not fit float16"):
        to_float16(layer)


def test_second_interrupt_does_not_wait() -> None:
    """One Ctrl-C is a request, the next one an order; afterwards Ctrl-C is what it was."""
    before = signal.getsignal(signal.SIGINT)
    with progress.listening() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.is_made
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """A file is replaced whole or not at all."""
    path = tmp_path / "file"
    path.write_text("old")

    def fail(file: Any) -> None:
        file.write(b"ne")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        replace_file(path, fail)
    assert path.read_text() == "old"


def test_training_imports_neither_reports_nor_their_libraries() -> None:
    """Training needs torch, numpy, safetensors and the command line's packages; its list not even torch.

    Of the reports it uses the writing of files alone.
    """
    code = (
        "import sys; import bench.training as t; t.recipe_names(); t.load_recipe('cnn_cifar')\n"
        "assert 'torch' not in sys.modules\n"
        "import bench.training.session\n"
        "print(sorted({'pandas', 'pyarrow', 'matplotlib'} & sys.modules.keys()))\n"
        "print(sorted(name for name in sys.modules if name.partition('.')[0] == 'reports'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "['reports', 'reports.files']"]
