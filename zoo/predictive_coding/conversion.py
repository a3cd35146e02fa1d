"""`predify`: from a backbone and a description to a predictive-coding network."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.predictive_coding.cells import count_cells
from zoo.predictive_coding.config import Config, ConfigError, read_config
from zoo.predictive_coding.decoders import Layer, Shape, build_decoder, default_decoder
from zoo.predictive_coding.dynamics import Balance, ErrorGradient, Scaling
from zoo.predictive_coding.network import PredictiveCodingNetwork
from zoo.predictive_coding.passing import encoder_shapes

PAPER = {"beta": 0.8, "lambda_": 0.1, "alpha": 0.01}
"""What the paper gives every encoder of both its networks."""


def predify(
    backbone: nn.Module,
    config: Config | str | os.PathLike[str] | None = None,
    *,
    encoders: Sequence[str] | None = None,
    decoders: Sequence[nn.Module | None] | None = None,
    beta: float | Sequence[float] | None = None,
    lambda_: float | Sequence[float] | None = None,
    alpha: float | Sequence[float] | None = None,
    scaling: Literal["plain", "scaled"] | None = None,
    input_size: tuple[int, int, int] | None = None,
    prediction_cells: Sequence[float] | None = None,
    compat: Literal["public"] | None = None,
    error_gradient: Literal["full", "constant"] = "full",
    trust_code: bool = False,
) -> PredictiveCodingNetwork:
    """Turn any network into a predictive-coding one, described by a configuration or piece by piece.

    Args:
        backbone: Maps images to logits. It is copied; the caller's stays as it is.
        config: A configuration, or the path of one in the public package's TOML. It excludes `encoders`,
            `decoders`, `beta`, `lambda_`, `alpha`, `scaling` and `input_size`.
        encoders: Paths of the modules that act as encoders, in the order in which they run.
        decoders: For each encoder a module, or None for the default decoder.
        beta: Weight of the feedforward term, one for all or one for each; the paper's 0.8.
        lambda_: Weight of the feedback term; the paper's 0.1. The top encoder's is not used.
        alpha: Weight of the error correction; the paper's 0.01.
        scaling: "plain" (the default) or "scaled"; see `Scaling`.
        input_size: Channels, height and width of an image. Default decoders need it; given, the shapes of all
            decoders are checked at once instead of in the first timestep.
        prediction_cells: C of each encoder for the scaled update; by default from the decoders' geometry.
        compat: "public" divides the plain error by the batch too, as the public package does; results then
            depend on who shares a batch.
        error_gradient: "full", or "constant", which hides the error term from outer gradients; see
            `ErrorGradient`.
        trust_code: Run the Python code of the configuration.

    Raises:
        ValueError: If an encoder does not exist, a decoder does not fit, or a number is out of range.
        ConfigError: If the configuration cannot be read, or holds code that is not trusted.
        TypeError: If both or neither of `config` and `encoders` are given.
    """
    if compat not in (None, "public"):
        raise ValueError(f"compat must be None or 'public', got {compat!r}")
    pieces = {"encoders": encoders, "decoders": decoders, "beta": beta, "lambda_": lambda_, "alpha": alpha}
    pieces |= {"scaling": scaling, "input_size": input_size}
    given: dict[str, Any] = {name: value for name, value in pieces.items() if value is not None}
    plan = _plan_of_pieces(**given) if config is None else _plan_of(config, trust_code, given)
    backbone = copy.deepcopy(backbone)
    network = PredictiveCodingNetwork(
        backbone,
        plan.encoders,
        _decoders(backbone, plan),
        plan.balances,
        scaling=plan.scaling,
        prediction_cells=prediction_cells,
        is_public=compat == "public",
        error_gradient=ErrorGradient(error_gradient),
    )
    if plan.input_size is not None:
        network.check(_blank(backbone, plan.input_size))
    return network


@dataclass(frozen=True)
class Part:
    """An encoder of a network and its decoder, as a person wants to see them; shapes without the batch."""

    encoder: str
    shape: tuple[int, ...]
    decoder: str
    target: tuple[int, ...]
    cells: float | None
    """C of the scaled update; None where the geometry does not tell."""
    parameters: int
    """Of the decoder."""
    balance: Balance


def describe(network: PredictiveCodingNetwork, input_size: Shape) -> list[Part]:
    """Return the parts of a network for images of `input_size` (channels, height, width), lowest first."""
    shapes = network.shapes(_blank(network.backbone, input_size))
    targets = [tuple(input_size), *shapes]
    return [
        Part(
            encoder=encoder,
            shape=shapes[n],
            decoder=" ".join(repr(network.decoders[n]).split()),
            target=targets[n],
            cells=_cells(network, n, shapes[n]),
            parameters=sum(p.numel() for p in network.decoders[n].parameters()),
            balance=network.balances[n],
        )
        for n, encoder in enumerate(network.encoders)
    ]


def _cells(network: PredictiveCodingNetwork, n: int, shape: Shape) -> float | None:
    if network.prediction_cells is not None:
        return network.prediction_cells[n]
    try:
        return count_cells(network.decoders[n], shape)
    except ValueError:
        return None


@dataclass(frozen=True)
class _Plan:
    encoders: Sequence[str]
    decoders: Sequence[nn.Module | Sequence[Layer] | str | None]
    """Modules, or what to make them of: data, code, or nothing, which means the default."""
    balances: Sequence[Balance]
    scaling: Scaling
    input_size: Shape | None
    imports: Sequence[str] = ()


def _plan_of_pieces(
    encoders: Sequence[str] | None = None,
    decoders: Sequence[nn.Module | None] | None = None,
    scaling: str = "plain",
    input_size: Shape | None = None,
    **balances: float | Sequence[float],
) -> _Plan:
    if encoders is None:
        raise TypeError("predify needs a config or encoders")
    parts = decoders if decoders is not None else [None] * len(encoders)
    return _Plan(encoders, parts, _balances(len(encoders), **balances), Scaling(scaling), input_size)


def _plan_of(
    config: Config | str | os.PathLike[str], trust_code: bool, pieces: Mapping[str, object]
) -> _Plan:
    if pieces:
        raise TypeError(f"config excludes {', '.join(pieces)}")
    config = config if isinstance(config, Config) else read_config(config)
    if not trust_code:
        config.refuse_code()
    return _Plan(
        [pcoder.module for pcoder in config.pcoders],
        [pcoder.predictor or pcoder.decoder for pcoder in config.pcoders],
        config.balances,
        config.scaling,
        config.input_size,
        config.imports,
    )


def _balances(encoders: int, **given: float | Sequence[float]) -> list[Balance]:
    columns = {}
    for name, published in PAPER.items():
        values = given.get(name, published)
        columns[name] = list(values) if isinstance(values, Sequence) else [values] * encoders
        if len(columns[name]) != encoders:
            raise ValueError(
                f"{name} must have one value per encoder, {encoders} in all, got {len(columns[name])}"
            )
    return [Balance(*row) for row in zip(*columns.values(), strict=True)]


def _decoders(backbone: nn.Module, plan: _Plan) -> list[nn.Module]:
    """Return the decoders; those made here have the backbone's precision and device."""
    modules = [decoder for decoder in plan.decoders if isinstance(decoder, nn.Module)]
    if len(modules) == len(plan.decoders):
        return modules
    if plan.input_size is None:
        raise ValueError("default decoders need input_size, the channels, height and width of an image")
    if len(plan.decoders) != len(plan.encoders):
        raise ValueError(
            f"there must be one decoder per encoder, {len(plan.encoders)} in all, got {len(plan.decoders)}"
        )
    blank = _blank(backbone, plan.input_size)
    sources = encoder_shapes(backbone.eval(), plan.encoders, blank)
    targets = [tuple(plan.input_size), *sources[:-1]]
    made = []
    for decoder, source, target in zip(plan.decoders, sources, targets, strict=True):
        if isinstance(decoder, nn.Module):
            made.append(decoder)
        elif isinstance(decoder, str):
            made.append(_run(decoder, plan.imports).to(blank))
        elif len(source) != 3 or len(target) != 3:
            raise ValueError(
                f"a decoder from {source} to {target}, which are no images, must be given as a module"
            )
        elif decoder is not None:
            made.append(build_decoder(decoder, source, target).to(blank))
        else:
            made.append(default_decoder(source, target).to(blank))
    return made


def _run(code: str, imports: Sequence[str]) -> nn.Module:
    """Run a predictor of a configuration, which its reader trusts."""
    namespace: dict[str, Any] = {}
    try:
        exec("\n".join(imports), namespace)
        decoder = eval(code, namespace)
    except Exception as error:
        raise ConfigError(f"the predictor {code!r} fails: {type(error).__name__}: {error}") from error
    if not isinstance(decoder, nn.Module):
        raise ConfigError(f"the predictor {code!r} is no module but {type(decoder).__name__}")
    return decoder


def _blank(backbone: nn.Module, input_size: Shape) -> Tensor:
    """Return an empty image in the backbone's precision, on its device."""
    like = next((p for p in backbone.parameters() if p.is_floating_point()), torch.zeros(()))
    return like.new_zeros(1, *input_size)
