"""What an entry of the zoo is, and what can be wrong with one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


class UnknownModelError(LookupError):
    """A name that the zoo does not know."""


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged, or not of the network it was asked for."""


@dataclass(frozen=True)
class Shipped:
    """Weights that come with the package, in zoo/weights, with a card of the same stem."""

    stem: str


@dataclass(frozen=True)
class Download:
    """A file of the authors' repository, verified by its git blob SHA-1."""

    url: str
    git_blob: str


@dataclass(frozen=True)
class Assembled:
    """A backbone and the feedback weights that go with it, from two places."""

    backbone: str
    """URL of a .pth file."""
    feedback: str
    """URL of a zip archive with one .pth file per encoder."""


@dataclass(frozen=True)
class ZooEntry:
    """Everything needed to rebuild a model of the zoo."""

    name: str
    label: str
    """Its name in tables."""
    build: str
    """Where its factory is, as "package.module:function"."""
    settings: Mapping[str, object]
    """Keyword arguments of the factory; records hold them, so what the weights do not tell is spelt out."""
    dataset: str
    iterations: int
    """Feedback iterations it is evaluated with; 0 for a network without feedback."""
    checkpoints: Mapping[str, Shipped | Download | Assembled]
    citation: str
    licence: str
    partner: str = ""
    """The model of the zoo without feedback that it is compared with; empty if there is none."""
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Accuracies in percent that its authors claim: readout -> column of their table -> value."""
