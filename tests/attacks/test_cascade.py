from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch

from attacks import Cascade, Draws, Member


@dataclass(frozen=True)
class Brighten:
    """Adds a constant; keeps what it was called with."""

    by: float
    seen: list[list[float]] = field(default_factory=list)
    width: int = 3

    def __call__(self, classifier, images, labels, draws):
        self.seen.append([*images[:, 0, 0, 0].tolist(), *draws.uniform(()).tolist()])
        return images + self.by


def judge(images: torch.Tensor) -> torch.Tensor:
    """Class 1 for bright images."""
    score = images.mean((1, 2, 3)) - 0.5
    return torch.stack([-score, score], 1)


def cascade(*members: Brighten) -> Cascade:
    return Cascade([Member(member, judge) for member in members], judge)


IMAGES = torch.tensor([0.1, 0.6, 0.3, 0.45, 0.2])[:, None, None, None].expand(-1, 1, 2, 2).contiguous()
LABELS = torch.zeros(5, dtype=torch.long)


def draws(examples: list[int]) -> Draws:
    return Draws("key", examples, IMAGES)


def test_only_standing_examples_go_on() -> None:
    """Each member sees what those before it left, from the clean image, and the first success is kept."""
    weak, strong = Brighten(0.1), Brighten(0.25)
    adversarial, fooled_by = cascade(weak, strong)(IMAGES, LABELS, draws([0, 1, 2, 3, 4]))

    assert fooled_by.tolist() == [3, 0, 2, 1, 3]
    torch.testing.assert_close(adversarial[:, 0, 0, 0], torch.tensor([0.1, 0.6, 0.55, 0.55, 0.2]))
    assert [len(seen) // 2 for seen in (weak.seen[0], strong.seen[0])] == [4, 3]


def test_draws_do_not_depend_on_who_still_stands() -> None:
    """An example alone meets the numbers that it meets among others."""
    together, alone = Brighten(0.25), Brighten(0.25)
    cascade(Brighten(0.1), together)(IMAGES, LABELS, draws([0, 1, 2, 3, 4]))
    cascade(Brighten(0.1), alone)(IMAGES[4:], LABELS[4:], draws([4]))

    assert together.seen[0][2] == alone.seen[0][0]
    assert together.seen[0][5] == alone.seen[0][1]


def test_it_ends_when_nothing_stands() -> None:
    """Later members are not called."""
    idle = Brighten(0.1)
    _, fooled_by = cascade(Brighten(0.5), idle)(IMAGES, LABELS, draws([0, 1, 2, 3, 4]))

    assert fooled_by.tolist() == [1, 0, 1, 1, 1]
    assert idle.seen == []


def test_the_widest_member_sets_the_width() -> None:
    """Batches are cut for the member that evaluates most at once."""
    assert cascade(Brighten(0.1), Brighten(0.1, width=7)).width == 7
    assert cascade().width == 1


@pytest.mark.parametrize("members", [0, 2])
def test_clean_mistakes_belong_to_no_member(members) -> None:
    """An example that is wrong from the start is left as it is."""
    adversarial, fooled_by = cascade(*[Brighten(0.1)] * members)(IMAGES, LABELS, draws([0, 1, 2, 3, 4]))

    assert fooled_by[1] == 0
    torch.testing.assert_close(adversarial[1], IMAGES[1])


@dataclass(frozen=True)
class Climb(Brighten):
    """Adds a constant to the image that it starts from."""

    def refine(self, classifier, images, start, labels, draws):
        self.seen.append(start[:, 0, 0, 0].tolist())
        return start + self.by


def test_a_refining_member_starts_from_the_strongest_image() -> None:
    """It goes on from what came nearest to an error, and from the clean image where nothing came nearer."""
    refiner = Climb(0.2)
    members = [Member(Brighten(by), judge) for by in (0.1, 0.05, -0.1)] + [Member(refiner, judge, True)]
    adversarial, fooled_by = Cascade(members, judge)(IMAGES, LABELS, draws([0, 1, 2, 3, 4]))

    assert fooled_by.tolist() == [5, 0, 4, 1, 5]
    torch.testing.assert_close(torch.tensor(refiner.seen[0]), torch.tensor([0.2, 0.4, 0.3]))
    torch.testing.assert_close(adversarial[:, 0, 0, 0], torch.tensor([0.1, 0.6, 0.6, 0.55, 0.2]))

    away = Climb(0.2)
    Cascade([Member(Brighten(-0.05), judge), Member(away, judge, True)], judge)(
        IMAGES, LABELS, draws([0, 1, 2, 3, 4])
    )
    torch.testing.assert_close(torch.tensor(away.seen[0]), IMAGES[[0, 2, 3, 4], 0, 0, 0])


def test_only_a_refiner_refines() -> None:
    """An attack with starts of its own alone is refused."""
    with pytest.raises(ValueError, match="Brighten cannot start from images that others found"):
        Member(Brighten(0.1), judge, is_refining=True)
