"""Batches of examples that fit the memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from bench.meter import Meter


def in_batches(
    measure: Callable[[range], None], wanted: range, width: int, limit: int, meters: Sequence[Meter]
) -> int:
    """Measure examples in batches that fit the memory; the numbers do not depend on their size.

    Args:
        measure: Measures some examples, or fails and leaves nothing behind.
        wanted: The examples, one after another.
        width: Images that the attack evaluates at once for each.
        limit: Images shown to a model at once, at most.
        meters: The models, which split what is wider than that.

    Returns:
        The limit that sufficed.
    """
    start = wanted.start
    while start < wanted.stop:
        examples = range(start, min(start + max(1, limit // width), wanted.stop))
        for meter in meters:
            meter.limit = limit
        before = [replace(meter.work) for meter in meters]
        try:
            measure(examples)
            start = examples.stop
        except RuntimeError as error:
            if not is_out_of_memory(error) or limit == 1:
                raise
            for meter, work in zip(meters, before, strict=True):
                meter.work.forward, meter.work.backward = work.forward, work.backward
            limit = max(1, min(limit, len(examples) * width) // 2)
        else:
            continue
        # Outside the handler, so that the failed attempt's tensors are no longer referenced.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return limit


def is_out_of_memory(error: Exception) -> bool:
    """Return whether a device has too little memory; libraries that torch calls have errors of their own."""
    # cuDNN finds no engine where none of them gets the workspace it wants.
    signs = ("ALLOC_FAILED", "out of memory", "can't allocate memory", "unable to find an engine")
    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in signs)
