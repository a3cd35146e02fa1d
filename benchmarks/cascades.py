"""Print what `strongest` costs and leaves standing beside standard AutoAttack, on the same images."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import torch

from bench import data, suites
from bench.devices import Machine, reproducible
from bench.models import from_zoo
from bench.progress import SilentProgress
from bench.runner import Runner
from bench.suites import Request, Sizes
from reports.metrics import Accuracy
from reports.records import Store

BATCH = 128


def main(model: str, examples: int, readout: str) -> None:
    """Run both suites on one scored answer and print a Markdown table."""
    candidate = from_zoo(model)
    images = data.evaluation_images(candidate.dataset, examples)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sizes = Sizes(examples)
    request = Request(candidate.scored, (), candidate.dataset, sizes, lambda n: images.sha256, 0, "native")
    print(
        f"torch {torch.__version__} on {device.type}, {torch.get_num_threads()} threads, {model}, {readout}\n"
    )
    print("| suite | n | standing | robust accuracy, % | forward passes | backward passes | seconds |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for suite in ("strongest", "autoattack"):
        cells = [c for c in suites.plan(suite, request) if c.perturbation and c.readout == readout]
        with tempfile.TemporaryDirectory() as folder:
            known = {candidate.scored.identity: candidate}
            machine = Machine(device, BATCH, torch.float32)
            runner = Runner(known, lambda cell: images, machine, Store(Path(folder)), SilentProgress())
            started = time.perf_counter()
            with reproducible():
                (record,) = runner.run(cells)
            seconds = time.perf_counter() - started
        if record.error or record.passes is None:
            raise SystemExit(f"{suite} failed: {record.error}")
        low, high = Accuracy(record.correct, record.n).interval
        share = f"{100 * record.correct / record.n:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
        work = f"{record.passes.forward:,} | {record.passes.backward:,}"
        print(f"| {suite} | {record.n} | {record.correct} | {share} | {work} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
