"""Augmentation on the device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bench.data import LabelledImages
from bench.training.images import augment, epoch_order, split, to_float


def random_bytes(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(1, 256, shape, np.uint8)


def test_every_augmented_image_is_a_window_of_its_padded_self() -> None:
    """Crops are windows of the image padded with black, mirrored or not, and all windows occur."""
    images = torch.from_numpy(random_bytes(1, 3, 6, 6)).repeat(600, 1, 1, 1)
    padded = np.pad(images[0].numpy(), ((0, 0), (2, 2), (2, 2)))
    windows = {}
    for row in range(5):
        for column in range(5):
            window = padded[:, row : row + 6, column : column + 6]
            windows[window.tobytes()] = (row, column, False)
            windows[window[:, :, ::-1].tobytes()] = (row, column, True)
    augmented = augment(images, 2, flip=True, generator=torch.Generator().manual_seed(0))
    drawn = [windows[image.numpy().tobytes()] for image in augmented.contiguous()]
    assert len(set(drawn)) == 50
    assert sum(mirrored for _, _, mirrored in drawn) / 600 == pytest.approx(0.5, abs=0.08)


def test_flip_alone_mirrors_and_nothing_else() -> None:
    """Without padding an image is either itself or its mirror image."""
    images = torch.from_numpy(random_bytes(64, 1, 4, 4))
    augmented = augment(images, 0, flip=True, generator=torch.Generator().manual_seed(0))
    is_same = (augmented == images).flatten(1).all(1)
    is_mirrored = (augmented == images.flip(3)).flatten(1).all(1)
    assert (is_same ^ is_mirrored).all()
    assert is_same.any()
    assert is_mirrored.any()


def test_no_augmentation_takes_no_draws() -> None:
    """A recipe without augmentation sees the images as they are."""
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    images = torch.from_numpy(random_bytes(2, 1, 4, 4))
    assert augment(images, 0, flip=False, generator=generator) is images
    assert torch.equal(generator.get_state(), before)


def test_shrinking_averages_areas() -> None:
    """Half the size is the mean of 2x2 pixels, in [0, 1]."""
    images = torch.from_numpy(random_bytes(3, 2, 8, 8))
    expected = images.double().unflatten(3, (4, 2)).unflatten(2, (4, 2)).mean((3, 5)) / 255
    shrunk = to_float(images, 4, is_channels_last=True)
    torch.testing.assert_close(shrunk.double(), expected, atol=1e-6, rtol=0)
    assert shrunk.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(to_float(images, 8, is_channels_last=False), images.float() / 255)


def test_held_out_images_are_never_trained_on() -> None:
    """The two parts are all images once, and the same for the same seed."""
    found = LabelledImages(random_bytes(50, 4, 4, 1), np.arange(50))
    training, held_out = split(found, 10, 3, torch.device("cpu"))
    assert len(held_out.labels) == 10
    assert sorted([*training.labels.tolist(), *held_out.labels.tolist()]) == list(range(50))
    assert torch.equal(held_out.labels, split(found, 10, 3, torch.device("cpu"))[1].labels)
    assert not torch.equal(held_out.labels, split(found, 10, 4, torch.device("cpu"))[1].labels)
    example = int(held_out.labels[0])
    np.testing.assert_array_equal(held_out.images[0].permute(1, 2, 0).numpy(), found.images[example])


def test_every_epoch_has_its_own_order() -> None:
    """Orders are permutations that differ between epochs and seeds and depend on nothing else."""
    orders = {tuple(epoch_order(20, seed, epoch).tolist()) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9
    assert all(sorted(order) == list(range(20)) for order in orders)
    assert tuple(epoch_order(20, 0, 0).tolist()) in orders
