"""Models whose answer depends on who shares a batch: evaluated one image at a time (docs/adr/0006)."""

from __future__ import annotations

from reports.cell import ModelSettings


def divides_by_batch(settings: ModelSettings) -> bool:
    """Return whether a model, or a network in it, divides the plain error by the batch.

    Predictive coding does under compat="public"; the scaled update cancels the batch size.
    """
    # Those of a network inside another have its path before them.
    paths = [name.removesuffix("compat") for name in settings if name.endswith("compat")]
    told = [(settings[f"{path}compat"], settings.get(f"{path}scaling")) for path in paths]
    return ("public", "plain") in told


def pinned(settings: ModelSettings) -> ModelSettings:
    """Return the settings of a model as its cells tell them: with the batch size, if that is one of them."""
    return {"images_at_once": 1, **settings} if divides_by_batch(settings) else settings
