"""Recipes: what is shipped is right, and what is wrong is said in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.training import Recipe, load_recipe, recipe_names
from zoo import ENTRIES

SMALL = """
model = "cnn_fmnist"
epochs = 2
batch_size = 8
held_out = 4
learning_rate = 0.1
schedule = "cosine"
"""


def written(folder: Path, *lines: str) -> str:
    path = folder / "mine.toml"
    path.write_text(SMALL + "\n".join(lines))
    return str(path)


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipe_is_valid(name: str) -> None:
    """Every recipe of the zoo loads, trains a model of the zoo, and is named after it."""
    found, recipe = load_recipe(name)
    assert found == name
    assert name.removesuffix("_cpu") == recipe.model
    assert recipe.budget


def test_every_model_that_ships_weights_has_a_recipe() -> None:
    """A CNN or CNN-F of the zoo can be rebuilt."""
    trained = {name for name, entry in ENTRIES.items() if entry.build.startswith("zoo.cnnf:")}
    assert trained <= set(recipe_names())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cnnf_fmnist", (0.1, 0.0355, 7, 0.1, 0.1, 0.05, 0.5, 256, 1)),
        ("cnnf_cifar", (0.0315, 0.01, 7, 0.05, 0.1, None, 0.5, 256, 2)),
    ],
)
def test_published_values(name: str, expected: tuple[float, ...]) -> None:
    """The adversarial recipes hold the values of the public training scripts, in [0, 1] pixel units."""
    epsilon, step_size, steps, clean, reconstruction, rate, clip, batch, iterations = expected
    recipe = load_recipe(name)[1]
    assert recipe.attack is not None
    assert recipe.attack.epsilon == pytest.approx(epsilon, rel=0.005)
    assert (recipe.attack.step_size, recipe.attack.steps, recipe.attack.random_start) == (
        step_size,
        steps,
        True,
    )
    assert (recipe.clean_weight, recipe.reconstruction_weight) == (clean, reconstruction)
    assert (recipe.momentum, recipe.weight_decay, recipe.gradient_clip) == (0.9, 5e-4, clip)
    assert (recipe.batch_size, recipe.unrolled) == (batch, iterations)
    if rate is not None:
        assert recipe.learning_rate == rate


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["epochz = 3"], "unknown key in mine.toml 'epochz'; did you mean 'epochs'?"),
        (["[attack]", "epsilon = -0.1", "step_size = 0.1", "steps = 1"], "attack.epsilon: .*got -0.1"),
        (["[attack]", 'epsilon = "8/0"', "step_size = 0.1", "steps = 1"], "attack.epsilon: must be a number"),
        (["[attack]", "epsilon = 0.1", "step_size = 0.1"], "attack.steps is missing"),
        (
            ["[attack]", "epsilon = 8", "step_size = 0.1", "steps = 1"],
            "attack.epsilon: .*less than or equal to 1",
        ),
        (["[attack]", "step = 1"], "unknown key in mine.toml 'step'; did you mean 'steps'?"),
        (["seed = -1"], "seed: "),
        (["weight_decay = inf"], "weight_decay: "),
        (["warmup_epochs = 2"], "warmup_epochs must be below epochs"),
        (["clean_weight = 0.1"], r"clean_weight needs an \[attack\]"),
        (["optimiser = 'adam'", "nesterov = true"], "nesterov needs"),
        (["image_sizes = [{ epochs = 1, size = 16 }]"], "image_sizes must be epochs"),
        (["image_sizes = [{ epochs = 2, size = 15 }]"], "image_sizes.0.size: "),
        (["amp = 'fp8'"], "amp: "),
        (["seed = "], "mine.toml is not TOML"),
    ],
)
def test_bad_recipe_is_refused_in_one_line(tmp_path: Path, lines: list[str], message: str) -> None:
    """A recipe with something unknown, missing or out of range is refused by the key's name."""
    with pytest.raises(BenchError, match=message) as caught:
        load_recipe(written(tmp_path, *lines))
    assert "\n" not in str(caught.value)


def test_unknown_names_are_answered_with_the_nearest(tmp_path: Path) -> None:
    """Misspelt recipes and models get a suggestion; a missing file is named."""
    with pytest.raises(BenchError, match="did you mean 'cnn_cifar'"):
        load_recipe("cnn_cifr")
    with pytest.raises(BenchError, match=r"no recipe file nowhere\.toml"):
        load_recipe("nowhere.toml")
    path = tmp_path / "mine.toml"
    path.write_text(SMALL.replace("cnn_fmnist", "cnn_fmnst"))
    with pytest.raises(
        BenchError, match=r"unknown model in mine\.toml 'cnn_fmnst'; did you mean 'cnn_fmnist'"
    ):
        load_recipe(str(path))


def test_fraction_is_read_as_the_number_it_is(tmp_path: Path) -> None:
    """Distances may be written in the 255ths that papers use."""
    recipe = load_recipe(written(tmp_path, "[attack]", 'epsilon = "8/255"', "step_size = 0.1", "steps = 1"))[
        1
    ]
    assert recipe.attack is not None
    assert recipe.attack.epsilon == 8 / 255


def test_stretching_keeps_proportions() -> None:
    """--epochs changes warm-up and image sizes with the length, so that the plan stays the same plan."""
    recipe = load_recipe("cnn_cifar_cpu")[1]
    half = recipe.stretched(recipe.epochs / 2)
    assert half.epochs == recipe.epochs / 2
    assert half.warmup_epochs == pytest.approx(recipe.warmup_epochs / 2)
    assert len(half.image_sizes) == 3
    for stage, whole in zip(half.image_sizes, recipe.image_sizes, strict=True):
        assert (stage.epochs, stage.size) == (whole.epochs / 2, whole.size)
    with pytest.raises(BenchError, match="--epochs: "):
        recipe.stretched(-1.0)


def test_hash_is_of_what_can_move_the_result(tmp_path: Path) -> None:
    """The words for the reader are no part of a recipe's hash; every setting is."""

    def sha256(*lines: str) -> str:
        return load_recipe(written(tmp_path, *lines))[1].sha256

    assert sha256("budget = 'a'") == sha256("budget = 'b'") == sha256()
    assert len({sha256(), sha256("seed = 1"), sha256("ema_decay = 0.9"), sha256("flip = true")}) == 4


def test_clean_passes_are_made_only_if_the_loss_looks_at_them() -> None:
    """The clean half of a batch is spared when neither cross-entropy nor reconstruction uses it."""
    recipe = load_recipe("cnnf_cifar")[1]

    def has_clean_passes(**changes: object) -> bool:
        return Recipe.model_validate(recipe.model_dump() | changes).has_clean_passes

    assert has_clean_passes()
    assert has_clean_passes(clean_weight=0.0)
    assert has_clean_passes(reconstruction_weight=0.0)
    assert not has_clean_passes(clean_weight=0.0, reconstruction_weight=0.0)
    assert not has_clean_passes(clean_weight=0.0, iterations=0)
    assert has_clean_passes(clean_weight=0.0, attack=None)
