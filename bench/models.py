"""From what a person names to a model that can be planned for and loaded."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zoo
from bench.data import Dataset
from bench.data import dataset as known_dataset
from bench.errors import BenchError, UnknownName
from bench.imagenet import PREDIFY, Preparation
from bench.suites import Scored
from reports.cell import ModelSettings, canonical
from zoo.checkpoint import build, locate, read_into

if TYPE_CHECKING:
    from torch import nn

    from zoo.feedback import FeedbackModel


@dataclass(frozen=True)
class Candidate:
    """A model to be evaluated: its identity now, its weights when they are needed."""

    scored: Scored
    label: str
    """Its name in tables."""
    dataset: str
    checkpoint: str
    """Name or file name of its weights."""
    load: Callable[[], FeedbackModel]
    """Returns it on the CPU in evaluation mode."""
    preparation: Preparation = PREDIFY
    """How it wants photographs of ImageNet."""


def from_zoo(name: str, checkpoint: str | None = None, iterations: int | None = None) -> Candidate:
    """Return a model of the zoo; its checkpoint, by default its first, is found and verified, not yet read.

    Raises:
        BenchError: If the model or the checkpoint is unknown, damaged or missing.
    """
    if name not in zoo.ENTRIES:
        raise UnknownName("model", name, zoo.ENTRIES)
    entry = zoo.ENTRIES[name]
    if entry.iterations == 0 and iterations:
        raise BenchError(f"{name} has no feedback, so iterations must be 0, got {iterations}")
    checkpoint = checkpoint or next(iter(entry.checkpoints), "shipped")
    try:
        file = locate(entry, checkpoint)
    except zoo.CheckpointError as error:
        raise BenchError(str(error)) from error

    def load() -> FeedbackModel:
        try:
            return read_into(build(entry), file).eval()
        except zoo.CheckpointError as error:
            raise BenchError(str(error)) from error

    count = entry.iterations if iterations is None else iterations
    scored = Scored(name, file.sha256, count, _settings(name, entry.settings))
    known_name = checkpoint if checkpoint in entry.checkpoints else Path(checkpoint).name
    return Candidate(scored, entry.label, entry.dataset, known_name, load)


def from_file(spec: str, dataset: str | None, iterations: int | None = None) -> Candidate:
    """Return a person's own model, named as "path/to/file.py:factory".

    The file is executed. Its hash is part of the model's identity, beside that of its weights.

    Raises:
        BenchError: If the file or the factory is not there, fails, or returns something else.
    """
    path, _, factory = spec.rpartition(":")
    file = Path(path)
    if file.is_file() and dataset is None:
        raise BenchError(f"name the dataset of {spec!r} with --dataset")
    network = make_from_file(spec)
    code_hash = hashlib.sha256(file.read_bytes()).hexdigest()
    return from_object(network, str(dataset), factory, iterations, code_hash)


def make_from_file(spec: str) -> nn.Module:
    """Return what a factory of a file makes, named as "path/to/file.py:factory"; the file is executed.

    Raises:
        BenchError: If the file or the factory is not there, or fails.
    """
    path, _, factory = spec.rpartition(":")
    file = Path(path)
    if not file.is_file():
        raise BenchError(f"no file {str(file)!r} for the model {spec!r}")
    module_spec = importlib.util.spec_from_file_location(f"bench_model_{file.stem}", file)
    if module_spec is None or module_spec.loader is None:
        raise BenchError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = module
    try:
        module_spec.loader.exec_module(module)
        network: nn.Module = getattr(module, factory)()
    except Exception as error:
        raise BenchError(f"{spec} cannot be made: {type(error).__name__}: {error}") from error
    return network


def from_object(
    network: nn.Module,
    dataset: str,
    name: str | None = None,
    iterations: int | None = None,
    code_hash: str = "",
    preparation: Preparation = PREDIFY,
) -> Candidate:
    """Return a model that is already made: a module from images in [0, 1] to logits, or one with `unroll`.

    Args:
        network: The model; it is put into evaluation mode. What is neither in its weights nor in
            `code_hash` it tells by an attribute `settings`, a mapping to JSON values (`settings_of`).
        dataset: What its classes are.
        name: Its name in records and tables; by default that of its class.
        iterations: Feedback iterations to evaluate it with; by default its attribute `iterations`, or 0.
        code_hash: Hash of its source, mixed into its identity.
        preparation: How it wants photographs of ImageNet.

    Raises:
        BenchError: If it is not a module, or does not keep to the protocol on two images.
    """
    from torch import nn

    from zoo.feedback import FeedbackModel
    from zoo.plain import Plain

    if not isinstance(network, nn.Module):
        raise BenchError(f"a model must be a torch.nn.Module, got {type(network).__name__}")
    name = name or type(network).__name__
    network.eval()
    model: Any = network if isinstance(network, FeedbackModel) else Plain(network).eval()
    if iterations is None:
        iterations = int(getattr(network, "iterations", 0))
    known = known_dataset(dataset)
    shape = preparation.shape if known.torchvision is None else known.shape
    passes = _count_passes(model, name, known, shape, iterations)
    scored = Scored(name, state_hash(network, code_hash), passes - 1, settings_of(network))
    return Candidate(scored, name, dataset, "own", lambda: model, preparation)


def settings_of(network: nn.Module) -> ModelSettings:
    """Return what a network says of itself beside its weights: the mapping `settings` of its modules.

    Those of several modules are told apart by the paths of the modules.

    Raises:
        BenchError: If a setting cannot be written as JSON.
    """
    found = {
        path: _settings(path or type(network).__name__, settings)
        for path, module in network.named_modules()
        if isinstance(settings := getattr(module, "settings", None), Mapping)
    }
    if len(found) == 1:
        return next(iter(found.values()))
    return {".".join(filter(None, (path, name))): own[name] for path, own in found.items() for name in own}


def _settings(owner: str, settings: Mapping[str, object]) -> ModelSettings:
    """Return settings as they are read from JSON: sequences become lists."""
    try:
        found: ModelSettings = json.loads(canonical(dict(settings)))
    except (TypeError, ValueError) as error:
        raise BenchError(f"the settings of {owner} cannot be recorded: {error}") from error
    return found


def state_hash(network: nn.Module, code_hash: str = "") -> str:
    """Return the SHA-256 of all parameters and buffers with their names, and of `code_hash`."""
    import torch

    digest = hashlib.sha256(f"{type(network).__qualname__}:{code_hash}".encode())
    for name, value in sorted(network.state_dict().items()):
        digest.update(f"{name}:{value.dtype}:{tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _count_passes(
    model: FeedbackModel, name: str, dataset: Dataset, shape: tuple[int, int, int], iterations: int
) -> int:
    """Try the model on two grey images and return how many logits it unrolls to."""
    import torch

    height, width, channels = shape
    classes = len(dataset.classes)
    parameter = (
        next(iter(model.parameters()), torch.zeros(())) if isinstance(model, torch.nn.Module) else None
    )
    probe = torch.full((2, channels, height, width), 0.5)
    probe = probe if parameter is None else probe.to(parameter.device, parameter.dtype)
    try:
        with torch.no_grad():
            logits = model.unroll(probe, iterations)
    except Exception as error:
        raise BenchError(
            f"{name} fails on images of {dataset.name}: {type(error).__name__}: {error}"
        ) from error
    passes = {1, iterations + 1}
    if logits.ndim != 3 or logits.shape[0] not in passes or tuple(logits.shape[1:]) != (2, classes):
        wanted = f"({iterations + 1}, 2, {classes})"
        raise BenchError(
            f"{name} must return logits of shape {wanted} for 2 images, got {tuple(logits.shape)}"
        )
    return int(logits.shape[0])
