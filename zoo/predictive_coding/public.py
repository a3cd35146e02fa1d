"""The authors' files, read into our networks.

The feedback weights of a network are one file per encoder: `pnet_pretrained_pc3_009.pth`,
`pvgg16_imagenet_pretrained_pc3_pmodule.pth`, with or without a `new_` before it. A file holds the weight and
the bias of one transposed convolution under names that vary (`weight`, `0.weight`, `pmodule.1.weight`),
sometimes among other things under `pcoderweights`. The backbone of PEfficientNetB0 is timm's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from zoo import reading
from zoo.predictive_coding.network import PredictiveCodingNetwork


def load_public_decoders(
    network: PredictiveCodingNetwork, states: Sequence[Mapping[str, Any]]
) -> PredictiveCodingNetwork:
    """Copy the authors' feedback weights, one mapping per encoder, into `network` and return it.

    Raises:
        ValueError: If there are not as many as encoders, or if one does not fit; the message says which.
    """
    if len(states) != len(network.decoders):
        raise ValueError(f"expected {len(network.decoders)} files of feedback weights, got {len(states)}")
    for n, (decoder, state) in enumerate(zip(network.decoders, states, strict=True)):
        own = decoder.state_dict()
        try:
            decoder.load_state_dict({name: _find(state, name.rsplit(".", 1)[-1]) for name in own})
        except (RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(f"pc{n + 1} does not fit encoder {network.encoders[n]!r}: {reason}") from error
    return network


def read_public_decoders(folder: str | os.PathLike[str], encoders: int) -> list[Mapping[str, Any]]:
    """Return the contents of the authors' files in `folder`, in the order of the encoders.

    Nothing is unpickled but tensors.

    Raises:
        ValueError: If a file is missing, damaged, or there are several for an encoder.
    """
    folder = Path(folder)
    states = []
    for n in range(1, encoders + 1):
        found = [path for path in sorted(folder.glob("*.pth")) if re.search(rf"_pc{n}(_|\.)", path.name)]
        # A re-saved file, new_*, stands beside the one it replaces.
        found = [path for path in found if path.name.startswith("new_")] or found
        if len(found) != 1:
            names = ", ".join(path.name for path in found) or "none"
            raise ValueError(f"expected one file *_pc{n}*.pth in {folder}, found {names}")
        states.append(reading.contents(found[0]))
    return states


def load_timm_backbone(backbone: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    """Copy timm's efficientnet_b0 weights into torchvision's and return it.

    Raises:
        ValueError: If a parameter is missing, left over, or of another shape.
    """
    names = dict(timm_names(backbone))
    state = {name: value for name, value in state.items() if not name.endswith(".num_batches_tracked")}
    if missing := sorted(names.keys() - state.keys()):
        raise ValueError(f"not timm's efficientnet_b0: {len(missing)} weights missing, first {missing[0]!r}")
    if extra := sorted(state.keys() - names.keys()):
        raise ValueError(f"not timm's efficientnet_b0: {len(extra)} weights left over, first {extra[0]!r}")
    own = {ours: state[timm] for timm, ours in names.items()}
    counters = {name: value for name, value in backbone.state_dict().items() if name not in own}
    try:
        backbone.load_state_dict(own | counters)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"not timm's efficientnet_b0: {reason}") from error
    return backbone


def timm_names(backbone: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield (timm's name, torchvision's name) of all weights of an EfficientNet but batch counters."""
    for name in backbone.state_dict():
        if name.endswith(".num_batches_tracked"):
            continue
        if block := re.fullmatch(r"features\.([1-7])\.(\d+)\.block\.(\d+)\.(.+)", name):
            stage, index, part, rest = int(block[1]), block[2], int(block[3]), block[4]
            yield f"blocks.{stage - 1}.{index}.{_timm_part(stage, part, rest)}", name
        else:
            yield _timm_end(name), name


_STEM = {"features.0.0.": "conv_stem.", "features.0.1.": "bn1."}
_TOP = {"features.8.0.": "conv_head.", "features.8.1.": "bn2.", "classifier.1.": "classifier."}


def _timm_end(name: str) -> str:
    for ours, timm in (_STEM | _TOP).items():
        if name.startswith(ours):
            return timm + name.removeprefix(ours)
    raise ValueError(f"not torchvision's EfficientNet: {name!r}")


def _timm_part(stage: int, part: int, rest: str) -> str:
    """Name a part of a block. The first stage does not expand: its blocks lack the first convolution."""
    convolutions = ["conv_dw", "se", "conv_pw"] if stage == 1 else ["conv_pw", "conv_dw", "se", "conv_pwl"]
    kind = convolutions[part]
    if kind == "se":
        return "se." + rest.replace("fc1.", "conv_reduce.").replace("fc2.", "conv_expand.")
    number = [k for k in convolutions if k != "se"].index(kind) + 1
    layer, parameter = rest.split(".", 1)
    return f"{kind}.{parameter}" if layer == "0" else f"bn{number}.{parameter}"


def _find(state: Mapping[str, Any], kind: str) -> Tensor:
    """Return the only tensor whose name ends in `kind`, "weight" or "bias"."""
    tensors = state.get("pcoderweights", state)
    found = [value for name, value in tensors.items() if name.rsplit(".", 1)[-1] == kind]
    if len(found) != 1:
        raise ValueError(f"expected one {kind!r} in it, found {len(found)}")
    return found[0]
