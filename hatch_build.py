"""What the build adds to the package: the commit, for an installed package has no repository beside it."""

from __future__ import annotations

import json
import runpy
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Revision(BuildHookInterface):
    """Writes bench/revision.json into wheels and source distributions, never into the checkout."""

    folder: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the file where there is a repository that an installed package will not find beside it."""
        known = runpy.run_path(str(Path(self.root) / "bench" / "revision.py"))
        # An unpacked source distribution has the file already; an editable install asks git itself.
        if version == "editable" or not (Path(self.root) / ".git").exists():
            return
        revision, is_dirty = known["of_checkout"](Path(self.root))
        if revision is None:
            return
        self.folder = tempfile.TemporaryDirectory()
        file = Path(self.folder.name) / "revision.json"
        file.write_text(json.dumps({"revision": revision, "is_dirty": is_dirty}) + "\n")
        build_data["force_include"][str(file)] = known["FILE"]

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what only the build needed."""
        if self.folder:
            self.folder.cleanup()
