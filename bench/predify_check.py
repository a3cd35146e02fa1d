"""Checking a predictive-coding configuration against a backbone: what `bench predify` prints."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from bench.errors import BenchError, UnknownName
from bench.models import make_from_file
from zoo.predictive_coding import ConfigError, ConfigWarning, Part, describe, predify, read_config


@dataclass(frozen=True)
class Description:
    """A network that a configuration makes of a backbone."""

    name: str
    input_size: tuple[int, int, int]
    scaling: str
    parts: tuple[Part, ...]
    backbone_parameters: int
    remarks: tuple[str, ...]
    """Defaults that were taken, and keys that mean nothing."""

    def lines(self) -> list[list[str]]:
        """Return one row of texts an encoder, under `HEADINGS`."""
        return [
            [
                part.encoder,
                _shape(part.shape),
                re.sub(r"\(\d+\): ", "", part.decoder),
                _shape(part.target),
                "unknown" if part.cells is None else f"{part.cells:g}",
                " / ".join(f"{weight:g}" for weight in part.balance),
                f"{part.parameters:,}",
            ]
            for part in self.parts
        ]

    def summary(self) -> str:
        """Return name, image size, scaling and parameter counts in one line."""
        decoders = sum(part.parameters for part in self.parts)
        return (
            f"{self.name}: images {_shape(self.input_size)}, scaling {self.scaling}, "
            f"{self.backbone_parameters:,} parameters in the backbone and {decoders:,} in the decoders"
        )


HEADINGS = ["encoder", "shape", "decoder", "predicts", "C", "beta / lambda / alpha", "parameters"]


def check(config: Path, backbone: str, trust_code: bool = False) -> Description:
    """Make a network of a configuration and a backbone with drawn weights, and describe it.

    Args:
        config: TOML file of the public package's kind.
        backbone: "torchvision:NAME", or "FILE.py:FACTORY".
        trust_code: Run the Python code of the configuration.

    Raises:
        BenchError: If either cannot be had, or they do not fit.
    """
    network = _backbone(backbone)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConfigWarning)
            settings = read_config(config)
            made = predify(network, settings, trust_code=trust_code)
            parts = describe(made, settings.input_size)
    except (OSError, ConfigError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise BenchError(reason if config.name in reason else f"{config.name}: {reason}") from error
    return Description(
        settings.name,
        settings.input_size,
        str(made.scaling.value),
        tuple(parts),
        sum(parameter.numel() for parameter in network.parameters()),
        tuple(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, ConfigWarning))),
    )


def _backbone(spec: str) -> nn.Module:
    library, _, name = spec.partition(":")
    if not name:
        raise BenchError(f"name the backbone as torchvision:NAME or FILE.py:FACTORY, got {spec!r}")
    if library != "torchvision":
        return make_from_file(spec)
    from torchvision import models

    known = models.list_models(models)
    if name not in known:
        raise UnknownName("torchvision model", name, known)
    network: nn.Module = models.get_model(name, weights=None)
    return network


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
