"""Each kind against a slow, plain version of its definition, or a known answer."""

from __future__ import annotations

import colorsys
import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from corruptions import apply, blur, jpeg, noise, textures, water
from corruptions.draws import WORD, Draws
from corruptions.filters import gaussian_filter, gaussian_weights, motion_filter, zoom_positions
from corruptions.plasma import plasma

Pictures = Callable[..., Tensor]
CPU = torch.device("cpu")


def _levels(images: Tensor) -> Tensor:
    return images.mul(255).round()


def test_draws_are_philox_words() -> None:
    """A draw is the raw words of NumPy's Philox with the image's index in the third counter word."""
    draws = Draws("key", [5, 9], CPU)
    first, second = draws.words(3), draws.words(6)
    again = Draws("key", [9], CPU)
    assert torch.equal(again.words(3)[0], first[1])
    assert torch.equal(again.words(6)[0], second[1])
    assert not torch.equal(Draws("other", [9], CPU).words(3)[0], first[1])
    assert first.min() >= 0
    assert first.max() < WORD


def test_normal_draws_are_normal() -> None:
    """Mean 0, variance 1, and the right mass within one and two deviations."""
    values = Draws("normal", [0], CPU).normal(2**20)
    assert abs(float(values.mean())) < 0.005
    assert abs(float(values.var()) - 1) < 0.005
    for bound in (1, 2):
        assert abs(float((values.abs() < bound).float().mean()) - math.erf(bound / math.sqrt(2))) < 0.003


@pytest.mark.parametrize("photons", [3.0, 60.0, 500.0])
def test_poisson_tables_hold_the_distribution(photons: float) -> None:
    """The alias tables of every level add up to its Poisson probabilities."""
    accept, alias = (table.view(256, -1).double() for table in noise._poisson_tables(photons, CPU))
    columns = accept.shape[1]
    kept = (accept + 2**31 / columns) / (2**32 / columns)
    for level in (0, 1, 100, 255):
        mass = kept[level] / columns
        mass = mass.scatter_add(0, alias[level].long(), (1 - kept[level]) / columns)
        mean = photons * level / 255
        counts = torch.arange(columns, dtype=torch.float64)
        exact = torch.exp(torch.xlogy(counts, torch.tensor(mean)) - mean - torch.lgamma(counts + 1))
        assert torch.allclose(mass, exact, atol=1e-7)


def test_impulse_noise_replaces_the_stated_fraction() -> None:
    """Of all words, the stated fraction makes black or white, half each."""
    spikes = noise._spikes(0.03, CPU)
    assert int((spikes < 0).sum()) == int((spikes > 0).sum()) == round(0.015 * WORD)


@pytest.mark.parametrize("reach", [1, 2, 4])
@pytest.mark.parametrize("is_swap", [False, True])
def test_glass_moves_pixels_as_the_loop_does(reach: int, is_swap: bool) -> None:
    """Copying in parallel and swapping along slanted lines equal the pixel-by-pixel loop."""
    height, width = 31, 29
    neighbours = blur._neighbours(Draws("glass", [0, 1], CPU), reach, height, width)
    moved = (blur._swapped if is_swap else blur._copied)(neighbours, reach).view(2, -1)
    for image in range(2):
        expected = np.arange(height * width) + image * height * width
        targets = neighbours[image].flatten().numpy() - image * height * width
        for row in range(height - reach, reach, -1):
            for column in range(width - reach, reach, -1):
                here = row * width + column
                there = targets[here]
                if is_swap:
                    expected[here], expected[there] = expected[there], expected[here]
                else:
                    expected[here] = expected[there]
        assert np.array_equal(moved[image].numpy(), expected)


def test_glass_swap_keeps_all_pixels(pictures: Pictures) -> None:
    """With `swap` and no blur, the pixels of an image are the same ones in other places."""
    images = pictures(2)
    swapped = apply(images, "glass_blur", 1, family="cifar", swap=True)
    copied = apply(images, "glass_blur", 1, family="cifar")
    assert not torch.equal(swapped, copied)
    assert torch.equal(swapped.flatten(2).sort().values, images.flatten(2).sort().values)


def test_motion_blur_equals_a_walk_along_the_line(pictures: Pictures) -> None:
    """Each step reads the pixel nearest to the line, the image's edge going on beyond it."""
    levels = _levels(pictures(3, 1, 30))
    angles = np.array([-30.0, 90.0, 12.5])
    result = motion_filter(levels, 6, 2.5, angles)
    steps = np.arange(13)
    weights = np.exp(-(steps**2) / (2 * 2.5**2))
    weights /= weights.sum()
    for image, angle in enumerate(np.deg2rad(angles)):
        expected = np.zeros((30, 30))
        for step, weight in zip(steps, weights, strict=True):
            rows = np.clip(np.arange(30) + math.ceil(step * math.sin(angle) - 0.5), 0, 29)
            columns = np.clip(np.arange(30) + math.ceil(step * math.cos(angle) - 0.5), 0, 29)
            expected += weight * levels[image, 0].numpy()[rows][:, columns]
        assert np.abs(result[image, 0].numpy() - expected).max() < 0.05


@pytest.mark.parametrize(
    ("border", "mode"), [("nearest", "edge"), ("reflect", "symmetric"), ("mirror", "reflect")]
)
@pytest.mark.parametrize("size", [40, 80])
def test_gaussian_filter_equals_its_definition(border: str, mode: str, size: int) -> None:
    """Both ways to compute it, matrices and shifts, are the weighted sum over the padded image."""
    plane = np.random.default_rng(0).uniform(0, 255, (size, size))
    weights = gaussian_weights(1.5, 4.0)
    padded = np.pad(plane, 6, mode=mode)
    expected = sum(
        one * other * padded[row : row + size, column : column + size]
        for row, one in enumerate(weights)
        for column, other in enumerate(weights)
    )
    result = gaussian_filter(torch.from_numpy(plane)[None, None].float(), 1.5, border)  # type: ignore[arg-type]
    assert np.abs(result[0, 0].numpy() - expected).max() < 1e-3


def test_zoom_keeps_the_centre() -> None:
    """A zoom reads positions symmetric about the image's centre and inside the image."""
    for size, factor in ((32, 1.06), (224, 1.27), (56, 2.0)):
        positions = zoom_positions(size, factor)
        assert len(positions) == size
        assert positions[0] >= 0
        assert positions[-1] <= size - 1
        assert abs(positions.mean() - (size - 1) / 2) < 1


@pytest.mark.parametrize("quality", [7, 25, 50, 80])
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 28, 28), (3, 32, 32), (3, 45, 61)])
def test_jpeg_equals_the_codec(
    pictures: Pictures, quality: int, channels: int, height: int, width: int
) -> None:
    """Without a codec the result is Pillow's, to less than half a level on average."""
    levels = _levels(pictures(8, channels, height, width))
    ours = jpeg.compress(levels, quality).add(2**-10).floor().clamp(0, 255)
    differences = []
    for level, our in zip(levels, ours, strict=True):
        pixels = level.permute(1, 2, 0).squeeze(-1).to(torch.uint8).numpy()
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=quality)
        with Image.open(file) as image:
            theirs = np.array(image, dtype=np.float64)
        differences.append(np.abs(our.permute(1, 2, 0).squeeze(-1).numpy() - theirs).mean())
    assert np.mean(differences) < 0.5, differences


@pytest.mark.parametrize("family", ["imagenet", "cifar"])
@pytest.mark.parametrize("severity", [1, 3, 5])
def test_pixelate_equals_pillow(pictures: Pictures, family: str, severity: int) -> None:
    """Boxes are Pillow's at any size; rounding rows before columns is at most one level off."""
    images = pictures(1, 3, 37, 50)
    scale = {"imagenet": (0.6, 0.4, 0.25), "cifar": (0.95, 0.85, 0.65)}[family][severity // 2]
    picture = Image.fromarray(_levels(images)[0].permute(1, 2, 0).to(torch.uint8).numpy())
    small = picture.resize((int(50 * scale), int(37 * scale)), Image.Resampling.BOX)
    expected = np.array(small.resize((50, 37), Image.Resampling.BOX), dtype=np.float64)
    ours = _levels(apply(images, "pixelate", severity, family=family))[0].permute(1, 2, 0).numpy()
    assert np.abs(ours - expected).max() <= 1


@pytest.mark.parametrize(
    ("name", "severity"), [("brightness", 2), ("brightness", 5), ("saturate", 1), ("saturate", 4)]
)
def test_colour_changes_are_those_of_hsv(pictures: Pictures, name: str, severity: int) -> None:
    """The closed forms equal a round trip through HSV, pixel by pixel, greys and black included."""
    images = pictures(1, 3, 28)
    images[..., 0, :4] = torch.tensor([0.0, 60 / 255, 1.0, 200 / 255])
    added = {2: 0.2, 5: 0.5}.get(severity, 0.0)
    factor, summand = {1: (0.3, 0.0), 4: (5.0, 0.1)}.get(severity, (1.0, 0.0))
    ours = apply(images, name, severity)[0].mul(255)
    for row in range(0, 28, 3):
        for column in range(0, 28, 3):
            hue, saturation, value = colorsys.rgb_to_hsv(*images[0, :, row, column].double().tolist())
            if name == "brightness":
                value = min(value + added, 1.0)
            else:
                saturation = min(saturation * factor + summand, 1.0)
            expected = np.array(colorsys.hsv_to_rgb(hue, saturation, value)) * 255
            assert np.abs(ours[:, row, column].numpy() - np.floor(expected + 1e-6)).max() <= 1


def test_contrast_is_a_straight_line(pictures: Pictures) -> None:
    """Levels move towards their channel's mean by the stated factor."""
    levels = _levels(pictures(2)).double()
    mean = levels.mean((2, 3), keepdim=True)
    expected = ((levels - mean) * 0.4 + mean + 1e-6).floor()
    assert torch.equal(_levels(apply(pictures(2), "contrast", 1)).double(), expected)


def test_fog_leaves_black_images_black() -> None:
    """Fog is scaled by the brightest level, as published: none without light."""
    assert apply(torch.zeros(1, 3, 32, 32), "fog", 5).max() == 0


def test_plasma_is_seamless_and_normalised() -> None:
    """Heights fill 0 to 1, and opposite edges differ no more than neighbouring lines."""
    heights = plasma(64, 3.0, Draws("plasma", range(4), CPU))
    assert torch.equal(heights.amin((1, 2)), torch.zeros(4))
    assert torch.equal(heights.amax((1, 2)), torch.ones(4))
    seam = (heights[:, 0] - heights[:, -1]).abs().mean()
    assert seam < 2 * (heights[:, 1:] - heights[:, :-1]).abs().mean()


def test_snow_is_symmetric_on_flat_images() -> None:
    """The flakes are added once and once turned by 180 degrees, as published."""
    result = apply(torch.full((2, 3, 40, 40), 0.5), "snow", 3)
    assert torch.equal(result, result.flip(2, 3))
    assert result.amax() > result.amin()


def test_water_distance_is_euclidean() -> None:
    """The distance to the nearest edge is exact up to 20 pixels."""
    edges = torch.zeros(1, 1, 30, 40, dtype=torch.bool)
    points = [(3, 4), (20, 25), (29, 0)]
    for row, column in points:
        edges[0, 0, row, column] = True
    rows, columns = np.mgrid[:30, :40]
    nearest = np.min([np.hypot(rows - row, columns - column) for row, column in points], 0)
    assert np.allclose(water._distance(edges)[0, 0].numpy(), np.minimum(nearest, 20), atol=1e-5)


def test_water_edges_lie_between_drop_and_dry() -> None:
    """Canny finds the outline of a disk, one pixel thin, and nothing else."""
    rows, columns = np.mgrid[:40, :40]
    distance = np.hypot(rows - 20, columns - 20)
    drop = torch.from_numpy(np.where(distance < 10, 200.0, 0.0)).float()[None, None]
    edges = water._edges(drop)[0, 0].numpy()
    assert (np.abs(distance[edges] - 10) < 1.6).all()
    assert 50 < edges.sum() < 90


def test_spatter_without_drops_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image without drops is returned as it is; the published script divides by zero there."""
    assert torch.equal(water.shading(torch.zeros(1, 1, 32, 32)), torch.zeros(1, 1, 32, 32))


def test_dotted_line_is_mnist_c() -> None:
    """White dots two columns wide, two apart, from the left edge to one column short of the right."""
    images = torch.zeros(50, 1, 28, 28)
    result = apply(images, "dotted_line", 5, family="fashion")
    is_on = result.amax((1, 2)) > 0
    expected = torch.tensor([column // 2 % 2 == 1 and column < 27 for column in range(28)])
    assert torch.equal(is_on, expected.expand(50, -1))
    height = (result[..., 2] * torch.arange(28)).sum((1, 2)) / result[..., 2].sum((1, 2))
    assert height.max() > 20
    assert height.min() < 5


def test_frost_textures_are_always_the_same() -> None:
    """The made textures are part of the benchmark: their means are pinned."""
    made = textures.made()
    assert [texture.shape for texture in made] == [(3, 1024, 1024)] * 5
    means = [float(texture.float().mean()) for texture in made]
    for mean, ice in zip(means, textures.ICE, strict=True):
        assert abs(mean - ice.mean) < 4
    assert len({tuple(texture.flatten()[:1000].tolist()) for texture in made}) == 5


def test_frost_dir_takes_the_first_five_photographs(tmp_path: Path) -> None:
    """Of a folder the first five images by name are used: the published script never uses the sixth."""
    for number in range(6):
        colour = (10 * number, 20 * number, 30 * number)
        Image.new("RGB", (300, 260), colour).save(tmp_path / f"frost{number + 1}.png")
    result = _levels(apply(torch.zeros(64, 3, 32, 32), "frost", 2, frost_dir=tmp_path))
    seen = {tuple(image[:, 0, 0].int().tolist()) for image in result}
    assert seen == {tuple(math.floor(0.6 * n * c + 1e-3) for c in (10, 20, 30)) for n in range(5)}


def test_frost_dir_without_images(tmp_path: Path) -> None:
    """A folder without images is one clear line."""
    with pytest.raises(FileNotFoundError, match=r"holds no \.png or \.jpg image"):
        apply(torch.zeros(1, 3, 32, 32), "frost", 1, frost_dir=tmp_path)
