from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from zoo.predictive_coding import (
    Balance,
    Config,
    ConfigError,
    ConfigWarning,
    PCoder,
    Scaling,
    predify,
    read_config,
)
from zoo.predictive_coding.conversion import describe
from zoo.predictive_coding.decoders import default_decoder
from zoo.predictive_coding.paths import canonical_name

COMPLETE = """
name = "PNet"
imports = ["from torch.nn import Sequential, ConvTranspose2d, Upsample"]
gradient_scaling = true
shared_hyperparameters = false
input_size = [3, 16, 16]

[[pcoders]]
module = "stages[0][1]"
hyperparameters = {feedforward = 0.2, feedback = 0.05, pc = 0.01}
decoder = [{layer = "ConvTranspose2d", kernel_size = 5, padding = 2}]

[[pcoders]]
module = "stages[1]"
hyperparameters = {feedforward = 0.4, feedback = 0.1, pc = 0.02}
decoder = [
    {layer = "Upsample", scale_factor = 2.0},
    {layer = "Conv2d", channels = 5, kernel_size = 3, padding = 1},
    {layer = "ReLU"},
    {layer = "Conv2d", kernel_size = 1},
]
"""
PREDICTOR = 'predictor = "Sequential(Upsample(scale_factor=2), ConvTranspose2d(8, 4, 3, 1, 1))"'


class Staged(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()),
                nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1), nn.ReLU()),
            ]
        )
        self.heads = nn.ModuleDict({"main": nn.Linear(8, 10)})

    def forward(self, images: Tensor) -> Tensor:
        for stage in self.stages:
            images = stage(images)
        return self.heads["main"](images.mean((2, 3)))


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Return a function that writes a configuration and returns its path."""

    def write(text: str) -> Path:
        path = tmp_path / "config.toml"
        path.write_text(text)
        return path

    return write


def test_a_complete_file(write: Any) -> None:
    """Every public key is read, nothing is warned of, and the network answers."""
    path = write(COMPLETE)
    config = read_config(path)
    model = predify(Staged(), path)

    assert config.name == "PNet"
    assert model.encoders == ("stages.0.1", "stages.1")
    assert model.scaling is Scaling.SCALED
    assert model.balances == (Balance(0.2, 0.05, 0.01), Balance(0.4, 0.1, 0.02))
    assert [type(module).__name__ for module in model.decoders[1]] == ["Upsample", "Conv2d", "ReLU", "Conv2d"]
    assert model.unroll(torch.rand(2, 3, 16, 16), 3).shape == (4, 2, 10)


def test_defaults_are_the_public_ones_and_are_warned_of(write: Any) -> None:
    """Of the shortest file every missing optional key gives a warning with what is taken."""
    path = write(
        'input_size = [3, 16, 16]\n[[pcoders]]\nmodule = "stages.0"\n[[pcoders]]\nmodule = "stages.1"\n'
    )
    with pytest.warns(ConfigWarning) as caught:
        config = read_config(path)
    messages = [str(warning.message) for warning in caught]

    assert config.scaling is Scaling.PLAIN
    assert config.balances == [Balance(0.3, 0.3, 0.01)] * 2
    for expected in (
        "no 'name', taking 'network'",
        "no 'imports', taking",
        "no 'gradient_scaling', taking False",
        "no 'shared_hyperparameters', taking False",
        "pcoders.0: no 'predictor' or 'decoder', taking the default decoder",
        "pcoders.1: no 'hyperparameters', taking (0.3, 0.3, 0.01)",
    ):
        assert any(expected in message for message in messages)
    assert len(messages) == 8


def test_default_decoders() -> None:
    """Bilinear interpolation where sizes differ, then a 3x3 transposed convolution of the right channels."""
    config = Config(input_size=(3, 16, 16), pcoders=[PCoder(module="stages[0]"), PCoder(module="stages[-1]")])
    first, second = predify(Staged(), config).decoders

    assert [type(module) for module in first] == [nn.ConvTranspose2d]
    assert [type(module) for module in second] == [nn.Upsample, nn.ConvTranspose2d]
    assert second[0].scale_factor == (2, 2)
    assert (second[1].in_channels, second[1].out_channels, second[1].kernel_size) == (8, 4, (3, 3))


@pytest.mark.parametrize(("source", "target"), [(7, 61), (13, 27), (49, 1), (14, 7)])
def test_default_decoders_hit_odd_sizes(source: int, target: int) -> None:
    """61 / 7 * 7 is below 61 in floating point; the prediction has 61 pixels all the same."""
    decoder = default_decoder((2, source, source), (3, target, target))

    assert decoder(torch.rand(1, 2, source, source)).shape == (1, 3, target, target)


def test_made_decoders_follow_the_backbone() -> None:
    """They have its precision, so that a float64 network stays one."""
    config = Config(input_size=(3, 16, 16), pcoders=[PCoder(module="stages[0]")])
    model = predify(Staged().double(), config)

    assert model.unroll(torch.rand(1, 3, 16, 16, dtype=torch.float64), 1).dtype is torch.float64


def test_shared_hyperparameters_are_the_first_ones(write: Any) -> None:
    """With shared_hyperparameters the other encoders' are not looked at."""
    config = read_config(
        write(COMPLETE.replace("shared_hyperparameters = false", "shared_hyperparameters = true"))
    )

    assert config.balances == [Balance(0.2, 0.05, 0.01)] * 2


def with_predictor() -> str:
    """Return a public file whose second decoder is code."""
    return re.sub(r"decoder = \[\n.*?\n\]", PREDICTOR, COMPLETE, flags=re.DOTALL)


def test_code_is_refused_and_data_offered(write: Any, tmp_path: Path) -> None:
    """Neither a predictor nor an import runs unless the person says that the file may be trusted."""
    with pytest.raises(
        ConfigError, match=r"pcoders\.1\.predictor is Python code.*trust_code=True.*decoder ="
    ):
        predify(Staged(), write(with_predictor()))
    marker = tmp_path / "ran"
    harmful = COMPLETE.replace(
        "from torch.nn", f"import pathlib; pathlib.Path('{marker}').touch(); from torch.nn"
    )
    with pytest.raises(ConfigError, match="imports is Python code"):
        predify(Staged(), write(harmful))

    assert not marker.exists()


def test_trusted_code_runs(write: Any) -> None:
    """A person's existing file works unchanged with trust_code=True."""
    model = predify(Staged(), write(with_predictor()), trust_code=True)

    assert [type(module) for module in model.decoders[1]] == [nn.Upsample, nn.ConvTranspose2d]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("Sequential(", r"the predictor 'Sequential\(' fails: SyntaxError"),
        ("Missing()", r"fails: NameError"),
        ("3", r"is no module but int"),
    ],
)
def test_trusted_code_that_fails(code: str, message: str) -> None:
    """The line names the code and what Python says of it."""
    config = Config(input_size=(3, 16, 16), pcoders=[PCoder(module="stages[0]", predictor=code)])
    with pytest.raises(ConfigError, match=message):
        predify(Staged(), config, trust_code=True)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("input_size = [3, 16, 16]", "", r"config\.toml: input_size: Field required"),
        (
            "[3, 16, 16]",
            "[3, 4, 16, 16]",
            r"input_size: must be \[channels, height, width\], got \[3, 4, 16, 16\]",
        ),
        ("[3, 16, 16]", "[3, 0, 16]", r"input_size\.1: .*greater than 0"),
        ('module = "stages[1]"', "", r"pcoders\.1\.module: Field required"),
        (", pc = 0.01", "", r"pcoders\.0\.hyperparameters\.pc: Field required"),
        ("feedforward = 0.2", "feedforward = 0.96", r"feedforward \+ feedback is 1\.01, above 1"),
        ("feedforward = 0.2", "feedforward = -1", r"pcoders\.0\.hyperparameters\.feedforward"),
        ('name = "PNet"', 'name = "Net"', r"name: must be an identifier other than 'Net', got 'Net'"),
        ('name = "PNet"', 'name = "2nd"', r"name: .*got '2nd'"),
        ('layer = "ReLU"', 'layer = "Magic"', r"pcoders\.1\.decoder\.2: .*'Magic'"),
        (", scale_factor = 2.0", "", r"Upsample needs either scale_factor or size"),
        ('layer = "ReLU"', 'layer = "Conv2d", kernel_size = 3, output_padding = 1', r"ConvTranspose2d only"),
        ("[[pcoders]]", "[pcoders", r"cannot read the configuration config\.toml"),
        ('module = "stages[1]"', 'module = "stages[1]"\npredictor = "x"', r"exclude each other"),
    ],
)
def test_bad_files_are_refused(old: str, new: str, message: str, write: Any) -> None:
    """One line names the file, the key and what is wrong with it."""
    with pytest.raises(ConfigError, match=message) as caught:
        read_config(write(COMPLETE.replace(old, new)))
    assert "\n" not in str(caught.value)
    assert "config.toml" in str(caught.value)


@pytest.mark.parametrize("text", ["input_size = [3, 16, 16]\npcoders = []", "input_size = [3, 16, 16]"])
def test_files_without_encoders_are_refused(text: str, write: Any) -> None:
    """A network of no encoders is no predictive-coding network."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConfigWarning)
        with pytest.raises(ConfigError, match=r"config\.toml: pcoders: "):
            read_config(write(text))


def test_unknown_keys_are_warned_of(write: Any) -> None:
    """A misspelt key is not taken for a default in silence."""
    text = COMPLETE.replace("feedforward = 0.2", "feedforward = 0.2, feedfoward = 0.9")
    text = text.replace("gradient_scaling = true", "gradient_scaling = true\nnmae = 3")
    with pytest.warns(ConfigWarning) as caught:
        read_config(write(text))

    assert [str(warning.message) for warning in caught] == [
        "config.toml: unknown key 'nmae' is ignored, did you mean 'name'?",
        "config.toml: pcoders.0: hyperparameters: unknown key 'feedfoward' is ignored, "
        "did you mean 'feedforward'?",
    ]


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    """A path that does not exist is named."""
    with pytest.raises(ConfigError, match=r"cannot read the configuration none\.toml"):
        predify(Staged(), tmp_path / "none.toml")


def test_either_a_config_or_pieces(write: Any) -> None:
    """What the file says is not said twice, and nothing is not enough."""
    with pytest.raises(TypeError, match="config excludes encoders, scaling"):
        predify(Staged(), write(COMPLETE), encoders=["stages.0"], scaling="plain")
    with pytest.raises(TypeError, match="needs a config or encoders"):
        predify(Staged())


def test_the_example_of_the_documentation(write: Any) -> None:
    """What docs/predictive_coding.md shows works on torchvision's network as it is."""
    from torchvision.models import resnet18

    text = (Path(__file__).parents[2] / "docs" / "predictive_coding.md").read_text()
    (toml,) = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    model = predify(resnet18(weights=None), write(toml)).eval()

    assert model.encoders == ("relu", "layer1.1", "layer2", "layer3")
    assert model.unroll(torch.rand(2, 3, 64, 64), 2).shape == (3, 2, 1000)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("stages[0]", "stages.0"),
        ("stages.0.1", "stages.0.1"),
        ("stages[-1][-2]", "stages.1.0"),
        ("heads['main']", "heads.main"),
        ('heads["main"]', "heads.main"),
        ("heads.main", "heads.main"),
    ],
)
def test_paths(path: str, name: str) -> None:
    """A module is found by attribute, index from either end, or key, as Python would."""
    assert canonical_name(Staged(), path) == name


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("stage[0]", r"no module 'stage\[0\]'; did you mean .*'stages\.0'"),
        ("stages[2]", r"no module 'stages\[2\]'; did you mean 'stages"),
        ("stages[-3]", r"no module"),
        ("zzz", r"no module 'zzz'; there are 'stages', 'stages.0'"),
        ("stages[0", r"no module"),
        ("stages..0", r"no module"),
        ("", r"no module ''"),
    ],
)
def test_paths_to_nothing_name_the_nearest(path: str, message: str) -> None:
    """An encoder that does not exist is answered with names that do."""
    with pytest.raises(ValueError, match=message):
        canonical_name(Staged(), path)


def test_describe(write: Any) -> None:
    """What `bench predify` prints: encoders, shapes, decoders, C, parameters."""
    model = predify(Staged(), write(COMPLETE))
    first, second = describe(model, (3, 16, 16))

    assert (first.encoder, first.shape, first.target, first.cells) == (
        "stages.0.1",
        (4, 16, 16),
        (3, 16, 16),
        75,
    )
    assert first.parameters == 4 * 3 * 25 + 3
    assert (second.shape, second.target, second.cells) == ((8, 8, 8), (4, 16, 16), 4 * 36)
    assert "Upsample" in second.decoder
    assert second.balance == Balance(0.4, 0.1, 0.02)
