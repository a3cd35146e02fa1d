"""The public package's TOML: its keys and defaults, and decoders as data where it has Python code.

    name = "PResNet18"
    input_size = [3, 224, 224]
    gradient_scaling = true

    [[pcoders]]
    module = "layer1[1]"
    hyperparameters = {feedforward = 0.3, feedback = 0.3, pc = 0.01}
    decoder = [
        {layer = "Upsample", scale_factor = 4.0},
        {layer = "ConvTranspose2d", kernel_size = 3, padding = 1},
    ]

`decoder` is ours. The public `predictor`, a line of Python, and `imports` are run only if the person says
that the file may be trusted.
"""

from __future__ import annotations

import difflib
import os
import tomllib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from zoo.predictive_coding.decoders import Layer
from zoo.predictive_coding.dynamics import Balance, Scaling

DEFAULT_IMPORTS = ("from torch.nn import Sequential, ConvTranspose2d, Upsample",)
_OPTIONAL = ("name", "imports", "gradient_scaling", "shared_hyperparameters")


class ConfigError(ValueError):
    """A configuration that cannot be read, misses what it must have, or asks for what is not allowed."""


class ConfigWarning(UserWarning):
    """A default that was taken, or a key that means nothing."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Hyperparameters(_Table):
    """The weights of equation 2 under the public names. Given at all, all three must be given."""

    feedforward: NonNegativeFloat
    """beta."""
    feedback: NonNegativeFloat
    """lambda."""
    pc: NonNegativeFloat
    """alpha."""

    @model_validator(mode="after")
    def _at_most_one(self) -> Hyperparameters:
        if self.feedforward + self.feedback > 1 + 1e-9:
            raise ValueError(f"feedforward + feedback is {self.feedforward + self.feedback:g}, above 1")
        return self

    @property
    def balance(self) -> Balance:
        """The same under the paper's names."""
        return Balance(self.feedforward, self.feedback, self.pc)


DEFAULT_HYPERPARAMETERS = Hyperparameters(feedforward=0.3, feedback=0.3, pc=0.01)
"""The public package's. The paper's are 0.8, 0.1, 0.01."""


class PCoder(_Table):
    """One encoder and its decoder."""

    module: Annotated[str, Field(min_length=1)]
    """Its path in the backbone: `features[3]`, `layer1.0.conv1`."""
    hyperparameters: Hyperparameters = DEFAULT_HYPERPARAMETERS
    decoder: tuple[Layer, ...] | None = None
    """Its decoder as data. Without this and `predictor` it is the default decoder."""
    predictor: str | None = None
    """Its decoder as Python code."""

    @model_validator(mode="after")
    def _one_decoder(self) -> PCoder:
        if self.decoder is not None and self.predictor is not None:
            raise ValueError("decoder and predictor exclude each other")
        return self


class Config(_Table):
    """Which modules of a backbone become encoders, and how they are updated."""

    input_size: tuple[PositiveInt, PositiveInt, PositiveInt]
    """Channels, height, width of an image."""
    pcoders: Annotated[tuple[PCoder, ...], Field(min_length=1)]
    """In the order in which the backbone runs them."""
    name: str = "network"
    imports: tuple[str, ...] = DEFAULT_IMPORTS
    """Lines of Python that the predictors need."""
    gradient_scaling: bool = False
    shared_hyperparameters: bool = False
    """Whether the first encoder's hyper-parameters are everyone's."""

    @field_validator("input_size", mode="before")
    @classmethod
    def _three_sizes(cls, value: Any) -> Any:
        if isinstance(value, list | tuple) and len(value) != 3:
            raise ValueError(f"must be [channels, height, width], got {list(value)}")
        return value

    @field_validator("name")
    @classmethod
    def _identifier(cls, value: str) -> str:
        if not value.isidentifier() or value == "Net":
            raise ValueError(f"must be an identifier other than 'Net', got {value!r}")
        return value

    @property
    def scaling(self) -> Scaling:
        """The scaling of the error gradient."""
        return Scaling.SCALED if self.gradient_scaling else Scaling.PLAIN

    @property
    def balances(self) -> list[Balance]:
        """The weights of every encoder."""
        if self.shared_hyperparameters:
            return [self.pcoders[0].hyperparameters.balance] * len(self.pcoders)
        return [pcoder.hyperparameters.balance for pcoder in self.pcoders]

    def refuse_code(self) -> None:
        """Raise if anything in here would have to be run as Python.

        Raises:
            ConfigError: Naming the first such thing and what to write instead.
        """
        for n, pcoder in enumerate(self.pcoders):
            if pcoder.predictor is not None:
                raise ConfigError(
                    f"pcoders.{n}.predictor is Python code, which is run only with trust_code=True; as data "
                    'it reads decoder = [{layer = "ConvTranspose2d", kernel_size = 3, padding = 1}]'
                )
        if self.imports and self.imports != DEFAULT_IMPORTS:
            raise ConfigError(
                "imports is Python code, which is run only with trust_code=True; "
                "without predictors it is not needed"
            )


def read_config(path: str | os.PathLike[str]) -> Config:
    """Read a configuration file; nothing in it is run.

    Raises:
        ConfigError: One line that names the file and the key.

    Warns:
        ConfigWarning: For every optional key that is missing and every key that is not known.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot read the configuration {path.name}: {error}") from error
    known = _known(content, Config, path.name)
    _warn_of_defaults(known, path.name)
    try:
        return Config.model_validate(known)
    except ValidationError as error:
        raise ConfigError(f"{path.name}: {_first(error)}") from error


def _known(table: Mapping[str, Any], model: type[BaseModel], where: str) -> dict[str, Any]:
    """Drop, with a warning, the keys that mean nothing; the public package ignores them too."""
    known: dict[str, Any] = {}
    for key, value in table.items():
        if key not in model.model_fields:
            nearest = difflib.get_close_matches(key, model.model_fields, 1)
            hint = f", did you mean {nearest[0]!r}?" if nearest else ""
            _warn(f"{where}: unknown key {key!r} is ignored{hint}")
        elif key == "pcoders" and isinstance(value, list):
            known[key] = [
                _known(pcoder, PCoder, f"{where}: pcoders.{n}") if isinstance(pcoder, Mapping) else pcoder
                for n, pcoder in enumerate(value)
            ]
        elif key == "hyperparameters" and isinstance(value, Mapping):
            known[key] = _known(value, Hyperparameters, f"{where}: hyperparameters")
        else:
            known[key] = value
    return known


def _warn_of_defaults(table: Mapping[str, Any], where: str) -> None:
    for key in _OPTIONAL:
        if key not in table:
            default = Config.model_fields[key].default
            shown = list(default) if isinstance(default, tuple) else default
            _warn(f"{where}: no {key!r}, taking {shown!r}")
    pcoders = table.get("pcoders")
    for n, pcoder in enumerate(pcoders if isinstance(pcoders, list) else []):
        if not isinstance(pcoder, Mapping):
            continue
        if "predictor" not in pcoder and "decoder" not in pcoder:
            _warn(f"{where}: pcoders.{n}: no 'predictor' or 'decoder', taking the default decoder")
        if "hyperparameters" not in pcoder and not (n and table.get("shared_hyperparameters")):
            balance = tuple(DEFAULT_HYPERPARAMETERS.balance)
            _warn(f"{where}: pcoders.{n}: no 'hyperparameters', taking {balance}")


def _warn(message: str) -> None:
    warnings.warn(message, ConfigWarning, stacklevel=3)


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
