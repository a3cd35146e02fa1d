"""What makes a person's own model that model: its weights and its code."""

from __future__ import annotations

import hashlib
import inspect
import pickle
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

_LIBRARIES = {"torch", *sys.stdlib_module_names}


def state_hash(network: nn.Module, code_hash: str = "") -> str:
    """Return the SHA-256 of all parameters, buffers and extra state with their names, and of `code_hash`.

    Buffers that a state dict leaves out (`persistent=False`) count too: normalisation often lives there.
    """
    import torch

    digest = hashlib.sha256(f"{type(network).__qualname__}:{code_hash}".encode())
    state = dict(network.named_buffers()) | network.state_dict()
    for name, value in sorted(state.items()):
        if torch.is_tensor(value):
            digest.update(f"{name}:{value.dtype}:{tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
        else:
            digest.update(f"{name}:".encode() + pickle.dumps(value))
    return digest.hexdigest()


def source_hash(network: nn.Module) -> str:
    """Return the SHA-256 of the source of every class in a network and its bases, but Python's and torch's.

    A class typed at a prompt has no source and counts by its name alone; so do functions that a class calls.
    """
    classes = {base for module in network.modules() for base in type(module).__mro__}
    own = {kind for kind in classes if kind.__module__.partition(".")[0] not in _LIBRARIES}
    digest = hashlib.sha256()
    for kind in sorted(own, key=lambda kind: (kind.__module__, kind.__qualname__)):
        digest.update(f"{kind.__qualname__}:{_source(kind)}".encode())
    return digest.hexdigest()


def _source(kind: type) -> str:
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        return ""
