"""The commit that code was made from; hatch_build.py runs this file alone when a wheel is built."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

FILE = "bench/revision.json"
"""Where a wheel says what it was built from. A checkout has none: its repository is asked."""


def of_code(root: Path) -> tuple[str | None, bool | None]:
    """Return the commit of the code in a folder, and whether it was changed; None where nobody knows."""
    if (root / ".git").exists():
        return of_checkout(root)
    try:
        found = json.loads((root / FILE).read_text())
    except OSError:
        return None, None
    return found["revision"], found["is_dirty"]


def of_checkout(root: Path) -> tuple[str | None, bool | None]:
    """Return the same of a repository; None where git is missing or does not trust its owner."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return None, None
