from __future__ import annotations

from dataclasses import fields
from itertools import product

import pytest

from attacks import ATTACKS, build
from bench import suites
from bench.errors import BenchError, UnknownName
from bench.suites import Request, Scored, Sizes
from bench.suites.protocols import CNNF_PAPER
from reports.cell import Cell

AIM = {"attack", "target", "start"}
"""What a member of a cascade is beside the settings of its attack."""


def planned(suite: str, dataset: str = "cifar10", iterations: int = 2) -> list[Cell]:
    request = Request(
        scored=Scored("model", "w", iterations, {"beta": 0.8}),
        sources=(Scored("source", "v", 0, {"beta": 0.7}),),
        dataset=dataset,
        sizes=Sizes(100, 10),
        data_hash=str,
        seed=0,
        backend="native",
    )
    return suites.plan(suite, request)


@pytest.mark.parametrize(
    ("dataset", "family"), [("fashion_mnist", "fashion"), ("cifar10", "cifar"), ("imagenet", "imagenet")]
)
def test_corruptions_have_the_severities_of_their_dataset(dataset: str, family: str) -> None:
    """Clean images beside five severities of every kind, by the table made for images of that size."""
    cells = planned("corruptions", dataset, 0)
    corrupted = [cell.perturbation for cell in cells if cell.perturbation]

    assert len(cells) == len(corrupted) + 1
    assert {done.settings["family"] for done in corrupted} == {family}
    assert len({(done.name, done.settings["severity"]) for done in corrupted}) == 19 * 5


@pytest.mark.parametrize("suite", suites.SUITES)
@pytest.mark.parametrize("dataset", suites.STRICT)
def test_cells_spell_out_every_setting(suite: str, dataset: str) -> None:
    """A changed default of an attack can never hide behind an unchanged key."""
    if suite == "cnnf-paper" and dataset not in CNNF_PAPER:
        with pytest.raises(BenchError, match=f"no settings for {dataset}"):
            planned(suite, dataset)
        return
    for cell in planned(suite, dataset):
        done = cell.perturbation
        if done is None or done.kind != "attack":
            continue
        if done.members:
            threat = {name: done.settings[name] for name in ("norm", "epsilon")}
            spelt = [
                (m["attack"], threat | {k: v for k, v in m.items() if k not in AIM}) for m in done.members
            ]
        else:
            spelt = [(done.name, done.settings)]
        for name, settings in spelt:
            made = ATTACKS[done.backend][name]
            assert settings.keys() == {field.name for field in fields(made)} - {"threat"} | {
                "norm",
                "epsilon",
            }
            build(name, done.backend, settings)


@pytest.mark.parametrize("suite", suites.SUITES)
def test_cells_tell_the_settings_of_their_models(suite: str) -> None:
    """Those of the scored model, and those of whichever model the attacker uses."""
    told = {"model": {"beta": 0.8}, "source": {"beta": 0.7}, None: {}}

    for cell in planned(suite):
        assert cell.settings == told["model"]
        assert cell.source_settings == told[cell.source]


@pytest.mark.parametrize("suite", suites.SUITES)
def test_cells_are_distinct(suite: str) -> None:
    """No cell is planned twice."""
    cells = planned(suite)

    assert len({cell.key for cell in cells}) == len(cells)


def test_the_corruption_suite_shows_every_iteration() -> None:
    """19 kinds at 5 severities, and clean images, after 0, 1 and 2 iterations in every readout."""
    cells = planned("corruptions")
    shown = {
        (c.perturbation.name, c.perturbation.settings["severity"]) if c.perturbation else None for c in cells
    }
    answers = {(cell.iterations, cell.readout) for cell in cells}

    assert len(shown) == 19 * 5 + 1
    assert answers == {(0, "last"), (1, "last"), (1, "avg"), (2, "last"), (2, "avg")}
    assert len(cells) == len(shown) * len(answers)
    assert len({cell.images_key for cell in cells}) == len(shown)


def test_the_strict_suite_crosses_targets_and_readouts() -> None:
    """Every attack has every target and both readouts; the first pass alone has the attack made on it."""
    cells = planned("adversarial")
    white_box = {
        (c.perturbation.name, c.perturbation.settings["steps"], c.attack_target, c.iterations, c.readout)
        for c in cells
        if c.perturbation and not c.is_transfer
    }

    answers = {"first": [(0, "last"), (2, "last"), (2, "avg")]}
    assert white_box == {
        (*attack, target, *answer)
        for attack in (("pgd", 7), ("pgd", 40), ("spsa", 7))
        for target in ("first", "e2e", "e2e_avg")
        for answer in answers.get(target, [(2, "last"), (2, "avg")])
    }
    for others in ([c for c in cells if c.is_transfer], [c for c in cells if c.perturbation is None]):
        assert [(c.iterations, c.readout) for c in others] == answers["first"]
    assert len({cell.images_key for cell in cells}) == 11, "the first pass alone costs no attack"


def test_the_suite_of_cards_is_part_of_the_strict_one() -> None:
    """PGD-7 and PGD-40 on the first pass and end to end, on the same images."""
    strict = {cell.images_key for cell in planned("adversarial")}
    cells = planned("pgd")
    attacks = {(c.perturbation.settings["steps"], c.attack_target) for c in cells if c.perturbation}

    assert attacks == set(product((7, 40), ("first", "e2e", "e2e_avg")))
    assert {cell.images_key for cell in cells} < strict
    assert {cell.examples for cell in cells} == {100}


def test_the_curves_know_every_iteration_count() -> None:
    """Each epsilon on the first pass, read after 0, 1 and 2 iterations, and through all of 1 and of 2.

    Through all of them on either answer: the last logits alone are no adaptive attack on the mean.
    """
    cells = planned("epsilons", "fashion_mnist")
    attacked = [cell for cell in cells if cell.perturbation]
    epsilons = {cell.perturbation.settings["epsilon"] for cell in attacked}
    answers = {(c.attack_target, c.attack_iterations, c.iterations, c.readout) for c in attacked}

    assert sorted(epsilons) == pytest.approx([0.02 * k for k in range(1, 11)])
    assert max(planned("epsilons"), key=_epsilon).perturbation.settings["epsilon"] == pytest.approx(16 / 255)
    assert answers == {
        *(("first", 0, *reading) for reading in ((0, "last"), *product((1, 2), ("last", "avg")))),
        *((t, k, k, r) for t, k, r in product(("e2e", "e2e_avg"), (1, 2), ("last", "avg"))),
    }
    assert len(attacked) == len(epsilons) * len(answers)


def _epsilon(cell: Cell) -> float:
    return cell.perturbation.settings["epsilon"] if cell.perturbation else 0.0


def test_consistency_is_looked_at_on_three_kinds_of_images() -> None:
    """Clean, corrupted and attacked, after every iteration; the attacker end to end unrolls them all."""
    cells = planned("consistency")
    kinds = {cell.perturbation.kind if cell.perturbation else None for cell in cells}
    attackers = {(c.attack_target, c.attack_iterations) for c in cells if c.source}

    assert kinds == {None, "corruption", "attack"}
    assert attackers == {("first", 0), ("e2e", 2)}
    assert {cell.iterations for cell in cells} == {0, 1, 2}
    assert {(cell.probe, cell.readout) for cell in cells} == {("consistency", "last")}


def test_consistency_needs_feedback() -> None:
    """A plain network is refused in one line."""
    with pytest.raises(BenchError, match="model has no feedback whose consistency"):
        planned("consistency", iterations=0)


def test_a_network_without_feedback_is_attacked_once() -> None:
    """On a single pass all targets and readouts coincide, so none is computed twice."""
    cells = planned("adversarial", iterations=0)

    assert {(cell.attack_target, cell.readout) for cell in cells} == {(None, "last"), ("first", "last")}
    assert all(cell.attack_iterations == 0 for cell in cells)


def test_the_authors_units_are_halved() -> None:
    """On [-1, 1] they use epsilon 0.063, step 0.02 and Adam's rate 0.01 on CIFAR-10."""
    settings = {c.perturbation.name: c.perturbation.settings for c in planned("cnnf-paper") if c.perturbation}

    assert 2 * settings["pgd"]["epsilon"] == pytest.approx(0.063)
    assert 2 * settings["pgd"]["step_size"] == pytest.approx(0.02)
    assert 2 * settings["spsa"]["learning_rate"] == pytest.approx(0.01)
    assert 2 * settings["spsa"]["delta"] == pytest.approx(0.01)
    assert settings["spsa"]["samples"] == 128


@pytest.mark.parametrize("dataset", suites.STRICT)
def test_strict_attacks_can_reach_epsilon(dataset: str) -> None:
    """Steps times step length exceed the radius; the authors' SPSA on Fashion-MNIST falls short of it."""

    def reach(cell: Cell) -> float:
        settings = cell.perturbation.settings
        step = settings.get("step_size", settings.get("learning_rate"))
        return settings["steps"] * step / settings["epsilon"]

    assert all(reach(cell) >= 2 for cell in planned("adversarial", dataset) if cell.perturbation)
    short = [
        reach(c)
        for c in planned("cnnf-paper", "fashion_mnist")
        if c.perturbation and c.perturbation.name == "spsa"
    ]
    assert all(value == pytest.approx(0.35) for value in short)


def test_first_pass_attacks_do_not_depend_on_iterations() -> None:
    """Under "first" the images of two iteration counts are the same, under "e2e" they are not."""
    two, three = planned("adversarial"), planned("adversarial", iterations=3)

    def images(cells: list[Cell], target: str) -> set[str]:
        return {cell.images_key for cell in cells if cell.attack_target == target}

    assert images(two, "first") == images(three, "first")
    assert not images(two, "e2e") & images(three, "e2e")


def test_unknown_suites_are_refused_with_the_nearest_name() -> None:
    """A typo is answered with what was meant."""
    with pytest.raises(UnknownName, match=r"unknown suite 'adversary'; did you mean 'adversarial'\?"):
        planned("adversary")


def test_every_key_is_its_values_name() -> None:
    """The catalogue is consistent."""
    assert all(name == suite.name for name, suite in suites.SUITES.items())


@pytest.mark.parametrize("suite", suites.SUITES)
def test_a_source_is_asked_for_where_it_is_used(suite: str) -> None:
    """A suite without a transfer attack never looks for, or downloads, another network's weights."""
    assert any(cell.is_transfer for cell in planned(suite)) == bool(suites.named(suite).sources("cifar10"))


def test_the_predify_paper_is_the_sum_of_its_parts() -> None:
    """Every cell of a part is in the whole, once, but for the suite's name."""
    whole = planned("predify-paper")
    parts = [
        cell
        for name in ("noise", "corruptions", "attacks", "projection")
        for cell in planned(f"predify-{name}")
    ]
    renamed = {cell.model_copy(update={"suite": "predify-paper"}).key for cell in parts}

    assert {cell.key for cell in whole} == renamed
    assert len(whole) == len(renamed) < len(parts)


def test_noise_and_projection_share_their_images() -> None:
    """The noisy images are made once for both."""
    cells = [
        cell for cell in planned("predify-paper") if cell.perturbation and cell.perturbation.kind == "noise"
    ]

    assert {cell.probe for cell in cells} == {None, "projection"}
    assert len({cell.images_key for cell in cells}) == 5


@pytest.mark.parametrize("suite", ["predify-paper", "predify-noise", "predify-attacks"])
def test_experiments_over_iterations_need_some(suite: str) -> None:
    """A network without feedback has nothing to compare its first pass with."""
    with pytest.raises(BenchError, match="no iterations"):
        planned(suite, iterations=0)


def test_the_targeted_attack_meets_the_network_it_is_scored_on() -> None:
    """As many iterations are attacked as are scored, up to the model's own."""
    cells = [cell for cell in planned("predify-attacks", iterations=5) if cell.source]

    assert {cell.iterations for cell in cells} == {0, 2, 4}
    assert all(cell.attack_iterations == cell.iterations for cell in cells)


@pytest.mark.parametrize("suite", ["strongest", "autoattack"])
def test_a_cascade_is_judged_by_what_is_scored(suite: str) -> None:
    """An adaptive attack on the mean logits is scored on them, and its members see the iterations."""
    attacked = [cell for cell in planned(suite) if cell.perturbation]

    assert {(cell.readout, cell.attack_target) for cell in attacked} == {("last", "e2e"), ("avg", "e2e_avg")}
    assert all(cell.attack_iterations == cell.iterations == 2 for cell in attacked)


def test_the_strongest_cascade_knows_of_feedback() -> None:
    """It aims at the first pass, the answer, all iterations and softened gates; at one answer without any."""

    def targets(iterations: int) -> set[object]:
        return {
            member["target"]
            for cell in planned("strongest", iterations=iterations)
            if cell.perturbation and cell.readout == "last"
            for member in cell.perturbation.members
        }

    assert targets(2) == {"first", "e2e", "e2e_sum", "e2e_bpda"}
    assert targets(0) == {"first"}


def test_transfer_is_all_against_all() -> None:
    """Every network with weights is a source for its dataset, and each scored model one for itself."""
    sources = {cell.source for cell in planned("transfer") if cell.perturbation}

    assert sources == {"source", "model"}
    assert set(suites.named("transfer").sources("cifar10")) >= {"cnn_cifar", "cnnf_cifar"}
    assert not set(suites.named("transfer").sources("cifar10")) & {"cnn_fmnist", "cnnf_fmnist"}


def test_many_iterations_get_fewer_examples_on_a_cpu() -> None:
    """Eleven passes are allowed 3/11 of the images that three are, and one at least; a GPU does all."""
    assert suites.default_sizes("adversarial", "fashion_mnist", False, 2) == Sizes(200, 8)
    assert suites.default_sizes("adversarial", "fashion_mnist", False, 10) == Sizes(54, 2)
    assert suites.default_sizes("adversarial", "cifar10", False, 10) == Sizes(8, 1)
    assert suites.default_sizes("adversarial", "cifar10", True, 10) == Sizes(1000, 1000)


def test_suites_made_for_many_iterations_keep_their_sizes() -> None:
    """The experiments of the Predify paper are measured with ten."""
    sizes = {suites.default_sizes("predify-noise", "cifar10", False, k) for k in (2, 10)}

    assert sizes == {Sizes(200)}
