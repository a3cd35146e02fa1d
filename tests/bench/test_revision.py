"""Which commit a record names."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bench.revision import FILE, of_code


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a repository with one commit of one file."""
    if not shutil.which("git"):
        pytest.skip("needs git")
    (tmp_path / "code.py").write_text("1\n")
    for command in (["init"], ["add", "."], ["commit", "-m", "one"]):
        author = ["-c", "user.name=n", "-c", "user.email=e"]
        subprocess.run(["git", "-C", str(tmp_path), *author, *command], check=True, capture_output=True)
    return tmp_path


def write(root: Path) -> None:
    """Write what a wheel holds."""
    (root / FILE).parent.mkdir()
    (root / FILE).write_text('{"revision": "abc", "is_dirty": true}')


def test_a_checkout_asks_its_repository(checkout: Path) -> None:
    """The file of a wheel does not count there; a change to a file that git knows makes it dirty."""
    write(checkout)
    revision, is_dirty = of_code(checkout)
    (checkout / "code.py").write_text("2\n")

    assert revision is not None
    assert len(revision) == 40
    assert is_dirty is False
    assert of_code(checkout) == (revision, True)


def test_a_wheel_says_what_it_was_built_from(tmp_path: Path) -> None:
    """Without a repository beside the package its file counts; without either nobody knows."""
    assert of_code(tmp_path) == (None, None)
    write(tmp_path)
    assert of_code(tmp_path) == ("abc", True)


def test_without_git_nobody_knows(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a missing git nor a repository that it refuses is an error."""
    (checkout / ".git" / "HEAD").write_text("nothing\n")
    assert of_code(checkout) == (None, None)
    monkeypatch.setenv("PATH", "")
    assert of_code(checkout) == (None, None)
