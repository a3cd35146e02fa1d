"""One point of the attack matrix: the question that one record answers.

The class lives with the records because every table asks for records by the fields of their cells.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, JsonValue

Setting = bool | int | float | str
ModelSettings = dict[str, JsonValue]
"""What makes a model beside its weights, every setting spelt out; empty for one that has none."""
Target = Literal["first", "e2e", "e2e_avg", "e2e_sum", "e2e_bpda", "e2e_avg_bpda"]
"""The values of `zoo.feedback.AttackTarget`."""


class Frozen(BaseModel):
    """Base of the record types: immutable, and refusing fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Perturbation(Frozen):
    """What is done to the images, with every setting spelt out. Lengths are in [0, 1] pixel units."""

    kind: Literal["attack", "corruption", "noise"]
    """Noise is Gaussian, added and not clipped to [0, 1]."""
    name: str
    backend: str
    """Whose code made the images; "official" for published corrupted sets."""
    settings: dict[str, Setting]
    """Those of a cascade of attacks begin with the number of the member that they are of: "1.steps"."""

    @property
    def members(self) -> list[dict[str, Setting]]:
        """The settings of each member of a cascade, in their order; none for a single attack."""
        found: dict[int, dict[str, Setting]] = {}
        for setting, value in self.settings.items():
            number, dot, name = setting.partition(".")
            if dot:
                found.setdefault(int(number), {})[name] = value
        return [found[number] for number in sorted(found)]


class Identity(NamedTuple):
    """What tells a model from every other one."""

    model: str
    weights: str
    settings: str
    """Canonical JSON of its settings."""

    @classmethod
    def of(cls, model: str, weights: str, settings: Mapping[str, JsonValue]) -> Identity:
        """Return the identity of a model with these settings."""
        return cls(model, weights, canonical(settings))

    @property
    def settings_hash(self) -> str:
        """SHA-256 of the settings."""
        return hashlib.sha256(self.settings.encode()).hexdigest()

    @property
    def parts(self) -> list[str]:
        """Name and beginnings of the hashes, for names of files; without settings there is one hash."""
        known = [self.model, self.weights[:8], self.settings_hash[:8]]
        return known[:2] if self.settings == canonical({}) else known


class Cell(Frozen):
    """Everything that a number depends on; no path, no device, no batch size."""

    suite: str
    suite_version: int
    model: str
    weights: str
    """SHA-256 of the weights."""
    settings: ModelSettings = {}
    """Those of the model."""
    dataset: str
    data: str
    """SHA-256 of the clean images and labels; of a published corrupted set that of its own images."""
    examples: int
    perturbation: Perturbation | None
    """None for clean images."""
    source: str | None
    """The model that the attacker uses; another one than `model` in a transfer attack."""
    source_weights: str | None
    source_settings: ModelSettings = {}
    """Those of the source."""
    attack_target: Target | None
    attack_iterations: int
    """Feedback iterations that the attacker unrolls; 0 under "first"."""
    iterations: int
    """Feedback iterations behind the scored answer."""
    readout: Literal["last", "avg"]
    seed: int
    probe: str | None = None
    """What is measured on each example beside its answer; None for nothing."""

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def key(self) -> str:
        """Content key: SHA-256 of the canonical JSON of all fields."""
        return _digest(self.model_dump())

    @property
    def images_key(self) -> str:
        """Content key of the perturbed images, which neither scored model nor readout changes."""
        return _digest(self.model_dump(exclude=_SCORING))

    @property
    def draw_key(self) -> str:
        """What the random draws depend on beside the example: an image draws alike in every subset.

        They do not depend on the settings of the source: two settings of a model are compared in pairs.
        """
        return _digest(self.model_dump(exclude=_SCORING | {"data", "examples", "source_settings"}))

    @property
    def series_key(self) -> str:
        """What cells share that differ only in how many images they ask for."""
        return _digest(self.model_dump(exclude={"data", "examples"}))

    @property
    def identity(self) -> Identity:
        """The scored model."""
        return Identity.of(self.model, self.weights, self.settings)

    @property
    def source_identity(self) -> Identity | None:
        """The attacker's model."""
        if self.source is None:
            return None
        return Identity.of(self.source, self.source_weights or "", self.source_settings)

    @property
    def is_transfer(self) -> bool:
        """Whether the images were made against another model."""
        return self.source_identity not in (None, self.identity)


def key_of(cells: Iterable[Cell]) -> str:
    """Content key of cells that are evaluated together, whatever their order."""
    return _digest(sorted(cell.key for cell in cells))


_SCORING = {"suite", "suite_version", "model", "weights", "settings", "iterations", "readout", "probe"}


def canonical(value: object) -> str:
    """Return the JSON that equal values share.

    Raises:
        TypeError: If JSON has no such value.
        ValueError: If a number is not finite.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(value: object) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()
