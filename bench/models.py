"""From what a person names to a model that can be planned for and loaded."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import json
import operator
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zoo
from bench.alone import divides_by_batch, pinned
from bench.data import Dataset
from bench.data import dataset as known_dataset
from bench.errors import BenchError, UnknownName
from bench.identity import source_hash, state_hash
from bench.imagenet import PREDIFY, Preparation
from bench.suites import Scored
from reports.cell import ModelSettings, canonical
from zoo.checkpoint import build, locate, read_into

if TYPE_CHECKING:
    from torch import Tensor, nn

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
    takes_channels_last: bool = True
    """Whether it can be shown images whose channels lie innermost, and have such weights; False for a network
    that takes `view` of a feature."""

    @property
    def is_shown_alone(self) -> bool:
        """Whether it is shown one image at a time, for another batch size would give other answers."""
        return divides_by_batch(self.scored.settings)


def from_zoo(name: str, checkpoint: str | None = None, iterations: int | None = None) -> Candidate:
    """Return a model of the zoo; its checkpoint, by default its first, is found and verified, not yet read.

    Raises:
        BenchError: If the model or the checkpoint is unknown, damaged or missing.
    """
    if name not in zoo.ENTRIES:
        raise _unknown(name)
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
    scored = Scored(name, file.sha256, count, pinned(_settings(name, entry.settings)))
    known_name = checkpoint if checkpoint in entry.checkpoints else Path(checkpoint).name
    return Candidate(scored, entry.label, entry.dataset, known_name, load)


def from_file(spec: str, dataset: str | None, iterations: int | None = None) -> Candidate:
    """Return a person's own model, named as "path/to/file.py:factory"; in tables it is "file.factory".

    The file is executed. Its hash is part of the model's identity, beside that of its weights.

    Raises:
        BenchError: If the file or the factory is not there, fails, or returns something else.
    """
    path, _, factory = spec.rpartition(":")
    file = Path(path)
    if file.is_file() and dataset is None:
        raise BenchError(f"name the dataset of {spec!r} with --dataset")
    network = make_from_file(spec)
    code_hash = hashlib.sha256(file.read_bytes()).hexdigest() + source_hash(network)
    return from_object(network, str(dataset), f"{file.stem}.{factory}", iterations, code_hash)


def from_memory(network: nn.Module, dataset: str, iterations: int | None = None) -> Candidate:
    """Return a copy of a model of the caller's process, which stays as it is: its mode, device, gradients.

    Raises:
        BenchError: If it cannot be copied, or as `from_object`.
    """
    _require_module(network)
    try:
        twin = copy.deepcopy(network)
    except (RuntimeError, TypeError) as error:
        raise BenchError(f"{type(network).__name__} cannot be copied: {_line(error)}") from error
    return from_object(twin, dataset, iterations=iterations, code_hash=source_hash(twin))


def make_from_file(spec: str) -> nn.Module:
    """Return what a factory of a file makes, named as "path/to/file.py:factory"; the file is executed.

    It may import the files beside it, as long as no installed package has their name.

    Raises:
        BenchError: If the file or the factory is not there, fails, or returns something else.
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
        with _importable(file.resolve().parent):
            module_spec.loader.exec_module(module)
            network: nn.Module = getattr(module, factory)()
    except (Exception, SystemExit) as error:
        raise BenchError(f"{spec} cannot be made: {_line(error)}") from error
    _require_module(network)
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
    from zoo.feedback import FeedbackModel
    from zoo.plain import Plain

    _require_module(network)
    name = name or type(network).__name__
    network.eval()
    is_recurrent = isinstance(network, FeedbackModel)
    model: Any = network if is_recurrent else Plain(network).eval()
    if iterations is None:
        iterations = _own_iterations(network, name, is_recurrent)
    elif iterations and not is_recurrent:
        raise BenchError(f"{name} has no unroll, so iterations must be 0, got {iterations}")
    known = known_dataset(dataset)
    shape = preparation.shape if known.torchvision is None else known.shape
    images = _grey(model, shape)
    passes = _count_passes(model, name, known, images, iterations)
    # Attacks are left with a single image in the end.
    _count_passes(model, name, known, images[:1], iterations)
    scored = Scored(name, state_hash(network, code_hash), passes - 1, pinned(settings_of(network)))
    takes_channels_last = _takes_channels_last(model, images, iterations)
    return Candidate(scored, name, dataset, "own", lambda: model, preparation, takes_channels_last)


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


def _require_module(network: object) -> None:
    from torch import nn

    if not isinstance(network, nn.Module):
        raise BenchError(f"a model must be a torch.nn.Module, got {type(network).__name__}")


def _own_iterations(network: nn.Module, name: str, is_recurrent: bool) -> int:
    """Return the attribute `iterations`, which a network with `unroll` must have."""
    found = getattr(network, "iterations", None if is_recurrent else 0)
    if found is None:
        raise BenchError(
            f"{name} has unroll but does not say for how many iterations: give iterations (--iterations), or "
            "the network an attribute of that name"
        )
    try:
        iterations = operator.index(found)
    except TypeError:
        iterations = -1
    if iterations < 0:
        raise BenchError(f"the attribute iterations of {name} must be a whole number from 0, got {found!r}")
    return iterations


def _takes_channels_last(model: FeedbackModel, images: Tensor, iterations: int) -> bool:
    """Tell whether a model answers with the channels innermost; one with `view` of a feature does not."""
    import torch

    try:
        # Not every model can be copied.
        twin = copy.deepcopy(model)
        if isinstance(twin, torch.nn.Module):
            twin.to(memory_format=torch.channels_last)
        with torch.no_grad():
            twin.unroll(images.to(memory_format=torch.channels_last), iterations)
    except Exception:
        # Whatever a person's code raises: what fails in the usual layout too is told there.
        return False
    return True


def _count_passes(model: FeedbackModel, name: str, dataset: Dataset, images: Tensor, iterations: int) -> int:
    """Try the model on a few images and return how many logits it unrolls to."""
    import torch

    count = len(images)
    shown = f"{count} images" if count > 1 else "a single image"
    classes = len(dataset.classes)
    try:
        with torch.no_grad():
            logits = model.unroll(images, iterations)
    except Exception as error:
        raise BenchError(f"{name} fails on {shown} of {dataset.name}: {_line(error)}") from error
    if not torch.is_tensor(logits):
        raise BenchError(f"{name} must return logits as a tensor, got {type(logits).__name__}")
    passes = {1, iterations + 1}
    if logits.ndim != 3 or logits.shape[0] not in passes or tuple(logits.shape[1:]) != (count, classes):
        wanted = f"({iterations + 1}, {count}, {classes})"
        raise BenchError(
            f"{name} must return logits of shape {wanted} for {shown}, got {tuple(logits.shape)}"
        )
    return int(logits.shape[0])


def _grey(model: FeedbackModel, shape: tuple[int, int, int]) -> Tensor:
    """Return two grey images where the model is and of its type."""
    import torch

    height, width, channels = shape
    images = torch.full((2, channels, height, width), 0.5)
    parameter = next(iter(model.parameters()), None) if isinstance(model, torch.nn.Module) else None
    return images if parameter is None else images.to(parameter.device, parameter.dtype)


def _unknown(name: str) -> BenchError:
    if Path(name).suffix == ".py":
        return BenchError(f"{name!r} names no factory: give {name}:FACTORY, which returns the model")
    return UnknownName("model", name, zoo.ENTRIES)


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let the files of a folder be imported, after everything that is installed: our own names are common."""
    sys.path.append(str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
