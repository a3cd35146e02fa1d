"""CNN-F: a convolutional network whose generative feedback is its own transpose.

Huang et al., "Neural Networks with Recurrent Generative Feedback", NeurIPS 2020 (arXiv 2007.09200). The
network is a list of layers that each know a way up and a way down (`zoo.layers`). One iteration carries the
logits down to the fed-back feature h, moves h a step towards its reconstruction, and carries h up again:

    g = down(logits_{k-1});  h_k = h_{k-1} + res_param * (g - h_{k-1});  logits_k = up(h_k)
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zoo.cnnf.stages import ConvStage, LinearHead, PoolHead, ResidualBlock
from zoo.layers import AdaPool, AdaReLU, AdaReLUReading, GateGradient, Layer, TiedConv2d, step_towards


class Iteration(NamedTuple):
    """What one pass of the network yields. Features are in the network's own scale, pixels in [-1, 1]."""

    logits: Float[Tensor, "n k"]
    feature: Float[Tensor, "n ..."]
    """The fed-back feature h (the image itself if feedback reaches the pixels)."""
    tapped: tuple[Tensor, ...]
    """Features higher up whose reconstructions the training loss compares, lowest first."""
    reconstruction: Float[Tensor, "n ..."] | None
    """What the feedback made of `feature`; None on the first pass."""
    tapped_reconstructions: tuple[Tensor, ...]
    """What the feedback made of each of `tapped`; empty on the first pass."""
    image: Float[Tensor, "n c h w"] | None = None
    """The reconstruction as pixels in [0, 1], not clipped; None on the first pass and where the feedback ends
    above the pixels."""

    @property
    def representations(self) -> tuple[Tensor, ...]:
        """All features that are shown, lowest first."""
        return self.feature, *self.tapped


class CNNF(nn.Module):
    """A feedback network over a list of layers.

    Args:
        layers: Layers with `up` and `down`, lowest first; the last one yields logits.
        boundary: Index of the layer whose input is the fed-back feature; 0 is the image.
        taps: Indices, at or above `boundary`, of the layers whose features the training loss compares.
        res_param: Step in [0, 1] by which h moves towards its reconstruction.
    """

    def __init__(
        self, layers: Sequence[nn.Module], boundary: int, taps: Sequence[int], res_param: float
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.boundary = boundary
        self.taps = tuple(i for i in taps if i >= boundary)
        self.res_param = res_param

    @property
    def settings(self) -> dict[str, object]:
        """What the answers depend on beside the weights."""
        gates = [module for module in self.modules() if isinstance(module, AdaReLU)]
        return {
            "boundary": self.boundary,
            "taps": self.taps,
            "res_param": self.res_param,
            "adarelu": sorted({f"{gate.reading} {gate.res_param} {gate.gradient}" for gate in gates}),
        }

    def unroll(self, images: Float[Tensor, "n c h w"], iterations: int) -> Float[Tensor, "t n k"]:
        """Return the logits of the first pass and of each feedback iteration, t = iterations + 1.

        Args:
            images: Pixels in [0, 1].
            iterations: Feedback updates after the first pass, at least 0.
        """
        return torch.stack([step.logits for step in self.walk(images, iterations)])

    def walk(self, images: Float[Tensor, "n c h w"], iterations: int) -> Iterator[Iteration]:
        """Yield each pass of `unroll` with its features and reconstructions."""
        if iterations < 0:
            raise ValueError(f"iterations must be at least 0, got {iterations}")
        feature = 2 * images - 1
        for layer in self._stack[: self.boundary]:
            feature, _ = layer.up(feature, None)
        logits, states = self._up(feature, [None] * (len(self.layers) - self.boundary))
        yield Iteration(logits, feature, self._tapped(states, "feature"), None, ())
        for _ in range(iterations):
            reconstruction, states = self._down(logits, states)
            tapped_reconstructions = self._tapped(states, "reconstruction")
            feature = step_towards(feature, reconstruction, self.res_param)
            logits, states = self._up(feature, states)
            yield Iteration(
                logits,
                feature,
                self._tapped(states, "feature"),
                reconstruction,
                tapped_reconstructions,
                None if self.boundary else (reconstruction + 1) / 2,
            )

    def softened(self) -> CNNF:
        """Return this network with the same parameters, whose gates let a softened gradient through.

        Its logits are the same; only gradients differ (see `zoo.layers.GateGradient`).
        """
        shared: dict[int, Any] = {id(tensor): tensor for tensor in (*self.parameters(), *self.buffers())}
        network = copy.deepcopy(self, shared)
        for module in network.modules():
            if isinstance(module, AdaReLU):
                module.gradient = GateGradient.SOFT
        return network

    @property
    def _stack(self) -> list[Layer]:
        return cast("list[Layer]", list(self.layers))

    def _up(self, feature: Tensor, states: list[Any]) -> tuple[Tensor, list[Any]]:
        states = list(states)
        for i, layer in enumerate(self._stack[self.boundary :]):
            feature, states[i] = layer.up(feature, states[i])
        return feature, states

    def _down(self, logits: Tensor, states: list[Any]) -> tuple[Tensor, list[Any]]:
        signal, states = logits, list(states)
        for i in reversed(range(len(states))):
            signal, states[i] = self._stack[self.boundary + i].down(signal, states[i])
        return signal, states

    def _tapped(self, states: list[Any], side: str) -> tuple[Tensor, ...]:
        return tuple(getattr(states[i - self.boundary], side) for i in self.taps)


def four_conv(feedback_to: int, res_param: float = 0.1, adarelu: str = "signed", classes: int = 10) -> CNNF:
    """Build the paper's Fashion-MNIST network: 4 convolutions, 3 linear layers, images 1x28x28.

    Args:
        feedback_to: Stage whose output is fed back to: 0 the pixels, 1 to 3 a convolution stage.
        res_param: Step in [0, 1] towards the feedback signal, in h and in every AdaReLU.
        adarelu: "signed" (the public code) or "rectified" (the slides).
        classes: Number of classes.
    """
    _check_stage(feedback_to, 3)
    relu = AdaReLU(res_param, AdaReLUReading(adarelu))
    layers = [
        ConvStage(1, 16, relu, None),
        ConvStage(16, 32, relu, None),
        ConvStage(32, 32, relu, AdaPool()),
        ConvStage(32, 64, relu, AdaPool()),
        LinearHead([64 * 7 * 7, 1000, 128, classes], relu),
    ]
    return CNNF(layers, feedback_to, (2, 3), res_param)


def two_conv(feedback_to: int, res_param: float = 0.1, adarelu: str = "signed", classes: int = 10) -> CNNF:
    """Build the small network of the paper's standard-training experiments, images 1x28x28.

    Convolutions of 32 and 64 channels (no AdaReLU after the second), AdaPool, linear layers of 128 and
    `classes`. Arguments as for `four_conv`, with stages 0 (pixels) and 1.
    """
    _check_stage(feedback_to, 1)
    relu = AdaReLU(res_param, AdaReLUReading(adarelu))
    layers = [
        ConvStage(1, 32, relu, None),
        ConvStage(32, 64, None, AdaPool()),
        LinearHead([64 * 14 * 14, 128, classes], relu),
    ]
    return CNNF(layers, feedback_to, (), res_param)


def wide_resnet(
    depth: int,
    width: int,
    feedback_to: int,
    res_param: float = 0.1,
    adarelu: str = "signed",
    classes: int = 10,
) -> CNNF:
    """Build CNN-F on Wide ResNet, images 3xhxw with h and w divisible by 4; the paper's is 40-2.

    Args:
        depth: 6 n + 4 for n residual blocks in each of the three groups.
        width: Factor on the channels 16, 32, 64 of the groups.
        feedback_to: Residual block whose output is fed back to, counted from 1; 0 is the pixels.
        res_param: Step in [0, 1] towards the feedback signal, in h and in every AdaReLU.
        adarelu: "signed" (the public code) or "rectified" (the slides).
        classes: Number of classes.
    """
    blocks, remainder = divmod(depth - 4, 6)
    if remainder or blocks < 1 or width < 1:
        raise ValueError(f"depth must be 6 n + 4 and width at least 1, got depth {depth}, width {width}")
    _check_stage(feedback_to, 3 * blocks)
    relu = AdaReLU(res_param, AdaReLUReading(adarelu))
    channels = [16, 16 * width, 32 * width, 64 * width]
    layers: list[nn.Module] = [TiedConv2d(3, 16, 3, padding=1)]
    for group in range(3):
        for block in range(blocks):
            first = block == 0
            before = channels[group] if first else channels[group + 1]
            stride = 2 if first and group > 0 else 1
            layers.append(ResidualBlock(before, channels[group + 1], stride, relu))
    layers.append(PoolHead(channels[3], classes, relu))
    taps = (blocks + 1, 2 * blocks + 1, 3 * blocks + 1)
    return CNNF(layers, feedback_to + 1 if feedback_to else 0, taps, res_param)


def _check_stage(feedback_to: int, highest: int) -> None:
    if not 0 <= feedback_to <= highest:
        raise ValueError(f"feedback_to must be from 0 (pixels) to {highest}, got {feedback_to}")
