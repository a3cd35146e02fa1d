"""The stages that CNN-F networks are built of, each with a way up and a way down (see `zoo.layers`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from zoo.layers import (
    AdaPool,
    AdaReLU,
    Gate,
    InstanceRMSNorm,
    Switch,
    TiedConv2d,
    TiedLinear,
    instance_rms_norm,
    with_layout,
)


class ConvState(NamedTuple):
    """State of a ConvStage."""

    gate: Gate | None
    switch: Switch | None
    feature: Tensor
    reconstruction: Tensor | None = None


class ConvStage(nn.Module):
    """3x3 convolution, normalisation, AdaReLU and AdaPool, the last two if asked for.

    The feedback signal is normalised where it enters the stage from above. The feature that has a
    reconstruction is the one between AdaReLU and AdaPool.
    """

    def __init__(self, in_channels: int, out_channels: int, relu: AdaReLU | None, pool: AdaPool | None):
        super().__init__()
        self.conv = TiedConv2d(in_channels, out_channels, 3, padding=1)
        self.norm = InstanceRMSNorm(out_channels)
        self.relu = relu
        self.pool = pool

    def up(self, feature: Tensor, state: ConvState | None) -> tuple[Tensor, ConvState]:
        """Carry the feature up."""
        gate, switch = (state.gate, state.switch) if state else (None, None)
        feature = self.norm(self.conv(feature))
        if self.relu is not None:
            feature, gate = self.relu.up(feature, gate)
        rectified = feature
        if self.pool is not None:
            feature, switch = self.pool.up(feature, switch)
        return feature, ConvState(gate, switch, rectified)

    def down(self, signal: Tensor, state: ConvState) -> tuple[Tensor, ConvState]:
        """Carry the feedback signal down."""
        gate, switch = state.gate, state.switch
        signal = instance_rms_norm(signal)
        if self.pool is not None and switch is not None:
            signal, switch = self.pool.down(signal, switch)
        if self.relu is not None and gate is not None:
            signal, gate = self.relu.down(signal, gate)
        return self.conv.transpose(signal), ConvState(gate, switch, state.feature, signal)


class LinearHead(nn.Module):
    """Fully connected layers with AdaReLU between them, over the flattened feature."""

    def __init__(self, sizes: Sequence[int], relu: AdaReLU) -> None:
        super().__init__()
        self.linears = nn.ModuleList(map(TiedLinear, sizes[:-1], sizes[1:]))
        self.relu = relu

    def up(self, feature: Tensor, state: tuple[Any, ...] | None) -> tuple[Tensor, tuple[Any, ...]]:
        """Carry the feature up to the logits."""
        layout, feature = with_layout(feature)
        shape, gates = feature.shape[1:], list(state[1]) if state else [None] * (len(self.linears) - 1)
        feature = feature.flatten(1)
        for i, linear in enumerate(self.linears[:-1]):
            feature, gates[i] = self.relu.up(linear(feature), gates[i])
        return self.linears[-1](feature), (shape, gates, layout)

    def down(self, signal: Tensor, state: tuple[Any, ...]) -> tuple[Tensor, tuple[Any, ...]]:
        """Carry the logits down."""
        shape, gates, layout = state[0], list(state[1]), state[2]
        signal = self._transpose(-1, signal)
        for i in reversed(range(len(gates))):
            signal, gates[i] = self.relu.down(signal, gates[i])
            signal = self._transpose(i, signal)
        return signal.unflatten(1, shape).contiguous(memory_format=layout), (shape, gates, layout)

    def _transpose(self, index: int, signal: Tensor) -> Tensor:
        linear = self.linears[index]
        assert isinstance(linear, TiedLinear)
        return linear.transpose(signal)


class BlockState(NamedTuple):
    """State of a ResidualBlock or of a PoolHead: its gates, its input, and what the feedback made of it."""

    gates: tuple[Gate, ...]
    feature: Tensor
    reconstruction: Tensor | None = None


class ResidualBlock(nn.Module):
    """Pre-activation block of Wide ResNet (Zagoruyko & Komodakis 2016) with AdaReLU."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, relu: AdaReLU) -> None:
        super().__init__()
        self.norm1 = InstanceRMSNorm(in_channels)
        self.conv1 = TiedConv2d(in_channels, out_channels, 3, stride, padding=1)
        self.norm2 = InstanceRMSNorm(out_channels)
        self.conv2 = TiedConv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = (
            TiedConv2d(in_channels, out_channels, 1, stride) if in_channels != out_channels else None
        )
        self.relu = relu

    def up(self, feature: Tensor, state: BlockState | None) -> tuple[Tensor, BlockState]:
        """Carry the feature up; a block that changes shape shares its first AdaReLU with the shortcut."""
        gate1, gate2 = state.gates if state else (None, None)
        activated, gate1 = self.relu.up(self.norm1(feature), gate1)
        residual, gate2 = self.relu.up(self.norm2(self.conv1(activated)), gate2)
        skip = feature if self.shortcut is None else self.shortcut(activated)
        return skip + self.conv2(residual), BlockState((gate1, gate2), feature)

    def down(self, signal: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        """Carry the feedback signal down the residual branch and the shortcut."""
        gate1, gate2 = state.gates
        residual, gate2 = self.relu.down(instance_rms_norm(self.conv2.transpose(signal)), gate2)
        residual = instance_rms_norm(self.conv1.transpose(residual))
        if self.shortcut is None:
            residual, gate1 = self.relu.down(residual, gate1)
            reconstruction = signal + residual
        else:
            reconstruction, gate1 = self.relu.down(residual + self.shortcut.transpose(signal), gate1)
        return reconstruction, BlockState((gate1, gate2), state.feature, reconstruction)


class PoolHead(nn.Module):
    """Normalisation, AdaReLU, mean over pixels and a linear layer: the top of Wide ResNet."""

    def __init__(self, channels: int, classes: int, relu: AdaReLU) -> None:
        super().__init__()
        self.norm = InstanceRMSNorm(channels)
        self.linear = TiedLinear(channels, classes)
        self.relu = relu

    def up(self, feature: Tensor, state: BlockState | None) -> tuple[Tensor, BlockState]:
        """Carry the feature up to the logits."""
        activated, gate = self.relu.up(self.norm(feature), state.gates[0] if state else None)
        return self.linear(activated.mean((2, 3))), BlockState((gate,), feature)

    def down(self, signal: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        """Carry the logits down; each pixel gets the whole pooled signal, which is normalised anyway."""
        signal = self.linear.transpose(signal)[:, :, None, None]
        signal = signal.expand(-1, -1, *state.feature.shape[2:])
        signal, gate = self.relu.down(instance_rms_norm(signal), state.gates[0])
        return signal, BlockState((gate,), state.feature, signal)
