"""The bytes themselves: a corruption's output for given images and seed is pinned."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import torch

from corruptions import SEVERITIES, apply

# A changed digest is a change of the benchmark's data: it belongs under "Changed results" in the changelog.
DIGESTS = {
    "gaussian_noise": "95e1a903688a5e67",
    "shot_noise": "f5baf14d8c04cb91",
    "impulse_noise": "2d21329c65161599",
    "speckle_noise": "5b6193629acc9a69",
    "defocus_blur": "486c803950b5a5da",
    "glass_blur": "499e5017e5075fc4",
    "motion_blur": "c3d6c0cc4af90c12",
    "zoom_blur": "a2cb9139b2b8d926",
    "gaussian_blur": "8d1078f94a635037",
    "snow": "ae344877007147a3",
    "frost": "cccaac5a30d9628c",
    "fog": "6b310c26192e9f5f",
    "brightness": "dbf613f3a9097700",
    "spatter": "377c2c838ad83300",
    "contrast": "b3cacda6cc2d02f7",
    "elastic_transform": "15c729ac568ca9c5",
    "pixelate": "c88bfa1a0c1d99d7",
    "jpeg_compression": "3c080e2b935ed8d2",
    "saturate": "c652da3722d3ba02",
    "dotted_line": "0924bc6136d1e8aa",
}


@pytest.mark.parametrize("name", DIGESTS)
def test_bytes_are_pinned(golden: dict[str, Any], name: str) -> None:
    """Same seed, same bytes: on every machine, with every version of torch and NumPy."""
    digest = hashlib.sha256()
    for family in ("cifar", "imagenet"):
        images = torch.from_numpy(golden[f"{family}/images"][:2]).permute(0, 3, 1, 2).float() / 255
        for severity in SEVERITIES:
            result = apply(images, name, severity, seed=7, family=family, indices=[3, 5])
            digest.update(result.mul(255).round().to(torch.uint8).numpy().tobytes())
    assert digest.hexdigest()[:16] == DIGESTS[name]
