"""Models of RobustBench's zoo (Croce et al., NeurIPS 2021 Datasets and Benchmarks), as "robustbench:NAME"."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench import compat, data
from bench.errors import BenchError, UnknownName
from bench.imagenet import PREDIFY, Preparation
from bench.models import Candidate, from_object

if TYPE_CHECKING:
    from torch import nn

PREFIX = "robustbench:"
PARTS = ("RobustBench dataset", "threat model", "RobustBench model")


class Listed(NamedTuple):
    """Where a model stands in RobustBench's zoo."""

    dataset: str
    threat: str
    """Linf, L2 or corruptions: what it was trained for, which does not limit what it is measured under."""
    name: str

    @property
    def path(self) -> str:
        """The three parts, as its files are laid out."""
        return "/".join(self)


def from_robustbench(
    spec: str, dataset: str | None = None, folder: Path | None = None, data_dir: Path | None = None
) -> Candidate:
    """Return a model of RobustBench's zoo; its weights are downloaded unless they are in the folder.

    Args:
        spec: "robustbench:NAME", or "robustbench:DATASET/THREAT/NAME" where several models have the name.
        dataset: Dataset that the caller says it classifies, if any; it may tell models of one name apart.
        folder: Where weights lie as DATASET/THREAT/NAME.pt; by default the environment variable
            BENCH_ROBUSTBENCH_DIR, or a folder of the user's cache.
        data_dir: Where a dataset lies that must be there before weights are fetched.

    Raises:
        BenchError: If robustbench cannot be imported, if the model is unknown, ambiguous or of another
            dataset, if it cannot be fetched or loaded, or if its images must be put somewhere first.
    """
    listed = find(spec, dataset)
    data.require(listed.dataset, data_dir)
    network = _load(listed, folder or _default_folder())
    name, preparation = PREFIX + listed.path, preparation_of(listed)
    candidate = from_object(network, listed.dataset, name, 0, preparation=preparation)
    return replace(candidate, label=_label(listed), checkpoint="robustbench")


def every() -> list[Listed]:
    """Return the whole zoo, in RobustBench's order.

    Raises:
        BenchError: If robustbench cannot be imported.
    """
    compat.enable_robustbench()
    from robustbench.model_zoo import model_dicts

    return [
        Listed(dataset.value, threat.value, name)
        for dataset, threats in model_dicts.items()
        for threat, names in threats.items()
        for name in names
    ]


def find(spec: str, dataset: str | None = None) -> Listed:
    """Return the model that "robustbench:..." names.

    Raises:
        UnknownName: If there is no such dataset, threat model or model.
        BenchError: If several models have the name, or if it is none of the dataset's.
    """
    parts = spec.removeprefix(PREFIX).split("/")
    if len(parts) not in (1, 3):
        raise BenchError(f"{spec!r} must be {PREFIX}NAME or {PREFIX}DATASET/THREAT/NAME")
    found = every()
    for position, part in enumerate(parts, 3 - len(parts)):
        known = {listed[position] for listed in found}
        if part not in known:
            raise UnknownName(PARTS[position], part, known)
        found = [listed for listed in found if listed[position] == part]
    fitting = [listed for listed in found if dataset in (None, listed.dataset)]
    if not fitting:
        theirs = " or ".join(dict.fromkeys(listed.dataset for listed in found))
        raise BenchError(f"{spec} classifies {theirs}, not {dataset}")
    if len(fitting) > 1:
        places = ", ".join(f"{listed.dataset}/{listed.threat}" for listed in fitting)
        raise BenchError(f"{spec} is in {places}: choose one, as in {PREFIX}{fitting[0].path}")
    return fitting[0]


def preparation_of(listed: Listed) -> Preparation:
    """Return how RobustBench resizes and cuts photographs for a model; other images it leaves alone."""
    if listed.dataset != "imagenet":
        return PREDIFY
    from robustbench.data import get_preprocessing
    from robustbench.model_zoo.enums import BenchmarkDataset, ThreatModel
    from torchvision.transforms import CenterCrop, InterpolationMode, Resize

    made = get_preprocessing(BenchmarkDataset(listed.dataset), ThreatModel(listed.threat), listed.name, None)
    preparation = Preparation(resize=None, crop=None)
    for step in made.transforms:
        if isinstance(step, Resize):
            size = step.size if isinstance(step.size, int) else tuple(step.size)
            is_bicubic = step.interpolation is InterpolationMode.BICUBIC
            preparation = replace(preparation, resize=size, is_bicubic=is_bicubic)
        elif isinstance(step, CenterCrop):
            preparation = replace(preparation, crop=step.size[0])
    return preparation


def _label(listed: Listed) -> str:
    """Return its name in tables, with the threat model where that tells it from others of its dataset."""
    namesakes = [other for other in every() if (other.dataset, other.name) == (listed.dataset, listed.name)]
    return listed.name if len(namesakes) == 1 else f"{listed.name} ({listed.threat})"


def _load(listed: Listed, folder: Path) -> nn.Module:
    from robustbench.utils import load_model

    try:
        network: nn.Module = load_model(listed.name, folder, listed.dataset, listed.threat)
    except pickle.UnpicklingError as error:
        raise BenchError(f"the weights of {listed.path} hold more than tensors and are refused") from error
    except Exception as error:
        # Whatever its downloader and its many architectures raise; the user can mend the file or the network.
        reason = " ".join(str(error).split())[:300]
        raise BenchError(
            f"cannot load {listed.path} of RobustBench: {type(error).__name__}: {reason}; "
            + _remedy(listed, folder)
        ) from error
    return network


def _remedy(listed: Listed, folder: Path) -> str:
    """Return where RobustBench looks for the weights of a model."""
    from robustbench.model_zoo import model_dicts
    from robustbench.model_zoo.enums import BenchmarkDataset, ThreatModel

    known = model_dicts[BenchmarkDataset(listed.dataset)][ThreatModel(listed.threat)][listed.name]
    if not (source := known["gdrive_id"]):
        # None for weights of timm, "" for those of torchvision.
        return "its weights come through timm or torchvision, which need a network or their cache"
    file = f"{folder / listed.path}.pt"
    files = f"{file}_m0.pt to _m{len(source) - 1}.pt" if isinstance(source, list) else file
    return f"put its weights at {files}; with a network they are downloaded there"


def _default_folder() -> Path:
    import pooch

    given = os.environ.get("BENCH_ROBUSTBENCH_DIR")
    return Path(given) if given else Path(pooch.os_cache("feedback-bench")) / "robustbench"
