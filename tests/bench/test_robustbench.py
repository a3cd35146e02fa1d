"""RobustBench's own code on a model file in its layout; needs the extra, as in `tox -e robustbench`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from bench import compat, data, evaluate, suites
from bench.cli import main
from bench.errors import BenchError, UnknownName
from bench.robustbench import PREFIX, Listed, _remedy, find, from_robustbench, preparation_of
from reports.records import Store

SMALL = {
    "cifar10": ("Linf", "Wong2020Fast"),
    "cifar100": ("Linf", "Rice2020Overfitting"),
    "imagenet": ("Linf", "Salman2020Do_R18"),
}
"""Dataset -> threat model and name of a ResNet-18, the smallest of its zoo."""
NAME = SMALL["cifar10"][1]
SHORT = f"robustbench:cifar10/Linf/{NAME}"


@pytest.fixture
def robustbench() -> None:
    """Make robustbench importable, or skip."""
    try:
        compat.enable_robustbench()
    except BenchError as error:
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def _offline(monkeypatch) -> None:
    """A test that would download fails at once."""

    def refuse(*_, **__):
        raise AssertionError("a test must not go online")

    monkeypatch.setattr("socket.socket.connect", refuse)


@pytest.fixture
def store(robustbench, tmp_path: Path, monkeypatch) -> Callable[[str, str, str], Path]:
    """Return a function that writes drawn weights into RobustBench's layout and returns their folder."""
    folder = tmp_path / "models"
    monkeypatch.setenv("BENCH_ROBUSTBENCH_DIR", str(folder))

    def write(dataset: str, threat: str, name: str) -> Path:
        from robustbench.model_zoo import model_dicts
        from robustbench.model_zoo.enums import BenchmarkDataset, ThreatModel

        torch.manual_seed(0)
        network = model_dicts[BenchmarkDataset(dataset)][ThreatModel(threat)][name]["model"]()
        file = folder / dataset / threat / f"{name}.pt"
        file.parent.mkdir(parents=True)
        # ImageNet networks are stored without the normalisation that RobustBench puts before them; parallel
        # training left "module." in many names.
        state = {key.removeprefix("model."): value for key, value in network.state_dict().items()}
        torch.save({f"module.{key}": value for key, value in state.items() if "normalize" not in key}, file)
        return folder

    return write


@pytest.fixture
def folder(store) -> Path:
    """Return a folder with one model of drawn weights in RobustBench's layout."""
    return store("cifar10", *SMALL["cifar10"])


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return a folder with the test images of CIFAR-100 and four photographs of ImageNet, all of noise."""
    home = tmp_path / "data"
    draws = np.random.default_rng(0)
    for label in range(1000):
        (home / "val" / f"n{label:08d}").mkdir(parents=True)
    for number, label in enumerate((7, 7, 2, 999)):
        pixels = Image.fromarray(draws.integers(0, 256, (300, 400, 3), np.uint8))
        pixels.save(home / "val" / f"n{label:08d}" / f"ILSVRC2012_val_{number:08d}.png")
    levels = np.broadcast_to(draws.integers(0, 256, (10_000, 1, 1, 3), np.uint8), (10_000, 32, 32, 3))
    np.savez(home / "cifar100_test.npz", images=levels, labels=np.arange(10_000) % 100)
    return home


def test_a_model_of_its_zoo_is_measured(folder: Path, tmp_path: Path) -> None:
    """From its name to records, the short name being the same model where the dataset leaves one."""
    frame = evaluate(SHORT, suite="clean", examples=4, results=tmp_path / "results")
    line = json.loads((tmp_path / "results" / "records.jsonl").read_text())
    short = from_robustbench(f"robustbench:{NAME}", "cifar10", folder)

    assert frame["n"].tolist() == [4]
    assert (line["label"], line["cell"]["dataset"]) == (NAME, "cifar10")
    assert (short.scored.name, short.scored.weights) == (line["cell"]["model"], line["cell"]["weights"])


@pytest.mark.parametrize("dataset", SMALL)
def test_models_of_every_dataset_are_attacked(
    dataset: str, store, images: Path, tmp_path: Path, monkeypatch
) -> None:
    """CIFAR-10, CIFAR-100 and ImageNet: classes, image sizes and the suites' settings fit."""
    # No other network attacks it.
    monkeypatch.setattr("zoo.ENTRIES", {})
    store(dataset, *SMALL[dataset])
    spec = f"robustbench:{dataset}/" + "/".join(SMALL[dataset])
    options = {"data_dir": images, "results": tmp_path / "results"}
    clean = evaluate(spec, suite="clean", examples=2, **options)
    attacked = evaluate(spec, suite="transfer", examples=1, **options)
    own = attacked[attacked["attack_target"].notna() & ~attacked["transfer"]]
    epsilon = suites.STRICT[dataset].epsilon

    assert clean[["n", "status"]].to_numpy().tolist() == [[2, "ok"]]
    assert own["status"].tolist() == ["ok"]
    assert own["largest_linf"].item() == pytest.approx(epsilon, rel=1e-4)


@pytest.mark.parametrize(
    ("dataset", "threat", "name"),
    [("cifar10", "L2", "Rice2020Overfitting"), ("cifar100", "corruptions", "Modas2021PRIMEResNet18")],
)
def test_models_of_other_threat_models_are_loaded(dataset: str, threat: str, name: str, store) -> None:
    """What it was trained for is part of its name and, where that tells it from another, of its label."""
    folder = store(dataset, threat, name)
    found = from_robustbench(f"robustbench:{dataset}/{threat}/{name}", folder=folder)

    assert found.scored.name == f"robustbench:{dataset}/{threat}/{name}"
    assert found.label == (f"{name} (L2)" if threat == "L2" else name)


@pytest.mark.parametrize(
    "name",
    [
        "Wong2020Fast",
        "Salman2020Do_R18",
        "Mo2022When_ViT-B",
        "Liu2023Comprehensive_ConvNeXt-B",
        "Debenedetti2022Light_XCiT-S12",
    ],
)
def test_photographs_are_prepared_as_robustbench_does(name: str, robustbench, images: Path) -> None:
    """To the pixel: each model has its own size, cut and interpolation, those of timm theirs."""
    from robustbench.data import get_preprocessing
    from robustbench.model_zoo.enums import BenchmarkDataset, ThreatModel

    (first,) = (images / "val" / "n00000007").glob("*00.png")
    preparation = preparation_of(find(f"robustbench:imagenet/Linf/{name}"))
    theirs = get_preprocessing(BenchmarkDataset.imagenet, ThreatModel.Linf, name, None)(Image.open(first))
    ours = data.evaluation_images("imagenet", 1, images, preparation).images[0]

    assert ours.shape == preparation.shape
    assert np.array_equal(ours, theirs.mul(255).round().byte().permute(1, 2, 0).numpy())


def cifar_c(folder: Path, labels: np.ndarray) -> Path:
    """Write CIFAR-10-C or CIFAR-100-C with one kind, whose images hold the severity and the label."""
    folder.mkdir()
    severity = np.repeat(np.arange(1, 6, dtype=np.uint8), 10_000)
    repeated = np.tile(labels.astype(np.uint8), 5)
    pixels = np.lib.format.open_memmap(folder / "fog.npy", "w+", np.uint8, (50_000, 32, 32, 3))
    pixels[...] = np.stack([severity, repeated, severity], 1)[:, None, None]
    pixels.flush()
    np.save(folder / "labels.npy", repeated)
    return folder


def imagenet_c(folder: Path, images: Path) -> Path:
    """Write ImageNet-C with one kind: grey images of the same names as the clean ones."""
    for file in sorted((images / "val").glob("*/*.png")):
        place = folder / "weather" / "fog" / "3" / file.parent.name
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (224, 224), (90, 90, 90)).save(place / file.name)
    for label in range(1000):
        (folder / "weather" / "fog" / "3" / f"n{label:08d}").mkdir(exist_ok=True)
    (folder / "weather" / "fog" / "1").mkdir()
    return folder


def measured_on(spec: str, corrupted: Path, images: Path, results: Path) -> Result:
    options = ["--model", spec, "--suite", "corruptions", "--corruptions", "fog", "--severities", "3"]
    options += ["--examples", "3", "--corrupted-data", corrupted, "--data-dir", images, "--results", results]
    return CliRunner().invoke(main, ["run", *map(str, options)])


def test_published_images_of_cifar100(store, images: Path, tmp_path: Path) -> None:
    """CIFAR-100-C is read as RobustBench's loader reads it; CIFAR-10-C in its place is told."""
    from robustbench.data import load_cifar100c

    store("cifar100", *SMALL["cifar100"])
    folder = cifar_c(tmp_path / "CIFAR-100-C", np.arange(10_000) % 100)
    shown = measured_on("robustbench:cifar100/Linf/Rice2020Overfitting", folder, images, tmp_path / "r")
    theirs, labels = load_cifar100c(3, 3, str(tmp_path), corruptions=["fog"])
    expected = data.LabelledImages(
        theirs.mul(255).round().byte().permute(0, 2, 3, 1).numpy(), labels.numpy().astype(np.int64)
    )
    (record,) = [record for record in Store(tmp_path / "r").read() if record.cell.perturbation]
    other = cifar_c(tmp_path / "CIFAR-10-C", np.full(10_000, 3))
    told = measured_on("robustbench:cifar100/Linf/Rice2020Overfitting", other, images, tmp_path / "r2")

    assert shown.exit_code == 0, shown.output
    assert record.cell.data == expected.sha256
    assert told.exit_code == 2
    assert "are not those of the first 3 images of cifar100" in told.stderr
    assert len(told.stderr.strip().splitlines()) == 1


def test_published_images_of_imagenet(store, images: Path, tmp_path: Path) -> None:
    """ImageNet-C shows the same photographs as the clean cells, whose classes are mixed."""
    store("imagenet", *SMALL["imagenet"])
    folder = imagenet_c(tmp_path / "ImageNet-C", images)
    shown = measured_on("robustbench:Salman2020Do_R18", folder, images, tmp_path / "r")
    (record,) = [record for record in Store(tmp_path / "r").read() if record.cell.perturbation]
    labels = Store(tmp_path / "r").read_outcomes(record)["label"]

    assert shown.exit_code == 0, shown.output
    assert labels.tolist() == [7, 7, 2]


def test_weights_are_part_of_its_identity(folder: Path) -> None:
    """Another file of the same name is another model."""
    before = from_robustbench(SHORT).scored.weights
    file = folder / "cifar10" / "Linf" / f"{NAME}.pt"
    state = torch.load(file)
    next(iter(state.values())).add_(1)
    torch.save(state, file)

    assert from_robustbench(SHORT).scored.weights != before


def test_pickled_code_is_refused(folder: Path) -> None:
    """A file that holds more than tensors is not unpickled."""
    torch.save({"state_dict": Path("/tmp")}, folder / "cifar10" / "Linf" / f"{NAME}.pt")

    with pytest.raises(BenchError, match="hold more than tensors and are refused"):
        from_robustbench(SHORT)


def test_weights_that_are_not_there_are_asked_for(folder: Path) -> None:
    """Without a network the message says where the files belong, which depends on the model."""
    with pytest.raises(BenchError, match=r"put its weights at .*cifar10/Linf/Rice2020Overfitting\.pt;"):
        from_robustbench("robustbench:cifar10/Linf/Rice2020Overfitting")
    ensemble = Listed("cifar10", "Linf", "Chen2020Adversarial")
    assert "Chen2020Adversarial.pt_m0.pt to _m2.pt" in _remedy(ensemble, folder)
    assert "through timm" in _remedy(Listed("imagenet", "corruptions", "AlexNet"), folder)


def test_unknown_names_are_refused_with_the_nearest(robustbench) -> None:
    """A typo is answered with what was meant, for each part of the name, in a line that can be read."""
    with pytest.raises(UnknownName, match="did you mean 'Wong2020Fast'") as caught:
        find("robustbench:Wong2020Fats")
    assert len(str(caught.value)) < 200
    with pytest.raises(UnknownName, match="unknown RobustBench dataset 'cifar'"):
        find("robustbench:cifar/Linf/Standard")
    with pytest.raises(UnknownName, match="unknown threat model 'L3'"):
        find("robustbench:cifar10/L3/Standard")
    with pytest.raises(UnknownName, match="unknown threat model 'L2'; known: Linf, corruptions"):
        find("robustbench:cifar100/L2/Rice2020Overfitting")
    with pytest.raises(BenchError, match="must be robustbench:NAME or"):
        find("robustbench:cifar10/Standard")


def test_a_name_that_several_models_have_is_asked_about(robustbench) -> None:
    """They are all named, and how to choose; the dataset may be choice enough."""
    several = "Standard is in cifar10/Linf, cifar10/L2, cifar10/corruptions: choose one"
    with pytest.raises(BenchError, match=rf"{several}, as in robustbench:cifar10/Linf/Standard"):
        find("robustbench:Standard")
    with pytest.raises(BenchError, match="Wong2020Fast classifies cifar10 or imagenet, not cifar100"):
        find("robustbench:Wong2020Fast", "cifar100")
    assert find("robustbench:Wong2020Fast", "imagenet").path == "imagenet/Linf/Wong2020Fast"
    assert find("robustbench:Salman2020Do_R18").path == "imagenet/Linf/Salman2020Do_R18"


def test_every_model_has_one_full_name(robustbench) -> None:
    """`bench list robustbench` shows names that are understood."""
    shown = CliRunner().invoke(main, ["list", "robustbench"]).stdout.splitlines()
    names = [line.split()[0] for line in shown]

    assert len(names) > 200
    assert all(PREFIX + find(name).path == name for name in names[::20])


def test_images_are_asked_for_before_weights(robustbench, tmp_path: Path) -> None:
    """ImageNet must be put there by hand; nothing is downloaded before it is."""
    with pytest.raises(BenchError, match=f"no ImageNet in {tmp_path}"):
        from_robustbench("robustbench:Salman2020Do_R18", folder=tmp_path, data_dir=tmp_path)


def test_a_missing_package_is_named(monkeypatch) -> None:
    """Without the extra, one line says how to get it."""
    monkeypatch.setitem(sys.modules, "pyautoattack", None)

    with pytest.raises(BenchError, match=r"pip install '\.\[robustbench\]'"):
        evaluate("robustbench:Standard", suite="clean", examples=1)


def test_its_models_have_no_feedback() -> None:
    """Iterations of a single pass would be meaningless numbers."""
    with pytest.raises(BenchError, match="has no feedback"):
        evaluate("robustbench:Standard", suite="clean", iterations=2)
