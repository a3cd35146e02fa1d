"""Checks of what was measured on the model itself by the probes `gradients` and `repeats`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from reports.records import Record
from reports.statistics import upper_tail
from reports.verdict.evidence import Evidence
from reports.verdict.finding import ALPHA, TOLERATED, Finding, judged, not_run

if TYPE_CHECKING:
    import pandas as pd

SATURATED = 100.0
"""Margin from which exp(-margin) is nothing in float32 (its smallest number is exp(-103))."""
DIFFERENCE = 0.01
"""Relative error of a gradient; honest ones reach 1e-7 in float64."""
MOVED = 1e-3
"""Of the largest logit; float32 in another order moves some 1e-7."""


def gradients(evidence: Evidence) -> Finding:
    """The gradient that an attack climbs must be neither zero nor NaN, nor must the answer."""
    found = _measured(evidence, "zero_gradient", "nonfinite_gradient")
    if found is None:
        return _missing()
    record, (zero, nonfinite) = found
    numbers = f"{int(zero.sum())} of {len(zero)} are zero, {int(nonfinite.sum())} not finite"
    lost = _nonfinite_answers(evidence, record)
    if lost.any():
        numbers += f", {int(lost.sum())} answers are not finite"
    is_useless = (zero > 0) | (nonfinite > 0) | lost.reindex(zero.index, fill_value=False)
    return judged(_is_common(is_useless), numbers, _own(evidence, record))


def finite_differences(evidence: Evidence) -> Finding:
    """The gradient that autograd returns must be that of the function computed."""

    def numbers(errors: pd.Series) -> str:
        return f"median relative error {errors.median():.1g}, largest {errors.max():.1g}"

    casts = _measured(evidence, "casts")
    if casts is not None and (casts[1][0] > 0).any():
        return not_run("the model does not compute in float64 throughout")
    return _within(evidence, "difference_error", DIFFERENCE, numbers)


def logit_scale(evidence: Evidence) -> Finding:
    """Logits must not be so far apart that the loss is flat in float32."""

    def numbers(margins: pd.Series) -> str:
        return f"median margin {margins.median():.3g}"

    return _within(evidence, "margin", SATURATED, numbers)


def logits(evidence: Evidence) -> Finding:
    """The model must return logits: of probabilities the attack would take a second softmax."""

    def numbers(flags: pd.Series) -> str:
        return f"{int(flags.sum())} of {len(flags)} answers lie in [0, 1] and sum to 1"

    return _within(evidence, "is_probability", 0.0, numbers)


def deterministic(evidence: Evidence) -> Finding:
    """The same batch must be answered in the same way again."""
    found = _measured(evidence, "again")
    if found is None:
        return _missing()
    _, (again,) = found
    return judged(_is_common(~(again <= MOVED)), _moves({"again": again}), evidence.records)


def stateless(evidence: Evidence) -> Finding:
    """Neither what was shown before nor what shares the batch may change an answer."""
    names = ("after_others", "permuted", "alone")
    found = _measured(evidence, *names)
    if found is None:
        return _missing()
    _, columns = found
    # A batch of one has no order.
    is_moved = [_is_common(~(values.dropna() <= MOVED)) for values in columns]
    return judged(any(is_moved), _moves(dict(zip(names, columns, strict=True))), evidence.records)


def unchanged(evidence: Evidence) -> Finding:
    """An attack must leave parameters, buffers and mode as they were."""
    found = _measured(evidence, "changed")
    if found is None:
        return _missing()
    _, (changed,) = found
    if changed.isna().any():
        return not_run("the graph is cut, so that nothing could be attacked")
    is_changed = bool((changed > 0).any())
    return judged(is_changed, "changed" if is_changed else "not a bit changed", evidence.records)


def _within(evidence: Evidence, name: str, limit: float, numbers: Callable[[pd.Series], str]) -> Finding:
    found = _measured(evidence, name)
    if found is None:
        return _missing()
    record, (values,) = found
    values = values[~_nonfinite_answers(evidence, record).reindex(values.index, fill_value=False)]
    if values.empty:
        return not_run("no answer is finite")
    # Not "above", so that NaN is out of line.
    return judged(_is_common(~(values <= limit)), numbers(values), _own(evidence, record))


def _nonfinite_answers(evidence: Evidence, record: Record) -> pd.Series:
    """Return which examples have no finite answer, which the check `gradients` tells; empty if unknown."""
    import pandas as pd

    found = evidence.column(record, "nonfinite_answer")
    return pd.Series(dtype=bool) if found is None else found > 0


def _measured(evidence: Evidence, *names: str) -> tuple[Record, list[pd.Series]] | None:
    """Return the first record whose probe measured these columns, and the columns."""
    for record in (record for record in evidence.records if record.cell.probe):
        columns = [evidence.column(record, name) for name in names]
        present = [column for column in columns if column is not None]
        if len(present) == len(names):
            return record, present
    return None


def _missing() -> Finding:
    return not_run("the model was not inspected")


def _own(evidence: Evidence, record: Record) -> list[Record]:
    """Return the record and the attacks that rely on gradients of what is scored."""
    return [record, *evidence.climbs]


def _is_common(flags: pd.Series) -> bool:
    """Tell whether more are out of line than the tolerated share and chance explain; one alone may not be."""
    if len(flags) == 1:
        return bool(flags.iloc[0])
    return upper_tail(int(flags.sum()), len(flags), TOLERATED) <= ALPHA


def _moves(columns: dict[str, pd.Series]) -> str:
    return "largest move: " + ", ".join(f"{name} {values.max():.1g}" for name, values in columns.items())
