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
    "cifar100": Protocol(epsilon=8 / 255, pgd_step_size=2.55 / 255),
    "imagenet": Protocol(epsilon=4 / 255, pgd_step_size=1.275 / 255),
}
"""Of CIFAR-100 and ImageNet RobustBench's epsilon, with steps in the proportion of CIFAR-10's."""
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
USUAL_ITERATIONS = 2
"""For which default sizes on a CPU are chosen: CNN-F's on CIFAR-10."""
REACH = 2.5
"""steps * step size over epsilon, for the attacks whose step the paper does not give (Madry et al. 2018).

MI-FGSM has it too, though its paper gives a step, epsilon / steps: a reach of 1.
"""

PREDIFY_SIGMAS = (0.25, 0.5, 0.75, 1.0, 2.0)
"""Gaussian noise of Choksi et al., added after normalisation, as here in units of `PIXEL_DEVIATIONS`."""
PIXEL_DEVIATIONS = {"fashion_mnist": 0.3530, "cifar10": 0.2507, "cifar100": 0.2666, "imagenet": 0.2260}
"""Standard deviation of the training images' pixels, of colour images the mean over channels; of CIFAR-100
that by which RobustBench's networks are normalised (0.2673, 0.2564, 0.2762)."""
PREDIFY_STEPS = 20
PREDIFY_RELATIVE_STEP = 2.5 / 20
"""Step over epsilon; the authors' scripts have 100 steps of 2.5 / 100, and files named after 20."""
PREDIFY_TARGET_SHIFT = 5
"""Theirs is 800 of 1,000 classes."""
PREDIFY_ATTACKED_ITERATIONS = (0, 2, 4, 6, 8)
PREDIFY_EPSILONS = {
    "fashion_mnist": (0.02, 0.05, 0.1),
    "cifar10": (1 / 255, 2 / 255, 4 / 255),
    "cifar100": (1 / 255, 2 / 255, 4 / 255),
    "imagenet": (1 / 255, 2 / 255, 4 / 255),
}
"""Theirs reach from 0.3 to 1.0, where nothing is left to see of an image."""
VERDICT_STEPS = 10
"""Of the PGD that is compared with one step, twice the steps and several restarts."""
VERDICT_RESTARTS = 3
VERDICT_LADDER = (0.5, 2.0)
"""Other radii, in units of the strict epsilon."""
VERDICT_EPSILONS = (0.5, 1.0)
"""Radii at which nothing can be robust: from 0.5 on, every image may become the same grey one."""
VERDICT_SPSA_SAMPLES = 32
VERDICT_QUERIES = 200
"""Of Square, which jumps across the ball where SPSA looks at slopes nearby."""
VERDICT_INSPECTED = 16
"""Images on which gradients and repetitions are looked at."""
TRANSFER_STEPS = 10
MOMENTUM_DECAY = 1.0
"""Dong et al. (CVPR 2018): ten steps, mu 1."""

EPSILONS = {
    "fashion_mnist": tuple(round(0.02 * k, 2) for k in range(1, 11)),
    "cifar10": tuple(level / 255 for level in range(2, 17, 2)),
    "cifar100": tuple(level / 255 for level in range(2, 17, 2)),
    "imagenet": tuple(level / 255 for level in (0.5, 1, 2, 4, 8)),
}
"""Radii of the curves against epsilon, beside the clean images at 0."""

CONSISTENCY_KINDS = ("gaussian_noise", "defocus_blur", "fog")
CONSISTENCY_SEVERITY = 3
"""The corruptions on which self-consistency is looked at: a noise, a blur and a weather."""

SEVERITY_TABLES = {
    "fashion_mnist": "fashion",
    "cifar10": "cifar",
    "cifar100": "cifar",
    "imagenet": "imagenet",
}
"""The severity table of `corruptions` that suits the images of a dataset."""

TRANSFER_SOURCES = {"fashion_mnist": "cnn_fmnist", "cifar10": "cnn_cifar"}
"""The plain network whose adversarial images are shown to the others, as in the paper."""
