"""The paper's two networks and two small ones, as factories with drawn weights, for images in [0, 1].

Keyword arguments `settings` are those of `predify`: beta, lambda_, alpha, scaling, compat, error_gradient.
torchvision is imported when it is needed, so that the rest works without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from zoo.plain import Plain
from zoo.predictive_coding.conversion import predify
from zoo.predictive_coding.network import Iteration, PredictiveCodingNetwork

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of each channel; also of the sets below."""
CIFAR10 = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
FASHION_MNIST = (0.2860,), (0.3530,)

PVGG16_ENCODERS = ("features.3", "features.8", "features.15", "features.22", "features.29")
"""The last rectifier before each of VGG16's pools."""
PEFFNETB0_ENCODERS = tuple(f"features.{n}" for n in range(8))
"""The stem with its activation, and the seven groups of blocks."""


class Normalised(nn.Module):
    """A model of normalised images, seen as a model of images in [0, 1].

    Args:
        model: Anything with `unroll`.
        mean: Of each channel.
        std: Of each channel.
    """

    def __init__(
        self, model: Plain | PredictiveCodingNetwork, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        self.model = model
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def unroll(self, images: Float[Tensor, "n c h w"], iterations: int) -> Float[Tensor, "t n k"]:
        """Return the logits of the first pass and of each timestep; `images` are in [0, 1]."""
        return self.model.unroll((images - self.mean) / self.std, iterations)

    def walk(self, images: Float[Tensor, "n c h w"], iterations: int) -> Iterator[Iteration]:
        """Yield each pass of `unroll` with what the model shows of it; `image` is in [0, 1], not clipped."""
        if not isinstance(self.model, PredictiveCodingNetwork):
            raise TypeError("a network without feedback has nothing to look into")
        for step in self.model.walk((images - self.mean) / self.std, iterations):
            yield step._replace(image=step.image * self.std + self.mean)


def pvgg16(classes: int = 1000, **settings: Any) -> Normalised:
    """Build the paper's PVGG16, on torchvision's vgg16, for images 3xhxw with h and w divisible by 32."""
    from torchvision.models import vgg16

    decoders = [
        nn.ConvTranspose2d(64, 3, 5, padding=2),
        _halving(128, 64, 10),
        _halving(256, 128, 14),
        _halving(512, 256, 14),
        _halving(512, 512, 14),
    ]
    backbone = vgg16(weights=None, num_classes=classes)
    network = predify(backbone, encoders=PVGG16_ENCODERS, decoders=decoders, **settings)
    return Normalised(network, *IMAGENET)


def peffnetb0(classes: int = 1000, **settings: Any) -> Normalised:
    """Build the paper's PEfficientNetB0, for images 3xhxw with h and w divisible by 32.

    The backbone is torchvision's efficientnet_b0, whose arithmetic is that of timm's (a test holds both to
    the same numbers); `load_timm_backbone` reads timm's files.
    """
    from torchvision.models import efficientnet_b0

    decoders = [
        _interpolating(32, 3, 2),
        _interpolating(16, 32, 1),
        _interpolating(24, 16, 2),
        _interpolating(40, 24, 2),
        _interpolating(80, 40, 2),
        _interpolating(112, 80, 1),
        _interpolating(192, 112, 2),
        _interpolating(320, 192, 1),
    ]
    backbone = efficientnet_b0(weights=None, num_classes=classes)
    network = predify(backbone, encoders=PEFFNETB0_ENCODERS, decoders=decoders, **settings)
    return Normalised(network, *IMAGENET)


def pcn_cifar(widths: Sequence[int] = (32, 64, 128, 256), classes: int = 10, **settings: Any) -> Normalised:
    """Build a small VGG with predictive coding on every stage, for CIFAR-10 images 3x32x32."""
    return Normalised(_small_pcn(SmallVGG(3, widths, classes), settings), *CIFAR10)


def pcn_fmnist(widths: Sequence[int] = (32, 64, 128), classes: int = 10, **settings: Any) -> Normalised:
    """Build a small VGG with predictive coding on every stage, for Fashion-MNIST images 1x28x28."""
    return Normalised(_small_pcn(SmallVGG(1, widths, classes), settings), *FASHION_MNIST)


def cnn_cifar_plain(widths: Sequence[int] = (32, 64, 128, 256), classes: int = 10) -> Normalised:
    """Build the backbone of `pcn_cifar`."""
    return Normalised(Plain(SmallVGG(3, widths, classes)), *CIFAR10)


def cnn_fmnist_plain(widths: Sequence[int] = (32, 64, 128), classes: int = 10) -> Normalised:
    """Build the backbone of `pcn_fmnist`."""
    return Normalised(Plain(SmallVGG(1, widths, classes)), *FASHION_MNIST)


def load_backbone(network: nn.Module, state_dict: Mapping[str, Tensor]) -> None:
    """Copy the weights of a plain network, as it stores them, into the backbone of its predictive-coding one.

    Args:
        network: From `pcn_cifar`, `pvgg16`, ...
        state_dict: Weights of `cnn_cifar_plain`, ...: the backbone's, each name preceded by "model.network.".

    Raises:
        ValueError: If one of the two is something else, or they do not fit.
    """
    inner = getattr(network, "model", None)
    if not isinstance(inner, PredictiveCodingNetwork):
        raise ValueError(f"a {type(network).__name__} has no feedback weights of predictive coding to train")
    prefix = "model.network."
    if not all(name.startswith(prefix) for name in state_dict):
        raise ValueError("the weights to start from are not those of a plain network")
    try:
        inner.backbone.load_state_dict(
            {name.removeprefix(prefix): value for name, value in state_dict.items()}
        )
    except RuntimeError as error:
        raise ValueError(" ".join(str(error).split())[:300]) from error


class SmallVGG(nn.Module):
    """Stages of two 3x3 convolutions with batch normalisation and ReLU, a 2x2 maximum between stages.

    Args:
        channels: Of the images, whose sides are divisible by 2 to the number of stages less one.
        widths: Channels of each stage.
        classes: Number of classes.
    """

    def __init__(self, channels: int, widths: Sequence[int], classes: int) -> None:
        super().__init__()
        self.channels = channels
        self.widths = tuple(widths)
        self.stages = nn.ModuleList(_stage(before, width) for before, width in pairwise([channels, *widths]))
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Return logits; `images` are normalised."""
        feature = images
        for n, stage in enumerate(self.stages):
            feature = stage(F.max_pool2d(feature, 2) if n else feature)
        return self.head(feature.mean((2, 3)))


def _small_pcn(backbone: SmallVGG, settings: dict[str, Any]) -> PredictiveCodingNetwork:
    decoders: list[nn.Module] = [nn.ConvTranspose2d(backbone.widths[0], backbone.channels, 5, padding=2)]
    decoders += [_halving(above, below, 6) for below, above in pairwise(backbone.widths)]
    encoders = [f"stages.{n}" for n in range(len(backbone.widths))]
    return predify(backbone, encoders=encoders, decoders=decoders, **settings)


def _stage(before: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )


def _halving(source: int, target: int, kernel: int) -> nn.Sequential:
    """Return a decoder across a stage that halves the image; its prediction is rectified as its target is."""
    return nn.Sequential(nn.ConvTranspose2d(source, target, kernel, 2, kernel // 2 - 1), nn.ReLU())


def _interpolating(source: int, target: int, factor: int) -> nn.Sequential:
    """Return a decoder that enlarges by interpolation and then convolves."""
    convolution = nn.ConvTranspose2d(source, target, 3, padding=1)
    if factor == 1:
        return nn.Sequential(convolution)
    up = nn.Upsample(scale_factor=factor, mode="bilinear", align_corners=False)
    return nn.Sequential(up, convolution)
