"""A small feedback model and the means to run cells on it; pictures and archives of random levels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench import suites
from bench.corrupted_copies import Options
from bench.devices import Machine
from bench.models import Candidate
from bench.progress import SilentProgress
from bench.runner import Runner
from bench.suites import Request, Scored, Sizes
from reports.cell import Cell
from reports.records import Store
from zoo.cnnf import CNNF
from zoo.cnnf.stages import ConvStage, LinearHead
from zoo.layers import AdaPool, AdaReLU, AdaReLUReading


def tiny() -> CNNF:
    """Return a feedback network that takes microseconds an image."""
    relu = AdaReLU(0.3, AdaReLUReading.SIGNED)
    return CNNF([ConvStage(1, 4, relu, AdaPool()), LinearHead([4 * 14 * 14, 10], relu)], 0, (), 0.3)


@pytest.fixture(scope="session")
def candidates() -> dict[str, Candidate]:
    """Return a feedback network and a plain one with drawn weights."""
    found = {}
    for seed, (name, iterations) in enumerate([("feedback", 2), ("plain", 0)]):
        torch.manual_seed(seed)
        model = tiny()
        scored = Scored(name, f"{seed}" * 64, iterations)
        found[name] = Candidate(scored, name, "fashion_mnist", "drawn", lambda model=model: model)
    return found


@pytest.fixture
def plan(candidates: dict[str, Candidate]) -> Callable[..., list[Cell]]:
    """Return a function from suite and sizes to the cells of the feedback network."""

    def planned(suite: str, examples: int = 8, spsa_examples: int = 2, model: str = "feedback") -> list[Cell]:
        request = Request(
            scored=candidates[model].scored,
            sources=(candidates["plain"].scored,) if model != "plain" else (),
            dataset="fashion_mnist",
            sizes=Sizes(examples, spsa_examples),
            data_hash=lambda n: f"first {n}",
            seed=0,
            backend="native",
        )
        return suites.plan(suite, request)

    return planned


def images(cell: Cell) -> tuple[np.ndarray, np.ndarray]:
    """Return random images; the first n are the same for every n."""
    examples = cell.examples
    pixels = np.random.default_rng(5).integers(0, 256, (64, 28, 28, 1), np.uint8)
    return pixels[:examples], (np.arange(64) % 10)[:examples]


@pytest.fixture
def runner(candidates: dict[str, Candidate], tmp_path: Path) -> Callable[..., Runner]:
    """Return a function that makes a runner on the CPU, with a store of its own if asked."""

    def made(
        folder: str = "results", batch_size: int = 64, dtype: torch.dtype = torch.float32, **others: Candidate
    ) -> Runner:
        known = {c.scored.identity: c for c in (candidates | others).values()}
        machine = Machine(torch.device("cpu"), batch_size, dtype)
        return Runner(known, images, machine, Store(tmp_path / folder), SilentProgress())

    return made


FOG = Options(kinds="fog", severity="2", family="cifar", device="cpu")
NOISE = Options(kinds="gaussian_noise", severity="3", family="cifar", device="cpu")


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    """Return random levels."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def picture(path: Path, *shape: int, seed: int = 0, mode: str | None = None) -> None:
    """Write a picture of random levels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels(*shape, seed=seed))
    (image.convert(mode) if mode else image).save(path)


def archive(path: Path, images: np.ndarray, **others: np.ndarray) -> Path:
    """Write an .npz file of images."""
    np.savez(path, images=images, **others)
    return path


def content(folder: Path) -> dict[str, bytes]:
    """Return what a folder holds, but for lock files."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder of pictures of two sizes, colour and grey, with something else among them."""
    folder = tmp_path / "photos"
    picture(folder / "cat" / "a.png", 32, 32, 3, seed=1)
    picture(folder / "cat" / "b.bmp", 30, 40, 3, seed=2)
    picture(folder / "dog" / "deep" / "c.JPEG", 32, 32, 3, seed=3)
    picture(folder / "dog" / "d.webp", 32, 32, 3, seed=4)
    picture(folder / "grey.jpg", 32, 32, seed=5)
    (folder / "notes.txt").write_text("no picture")
    (folder / "cat" / "._a.png").write_text("no picture either")
    return folder
