"""Which record counts where several stand for one place."""

from __future__ import annotations

from itertools import permutations

import pytest

from reports.series import largest, one_of_each

from .conftest import PROVENANCE

EARLY = PROVENANCE.model_copy(update={"finished_at": "2026-01-01T00:00:00+00:00"})


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({"n": 8}, {"n": 100, "provenance": EARLY, "iterations": 3}),
        ({"iterations": 3}, {"provenance": EARLY}),
        ({"provenance": EARLY}, {}),
    ],
)
def test_what_the_largest_is_first_in(less: dict[str, object], more: dict[str, object], record) -> None:
    """Most examples, then an attacker who knew the iterations, then the latest."""

    def attacked(changes: dict[str, object]):
        cell_of_attack = {"attack_iterations": 2, "source": "cnnf_cifar", "attack_target": "e2e"}
        return record(None, 1, **{"seed": 0, **cell_of_attack, **changes})

    first, second = attacked(less), attacked(more)

    assert largest([first, second]) == largest([second, first]) == second
    assert largest([]) is None


def test_the_order_of_records_tells_nothing(record) -> None:
    """Also of records that are equal but for their seed."""
    records = [record(None, 1, seed=seed) for seed in range(4)]

    assert len({largest(order).key for order in permutations(records)}) == 1


def test_one_of_each_series(record) -> None:
    """Runs on other numbers of images are one series; another attack or seed is another one."""
    few, many = record("pgd-7 e2e", 3, 8), record("pgd-7 e2e", 30, 100)
    spsa, seed = record("spsa-7 e2e", 3, 8), record("pgd-7 e2e", 3, 8, seed=1)

    assert one_of_each([spsa, few, seed, many]) == [spsa, seed, many]
    assert one_of_each([many, few]) == [many]
