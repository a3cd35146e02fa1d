"""Finding, verifying and reading checkpoints.

Finding one (`locate`) needs no torch, so that a finished run can be recognised without importing it.
Nothing is unpickled except under torch's `weights_only=True`.
"""

from __future__ import annotations

import hashlib
import json
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import assembled
from zoo.entry import Assembled, CheckpointError, Download, Shipped, UnknownModelError, ZooEntry
from zoo.reading import file_sha256, read
from zoo.registry import ENTRIES

if TYPE_CHECKING:
    from zoo.cnnf import CNNF
    from zoo.predictive_coding import Normalised

    Network = CNNF | Normalised
    """What entries build."""

WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class CheckpointFile:
    """A verified file of weights."""

    path: Path
    sha256: str
    card: Mapping[str, Any]
    """What its card says; empty for a file without one."""


def load(name: str, checkpoint: str = "shipped", device: str = "cpu") -> Network:
    """Return a model of the zoo with its weights, in evaluation mode, float32, on `device`.

    Unroll it for the `iterations` of its entry. Those of the CNNs that CNN-F is compared with are 0: they are
    CNN-F's networks too, and with more their gates would act although nothing is fed back.

    Args:
        name: A key of `zoo.ENTRIES`.
        checkpoint: A checkpoint name of the entry, or the path of a .safetensors file, of a .pt file in the
            authors' layout, or of a folder of such files as `zoo.assembled` reads it.
        device: Any torch device.

    Raises:
        UnknownModelError: If the zoo has no such model.
        CheckpointError: If the file is missing, damaged, or of another network.
    """
    if name not in ENTRIES:
        raise UnknownModelError(f"unknown model {name!r}; known: {', '.join(sorted(ENTRIES))}")
    entry = ENTRIES[name]
    return read_into(build(entry), locate(entry, checkpoint)).to(device).eval()


def build(entry: ZooEntry) -> Network:
    """Return the network of an entry with freshly drawn weights."""
    return pkgutil.resolve_name(entry.build)(**entry.settings)


def locate(entry: ZooEntry, checkpoint: str) -> CheckpointFile:
    """Find and verify a checkpoint of `entry` by name or path; official files are downloaded on first use.

    Raises:
        CheckpointError: If there is none, or if its hash is not the expected one.
    """
    match entry.checkpoints.get(checkpoint):
        case Shipped(stem):
            return _shipped(WEIGHTS / f"{stem}.safetensors")
        case Download() as download:
            path = _fetch(download)
        case Assembled() as parts:
            path = assembled.fetch(parts, entry.name)
        case None:
            path = Path(checkpoint)
            if not path.exists():
                known = ", ".join(entry.checkpoints) or f"none yet (see `bench train {entry.name}`)"
                raise CheckpointError(
                    f"{entry.name} has no checkpoint {checkpoint!r} and there is no such file; known: {known}"
                )
    return found_at(path)


def found_at(path: Path) -> CheckpointFile:
    """Return the checkpoint that a file, or a folder of files, is.

    Raises:
        CheckpointError: If the card beside a .safetensors file, as training leaves it, tells another hash.
    """
    sha256 = assembled.digest(path) if path.is_dir() else file_sha256(path)
    card = _card_beside(path)
    if (told := card.get("sha256", sha256)) != sha256:
        raise CheckpointError(
            f"{path.name} is damaged or not what its card is of: its SHA-256 is {sha256[:12]}..., "
            f"{path.stem}.json says {told[:12]}...; fetch or train both anew, or move the card away"
        )
    return CheckpointFile(path, sha256, card)


def read_into(model: Network, file: CheckpointFile) -> Network:
    """Copy a file's weights into `model` and return it; the authors' layout is recognised by its names.

    Raises:
        CheckpointError: If the file cannot be read or is not of this network.
    """
    from zoo.cnnf import CNNF, load_public

    try:
        if file.path.is_dir():
            if isinstance(model, CNNF):
                raise ValueError("the weights of a CNN-F are one file")
            assembled.read_into(model, file.path)
            return model
        state_dict = read(file.path)
        if isinstance(model, CNNF) and not state_dict.keys() & model.state_dict().keys():
            load_public(model, state_dict)
        else:
            model.load_state_dict(state_dict)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{file.path.name} does not fit the network: {reason[:300]}") from error
    return model


def _card_beside(path: Path) -> dict[str, Any]:
    """Return the card of a .safetensors file; other JSON of its stem, with no hash to compare, is none."""
    if path.suffix != ".safetensors":
        return {}
    try:
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return card if isinstance(card, dict) and isinstance(card.get("sha256"), str) else {}


def _shipped(path: Path) -> CheckpointFile:
    if not path.is_file():
        raise CheckpointError(f"no weights are shipped at {path.name}; name a file or another checkpoint")
    file = found_at(path)
    if not file.card:
        raise CheckpointError(f"{path.name} has no card beside it that could tell whether it is damaged")
    return file


def _fetch(download: Download) -> Path:
    import pooch

    folder = pooch.os_cache("feedback-bench") / download.git_blob
    name = download.url.rsplit("/", 1)[-1]
    try:
        path = Path(pooch.retrieve(download.url, known_hash=None, fname=name, path=folder))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot download {download.url}: {error}") from error
    if (blob := git_blob(path.read_bytes())) != download.git_blob:
        path.unlink()
        raise CheckpointError(
            f"{download.url} is not the expected file: git blob {blob}, not {download.git_blob}"
        )
    return path


def git_blob(content: bytes) -> str:
    """Return the SHA-1 under which git stores `content`."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
