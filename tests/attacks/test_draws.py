from __future__ import annotations

import pytest
import torch

from attacks import Draws

LIKE = torch.zeros((), dtype=torch.float64)


@pytest.mark.parametrize("kind", ["uniform", "normal", "signs"])
def test_an_example_draws_alike_in_every_batch(kind) -> None:
    """The numbers belong to the key and the example, not to the batch, whatever is drawn in between."""

    def drawn(examples):
        draws = Draws("key", examples, LIKE)
        getattr(draws, kind)((2, 3))
        return getattr(draws, kind)((5,))

    together = drawn([3, 4, 5])

    torch.testing.assert_close(drawn([5, 3]), together[[2, 0]], rtol=0, atol=0)
    assert not torch.equal(together[0], together[1])


def test_other_keys_draw_other_numbers() -> None:
    """Cells do not share their noise."""
    assert not torch.equal(Draws("a", [0], LIKE).uniform((4,)), Draws("b", [0], LIKE).uniform((4,)))


def test_signs_are_balanced() -> None:
    """Both signs are equally likely: 20,000 draws lie within four standard errors of zero mean."""
    signs = Draws("balance", range(20), LIKE).signs((1000,))

    assert signs.unique().tolist() == [-1, 1]
    assert abs(signs.mean().item()) < 4 / 20_000**0.5


def test_draws_have_the_dtype_asked_for() -> None:
    """Attacks in float32 are not widened by their noise."""
    like = torch.zeros((), dtype=torch.float32)

    assert Draws("key", [0], like).uniform((1,)).dtype == torch.float32
    assert Draws("key", [0], like).signs((1,)).dtype == torch.float32
