"""Cells to records: grouping, batching, failing well.

Cells whose perturbed images are the same form a group. A group is attacked once, and each model in it is
unrolled once, to the largest iteration count that one of its cells asks for.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from bench import provenance
from bench.batches import in_batches, is_out_of_memory
from bench.data import LabelledImages
from bench.devices import Machine
from bench.earlier import Earlier
from bench.errors import BenchError
from bench.examples import SHOWN, strip
from bench.groups import describe, group_by_images
from bench.meter import Meter
from bench.models import Candidate
from bench.perturbation import Perturbed, perturber_of, to_images
from bench.probes import NOT_OF_EVERY_MODEL, PROBES, Observation
from bench.progress import Progress
from bench.unfinished import Growing, Unfinished
from reports.cell import Cell, Identity
from reports.records import Passes, Record, Store
from zoo.feedback import Readout

Images = Float[Tensor, "n c h w"]
Labels = Int[Tensor, " n"]


@dataclass
class Runner:
    """Evaluates cells.

    Attributes:
        candidates: Every model that a cell names.
        images: Loads the images that a cell starts from, as uint8 [n, h, w, c], and their labels.
        machine: Where to compute.
        store: Where records go.
        progress: What is told how far it is.
    """

    candidates: Mapping[Identity, Candidate]
    images: Callable[[Cell], tuple[np.ndarray, np.ndarray]]
    machine: Machine
    store: Store
    progress: Progress
    _models: dict[Identity, Meter] = field(default_factory=dict)
    _limits: dict[tuple[object, ...], int] = field(default_factory=dict)
    """How many images fitted the memory at once, by what was done to them; more are not tried again."""

    def __post_init__(self) -> None:
        self._unfinished = Unfinished(self.store.folder)
        self._earlier = Earlier(self.store, (), SHOWN)

    def run(self, cells: Iterable[Cell]) -> list[Record]:
        """Evaluate cells and store a record of each; a group that fails is recorded and the run goes on.

        KeyboardInterrupt loses a minute of the group that is being worked on, and the batch.

        Raises:
            BenchError: If a model cannot be loaded, or does not show what its suite looks at.
        """
        groups = group_by_images(cells)
        for cell in (cell for group in groups for cell in group):
            # A checkpoint that does not fit is told before anything is computed.
            self._loaded(cell.identity)
            if cell.source_identity:
                self._loaded(cell.source_identity)
        for cell in {_look(cell): cell for group in groups for cell in group}.values():
            self._require_shown(cell)
        known = self.store.read()
        self._earlier = Earlier(self.store, known, SHOWN)
        done = [record.key for record in known if record.status == "ok" and self.store.has_outcomes(record)]
        self._unfinished.remove_finished(done)
        names = describe(groups)
        self.progress.start([(name, group[0].examples) for name, group in zip(names, groups, strict=True)])
        written = []
        for name, group in zip(names, groups, strict=True):
            started = time.perf_counter()
            with self.progress.group(name, group[0].examples) as advance:
                measured = self._attempt(group, name, advance)
            seconds = time.perf_counter() - started
            for cell, measurement in zip(group, measured, strict=True):
                record = self._record(cell, measurement, seconds)
                written.append(self.store.append(record, measurement.outcomes))
            if all(measurement.error is None for measurement in measured):
                self._unfinished.remove(group)
        return written

    def _attempt(
        self, group: Sequence[Cell], name: str, advance: Callable[[int], None]
    ) -> list[_Measurement]:
        """Evaluate a group; if it fails with several looks, each alone, so that none spoils others."""
        try:
            return self._evaluate(group, advance)
        except Exception as error:
            looks = dict.fromkeys(map(_look, group))
            is_storage = isinstance(error, OSError)
            is_final = is_storage or len(looks) == 1
            if not is_storage and not (is_final and is_out_of_memory(error)):
                # Whoever mends it changes code: what is kept would be of two makers.
                self._unfinished.remove(group)
            if is_final:
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:500]
                self.progress.failed(name, reason)
                return [_Measurement(error=reason, traceback=traceback.format_exc()) for _ in group]
        measured: dict[Cell, _Measurement] = {}
        for look in looks:
            own = [cell for cell in group if _look(cell) == look]
            (name,) = describe([own])
            measured |= dict(zip(own, self._attempt(own, name, lambda count: None), strict=True))
        return [measured[cell] for cell in group]

    def _evaluate(self, group: Sequence[Cell], advance: Callable[[int], None]) -> list[_Measurement]:
        asked = group[0]
        self._set_aside_all_but(group)
        pixels, labels = self.images(asked)
        source = self._model(asked.source_identity) if asked.source_identity else None
        perturber = perturber_of(asked, source)
        looks = {_look(cell): self._model(cell.identity) for cell in group}
        depth = {look: max(cell.iterations for cell in group if _look(cell) == look) for look in looks}
        meters = [*looks.values(), *([source] if source else [])]
        made_with = provenance.collect(self.machine, "")
        begun = self._unfinished.read(group, made_with) or self._earlier.take_over(
            group, LabelledImages(pixels, labels), made_with
        )
        growing = Growing(self._unfinished, group, begun, made_with, meters, SHOWN)
        wanted = range(growing.examples, asked.examples)
        shown: dict[int, Images] = {}

        def measure(examples: range) -> None:
            clean = to_images(pixels[examples], self.machine)
            truth = torch.from_numpy(labels[examples]).to(self.machine.device)
            perturbed = perturber.perturb(clean, truth, examples)
            if not perturbed.images.isfinite().all():
                raise ValueError("a perturbed image is not finite")
            if examples.start < SHOWN:
                shown[examples.start] = perturbed.images[: SHOWN - examples.start].cpu()
                picture = strip(torch.cat([shown[start] for start in sorted(shown)]))
                self.store.keep_example(asked.images_key, picture)
            with torch.no_grad():
                seen = {
                    look: PROBES[look.probe](model, clean, perturbed.images, depth[look])
                    for look, model in looks.items()
                }
            growing.add(
                [_outcomes(cell, seen[_look(cell)], clean, perturbed, truth, examples) for cell in group]
            )
            advance(len(examples))

        advance(wanted.start)
        burden = (*depth.items(), asked.source_identity, asked.attack_target, asked.attack_iterations)
        is_single = any(meter.is_shown_alone for meter in meters)
        limit = 1 if is_single else self._limits.get(burden, self.machine.batch_size)
        limit = in_batches(measure, wanted, perturber.width, limit, meters)
        self._limits[burden] = limit
        whole = growing.part()
        return [_Measurement(table, whole.passes, limit, growing.earlier_seconds) for table in whole.outcomes]

    def _model(self, identity: Identity) -> Meter:
        """Return a model on the device."""
        meter = self._loaded(identity)
        if isinstance(meter.model, torch.nn.Module):
            meter.model.to(self.machine.device)
        return meter

    def _set_aside_all_but(self, group: Sequence[Cell]) -> None:
        """Leave the memory of a device to the models of a group: ten of RobustBench's may not fit at once."""
        if self.machine.device.type == "cpu":
            return
        wanted = {identity for cell in group for identity in (cell.identity, cell.source_identity)}
        for identity, meter in self._models.items():
            if identity not in wanted and isinstance(meter.model, torch.nn.Module):
                meter.model.to("cpu")

    def _loaded(self, identity: Identity) -> Meter:
        """Return a model, on the CPU if it was not needed yet."""
        if identity not in self._models:
            candidate = self.candidates[identity]
            model = candidate.load()
            if isinstance(model, torch.nn.Module):
                model.requires_grad_(False)
                model.to(self.machine.dtype)
                if candidate.takes_channels_last:
                    # Convolutions of these sizes run up to twice as fast so.
                    model.to(memory_format=torch.channels_last)
            self._models[identity] = Meter(
                model,
                takes_channels_last=candidate.takes_channels_last,
                is_shown_alone=candidate.is_shown_alone,
            )
        return self._models[identity]

    def _require_shown(self, cell: Cell) -> None:
        """Try a look on one image where it is not of every model: all cells of the suite would fail."""
        if cell.probe not in NOT_OF_EVERY_MODEL:
            return
        image = to_images(self.images(cell)[0][:1], self.machine)
        try:
            with torch.no_grad():
                PROBES[cell.probe](self._model(cell.identity), image, image, 1)
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise BenchError(f"{cell.model} does not fit the suite {cell.suite}: {reason}") from error

    def _record(self, cell: Cell, measured: _Measurement, seconds: float) -> Record:
        candidate = self.candidates[cell.identity]
        fields: dict[str, Any] = {} if measured.outcomes is None else _summary(measured.outcomes)
        machine = replace(self.machine, batch_size=measured.batch_size or self.machine.batch_size)
        return Record(
            key=cell.key,
            label=candidate.label,
            cell=cell,
            status="ok" if measured.error is None else "error",
            passes=measured.passes,
            seconds=round(measured.earlier_seconds + seconds, 3),
            provenance=provenance.collect(machine, candidate.checkpoint),
            error=measured.error,
            traceback=measured.traceback,
            **({"n": 0, "correct": 0} | fields),
        )


@dataclass(frozen=True)
class _Measurement:
    outcomes: pd.DataFrame | None = None
    passes: Passes | None = None
    batch_size: int | None = None
    """Images shown at once in the end, where all went well."""
    earlier_seconds: float = 0.0
    """Wall time of a run that was interrupted in the group."""
    error: str | None = None
    traceback: str | None = None


class _Look(NamedTuple):
    """Cells of a group that share one unroll."""

    model: Identity
    probe: str | None


def _look(cell: Cell) -> _Look:
    return _Look(cell.identity, cell.probe)


def _outcomes(
    cell: Cell, seen: Observation, clean: Images, perturbed: Perturbed, truth: Labels, examples: range
) -> pd.DataFrame:
    """Return what happened to each example; a NaN or infinite logit makes an answer wrong."""
    passes = seen.logits[: cell.iterations + 1]
    answer = Readout(cell.readout).of(passes)
    is_finite = answer.isfinite().all(1)
    prediction = torch.where(is_finite, answer.argmax(1), -1)
    change = (perturbed.images.double() - clean.double()).flatten(1)
    columns = {
        "label": truth,
        "prediction": prediction,
        "is_correct": prediction == truth,
        "linf": change.abs().amax(1),
        "l2": torch.linalg.vector_norm(change, dim=1),
        "lowest": perturbed.images.flatten(1).amin(1),
        "highest": perturbed.images.flatten(1).amax(1),
        **perturbed.measures,
        # A model that ignores the iteration count has fewer passes than were asked for.
        **{name: rows[len(passes) - 1] for name, rows in seen.measures.items()},
    }
    table = pd.DataFrame({name: values.cpu().numpy() for name, values in columns.items()})
    table.insert(0, "example", np.arange(examples.start, examples.stop))
    return table


def _summary(outcomes: pd.DataFrame) -> dict[str, Any]:
    largest = {norm: float(outcomes[norm].max(skipna=False)) for norm in ("linf", "l2")}
    return {
        "n": len(outcomes),
        "correct": int(outcomes["is_correct"].sum()),
        "nonfinite": int((outcomes["prediction"] < 0).sum()),
        **{f"largest_{norm}": value if np.isfinite(value) else None for norm, value in largest.items()},
    }
