"""What `bench export` writes: records in the formats of others."""

from __future__ import annotations

import json
import re
from pathlib import Path

from bench.errors import BenchError
from bench.reporting import mendable
from reports.archive import Archive
from reports.files import replace_text
from reports.leaderboard import FOLDERS, Standing, model_info, standings


def robustbench(archive: Archive, out: Path) -> list[Path]:
    """Write one model_info file an attacked answer, laid out as RobustBench does, and return their paths.

    Args:
        archive: The records.
        out: Folder to write DATASET/THREAT/NAME.json into.

    Raises:
        BenchError: If nothing was attacked, or a file cannot be written.
    """
    with mendable():
        found = standings(archive)
    if not found:
        raise BenchError("no record of an attack, so there is nothing to export")
    return [_write(standing, out) for standing in found]


FORMATS = {"robustbench": robustbench}
"""Name -> (archive, folder) to the files written."""


def _write(standing: Standing, out: Path) -> Path:
    answer = standing.answer
    name = "_".join([*answer.identity.parts, str(answer.iterations), answer.readout])
    # The name of a person's own model may hold what a path must not.
    file = f"{re.sub(r'[^A-Za-z0-9_.-]', '-', name)}.json"
    path = out / standing.dataset / FOLDERS[standing.threat.norm] / file
    with mendable():
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, json.dumps(model_info(standing), indent=2, allow_nan=False) + "\n")
    return path
