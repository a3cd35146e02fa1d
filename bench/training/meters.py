"""What a run says about its own speed, without waiting for the device at every step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch.utils.flop_counter import FlopCounterMode

_PEAK_BF16 = {
    "A100": 312e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H200": 989e12,
}
"""FLOP/s of dense bf16 matrix products by part of the device's name, more special names first.

Source: NVIDIA's data sheets.
"""


class DeviceClock:
    """Seconds that the device spends in the marked stretches, summed when asked for."""

    def __init__(self, device: torch.device) -> None:
        self._is_cuda = device.type == "cuda"
        self._seconds = 0.0
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what is queued inside."""
        if self._is_cuda:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            yield
            end.record()
            self._events.append((start, end))
        else:
            began = time.perf_counter()
            yield
            self._seconds += time.perf_counter() - began

    def reset(self) -> float:
        """Return the seconds since the last reset, after waiting for the device to get there."""
        if self._events:
            torch.cuda.synchronize()
            self._seconds += sum(start.elapsed_time(end) for start, end in self._events) / 1000
        seconds, self._seconds, self._events = self._seconds, 0.0, []
        return seconds


def synchronize(device: torch.device) -> None:
    """Wait for all that was queued on a GPU; elsewhere nothing is."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_flops(device: torch.device, amp: str) -> float | None:
    """Return the FLOP/s that the device can do at most, or None where that is not known."""
    if device.type != "cuda" or amp != "bf16":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for part, peak in _PEAK_BF16.items() if part in name), None)


def count_flops(step: Callable[[], object]) -> int:
    """Run `step` and return the FLOPs of its matrix products and convolutions."""
    with FlopCounterMode(display=False) as counter:
        step()
    return int(counter.get_total_flops())


def describe(device: torch.device) -> str:
    """Return the kind of machine, in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"
