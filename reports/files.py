"""Files that are either the old ones or the new ones, never half of one."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO


def replace_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a temporary file beside `path`, put it on disk, and move it there in one step.

    Raises:
        OSError: If that fails; it names `path`, whatever `write` raised with, and no temporary file is left.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno is not None:
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def replace_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, all or nothing; raises as `replace_file`."""
    replace_file(path, lambda file: file.write(content))


def replace_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, all or nothing; raises as `replace_file`."""
    replace_bytes(path, text.encode())


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed processes left in a folder and in those within it.

    Only for a folder to which nobody else is writing.

    Raises:
        OSError: If one cannot be removed.
    """
    _remove(folder.rglob(".*.tmp"))


def remove_leftovers_of(path: Path) -> None:
    """Remove the temporary files that killed processes left of one file, to which nobody else is writing.

    Raises:
        OSError: If one cannot be removed.
    """
    _remove(path.parent.glob(f".{path.name}.*.tmp"))


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if re.fullmatch(r"\..+\.\d+\.tmp", path.name):
            path.unlink(missing_ok=True)
