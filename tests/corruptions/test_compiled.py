"""The compiled loops against what they stand for: NumPy's generator, and the torch code a GPU runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.random import Philox
from torch import Tensor

from corruptions import CORRUPTIONS, apply, compiled

Pictures = Callable[..., Tensor]


def test_philox_is_numpys() -> None:
    """The words are those of NumPy's Philox with the same key and counter, whatever their number."""
    key, used, indices = 2**127 + 12345, 7, [0, 3, 2**40]
    for blocks in (1, 64, 100):
        words = np.empty((3, 4 * blocks), np.uint64)
        halves = np.array([key % 2**64, key >> 64], np.uint64)
        compiled.run(compiled.philox, 3, words, halves, used, np.array(indices, np.uint64))
        for row, index in zip(words, indices, strict=True):
            expected = Philox(key=key, counter=[used, 0, index, 0])
            assert np.array_equal(row, expected.random_raw(4 * blocks))


@pytest.mark.parametrize(
    ("family", "height", "channels"), [("cifar", 32, 3), ("imagenet", 70, 3), ("fashion", 29, 1)]
)
@pytest.mark.parametrize("name", [*CORRUPTIONS, "dotted_line"])
def test_compiled_loops_equal_torch(
    pictures: Pictures, monkeypatch: pytest.MonkeyPatch, name: str, family: str, height: int, channels: int
) -> None:
    """The loops for a CPU give the bytes of the code for a GPU, here run on the CPU."""
    images = pictures(3, channels, height, height + 3)
    for severity in (1, 3, 5):
        monkeypatch.undo()
        expected = apply(images, name, severity, family=family)
        monkeypatch.setattr(compiled, "is_used", lambda device: False)
        assert torch.equal(apply(images, name, severity, family=family), expected)


def test_threads_share_a_batch(pictures: Pictures) -> None:
    """Any number of threads gives the same bytes."""
    images, before = pictures(5), torch.get_num_threads()
    expected = apply(images, "glass_blur", 3)
    try:
        torch.set_num_threads(3)
        assert torch.equal(apply(images, "glass_blur", 3), expected)
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_makes_its_own_threads() -> None:
    """The threads of a parent do not exist in a fork, which must not wait for them."""
    words, key, indices = (
        np.empty((4, 400), np.uint64),
        np.zeros(2, np.uint64),
        np.arange(4).astype(np.uint64),
    )
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        compiled.run(compiled.philox, 4, words, key, 0, indices)
        child = os.fork()
        if not child:
            compiled.run(compiled.philox, 4, words, key, 0, indices)
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    finally:
        torch.set_num_threads(before)
