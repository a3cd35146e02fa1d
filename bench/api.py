"""Evaluating a model from Python: `bench.evaluate`."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.evaluation import Options, candidate_of, run
from bench.progress import Progress, SilentProgress
from reports.cell import canonical
from reports.metrics import Accuracy
from reports.records import Record, Store

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn


SHOWN_SETTINGS = ("norm", "epsilon", "steps", "restarts", "severity", "sigma")
"""Settings of what is done to images that have columns of their own."""


def evaluate(
    model: str | nn.Module,
    dataset: str | None = None,
    suite: str = "adversarial",
    *,
    checkpoint: str | None = None,
    iterations: int | None = None,
    results: str | Path | None = None,
    examples: int | None = None,
    spsa_examples: int | None = None,
    seed: int = 0,
    device: str = "auto",
    batch_size: int | None = None,
    data_dir: str | Path | None = None,
    attack_backend: str = "native",
    corruptions: Sequence[str] | None = None,
    severities: Sequence[int] | None = None,
    corrupted_data: str | Path | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Evaluate a model and return one row per cell.

    Args:
        model: A name of the zoo, "robustbench:NAME", "path/to/file.py:factory", or a module from images in
            [0, 1] to logits, with or without `unroll`.
        dataset: What the classes are; may be left out for a model of the zoo.
        suite: A key of `bench.suites.SUITES`.
        checkpoint: For a model of the zoo, the name or path of its weights; by default its first ones.
        iterations: Feedback iterations; by default the model's own.
        results: Folder that keeps the records, so that the same call continues; by default they are not kept.
        examples: Test images to use, from the first.
        spsa_examples: The same for SPSA.
        seed: Seed of all random draws.
        device: "auto", "cpu", "cuda" or "cuda:N".
        batch_size: Images evaluated at once; changes speed and memory only.
        data_dir: Folder with datasets, if the embedded 1,000 images do not suffice.
        attack_backend: "native" or "advertorch".
        corruptions: Kinds for the suite corruptions; by default all 19.
        severities: Severities for that suite; by default all five.
        corrupted_data: Folder of CIFAR-10-C, CIFAR-100-C or ImageNet-C as published, shown instead of images
            made here.
        progress: What is told how far it is, as `bench.progress.PlainProgress`; by default nobody is.

    Returns:
        A frame with model, readout, iterations, what was done to the images (attack, norm, epsilon, steps,
        restarts, severity, sigma, and all its settings as JSON), attack_target, attack_iterations, the source
        and whether it is another model (transfer), probe, status, n, correct, accuracy and its 95 % interval
        (in percent), largest_linf, seconds, error and the cell's key.

    Raises:
        BenchError: If something the caller gave is unknown, missing or does not fit.
    """
    folder = Path(data_dir) if data_dir else None
    candidate = candidate_of(model, dataset, checkpoint, iterations, folder)
    options = Options(
        suite,
        examples,
        spsa_examples,
        seed,
        device,
        batch_size,
        attack_backend,
        data_dir=folder,
        corruptions=None if corruptions is None else tuple(corruptions),
        severities=None if severities is None else tuple(severities),
        corrupted_data=None if corrupted_data is None else Path(corrupted_data),
    )
    with tempfile.TemporaryDirectory() as temporary:
        found = run([candidate], options, Store(Path(results or temporary)), progress or SilentProgress())
    return frame_of(found.records)


def frame_of(records: Sequence[Record]) -> pd.DataFrame:
    """Return one row per record, as `evaluate` does."""
    import pandas as pd

    rows = []
    for record in records:
        cell, done = record.cell, record.cell.perturbation
        settings = done.settings if done else {}
        accuracy = Accuracy(record.correct, record.n) if record.n else None
        rows.append(
            {
                "model": cell.model,
                "readout": cell.readout,
                "attack": done.name if done else None,
                **{name: settings.get(name) for name in SHOWN_SETTINGS},
                "settings": canonical(settings),
                "attack_target": cell.attack_target,
                "attack_iterations": cell.attack_iterations,
                "source": cell.source,
                "transfer": cell.is_transfer,
                "iterations": cell.iterations,
                "probe": cell.probe,
                "status": record.status,
                "n": record.n,
                "correct": record.correct,
                "accuracy": 100 * accuracy.share if accuracy else None,
                "low": 100 * accuracy.interval.low if accuracy else None,
                "high": 100 * accuracy.interval.high if accuracy else None,
                "largest_linf": record.largest_linf,
                "seconds": record.seconds,
                "error": record.error,
                "key": record.key,
            }
        )
    return pd.DataFrame(rows)
