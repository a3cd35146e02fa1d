"""The papers' settings as named constants, here and nowhere else.

Lengths are in [0, 1] pixel units. The code of CNN-F's authors works on [-1, 1], where they are doubled.
"""

from __future__ import annotations

from dataclasses import dataclass

SUITE_VERSION = 1
"""Bumped by every change that moves a reported number."""


@dataclass(frozen=True)
class Protocol:
    """The attack settings of a dataset."""

    epsilon: float
    pgd_step_size: float
    """Of the seven-step PGD."""


STRICT = {
    "fashion_mnist": Protocol(epsilon=0.1, pgd_step_size=0.0355),
    "cifar10": Protocol(epsilon=8 / 255, pgd_step_size=2.55 / 255),
}
CNNF_PAPER = {
    "fashion_mnist": Protocol(epsilon=0.2 / 2, pgd_step_size=0.071 / 2),
    "cifar10": Protocol(epsilon=0.063 / 2, pgd_step_size=0.02 / 2),
}
"""Huang et al., test.py, halved: their pixels are in [-1, 1]."""

PGD_STEPS = 7
LONG_PGD_STEPS = 40
SPSA_STEPS = 7
SPSA_SAMPLES = 128
SPSA_DELTA = 0.005
CNNF_PAPER_SPSA_RATE = 0.01 / 2
"""advertorch's default, never overridden by the authors: seven steps move at most 0.035."""
REACH = 2.5
"""steps * step size over epsilon, for the attacks whose step the paper does not give (Madry et al. 2018)."""

TRANSFER_STEPS = 10
MOMENTUM_DECAY = 1.0
"""Dong et al. (CVPR 2018): ten steps, mu 1."""

SEVERITY_TABLES = {"fashion_mnist": "fashion", "cifar10": "cifar"}
"""The severity table of `corruptions` that suits the images of a dataset."""

TRANSFER_SOURCES = {"fashion_mnist": "cnn_fmnist", "cifar10": "cnn_cifar"}
"""The plain network whose adversarial images are shown to the others, as in the paper."""
