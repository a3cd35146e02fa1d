"""Checkpoints that are folders: a backbone's weights and the authors' feedback weights, one file per encoder.

Finding and hashing them needs no torch.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.entry import Assembled, CheckpointError
from zoo.reading import file_sha256, read

if TYPE_CHECKING:
    from zoo.predictive_coding import Normalised


def fetch(parts: Assembled, name: str) -> Path:
    """Return the folder with the downloaded files of an entry; later calls verify what the first one got.

    Raises:
        CheckpointError: If a file cannot be downloaded, or is another one than at the first use.
    """
    import pooch

    folder = pooch.os_cache("feedback-bench") / name
    try:
        backbone = Path(pooch.retrieve(parts.backbone, None, fname=_file_name(parts.backbone), path=folder))
        archive = Path(pooch.retrieve(parts.feedback, None, fname=_file_name(parts.feedback), path=folder))
        _require_as_before(backbone)
        _require_as_before(archive)
        unpacked = pooch.Unzip(extract_dir="feedback")(str(archive), "fetch", None)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot download the weights of {name}: {error}") from error
    if not unpacked:
        raise CheckpointError(f"{archive.name} is empty")
    return folder


def digest(folder: Path) -> str:
    """Return the SHA-256 of the names and contents of a folder's weights.

    Raises:
        CheckpointError: If there are none.
    """
    files = _weights(folder)
    if not files:
        raise CheckpointError(f"{folder} holds no .pth files: one of the backbone, one *_pcN*.pth an encoder")
    total = hashlib.sha256()
    for path in files:
        total.update(f"{path.name}:{file_sha256(path)}\n".encode())
    return total.hexdigest()


def read_into(model: Normalised, folder: Path) -> None:
    """Copy a folder's weights into a predictive-coding network.

    Args:
        model: From `pvgg16`, `peffnetb0` or alike.
        folder: Anywhere below it one .pth file of the backbone in torchvision's or timm's layout, and the
            authors' *_pcN*.pth files.

    Raises:
        ValueError: If files are missing, damaged or of another network.
    """
    from zoo.predictive_coding import (
        PredictiveCodingNetwork,
        load_public_decoders,
        load_timm_backbone,
        read_public_decoders,
    )

    network = model.model
    if not isinstance(network, PredictiveCodingNetwork):
        raise ValueError("a folder of weights is for a predictive-coding network")
    backbones = [path for path in _weights(folder) if not _is_feedback(path)]
    if len(backbones) != 1:
        names = ", ".join(path.name for path in backbones) or "none"
        raise ValueError(f"expected one .pth file of the backbone in {folder}, found {names}")
    state = read(backbones[0])
    if "conv_stem.weight" in state:
        load_timm_backbone(network.backbone, state)
    else:
        network.backbone.load_state_dict(state)
    feedback = {path.parent for path in _weights(folder) if _is_feedback(path)} or {folder}
    if len(feedback) != 1:
        raise ValueError(f"feedback weights lie in several folders below {folder}")
    load_public_decoders(network, read_public_decoders(feedback.pop(), len(network.decoders)))


def _weights(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.pth"))


def _is_feedback(path: Path) -> bool:
    return re.search(r"_pc\d+(_|\.)", path.name) is not None


def _file_name(url: str) -> str:
    return url.rsplit("/", 1)[-1].partition("?")[0]


def _require_as_before(path: Path) -> None:
    """Record the hash of a file at its first use, and compare at the others.

    Neither the authors nor torchvision publish a full hash.
    """
    found = file_sha256(path)
    record = path.with_name(path.name + ".sha256")
    if not record.exists():
        record.write_text(found + "\n")
    elif record.read_text().strip() != found:
        raise CheckpointError(f"{path} is not the file of its first use, whose hash is in {record.name}")
