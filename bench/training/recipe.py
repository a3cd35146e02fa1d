"""Training recipes: TOML files that are validated before anything else happens. No torch here.

A recipe names an entry of the zoo and says how its weights are made. Those in zoo/recipes are known by their
names; a copy of one anywhere else is used by its path.
"""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from bench.errors import BenchError, UnknownName
from zoo import ENTRIES
from zoo import __file__ as _zoo_file

RECIPES = Path(_zoo_file).parent / "recipes"


def _fraction(value: object) -> object:
    """Read "8/255" as the number it is; anything else is left to the field."""
    if isinstance(value, str):
        try:
            return float(Fraction(value))
        except (ValueError, ZeroDivisionError):
            raise ValueError('must be a number or a fraction such as "8/255"') from None
    return value


Pixels = Annotated[float, BeforeValidator(_fraction), Field(gt=0, le=1)]
"""A distance in [0, 1] pixel units: a number or a fraction in quotes."""
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
AtLeastZero = Annotated[float, Field(ge=0, allow_inf_nan=False)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class TrainingAttack(_Table):
    """PGD inside the l-infinity ball, on the first pass, against the weights as they are at that step."""

    epsilon: Pixels
    step_size: Pixels
    steps: Count
    random_start: bool = True


class SizeStage(_Table):
    """A stretch of training at one image size."""

    epochs: Positive
    size: Annotated[int, Field(ge=8, multiple_of=4)]
    """Height and width in pixels, to which the augmented images are averaged."""


class Recipe(_Table):
    """How a checkpoint is made. Fractions of an epoch are allowed wherever epochs are counted."""

    model: str
    """A key of `zoo.ENTRIES`, which gives network and dataset."""
    budget: str = ""
    """For the reader: the machine and time that the recipe was made for."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    start_from: str | None = None
    """Weights to begin from: MODEL or MODEL:CHECKPOINT of the zoo, or a file. By default drawn afresh."""
    iterations: Annotated[int, Field(ge=0)] | None = None
    """Feedback iterations unrolled in the loss; by default those the entry is evaluated with."""

    epochs: Positive
    batch_size: Count
    held_out: Count
    """Training images kept aside to watch progress with; never trained on."""
    validation_epsilon: Pixels | None = None
    """Radius of the PGD-10 that measures robust accuracy on them; by default the attack's."""
    flip: bool = False
    """Mirror each image with probability 1/2."""
    crop_padding: Annotated[int, Field(ge=0, le=16)] = 0
    """Pad by so many black pixels and cut the old size out, at random."""
    image_sizes: tuple[SizeStage, ...] = ()
    """Image size stage by stage, together `epochs` long; by default the dataset's throughout."""

    objective: Literal["classification", "prediction_errors"] = "classification"
    """The second trains the feedback weights of a predictive-coding network: it minimises the errors of the
    first pass's predictions (Choksi et al. 2021, equation 3), the backbone frozen."""
    optimiser: Literal["sgd", "adam"] = "sgd"
    learning_rate: Positive
    """At its peak."""
    momentum: BelowOne = 0.9
    """Of SGD; Adam keeps torch's betas."""
    nesterov: bool = False
    weight_decay: AtLeastZero = 0.0
    schedule: Literal["polynomial", "cosine"]
    """After warm-up the rate falls as (1 - t)^0.9 or as a half cosine, step by step, to 0."""
    warmup_epochs: AtLeastZero = 0.0
    """Linear rise to the peak."""
    gradient_clip: AtLeastZero = 0.0
    """Largest global norm of the gradient; 0 for none."""
    ema_decay: BelowOne = 0.0
    """Per step, of the moving average of the weights that is then evaluated and shipped; 0 for none."""

    attack: TrainingAttack | None = None
    """Absent for standard training."""
    label_smoothing: BelowOne = 0.0
    """Probability that the target of the cross-entropy spreads over all classes."""
    clean_weight: AtLeastZero = 0.0
    """Weight of the clean images' cross-entropy beside the adversarial ones', which have 1."""
    reconstruction_weight: AtLeastZero = 0.0

    amp: Literal["bf16", "off"] = "off"
    channels_last: bool = True
    compile: bool = True
    """With torch.compile, on a GPU."""
    compile_on_cpu: bool = False
    """With torch.compile on a CPU too, if a C++ compiler is there (`$CXX`, else g++): half a minute for each
    image size, then a quarter less time for a Wide ResNet."""

    @model_validator(mode="after")
    def _check_together(self) -> Recipe:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs must be below epochs ({self.epochs:g}), got {self.warmup_epochs:g}"
            )
        if self.image_sizes:
            total = sum(stage.epochs for stage in self.image_sizes)
            if not math.isclose(total, self.epochs, rel_tol=1e-6):
                raise ValueError(f"image_sizes must be epochs ({self.epochs:g}) long together, got {total:g}")
        if self.attack is None and self.clean_weight:
            raise ValueError("clean_weight needs an [attack]: without one all images are clean")
        if self.objective == "prediction_errors" and self.attack is not None:
            raise ValueError("prediction_errors are those of clean images: it takes no [attack]")
        if self.objective == "prediction_errors" and self.start_from is None:
            raise ValueError("prediction_errors needs start_from, the trained backbone")
        if self.nesterov and (self.optimiser != "sgd" or not self.momentum):
            raise ValueError("nesterov needs optimiser 'sgd' and momentum above 0")
        return self

    @property
    def unrolled(self) -> int:
        """Feedback iterations in the loss, at least 0."""
        return ENTRIES[self.model].iterations if self.iterations is None else self.iterations

    @property
    def has_clean_passes(self) -> bool:
        """Whether the loss looks at the clean images at all."""
        has_targets = self.unrolled > 0 and self.reconstruction_weight > 0
        return self.attack is None or self.clean_weight > 0 or has_targets

    def stretched(self, epochs: float) -> Recipe:
        """Return the recipe `epochs` long, warm-up and image sizes in proportion."""
        factor = epochs / self.epochs
        stages = [{"epochs": stage.epochs * factor, "size": stage.size} for stage in self.image_sizes]
        changes = {"epochs": epochs, "warmup_epochs": self.warmup_epochs * factor, "image_sizes": stages}
        return _validated(self.model_dump() | changes, "--epochs")

    def as_json(self) -> dict[str, Any]:
        """Return all settings as they would stand in JSON."""
        return self.model_dump(mode="json", exclude={"budget"})

    @property
    def sha256(self) -> str:
        """Hash of every setting that can move the result."""
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()


def completed(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `Recipe.as_json` gave once, with the defaults of settings that there were not then."""
    try:
        return Recipe.model_validate(saved).as_json()
    except ValidationError:
        # Of another version in which more, or other values, were allowed: it is compared as it is.
        return dict(saved)


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the zoo."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def load_recipe(recipe: str) -> tuple[str, Recipe]:
    """Return the name and the contents of a recipe.

    Args:
        recipe: A name from `recipe_names`, or the path of a .toml file, which is then called by its stem.

    Raises:
        BenchError: If there is no such recipe, or if something in it is unknown or out of range.
    """
    path = Path(recipe) if recipe.endswith(".toml") else RECIPES / f"{recipe}.toml"
    if not path.is_file():
        if recipe.endswith(".toml"):
            raise BenchError(f"no recipe file {recipe}")
        raise UnknownName("recipe", recipe, recipe_names())
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BenchError(f"{path.name} is not TOML: {error}") from error
    return path.stem, _validated(content, path.name)


def _validated(content: Mapping[str, Any], source: str) -> Recipe:
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        raise _one_line(error, source) from error
    if recipe.model not in ENTRIES:
        raise UnknownName(f"model in {source}", recipe.model, ENTRIES)
    return recipe


def _one_line(error: ValidationError, source: str) -> BenchError:
    # A key that is misspelt is also one that is missing: the former says what to mend.
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        tables: dict[str, type[BaseModel]] = {"attack": TrainingAttack, "image_sizes": SizeStage}
        table = tables.get(str(first["loc"][0]), Recipe) if len(first["loc"]) > 1 else Recipe
        return UnknownName(f"key in {source}", str(first["loc"][-1]), table.model_fields)
    if first["type"] == "missing":
        return BenchError(f"{source}: {key} is missing")
    message = first["msg"].removeprefix("Value error, ")
    return BenchError(
        f"{source}: {key}: {message}, got {first['input']!r}" if key else f"{source}: {message}"
    )
