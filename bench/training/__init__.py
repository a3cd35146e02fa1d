"""Training: recipes in zoo/recipes become checkpoints with a card.

Imports neither pandas nor pyarrow nor matplotlib, and torch only when `train` is called.
"""

from __future__ import annotations

from pathlib import Path

from bench.training.recipe import Recipe, load_recipe, recipe_names

__all__ = ["LOG", "Recipe", "load_recipe", "recipe_names", "train"]

LOG = "log.jsonl"
"""The file in the folder of a training that has a line per epoch."""


def train(
    recipe: str,
    out: Path,
    data_dir: Path | None = None,
    device: str = "auto",
    epochs: float | None = None,
    max_minutes: float | None = None,
    start_from: str | None = None,
    save_minutes: float = 5.0,
    progress: bool = True,
) -> Path:
    """Train a recipe, or go on where an earlier call with the same arguments stopped.

    Args:
        recipe: Name of a recipe of the zoo, or path of a .toml file.
        out: Folder for the state, the log and the checkpoint; it belongs to this recipe alone.
        data_dir: Where the training images are; see `bench.data.train_images`.
        device: A torch device, or "auto" for a GPU where there is one.
        epochs: Length of the run instead of the recipe's; warm-up and image sizes stretch with it.
        max_minutes: Stop after so long, with everything saved and the checkpoint written as it then is.
        start_from: Weights to begin from instead of the recipe's.
        save_minutes: Longest time between two saves, which also happen after every epoch.
        progress: Show a bar and a JSON line per epoch.

    Returns:
        The path of the .safetensors file; its card lies beside it as .json.

    Raises:
        BenchError: If something in the arguments or in `out` is wrong.
        KeyboardInterrupt: If interrupted, after everything is saved.
    """
    name, settings = load_recipe(recipe)
    if epochs is not None:
        settings = settings.stretched(epochs)
    from bench.training.session import Session

    session = Session(name, settings, out, data_dir, device, start_from)
    return session.run(max_minutes, save_minutes, progress)
