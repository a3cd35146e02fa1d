from __future__ import annotations

from typing import get_args

import pytest

from reports.cell import Perturbation
from reports.examples import examples

from .conftest import attack_on

KINDS = get_args(Perturbation.model_fields["kind"].annotation)
TITLES = {
    "attack": "cifar10: PGD-40 (e2e) on cnnf_cifar, epsilon 0.03",
    "corruption": "cifar10: shot noise, severity 3",
    "noise": "cifar10: noise, sigma 0.25",
}
DONE = {
    "attack": attack_on("pgd", "e2e", 0.03, 2),
    "corruption": {
        "perturbation": Perturbation(
            kind="corruption", name="shot_noise", backend="native", settings={"severity": 3}
        )
    },
    "noise": {
        "perturbation": Perturbation(
            kind="noise", name="gaussian", backend="native", settings={"sigma": 0.25, "deviation": 0.5}
        )
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_image_has_a_title(kind: str, stored) -> None:
    """It says what was done to the images, and how much of it."""
    archive = stored(([True], {}), ([True], DONE[kind]))
    for record in archive.records:
        archive.stores[record.key].keep_example(record.cell.images_key, b"PNG")

    assert [example.title for example in examples(archive)] == ["cifar10: clean", TITLES[kind]]
