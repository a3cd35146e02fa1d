"""The baseline file: what every example was answered in a run, small enough to be committed.

One JSON document with a line per cell, so that a changed cell is a changed line. Its SHA-256 stands in it: a
baseline is made by a run and never by hand.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from reports.archive import Outcomes
from reports.cell import Cell, Frozen
from reports.gate.naming import names_of, order, question
from reports.records import Record, RecordError

SCHEMA = 2
"""1 did not tell the settings of models."""


class BaselineError(RecordError):
    """A baseline that cannot be made, or a file that is none."""


class MadeWith(Frozen):
    """With what records were made; anything here may change an answer near a tie."""

    versions: dict[str, str]
    device: str
    dtype: str


class BaselineCell(Frozen):
    """One cell and its answers."""

    cell: Cell
    predictions: tuple[int, ...]
    """Class of each example, in the order of the dataset; -1 where a logit was NaN or infinite."""


class Baseline(Frozen):
    """The answers of a run.

    Attributes:
        made_with: Each way in which cells were made, once.
        labels: The true classes by the hash of the data, as `Cell.data`.
        cells: At least one; no two of them are the same but for hashes.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema", serialization_alias="schema")
    made_with: tuple[MadeWith, ...]
    labels: dict[str, tuple[int, ...]]
    cells: tuple[BaselineCell, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        for known in self.cells:
            sizes = {known.cell.examples, len(known.predictions), len(self.labels.get(known.cell.data, ()))}
            if len(sizes) > 1:
                raise ValueError(f"a cell of {known.cell.model} has other numbers of labels and answers")
        return self


def make(records: Sequence[Record], store: Outcomes) -> Baseline:
    """Return the baseline of a run.

    Its cells are in the order of their fields, so that the same answers are the same file.

    Raises:
        BaselineError: If a cell has failed, or if the records hold one cell with several weights, settings or
            datasets.
        RecordError: If outcomes are missing or damaged.
    """
    failed = [record for record in records if record.status == "error"]
    if failed:
        raise BaselineError(
            f"cells that failed: {len(failed)}, the first with {failed[0].error}; run them again"
        )
    _require_one_run(records)
    labels: dict[str, tuple[int, ...]] = {}
    cells = []
    for record in sorted(records, key=lambda record: order(record.cell)):
        truth, predictions = answers(record, store)
        if labels.setdefault(record.cell.data, truth) != truth:
            raise BaselineError(f"labels of {record.cell.dataset} differ between cells of one dataset hash")
        cells.append(BaselineCell(cell=record.cell, predictions=predictions))
    return Baseline(made_with=made_with(records), labels=labels, cells=tuple(cells))


def answers(record: Record, store: Outcomes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the labels and the predictions of a record, in the order of the dataset.

    Raises:
        RecordError: If the outcomes are missing, damaged, or not of the first examples.
    """
    outcomes = store.read_outcomes(record).sort_values("example")
    if outcomes["example"].tolist() != list(range(record.cell.examples)):
        raise RecordError(f"the outcomes of {record.key} are not of its {record.cell.examples} examples")
    return tuple(outcomes["label"].tolist()), tuple(outcomes["prediction"].tolist())


def made_with(records: Iterable[Record]) -> tuple[MadeWith, ...]:
    """Return each way in which records were made, once."""
    found: list[MadeWith] = []
    for record in records:
        done = record.provenance
        way = MadeWith(versions=done.versions, device=done.device, dtype=done.dtype)
        if way not in found:
            found.append(way)
    return tuple(found)


def write(baseline: Baseline) -> str:
    """Return the text of a baseline file."""
    content = baseline.model_dump(mode="json", by_alias=True)
    cells = ",\n".join(_compact(cell) for cell in content["cells"])
    head = {"schema": content["schema"], "sha256": _digest(content)}
    rest = {name: content[name] for name in ("made_with", "labels")}
    lines = [f'"{name}":{_compact(value)}' for name, value in (head | rest).items()]
    return "{\n" + ",\n".join([*lines, f'"cells":[\n{cells}\n]']) + "\n}\n"


def read(path: Path) -> Baseline:
    """Return the baseline in a file.

    Raises:
        BaselineError: If it is missing, damaged, edited, or of another version.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BaselineError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise BaselineError(f"{path} is not a baseline, or was cut off: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("schema"), int):
        raise BaselineError(f"{path} is not a baseline: it names no schema")
    if content["schema"] != SCHEMA:
        advice = "upgrade" if content["schema"] > SCHEMA else "it lacks the models' settings, so make it anew"
        raise BaselineError(f"{path} has schema {content['schema']}, this version knows {SCHEMA}: {advice}")
    if content.pop("sha256", None) != _digest(content):
        raise BaselineError(f"{path} is damaged or was edited: its content is not that of its sha256")
    try:
        return Baseline.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BaselineError(f"{path} is not a baseline: {where} {first['msg']}") from error


def _require_one_run(records: Sequence[Record]) -> None:
    """Raise BaselineError where records answer one question with several weights, settings or datasets."""
    found: dict[str, list[Cell]] = defaultdict(list)
    for record in records:
        found[question(record.cell)].append(record.cell)
    for cells in found.values():
        if len(cells) > 1:
            name = names_of(cells[:1])[0]
            raise BaselineError(
                f"the records hold {len(cells)} versions of {name}, of other weights, settings or images; "
                "make the baseline from the folder of one run"
            )


def _digest(content: dict[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
