"""The catalogue: every corruption by name. Adding one is a function, its table and a line in each dict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from corruptions import blur, digital, lines, noise, weather
from corruptions.tables import Table

CORRUPTIONS: dict[str, Callable[..., Tensor]] = {
    "gaussian_noise": noise.gaussian_noise,
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "speckle_noise": noise.speckle_noise,
    "defocus_blur": blur.defocus_blur,
    "glass_blur": blur.glass_blur,
    "motion_blur": blur.motion_blur,
    "zoom_blur": blur.zoom_blur,
    "gaussian_blur": blur.gaussian_blur,
    "snow": weather.snow,
    "frost": weather.frost,
    "fog": weather.fog,
    "brightness": weather.brightness,
    "spatter": weather.spatter,
    "contrast": digital.contrast,
    "elastic_transform": digital.elastic_transform,
    "pixelate": digital.pixelate,
    "jpeg_compression": digital.jpeg_compression,
    "saturate": digital.saturate,
}

RESTORATION_CORRUPTIONS: dict[str, Callable[..., Tensor]] = {"dotted_line": lines.dotted_line}
"""Known to `apply`, but in no published corruption benchmark."""

TABLES: dict[str, Table[Any]] = {
    "gaussian_noise": noise.GAUSSIAN_NOISE,
    "shot_noise": noise.SHOT_NOISE,
    "impulse_noise": noise.IMPULSE_NOISE,
    "speckle_noise": noise.SPECKLE_NOISE,
    "defocus_blur": blur.DEFOCUS_BLUR,
    "glass_blur": blur.GLASS_BLUR,
    "motion_blur": blur.MOTION_BLUR,
    "zoom_blur": blur.ZOOM_BLUR,
    "gaussian_blur": blur.GAUSSIAN_BLUR,
    "snow": weather.SNOW,
    "frost": weather.FROST,
    "fog": weather.FOG,
    "brightness": weather.BRIGHTNESS,
    "spatter": weather.SPATTER,
    "contrast": digital.CONTRAST,
    "elastic_transform": digital.ELASTIC_TRANSFORM,
    "pixelate": digital.PIXELATE,
    "jpeg_compression": digital.JPEG_COMPRESSION,
    "saturate": digital.SATURATE,
    "dotted_line": lines.DOTTED_LINE,
}
"""Name -> family -> the settings of severities 1 to 5."""

OPTIONS: dict[str, tuple[str, ...]] = {"glass_blur": ("swap",), "frost": ("frost_dir",)}
"""Keyword arguments that a corruption takes besides its setting."""
