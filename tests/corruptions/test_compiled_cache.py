"""Where compiled loops cannot be kept."""

from __future__ import annotations

import os
import subprocess
import sys

CODE = """
import numba.core.caching as caching

def nowhere(*_):
    raise RuntimeError("cannot cache function: no locator available")

caching.CacheImpl.__init__ = nowhere
import torch, corruptions
images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
print(corruptions.apply(images, "fog", 3, family="cifar").sum().item())
"""


def test_without_a_folder_to_keep_them_they_are_compiled_each_time() -> None:
    """As in a container whose user has no home: slower to start, and the same."""
    kept = CODE.replace("caching.CacheImpl.__init__ = nowhere\n", "")
    printed = [
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=dict(os.environ)
        ).stdout
        for code in (CODE, kept)
    ]

    assert printed[0] == printed[1] != ""
