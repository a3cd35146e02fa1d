"""What `apply` promises for every corruption: seeds, batches, sizes, the 8-bit grid, clear refusals."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from corruptions import CORRUPTIONS, SEVERITY_TABLES, apply, batch

Pictures = Callable[..., Tensor]
NAMES = (*CORRUPTIONS, "dotted_line")
RANDOM = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "speckle_noise",
    "glass_blur",
    "motion_blur",
    "snow",
    "frost",
    "fog",
    "spatter",
    "elastic_transform",
    "dotted_line",
)


@pytest.mark.parametrize(
    ("family", "height", "channels"), [("cifar", 32, 3), ("imagenet", 64, 3), ("fashion", 28, 1)]
)
@pytest.mark.parametrize("name", NAMES)
def test_batch_split_does_not_matter(
    pictures: Pictures, monkeypatch: pytest.MonkeyPatch, name: str, family: str, height: int, channels: int
) -> None:
    """An image gets the same bytes alone, in any batch, in any order and in any chunk."""
    images = pictures(7, channels, height)
    whole = apply(images, name, 4, seed=3, family=family)
    parts = [
        apply(images[part], name, 4, seed=3, family=family, indices=range(7)[part])
        for part in (slice(0, 1), slice(1, 5), slice(5, 7))
    ]
    assert torch.equal(torch.cat(parts), whole)
    order = torch.tensor([4, 0, 6, 2, 5, 1, 3])
    assert torch.equal(apply(images[order], name, 4, seed=3, family=family, indices=order), whole[order])
    monkeypatch.setitem(batch.CHUNK, "cpu", 2 * images[0].numel())
    assert torch.equal(apply(images, name, 4, seed=3, family=family), whole)


@pytest.mark.parametrize("name", RANDOM)
def test_seed_and_index_choose_the_noise(pictures: Pictures, name: str) -> None:
    """The same seed repeats; another seed, another index and another severity's draws do not."""
    images = pictures(1).expand(2, -1, -1, -1)
    first = apply(images, name, 3, seed=0, family="cifar")
    assert torch.equal(first, apply(images, name, 3, seed=0, family="cifar"))
    assert not torch.equal(first, apply(images, name, 3, seed=1, family="cifar"))
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("name", [name for name in NAMES if name not in RANDOM])
def test_deterministic_kinds_ignore_seed_and_index(pictures: Pictures, name: str) -> None:
    """A corruption without randomness depends on the image alone."""
    images = pictures(2)
    first = apply(images, name, 3, seed=0)
    assert torch.equal(first, apply(images, name, 3, seed=9, indices=[7, 8]))


@pytest.mark.parametrize("size", [(28, 28), (32, 32), (64, 64), (30, 45), (224, 224)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_every_size_and_grey(pictures: Pictures, name: str, channels: int, size: tuple[int, int]) -> None:
    """Every corruption takes any size from 28x28, grey or colour, and returns 8-bit images in [0, 1]."""
    images = pictures(2, channels, *size)
    family = "imagenet" if size[0] > 32 else "cifar"
    for severity in (1, 5):
        result = apply(images, name, severity, family=family)
        assert result.shape == images.shape
        assert result.dtype == images.dtype
        assert result.min() >= 0
        assert result.max() <= 1
        assert torch.equal(result.mul(255).round().div(255), result)
        is_unchanged = torch.equal(result, images)
        assert is_unchanged == (name == "saturate" and channels == 1)


@pytest.mark.parametrize("family", SEVERITY_TABLES)
@pytest.mark.parametrize("name", list(CORRUPTIONS))
def test_severity_hurts_more(pictures: Pictures, name: str, family: str) -> None:
    """Severity 5 changes images more than severity 1, in every table."""
    if name == "elastic_transform":
        pytest.skip("the published tables trade a large warp for a small one")
    images = pictures(8, 1 if family == "fashion" and name != "saturate" else 3, 32)
    mild, severe = (
        (apply(images, name, severity, family=family) - images).square().mean() for severity in (1, 5)
    )
    assert severe > mild


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(NAMES),
    severity=st.integers(1, 5),
    level=st.integers(0, 255),
    height=st.integers(28, 40),
    width=st.integers(28, 40),
    channels=st.sampled_from([1, 3]),
)
def test_flat_images_stay_in_range(
    name: str, severity: int, level: int, height: int, width: int, channels: int
) -> None:
    """A constant image, black and white included, gives finite levels in [0, 1] at any odd size."""
    images = torch.full((1, channels, height, width), level / 255)
    result = apply(images, name, severity, family="cifar")
    assert result.isfinite().all()
    assert result.min() >= 0
    assert result.max() <= 1


@pytest.mark.parametrize("name", ["defocus_blur", "gaussian_blur", "motion_blur", "zoom_blur", "pixelate"])
@pytest.mark.parametrize("level", [0, 1, 77, 128, 254, 255])
def test_blur_keeps_flat_images(name: str, level: int) -> None:
    """Weights add to one and truncation loses no level: a constant image is not changed by a blur."""
    images = torch.full((1, 3, 40, 40), level / 255)
    assert torch.equal(apply(images, name, 3), images)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_dtype_is_kept(pictures: Pictures, dtype: torch.dtype) -> None:
    """Images come back in their own floating-point type."""
    images = pictures(2).to(dtype)
    assert apply(images, "fog", 2, family="cifar").dtype == dtype


def test_images_are_not_written_to(pictures: Pictures) -> None:
    """The clean images survive, whatever their memory layout."""
    images = pictures(3).contiguous(memory_format=torch.channels_last)
    copy = images.clone()
    for name in NAMES:
        apply(images, name, 5, family="cifar")
    assert torch.equal(images, copy)


def test_memory_layout_does_not_matter(pictures: Pictures) -> None:
    """Channels-last images give the same bytes as channels-first ones."""
    images = pictures(3)
    for name in NAMES:
        turned = apply(images.contiguous(memory_format=torch.channels_last), name, 2, family="cifar")
        assert torch.equal(turned, apply(images, name, 2, family="cifar"))


def test_empty_batch(pictures: Pictures) -> None:
    """No images give no images."""
    assert apply(pictures(1)[:0], "fog", 1).shape == (0, 3, 32, 32)


GOOD = torch.rand(2, 3, 32, 32)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "fogg"}, LookupError, "unknown corruption 'fogg'; did you mean 'fog'?"),
        ({"family": "cifar10"}, LookupError, "unknown severity table 'cifar10'; did you mean 'cifar'?"),
        ({"severity": 0}, ValueError, "severity must be 1, 2, 3, 4 or 5, got 0"),
        ({"severity": 6}, ValueError, "severity must be 1, 2, 3, 4 or 5, got 6"),
        ({"images": GOOD * 2 + 1}, ValueError, "images must lie in \\[0, 1\\], got values from"),
        ({"images": GOOD - 1}, ValueError, "images must lie in \\[0, 1\\], got values from"),
        ({"images": GOOD * torch.nan}, ValueError, "images must lie in \\[0, 1\\], got values from nan"),
        (
            {"images": GOOD.mul(255).to(torch.uint8)},
            ValueError,
            "floating point in \\[0, 1\\], got torch.uint8",
        ),
        ({"images": GOOD.numpy()}, TypeError, "must be a tensor \\[n, c, h, w\\], got ndarray"),
        ({"images": GOOD[0]}, ValueError, "must be a tensor \\[n, c, h, w\\], got shape \\[3, 32, 32\\]"),
        ({"images": GOOD[:, :2]}, ValueError, "1 or 3 channels, got 2"),
        ({"images": GOOD[..., :27]}, ValueError, "at least 28x28, got 32x27"),
        ({"indices": [0]}, ValueError, "indices must name 2 images, got 1"),
        ({"indices": [0, -1]}, ValueError, "indices must not be negative, got -1"),
        ({"swap": True}, ValueError, "fog has no option 'swap'; its options: none"),
        ({"name": "frost", "swap": True}, ValueError, "frost has no option 'swap'; its options: frost_dir"),
    ],
)
def test_bad_input_is_refused_in_one_line(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    """What a person can get wrong is said in one line with the value in it."""
    call = {"images": GOOD, "name": "fog", "severity": 3} | arguments
    with pytest.raises(error, match=message) as caught:
        apply(**call)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "is_allowed"),
    [(-0.0, True), (1.0, True), (1 + 2**-23, False), (-1e-30, False), (math.inf, False), (-math.nan, False)],
)
def test_the_range_is_exact(value: float, is_allowed: bool) -> None:
    """The next number after 1 and the smallest below 0 are refused, in any image of a batch; -0 is 0."""
    images = torch.full((5, 1, 28, 28), 0.5)
    images[4, 0, 20, 3] = value
    with contextlib.nullcontext() if is_allowed else pytest.raises(ValueError, match="must lie in"):
        apply(images, "contrast", 1)


@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMES)
def test_gpu_gives_the_same_bytes(pictures: Pictures, name: str) -> None:
    """Every corruption runs on a GPU and gives the CPU's bytes there."""
    for family, size in (("cifar", 32), ("imagenet", 224)):
        images = pictures(4, 3, size)
        for severity in (1, 3, 5):
            there = apply(images.cuda(), name, severity, family=family)
            assert there.is_cuda
            here = apply(images, name, severity, family=family)
            assert (there.cpu() != here).float().mean() < 1e-5
