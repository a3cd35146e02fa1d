"""The last act of training: weights as float16, and the card that says what they are."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from reports.files import replace_bytes, replace_text


def to_float16(model: nn.Module) -> dict[str, Tensor]:
    """Return the weights rounded to float16, on the CPU; counters stay the integers they are.

    Raises:
        ValueError: If one of them is too large for float16.
    """
    rounded = {
        name: value.detach()
        .to("cpu", torch.float16 if value.is_floating_point() else value.dtype)
        .contiguous()
        for name, value in model.state_dict().items()
    }
    for name, value in rounded.items():
        if not value.isfinite().all():
            raise ValueError(f"{name} does not fit float16")
    return rounded


def write_checkpoint(out: Path, name: str, weights: dict[str, Tensor], facts: dict[str, Any]) -> Path:
    """Write OUT/NAME.safetensors and its card, OUT/NAME.json, and return the path of the former.

    Args:
        out: An existing folder.
        name: Stem of both files.
        weights: As from `to_float16`.
        facts: What else the card should say, the number of parameters among it. `accuracies` stays empty for
            the evaluation on the test images.
    """
    content = save(weights, metadata={"format": "pt"})
    card = {
        "name": name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "dtype": "float16",
        **facts,
        "accuracies": [],
    }
    path = out / f"{name}.safetensors"
    replace_bytes(path, content)
    replace_text(path.with_suffix(".json"), json.dumps(card, indent=2) + "\n")
    return path
