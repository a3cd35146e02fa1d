"""The layers of CNN-F: each one has a way up, a way down, and an explicit state.

`up(feature, state)` carries a feature towards the label, `down(signal, state)` carries the feedback signal
towards the image. Both return the new state beside their result and keep nothing on the module, so a
network built of them is a pure function of its input. A state of None means that no pass has been made yet.

Source: Huang et al., "Neural Networks with Recurrent Generative Feedback", NeurIPS 2020, section 2.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

RMS_EPSILON = 1e-8


class AdaReLUReading(StrEnum):
    """The two published readings of AdaReLU, which differ where the feature f is negative."""

    SIGNED = "signed"
    """The public code: f where f * g > 0, else 0. Negative features pass as negative."""
    RECTIFIED = "rectified"
    """The slides: ReLU(f) where g >= 0, ReLU(-f) where g < 0. The result is never negative."""


class GateGradient(StrEnum):
    """What a gradient sees of an AdaReLU after the first pass. What the gate passes is the same."""

    HARD = "hard"
    """The gates as they are: a closed one hides what it blocks, and none shows how to open it."""
    SOFT = "soft"
    """Those of gates that open gradually (backward pass differentiable approximation, Athalye et al., ICML
    2018): an attacker sees past closed gates, and what the feedback signal does to them."""


@runtime_checkable
class Layer(Protocol):
    """What a CNN-F network is a list of."""

    def up(self, feature: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Carry a feature towards the label."""
        ...

    def down(self, signal: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Carry the feedback signal towards the image."""
        ...


class Gate(NamedTuple):
    """What an AdaReLU remembers. The support of `passed` is the latent variable z_R."""

    passed: Float[Tensor, "..."]
    signal: Float[Tensor, "..."] | None
    """The feedback signal that last came down."""


class Switch(NamedTuple):
    """What an AdaPool remembers: its latent variable z_P and the signal that last came down."""

    size: tuple[int, int]
    places: Int[Tensor, "n c i j"]
    """The pixels that the values came from."""
    signs: Float[Tensor, "n c i j"] | None
    """1 where a maximum was taken, -1 where a minimum was; None for maxima everywhere."""
    signal: Float[Tensor, "n c i j"] | None


def step_towards(
    feature: Float[Tensor, "..."], signal: Float[Tensor, "..."], res_param: float
) -> Float[Tensor, "..."]:
    """Return f + res_param * (g - f)."""
    # Under autocast one of them may come from a convolution and the other not.
    return torch.lerp(feature, signal.to(feature.dtype), res_param)


def instance_rms_norm(feature: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Return each channel of each image divided by the root of its mean square over pixels.

    The mean is not subtracted and nothing is learnt ("InsNorm" in the public code).
    """
    return feature * _inverse_rms(feature)


def _inverse_rms(feature: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c 1 1"]:
    precision = torch.promote_types(feature.dtype, torch.float32)
    # Not mean(): its gradient is spread over all pixels in another memory layout than the feature's.
    pixels = feature.shape[2] * feature.shape[3]
    mean_square = feature.square().sum((2, 3), keepdim=True, dtype=precision) / pixels
    return torch.rsqrt(mean_square + RMS_EPSILON).to(feature.dtype)


def with_layout(feature: Float[Tensor, "n c h w"]) -> tuple[torch.memory_format, Float[Tensor, "n c h w"]]:
    """Return the memory layout of a feature, and the feature, whose gradient will come back in it.

    For where features are flattened: their gradients come back channels first, and what computes in two
    layouts at once takes ten times as long.
    """
    layouts = (torch.contiguous_format, torch.channels_last)
    layout = next((found for found in layouts if feature.is_contiguous(memory_format=found)), layouts[0])
    # A compiler chooses layouts by itself.
    if feature.requires_grad and not torch.compiler.is_compiling():
        feature = feature.view_as(feature)
        feature.register_hook(lambda gradient: gradient.contiguous(memory_format=layout))
    return layout, feature


class InstanceRMSNorm(nn.Module):
    """Instance RMS normalisation followed by a learnt bias per channel; the feedback way has no bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, feature: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Normalise and shift."""
        return torch.addcmul(self.bias[:, None, None], feature, _inverse_rms(feature))


class TiedConv2d(nn.Conv2d):
    """A convolution without bias whose feedback is the transposed convolution with the same weights.

    Weights start as N(0, 2 / (kernel * kernel * out_channels)).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, padding: int = 0):
        super().__init__(in_channels, out_channels, kernel, stride, padding, bias=False)
        nn.init.normal_(self.weight, 0.0, math.sqrt(2.0 / (kernel * kernel * out_channels)))

    def up(self, feature: Float[Tensor, "n c h w"], state: None) -> tuple[Float[Tensor, "n d i j"], None]:
        """Convolve."""
        return self(feature), None

    def down(self, signal: Float[Tensor, "n d i j"], state: None) -> tuple[Float[Tensor, "n c h w"], None]:
        """Convolve with the transposed kernel."""
        return self.transpose(signal), None

    def transpose(self, signal: Float[Tensor, "n d i j"]) -> Float[Tensor, "n c h w"]:
        """Convolve with the transposed kernel; an odd size halved by a stride comes back even."""
        stride, padding = self.stride[0], int(self.padding[0])
        return F.conv_transpose2d(
            signal, self.weight, stride=stride, padding=padding, output_padding=stride - 1
        )


class TiedLinear(nn.Linear):
    """A linear map whose feedback is multiplication by the transposed weights, without the bias."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        nn.init.zeros_(self.bias)

    def transpose(self, signal: Float[Tensor, "n k"]) -> Float[Tensor, "n d"]:
        """Multiply by the transposed weights."""
        return F.linear(signal, self.weight.t())


class AdaReLU(nn.Module):
    """The rectifier whose gate depends on the feature f and on the feedback signal g at the same place.

    On the first pass it is a ReLU. Later f first moves a step `res_param` towards g; which values then pass
    is the reading's choice. On the way down the signal passes where the gate was last open.
    """

    def __init__(
        self, res_param: float, reading: AdaReLUReading, gradient: GateGradient = GateGradient.HARD
    ) -> None:
        super().__init__()
        self.res_param = res_param
        self.reading = reading
        self.gradient = gradient

    def up(self, feature: Float[Tensor, "..."], gate: Gate | None) -> tuple[Float[Tensor, "..."], Gate]:
        """Pass the feature through the gate that it and the last signal open."""
        if gate is None or gate.signal is None:
            passed = feature.relu()
            return passed, Gate(passed, None)
        feature = step_towards(feature, gate.signal, self.res_param)
        if self.reading is AdaReLUReading.SIGNED:
            passed = feature * _is_positive(feature * gate.signal)
        else:
            passed = torch.where(gate.signal >= 0, feature, -feature).relu()
        if self.gradient is GateGradient.SOFT:
            passed = _seen_as(self._softened(feature, gate.signal), passed)
        return passed, gate._replace(passed=passed)

    def _softened(self, feature: Float[Tensor, "..."], signal: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return what gates would pass that open gradually over the usual size of what opens them."""
        if self.reading is AdaReLUReading.SIGNED:
            return feature * _opening(feature * signal)
        rectified = feature * (2 * _opening(signal) - 1)
        return rectified * _opening(rectified)

    def down(self, signal: Float[Tensor, "..."], gate: Gate) -> tuple[Float[Tensor, "..."], Gate]:
        """Pass the signal where the gate is open; the gate remembers the signal before masking."""
        lowered = signal * gate.passed.detach().sign().abs_()
        if self.gradient is GateGradient.SOFT:
            lowered = _seen_as(signal, lowered)
        return lowered, Gate(gate.passed, signal)


class AdaPool(nn.Module):
    """2x2 pooling that takes the maximum where the signal g is positive and the minimum where it is negative.

    On the first pass it is max-pooling. Where g is exactly 0 later passes give 0 (the public code; the slides
    say the maximum). On the way down each signal returns to the pixel its value came from.
    """

    def up(
        self, feature: Float[Tensor, "n c h w"], switch: Switch | None
    ) -> tuple[Float[Tensor, "n c i j"], Switch]:
        """Pool, remembering where the values came from."""
        size = (feature.shape[2], feature.shape[3])
        if switch is None or switch.signal is None:
            maximum, places = F.max_pool2d(feature, 2, return_indices=True)
            return maximum, Switch(size, places, None, None)
        signs = switch.signal.detach().sign()
        wide = F.interpolate(signs, scale_factor=2)
        # An odd size has a last row that is not pooled.
        wide = F.pad(wide, (0, size[1] - wide.shape[3], 0, size[0] - wide.shape[2]))
        turned, places = F.max_pool2d(feature * wide, 2, return_indices=True)
        return turned * signs, Switch(size, places, signs, switch.signal)

    def down(
        self, signal: Float[Tensor, "n c i j"], switch: Switch
    ) -> tuple[Float[Tensor, "n c h w"], Switch]:
        """Send the signal back to the pixels that were pooled."""
        returned = signal if switch.signs is None else signal * switch.signs.abs()
        unpooled = F.max_unpool2d(returned, switch.places, (2, 2), output_size=switch.size)
        return unpooled, switch._replace(signal=signal)


def _seen_as(surrogate: Float[Tensor, "..."], value: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return `value`, whose gradient is that of `surrogate`."""
    return value.detach() + (surrogate - surrogate.detach())


def _opening(values: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
    """Return a gate between 0 and 1 that is half open at 0, scaled by each example's mean magnitude."""
    over = tuple(range(1, values.ndim))
    size = values.detach().abs().mean(over, keepdim=True) + RMS_EPSILON
    return torch.sigmoid(values / size)


def _is_positive(values: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return 1 where values are above 0, else 0: as floats, which multiply ten times faster than booleans."""
    return values.detach().sign().relu_()
