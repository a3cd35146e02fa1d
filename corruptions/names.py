"""Names of the corruptions and how they are grouped; importing this module does not import torch."""

from __future__ import annotations

NOISE = ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise")
BLUR = ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "gaussian_blur")
WEATHER = ("snow", "frost", "fog", "brightness", "spatter")
DIGITAL = ("contrast", "elastic_transform", "pixelate", "jpeg_compression", "saturate")

FAMILIES: dict[str, tuple[str, ...]] = {"noise": NOISE, "blur": BLUR, "weather": WEATHER, "digital": DIGITAL}
"""Kind of damage -> names, as in figure 1 of Hendrycks and Dietterich 2019."""

EXTRA_CORRUPTIONS = ("speckle_noise", "gaussian_blur", "spatter", "saturate")
"""The 4 published for validation: never part of a mean corruption error."""

BENCHMARK_CORRUPTIONS = tuple(
    name for names in FAMILIES.values() for name in names if name not in EXTRA_CORRUPTIONS
)
"""The 15 that make the mean corruption error."""

SEVERITY_TABLES = ("imagenet", "cifar", "fashion")
"""Values of `family`: published for 224x224, published for 32x32, and ours for 28x28 grey images."""

SEVERITIES = (1, 2, 3, 4, 5)
