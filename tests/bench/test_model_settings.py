"""The settings of a model beside its weights: spelt out, part of every cell, and no part of the draws."""

from __future__ import annotations

import inspect
import pkgutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import nn

import bench
import zoo
from bench import models
from bench.cli import main
from bench.errors import BenchError
from reports.cell import Cell
from reports.records import Store
from zoo.checkpoint import build
from zoo.predictive_coding import Normalised, PredictiveCodingNetwork, predify

TOLD_BY_WEIGHTS = {"classes", "widths"}
"""Arguments of factories that shapes of weights tell."""
BALANCES = ("beta", "lambda_", "alpha")


@pytest.mark.parametrize("name", zoo.ENTRIES)
def test_entries_spell_out_every_setting(name: str) -> None:
    """A changed default of a factory can never hide behind an unchanged key."""
    entry = zoo.ENTRIES[name]
    parameters = inspect.signature(pkgutil.resolve_name(entry.build)).parameters.values()
    named = {p.name for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD}
    with torch.device("meta"):
        network = build(entry)

    assert named - TOLD_BY_WEIGHTS <= entry.settings.keys()
    inner = network.model if isinstance(network, Normalised) else network
    if not isinstance(inner, PredictiveCodingNetwork):
        return
    effective = models.settings_of(network)
    spread = {n: [v] * len(inner.encoders) if isinstance(v, float) else v for n, v in entry.settings.items()}
    assert effective.pop("encoders") == list(inner.encoders)
    assert effective == {n: list(v) if isinstance(v, tuple) else v for n, v in spread.items()}


def tuned(monkeypatch: pytest.MonkeyPatch, beta: float) -> None:
    """Change a balance of a network of the zoo, and nothing else."""
    entry = zoo.ENTRIES["pcn_fmnist"]
    settings = {**entry.settings, "beta": beta}
    monkeypatch.setitem(zoo.ENTRIES, "pcn_fmnist", replace(entry, settings=settings))


def measure(results: Path, *more: str) -> list[Cell]:
    """Run a few cells in a folder and return all that are in it."""
    suite = ["--suite", "predify-noise", "--examples", "4", "--iterations", "1", "--device", "cpu"]
    done = CliRunner().invoke(
        main, ["run", "--model", "pcn_fmnist", *suite, "--results", str(results), *more]
    )
    assert done.exit_code == 0, done.output
    return [record.cell for record in Store(results).read()]


def test_a_changed_balance_is_measured_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A resumed run finds none of its cells finished, and what was measured before is not in its table."""
    before = measure(tmp_path)
    again = measure(tmp_path)
    tuned(monkeypatch, 0.3)
    after = measure(tmp_path)[len(before) :]
    frame = bench.evaluate(
        "pcn_fmnist", suite="predify-noise", examples=4, iterations=1, device="cpu", results=tmp_path
    )

    assert again == before
    assert len(after) == len(before)
    assert {cell.weights for cell in after} == {cell.weights for cell in before}
    assert [cell.settings["beta"] for cell in (before[0], after[0])] == [0.8, 0.3]
    assert set(frame["key"]) == {cell.key for cell in after}


def test_a_changed_balance_draws_as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same noise on the same images, so the first pass, which no balance enters, answers the same."""
    before = measure(tmp_path)
    tuned(monkeypatch, 0.3)
    after = measure(tmp_path)[len(before) :]
    records = {record.key: record for record in Store(tmp_path).read()}

    for one, other in zip(before, after, strict=True):
        assert one.draw_key == other.draw_key
        tables = [Store(tmp_path).read_outcomes(records[cell.key]) for cell in (one, other)]
        assert tables[0]["l2"].tolist() == tables[1]["l2"].tolist()
        if one.iterations == 0:
            assert tables[0]["prediction"].tolist() == tables[1]["prediction"].tolist()


def test_the_source_of_a_transfer_attack_tells_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another residual parameter of the attacker's network is another attack."""
    entry = zoo.ENTRIES["cnn_fmnist"]

    def keys() -> set[str]:
        frame = bench.evaluate("cnnf_fmnist", suite="smoke", examples=1, spsa_examples=1, device="cpu")
        return set(frame.loc[frame["transfer"], "key"])

    before = keys()
    monkeypatch.setitem(
        zoo.ENTRIES, "cnn_fmnist", replace(entry, settings={**entry.settings, "res_param": 0.5})
    )

    assert before
    assert not before & keys()


def backbone() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 784, 10))


def predictive(beta: float) -> nn.Module:
    torch.manual_seed(0)
    return predify(backbone(), encoders=["1"], beta=beta, input_size=(1, 28, 28))


def test_a_persons_predictive_coding_network_tells_its_balances() -> None:
    """Balances are in no state dict: without their settings two networks would be one."""
    one, other = (models.from_object(predictive(b), "fashion_mnist", "net", 2).scored for b in (0.8, 0.5))

    assert one.weights == other.weights
    assert (one.settings["beta"], other.settings["beta"]) == ([0.8], [0.5])
    assert one.identity != other.identity


class Wrapped(nn.Module):
    """A person's own normalisation around two networks, with a setting of its own."""

    def __init__(self, settings: object) -> None:
        super().__init__()
        self.first, self.second = predictive(0.8), predictive(0.5)
        self.settings = settings

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.first.unroll(images, 1)[-1] + self.second.unroll(images, 1)[-1]


def test_settings_of_several_modules_are_told_apart() -> None:
    """By the paths of the modules; the network's own have none."""
    settings = models.from_object(Wrapped({"mean": 0.5}), "fashion_mnist").scored.settings

    assert settings["mean"] == 0.5
    assert (settings["first.beta"], settings["second.beta"]) == ([0.8], [0.5])


def test_what_is_no_mapping_is_no_settings() -> None:
    """An attribute of that name may mean something else in a network that somebody else wrote."""
    assert "mean" not in models.settings_of(Wrapped("fast"))
    assert models.settings_of(nn.Linear(1, 1)) == {}


@pytest.mark.parametrize("value", [float("nan"), torch.zeros(1), {1, 2}])
def test_settings_that_cannot_be_recorded_are_refused(value: object) -> None:
    """One line names whose they are."""
    with pytest.raises(BenchError, match="the settings of Wrapped cannot be recorded: "):
        models.from_object(Wrapped({"mean": value}), "fashion_mnist")


def test_a_cnnf_tells_its_gates() -> None:
    """Res_param and the reading of AdaReLU are in no state dict either."""
    one, other = (zoo.cnnf.four_conv(2, res_param) for res_param in (0.1, 0.2))

    assert models.settings_of(one)["adarelu"] == ["signed 0.1 hard"]
    assert models.settings_of(one) != models.settings_of(other)
    assert models.settings_of(one) != models.settings_of(zoo.cnnf.four_conv(2, 0.1, "rectified"))
