from __future__ import annotations

import importlib.util
from importlib.metadata import entry_points, packages_distributions
from pathlib import Path

import pytest

import bench
from bench.revision import of_code

PACKAGES = ["attacks", "bench", "corruptions", "reports", "zoo"]


@pytest.mark.parametrize("package", PACKAGES)
def test_top_level_names_belong_to_us_alone(package: str) -> None:
    """The names are generic; another distribution that claims one would overwrite our files."""
    # An editable install owns no files, so its set is empty.
    others = set(packages_distributions().get(package, [])) - {"feedback-bench"}

    assert not others, f"{package} is also installed by {others}; use an environment of its own"


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_importable(package: str) -> None:
    """Every top-level package is found."""
    assert importlib.util.find_spec(package) is not None


def test_the_command_is_ours() -> None:
    """`bench` starts this application."""
    (script,) = entry_points(group="console_scripts", name="bench")

    assert script.value == "bench.cli:main"


def test_an_installed_package_knows_its_commit() -> None:
    """A wheel built from a checkout has no repository beside it, and records name the commit all the same."""
    if of_code(Path(__file__).parents[1])[0] is None:
        pytest.skip("these tests are in no checkout")
    revision, is_dirty = of_code(Path(bench.__file__).parents[1])

    assert revision is not None
    assert len(revision) == 40
    assert is_dirty in (False, True)


def test_tests_are_not_packages() -> None:
    """A tests/bench/__init__.py would shadow the package it tests."""
    assert not list(Path(__file__).parent.rglob("__init__.py"))
