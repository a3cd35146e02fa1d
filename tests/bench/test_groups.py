from __future__ import annotations

import pytest

from bench.groups import describe, group_by_images


def test_cells_that_differ_in_readout_share_their_images(plan) -> None:
    """Last and avg are two readings of one attack."""
    groups = group_by_images(plan("adversarial"))

    assert all({cell.readout for cell in group} == {"last", "avg"} for group in groups)


def test_names_say_what_is_done(plan) -> None:
    """Model, attack, steps, target, and whose images they are; no setting where none is needed."""
    assert describe(group_by_images(plan("adversarial"))) == [
        "feedback: clean",
        "feedback: pgd-7 first from plain",
        "feedback: pgd-7 first",
        "feedback: pgd-40 first",
        "feedback: pgd-7 e2e",
        "feedback: pgd-40 e2e",
        "feedback: pgd-7 e2e_avg",
        "feedback: pgd-40 e2e_avg",
        "feedback: spsa-7 first",
        "feedback: spsa-7 e2e",
        "feedback: spsa-7 e2e_avg",
    ]


def test_names_of_like_groups_say_what_tells_them_apart(plan) -> None:
    """Epsilon and iterations first, and no setting that follows from them, such as the size of steps."""
    cells = plan("predify-attacks")
    longer = [cell.model_copy(update={"attack_iterations": 3}) for cell in cells if cell.attack_iterations]
    names = describe(group_by_images([*cells, *longer]))

    assert names[:2] == ["feedback: clean", "feedback: targeted_bim-20 first, epsilon 0.02"]
    assert "feedback: targeted_bim-20 e2e, epsilon 0.02, iterations 2" in names
    assert "feedback: targeted_bim-20 e2e, epsilon 0.02, iterations 3" in names


@pytest.mark.parametrize(
    "suite", ["epsilons", "predify-paper", "corruptions", "verdict", "consistency", "restoration", "transfer"]
)
def test_no_two_groups_have_one_name(plan, suite: str) -> None:
    """A person who watches can tell where a run is."""
    names = describe(group_by_images(plan(suite)))

    assert len(set(names)) == len(names)
