"""Attacks on classifiers: frozen settings, called with a function from images in [0, 1] to logits."""

from collections.abc import Callable, Mapping
from typing import Any

from attacks.advertorch_backend import AdvertorchPGD, AdvertorchSPSA
from attacks.apgd import APGD
from attacks.ascent import Attack
from attacks.bim import TargetedBIM
from attacks.cascade import Cascade, Member
from attacks.draws import Draws
from attacks.noise import Noise
from attacks.pgd import PGD, MomentumPGD
from attacks.pyautoattack_backend import LibraryAPGD, LibraryFAB, LibrarySquare
from attacks.spsa import SPSA
from attacks.square import Square
from attacks.threat import ThreatModel

__all__ = [
    "APGD",
    "ATTACKS",
    "PGD",
    "SPSA",
    "Attack",
    "Cascade",
    "Draws",
    "Member",
    "MomentumPGD",
    "Noise",
    "Square",
    "TargetedBIM",
    "ThreatModel",
    "build",
]

ATTACKS: dict[str, dict[str, Callable[..., Attack]]] = {
    "native": {
        "apgd": APGD,
        "momentum": MomentumPGD,
        "noise": Noise,
        "pgd": PGD,
        "spsa": SPSA,
        "square": Square,
        "targeted_bim": TargetedBIM,
    },
    "advertorch": {"pgd": AdvertorchPGD, "spsa": AdvertorchSPSA},
    "pyautoattack": {"apgd": LibraryAPGD, "fab": LibraryFAB, "square": LibrarySquare},
}
"""Backend -> name -> class."""


def build(name: str, backend: str, settings: Mapping[str, Any]) -> Attack:
    """Return the attack of that name; `settings` are its fields, with `norm` and `epsilon` for the threat.

    Raises:
        LookupError: If there is no such backend or attack.
        ValueError: If a setting is out of its range.
    """
    try:
        attack = ATTACKS[backend][name]
    except KeyError:
        known = ", ".join(sorted(f"{b}:{a}" for b, names in ATTACKS.items() for a in names))
        raise LookupError(f"unknown attack {backend}:{name}; known: {known}") from None
    own = dict(settings)
    threat = ThreatModel(own.pop("norm"), own.pop("epsilon"))
    return attack(threat, **own)
