"""Measure images per second of every corruption, ours and imagecorruptions-imaug's, as a Markdown table.

    python -m venv peer && peer/bin/pip install imagecorruptions-imaug
    python benchmarks/corruptions/run.py --peer-python peer/bin/python

Both sides run in turn, kind by kind, on the same images, at the same severity and with the ImageNet
severity table, the only one the peer has. With one thread, time is CPU time, so that other work on the
machine does not count; with `--threads`, which is ours alone because the peer takes one image at a time,
it is wall-clock time and the machine must be idle.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from corruptions import CORRUPTIONS, apply  # noqa: E402 (the checkout comes first)

SETS = {32: "cifar", 224: "imagenet"}


class Peer:
    """A process that runs the other package."""

    def __init__(self, python: str) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
        worker = str(Path(__file__).with_name("peer.py"))
        self._process = subprocess.Popen(
            [python, worker], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def seconds(self, path: Path, kind: str, severity: int, repeats: int) -> list[float] | str:
        """Return CPU seconds per image of every repeat, or the error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"images": str(path), "kind": kind, "severity": severity, "repeats": repeats}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        return answer.get("error") or answer["seconds"]

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def our_seconds(images: torch.Tensor, kind: str, severity: int, repeats: int) -> list[float]:
    """Return seconds per image of every repeat."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    apply(images, kind, severity)
    seconds = []
    for seed in range(repeats):
        start = clock()
        apply(images, kind, severity, seed=seed)
        seconds.append((clock() - start) / len(images))
    return seconds


def main() -> None:
    """Print one table per image size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peer-python", required=True, help="interpreter that has imagecorruptions-imaug")
    parser.add_argument("--severity", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--images", type=int, nargs=2, default=(128, 16), help="at 32x32 and 224x224")
    parser.add_argument("--threads", type=int, default=1, help="for ours")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    peer = Peer(options.peer_python)
    golden = np.load(ROOT / "tests" / "golden" / "corruptions.npz")
    for (side, family), count in zip(SETS.items(), options.images, strict=True):
        pixels = golden[f"{family}/images"]
        pixels = np.tile(pixels, (-(-count // len(pixels)), 1, 1, 1))[:count]
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().float() / 255
        print(f"\n| {side}x{side} | ours, images/s | peer, images/s | ratio |\n| --- | ---: | ---: | ---: |")
        ratios = []
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "images.npy"
            np.save(path, pixels)
            for kind in CORRUPTIONS:
                theirs = peer.seconds(path, kind, options.severity, options.repeats)
                ours = 1 / statistics.median(our_seconds(images, kind, options.severity, options.repeats))
                if isinstance(theirs, str):
                    print(f"| {kind} | {ours:,.0f} | {theirs} | |")
                    continue
                rate = 1 / statistics.median(theirs)
                ratios.append(ours / rate)
                print(f"| {kind} | {ours:,.0f} | {rate:,.0f} | {ours / rate:.1f} |", flush=True)
        print(f"| **median** | | | **{statistics.median(ratios):.1f}** |")
    peer.close()


if __name__ == "__main__":
    main()
