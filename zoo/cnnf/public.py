"""The parameter layout of the authors' code (github.com/yjhuangcd/CNNF), read into our networks.

Their files list tied weights several times: a convolution as `conv.weight` and `conv_t.weight`, a linear
layer as `linear.weight`, `weight` and, transposed, `linear_t.weight`. The copies must agree and are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from zoo.cnnf.network import CNNF
from zoo.cnnf.stages import ConvStage, LinearHead, PoolHead, ResidualBlock
from zoo.layers import TiedConv2d


def load_public(model: CNNF, state_dict: Mapping[str, Tensor]) -> CNNF:
    """Copy a state dict in the authors' layout into `model` and return it.

    Raises:
        ValueError: If tied copies disagree, or if a parameter is missing, left over, or of another shape.
    """
    public = _without_copies(state_dict)
    names = dict(public_names(model))
    if missing := sorted(names.keys() - public.keys()):
        raise ValueError(
            f"not a file of this network: {len(missing)} parameters missing, first {missing[0]!r}"
        )
    if extra := sorted(public.keys() - names.keys()):
        raise ValueError(f"not a file of this network: {len(extra)} parameters left over, first {extra[0]!r}")
    parameters = dict(model.named_parameters())
    own = {}
    for name, ours in names.items():
        if public[name].numel() != parameters[ours].numel():
            shapes = f"{tuple(public[name].shape)}, expected {tuple(parameters[ours].shape)}"
            raise ValueError(f"not a file of this network: {name!r} has shape {shapes}")
        own[ours] = public[name].reshape(parameters[ours].shape)
    model.load_state_dict(own)
    return model


def public_names(model: CNNF) -> Iterator[tuple[str, str]]:
    """Yield (the authors' name, our name) of every parameter of `model`."""
    layers = list(model.layers)
    blocks = [i for i, layer in enumerate(layers) if isinstance(layer, ResidualBlock)]
    for i, layer in enumerate(layers):
        ours = f"layers.{i}"
        if isinstance(layer, TiedConv2d):
            yield "conv1.conv.weight", f"{ours}.weight"
        elif isinstance(layer, ConvStage):
            yield f"conv{i + 1}.conv.weight", f"{ours}.conv.weight"
            yield f"ins{i + 1}_bias.bias", f"{ours}.norm.bias"
        elif isinstance(layer, ResidualBlock):
            group, block = divmod(blocks.index(i), len(blocks) // 3)
            yield from _block_names(f"block{group + 1}.layer.{block}", ours, layer)
        elif isinstance(layer, PoolHead):
            yield "ins1_bias.bias", f"{ours}.norm.bias"
            yield "fc.linear.weight", f"{ours}.linear.weight"
            yield "fc_bias.bias", f"{ours}.linear.bias"
        elif isinstance(layer, LinearHead):
            for j in range(len(layer.linears)):
                yield f"fc{j + 1}.linear.weight", f"{ours}.linears.{j}.weight"
                yield f"fc{j + 1}_bias.bias", f"{ours}.linears.{j}.bias"


def _block_names(public: str, ours: str, block: nn.Module) -> Iterator[tuple[str, str]]:
    for j in (1, 2):
        yield f"{public}.ins{j}_bias.bias", f"{ours}.norm{j}.bias"
        yield f"{public}.conv{j}.conv.weight", f"{ours}.conv{j}.weight"
    if block.shortcut is not None:
        yield f"{public}.conv_shortcut.conv.weight", f"{ours}.shortcut.weight"


def _without_copies(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop the tied copies, each compared with its original."""
    originals = {}
    for name, value in state_dict.items():
        original, is_transposed = _original_of(name, state_dict)
        if original is None:
            originals[name] = value
        elif not torch.equal(value, original.t() if is_transposed else original):
            raise ValueError(f"tied parameters disagree: {name!r} is not a copy of its original")
    return originals


def _original_of(name: str, state_dict: Mapping[str, Tensor]) -> tuple[Tensor | None, bool]:
    if name.endswith(".conv_t.weight"):
        return state_dict.get(name.replace(".conv_t.", ".conv.")), False
    if name.endswith(".linear_t.weight"):
        return state_dict.get(name.replace(".linear_t.", ".linear.")), True
    if re.fullmatch(r"(.*\.)?fc\d*\.weight", name):
        return state_dict.get(name.removesuffix("weight") + "linear.weight"), False
    return None, False
