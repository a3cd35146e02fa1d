"""Writing files whole or not at all."""

from __future__ import annotations

import errno
import threading
from pathlib import Path
from typing import BinaryIO

import pytest

from reports.files import replace_bytes, replace_file, replace_text


def full_disk(file: BinaryIO) -> None:
    file.write(b"half")
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """The error names the file that was wanted, which the system's own does not."""
    path = tmp_path / "page.html"
    replace_text(path, "old")
    with pytest.raises(OSError, match="No space left") as caught:
        replace_file(path, full_disk)

    assert caught.value.filename == str(path)
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
    assert path.read_text() == "old"


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """While the file is replaced over and over, it is always one of the two."""
    path, contents = tmp_path / "file", (b"a" * 300_000, b"b" * 300_000)
    replace_bytes(path, contents[0])
    seen: set[bytes] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=look)
    reader.start()
    for count in range(20):
        replace_bytes(path, contents[count % 2])
    done.set()
    reader.join()

    assert seen <= set(contents)
