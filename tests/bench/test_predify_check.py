"""`bench predify`: a configuration, checked against a backbone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from bench.cli import main
from zoo.predictive_coding import ConfigWarning

CONFIG = """
name = "PResNet18"
input_size = [3, 64, 64]
imports = []
gradient_scaling = true
shared_hyperparameters = false

[[pcoders]]
module = "layer1[1]"
hyperparameters = {feedforward = 0.8, feedback = 0.1, pc = 0.01}
decoder = [
    {layer = "Upsample", scale_factor = 4.0},
    {layer = "ConvTranspose2d", kernel_size = 3, padding = 1},
]

[[pcoders]]
module = "layer2"
"""


def checked(
    tmp_path: Path, backbone: str = "torchvision:resnet18", *options: str, config: str = CONFIG
) -> Result:
    path = tmp_path / "config.toml"
    path.write_text(config)
    return CliRunner().invoke(main, ["predify", str(path), "--backbone", backbone, *options])


def test_the_network_is_shown(tmp_path: Path) -> None:
    """Encoders with shapes, decoders, C and parameters: 64 * 3 * 9 + 3 and 128 * 64 * 9 + 64 by hand."""
    shown = checked(tmp_path)

    assert shown.exit_code == 0
    assert "images 3x64x64, scaling scaled, 11,689,512 parameters in the backbone and 75,523" in shown.output
    rows = [[cell.strip() for cell in line.split("|")] for line in shown.output.splitlines() if "x" in line]
    first, second = (next(row for row in rows if name in row) for name in ("layer1.1", "layer2"))
    assert (first[2], first[4], first[7]) == ("64x16x16", "3x64x64", "1,731")
    assert first[6] == "0.8 / 0.1 / 0.01"
    assert (second[2], second[4], second[7]) == ("128x8x8", "64x16x16", "73,792")
    assert "Upsample" in second[3]


def test_the_readme_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's own TOML on torchvision's network: the command, and the lines of Python."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    config, code = (
        re.search(rf"```{kind}\n([^`]*pcoders[^`]*|[^`]*predify[^`]*)```", readme)
        for kind in ("toml", "python")
    )
    assert config
    assert code
    (tmp_path / "presnet18.toml").write_text(config[1])
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"images": torch.rand(2, 3, 64, 64)}
    with pytest.warns(ConfigWarning):
        exec(code[1], names)
    logits = names["logits"]

    assert isinstance(logits, torch.Tensor)
    assert logits.shape == (11, 2, 1000)
    assert checked(tmp_path, config=config[1]).exit_code == 0


def test_defaults_that_were_taken_are_told(tmp_path: Path) -> None:
    """Nothing is filled in silently."""
    assert "pcoders.1: no 'predictor' or 'decoder', taking the default decoder" in checked(tmp_path).output


def test_a_backbone_of_ones_own(tmp_path: Path) -> None:
    """A factory in a file serves as well."""
    net = tmp_path / "net.py"
    net.write_text("from torchvision.models import resnet18 as made\n")
    shown = checked(tmp_path, f"{net}:made")

    assert shown.exit_code == 0
    assert "layer1.1" in shown.output


@pytest.mark.parametrize(
    ("backbone", "old", "new", "message"),
    [
        ("torchvision:resnet19", "", "", "unknown torchvision model 'resnet19'; did you mean 'resnet18'"),
        ("resnet18", "", "", "name the backbone as torchvision:NAME or FILE.py:FACTORY, got 'resnet18'"),
        ("nowhere.py:made", "", "", "no file 'nowhere.py'"),
        ("torchvision:resnet18", "layer2", "layer22", "no module 'layer22'; did you mean 'layer2'"),
        ("torchvision:resnet18", "scale_factor = 4.0", "scale_factor = 2.0", "3x32x32"),
        ("torchvision:resnet18", "feedback = 0.1", "feedback = 0.3", "above 1"),
        ("torchvision:resnet18", "input_size", "size", "input_size"),
    ],
)
def test_what_does_not_fit_is_one_line(
    tmp_path: Path, backbone: str, old: str, new: str, message: str
) -> None:
    """The nearest names and both shapes are in it, and the exit code is that of usage."""
    shown = checked(tmp_path, backbone, config=CONFIG.replace(old, new) if old else CONFIG)

    assert shown.exit_code == 2
    assert message in shown.output
    assert shown.output.count("\n") == 1
