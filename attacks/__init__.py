"""Attacks on classifiers: frozen settings, called with a function from images in [0, 1] to logits."""

from collections.abc import Callable, Mapping
from typing import Any

from attacks.advertorch_backend import AdvertorchPGD, AdvertorchSPSA
from attacks.ascent import Attack
from attacks.bim import TargetedBIM
from attacks.draws import Draws
from attacks.noise import Noise
from attacks.pgd import PGD
from attacks.spsa import SPSA
from attacks.threat import ThreatModel

__all__ = ["ATTACKS", "PGD", "SPSA", "Attack", "Draws", "Noise", "TargetedBIM", "ThreatModel", "build"]

ATTACKS: dict[str, dict[str, Callable[..., Attack]]] = {
    "native": {"pgd": PGD, "spsa": SPSA, "noise": Noise, "targeted_bim": TargetedBIM},
    "advertorch": {"pgd": AdvertorchPGD, "spsa": AdvertorchSPSA},
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
