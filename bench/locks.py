"""Folders that one command at a time writes to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from bench.errors import BenchError


@contextmanager
def held(folder: Path, lock: str, doing: str) -> Iterator[None]:
    """Make a folder if it is new and hold it until the end.

    Args:
        folder: The folder.
        lock: Name of the lock file in it.
        doing: What the other command does with the folder, as in "another run is writing to".

    Raises:
        BenchError: If another command holds it, or a file cannot be read or written, now or until the end.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        claim = FileLock(folder / lock, timeout=0)
        claim.acquire()
    except Timeout:
        raise BenchError(f"{doing} {folder}") from None
    except OSError as error:
        raise BenchError(f"cannot write to {folder}: {error.strerror or error}") from error
    try:
        yield
    except OSError as error:
        what = error.filename or f"cannot write to {folder}"
        raise BenchError(f"{what}: {error.strerror or error}") from error
    finally:
        claim.release()
