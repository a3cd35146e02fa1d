"""Reading a file of named tensors. Nothing is unpickled except under torch's `weights_only=True`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.entry import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor


def file_sha256(path: Path) -> str:
    """Return the hash of a file, which is read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def contents(path: Path) -> Any:
    """Return what a .safetensors or .pt file holds; see `read`.

    Raises:
        CheckpointError: If it is no such file, or is truncated.
    """
    import torch
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch's unpickler raises whatever it stumbles on: a text file ends in an IndexError.
        reason = str(error).split("\n")[0]
        raise CheckpointError(f"{path.name} is not a checkpoint or is truncated: {reason[:200]}") from error


def read(path: Path) -> dict[str, Tensor]:
    """Return the named tensors of a .safetensors file, or of a .pt file without running code from it.

    Raises:
        CheckpointError: If it is no such file, or is truncated.
    """
    import torch

    state_dict = contents(path)
    if not isinstance(state_dict, Mapping) or not all(torch.is_tensor(v) for v in state_dict.values()):
        raise CheckpointError(f"{path.name} does not hold a mapping from names to tensors")
    return dict(state_dict)
