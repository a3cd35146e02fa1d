"""Decoders: the default one, and ones described by data instead of code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from torch import nn

Shape = Sequence[int]
"""Channels, height, width."""


class _Layer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Upsample(_Layer):
    """Interpolation by a factor or to a size (height, width); corners are not aligned."""

    layer: Literal["Upsample"] = "Upsample"
    scale_factor: PositiveFloat | tuple[PositiveFloat, PositiveFloat] | None = None
    size: tuple[PositiveInt, PositiveInt] | None = None
    mode: Literal["nearest", "bilinear", "bicubic"] = "bilinear"

    @model_validator(mode="after")
    def _one_of_both(self) -> Upsample:
        if (self.scale_factor is None) == (self.size is None):
            raise ValueError("Upsample needs either scale_factor or size")
        return self

    def build(self, channels: int, default: int) -> tuple[nn.Module, int]:
        """Return the module and the channels that leave it."""
        corners = None if self.mode == "nearest" else False
        return nn.Upsample(self.size, self.scale_factor, self.mode, corners), channels


class Convolution(_Layer):
    """A convolution or a transposed one, with a bias. `channels` leave it; by default the target's."""

    layer: Literal["ConvTranspose2d", "Conv2d"]
    channels: PositiveInt | None = None
    kernel_size: PositiveInt
    stride: PositiveInt = 1
    padding: NonNegativeInt = 0
    output_padding: NonNegativeInt = 0

    @model_validator(mode="after")
    def _only_transposed(self) -> Convolution:
        if self.output_padding and self.layer == "Conv2d":
            raise ValueError("output_padding is for ConvTranspose2d only")
        return self

    def build(self, channels: int, default: int) -> tuple[nn.Module, int]:
        """Return the module and the channels that leave it."""
        out = self.channels or default
        if self.layer == "Conv2d":
            return nn.Conv2d(channels, out, self.kernel_size, self.stride, self.padding), out
        return (
            nn.ConvTranspose2d(
                channels, out, self.kernel_size, self.stride, self.padding, self.output_padding
            ),
            out,
        )


class Activation(_Layer):
    """An element-wise function, with PyTorch's defaults."""

    layer: Literal["ReLU", "LeakyReLU", "ELU", "GELU", "SiLU", "Sigmoid", "Tanh"]

    def build(self, channels: int, default: int) -> tuple[nn.Module, int]:
        """Return the module and the channels that leave it."""
        module: nn.Module = getattr(nn, self.layer)()
        return module, channels


Layer = Annotated[Upsample | Convolution | Activation, Field(discriminator="layer")]


def build_decoder(
    layers: Sequence[Upsample | Convolution | Activation], source: Shape, target: Shape
) -> nn.Sequential:
    """Return the decoder that `layers` describe, from a representation to what it predicts."""
    channels = source[0]
    modules = []
    for layer in layers:
        module, channels = layer.build(channels, target[0])
        modules.append(module)
    return nn.Sequential(*modules)


def default_decoder(source: Shape, target: Shape) -> nn.Sequential:
    """Return the public package's default decoder.

    Bilinear interpolation to the target's size where sizes differ, then a 3x3 transposed convolution.
    """
    modules: list[nn.Module] = []
    if tuple(source[1:]) != tuple(target[1:]):
        factors = tuple(_factor(s, t) for s, t in zip(source[1:], target[1:], strict=True))
        modules.append(nn.Upsample(scale_factor=factors, mode="bilinear", align_corners=False))
    modules.append(nn.ConvTranspose2d(source[0], target[0], 3, padding=1))
    return nn.Sequential(*modules)


def _factor(source: int, target: int) -> float:
    """Return target / source, the next number up where rounding would lose a pixel (49 * (1 / 49) < 1)."""
    factor = target / source
    return factor if math.floor(source * factor) == target else math.nextafter(factor, math.inf)
