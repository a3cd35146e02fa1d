"""From models and a suite to records: what `bench run` and `bench.evaluate` have in common."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import zoo
from bench import corrupted_images, data, devices, models, robustbench, suites
from bench.errors import BenchError
from bench.imagenet import Preparation
from bench.models import Candidate
from bench.progress import Progress
from reports.cell import Cell, Identity
from reports.records import Record, RecordError, Store, finished

if TYPE_CHECKING:
    import torch
    from torch import nn

CPU_BATCH_SIZE = 128
"""Images evaluated at once on a CPU unless told otherwise; larger batches only cost memory."""
SMALL = 64
"""Height of images up to which a GPU takes the suite's batches."""
LARGE_SHARE = 8
"""By how much the batches of larger images are smaller."""


@dataclass(frozen=True)
class Options:
    """Everything about an evaluation but its models. None stands for the suite's or the device's default."""

    suite: str = "adversarial"
    examples: int | None = None
    spsa_examples: int | None = None
    seed: int = 0
    device: str = "auto"
    batch_size: int | None = None
    backend: str = "native"
    data_dir: Path | None = None
    corruptions: tuple[str, ...] | None = None
    """Kinds for the corruption suite."""
    severities: tuple[int, ...] | None = None
    corrupted_data: Path | None = None
    """Folder of a published corrupted set, shown instead of images made here."""


@dataclass(frozen=True)
class Evaluation:
    """Planned cells and what is known of them."""

    cells: list[Cell]
    records: list[Record]
    """Those of `cells`, finished or failed."""
    pictures: tuple[Path, ...] = ()
    """Files beside the records that the suite draws."""

    @property
    def is_complete(self) -> bool:
        """Whether every cell has a record without error."""
        return {record.key for record in self.records if record.status == "ok"} >= {c.key for c in self.cells}


def candidate_of(
    model: str | nn.Module,
    dataset: str | None,
    checkpoint: str | None,
    iterations: int | None,
    data_dir: Path | None = None,
) -> Candidate:
    """Return the candidate that a name, a file or a module stands for.

    Raises:
        BenchError: If it is unknown or does not fit, or if its images must be put somewhere by hand first.
    """
    if iterations is not None and iterations < 0:
        raise BenchError(f"iterations must be at least 0, got {iterations}")
    is_foreign = not isinstance(model, str) or (":" in model and model not in zoo.ENTRIES)
    if is_foreign and checkpoint is not None:
        raise BenchError("a checkpoint is for a model of the zoo; this one comes with its weights")
    if not isinstance(model, str):
        if dataset is None:
            raise BenchError("name the dataset of the model")
        return models.from_memory(model, dataset, iterations)
    if model.startswith(robustbench.PREFIX):
        if iterations:
            raise BenchError(f"{model} has no feedback, so iterations must be 0, got {iterations}")
        return robustbench.from_robustbench(model, dataset, data_dir=data_dir)
    if ":" in model and model not in zoo.ENTRIES:
        return models.from_file(model, dataset, iterations)
    if model in zoo.ENTRIES:
        data.require(zoo.ENTRIES[model].dataset, data_dir)
    candidate = models.from_zoo(model, checkpoint, iterations)
    if dataset not in (None, candidate.dataset):
        raise BenchError(f"{model} classifies {candidate.dataset}, not {dataset}")
    return candidate


def run(candidates: Sequence[Candidate], options: Options, store: Store, progress: Progress) -> Evaluation:
    """Evaluate what is not yet in the store and return all records that were asked for.

    Raises:
        BenchError: If an option is unknown or does not fit, or the store cannot be used.
    """
    _check_batch_size(options.batch_size, candidates)
    if options.data_dir is not None and not options.data_dir.is_dir():
        raise BenchError(f"the data folder {options.data_dir} is not there")
    device = devices.resolve(options.device)
    cells, involved = _plan(candidates, options, is_gpu=device.type != "cpu")
    try:
        pending = _pending(cells, store)
        if pending:
            with store.run_lock(timeout=0), devices.reproducible():
                _run_pending(pending, involved, options, device, store, progress)
        wanted = {cell.key for cell in cells}
        evaluation = Evaluation(cells, [record for record in store.read() if record.key in wanted])
        with devices.reproducible():
            return replace(evaluation, pictures=_pictures(candidates, evaluation, options, device, store))
    except TimeoutError as error:
        raise BenchError(f"{error}; wait for it, or give another folder with --results") from error
    except RecordError as error:
        raise BenchError(str(error)) from error


def _check_batch_size(size: int | None, candidates: Sequence[Candidate]) -> None:
    if size is None or size == 1:
        return
    if size < 1:
        raise BenchError(f"batch size must be at least 1, got {size}")
    if alone := [candidate.scored.name for candidate in candidates if candidate.is_shown_alone]:
        raise BenchError(
            f"{alone[0]} divides its error by the batch (compat public, plain scaling) and is evaluated one "
            f"image at a time: leave the batch size {size} out"
        )


def _plan(
    candidates: Sequence[Candidate], options: Options, is_gpu: bool
) -> tuple[list[Cell], dict[Identity, Candidate]]:
    cells: list[Cell] = []
    involved: dict[Identity, Candidate] = {}
    for candidate in candidates:
        sizes = _sizes(options, candidate, is_gpu)
        clean = partial(_clean, options, candidate)
        sources = _sources(candidate, suites.named(options.suite))
        for known in (candidate, *sources):
            involved[known.scored.identity] = known
        request = suites.Request(
            scored=candidate.scored,
            sources=tuple(source.scored for source in sources),
            dataset=candidate.dataset,
            sizes=sizes,
            # Of many cells on the same images: hashed once.
            data_hash=cache(partial(_hash, clean)),
            seed=options.seed,
            backend=options.backend,
            corruptions=corrupted_images.wanted(
                options.corruptions, options.severities, options.corrupted_data, candidate.dataset, clean
            ),
        )
        cells += suites.plan(options.suite, request)
    if given := _unheeded(options, cells):
        raise BenchError(f"the suite {options.suite} does not heed {' and '.join(given)}: leave that out")
    return cells, involved


def _unheeded(options: Options, cells: Sequence[Cell]) -> list[str]:
    """Return which options are not to be seen in the cells."""
    done = [cell.perturbation for cell in cells if cell.perturbation]
    attacks = [attack for attack in done if attack.kind == "attack"]
    shown = [corruption for corruption in done if corruption.kind == "corruption"]
    kinds, severities = {c.name for c in shown}, {c.settings["severity"] for c in shown}
    backends = {c.backend for c in shown}
    heeded = {
        "a number of examples for SPSA": options.spsa_examples is None or "spsa" in {a.name for a in attacks},
        "an attack backend": options.backend in {"native", *(a.backend for a in attacks)},
        "kinds of corruptions": options.corruptions is None or kinds == {*options.corruptions},
        "severities": options.severities is None or severities == {*options.severities},
        "published corrupted images": options.corrupted_data is None or backends == {"official"},
    }
    return [name for name, is_heeded in heeded.items() if not is_heeded]


def _sizes(options: Options, candidate: Candidate, is_gpu: bool) -> suites.Sizes:
    """Return the sizes asked for; SPSA uses no more examples than everything else."""
    usual = suites.default_sizes(options.suite, candidate.dataset, is_gpu, candidate.scored.iterations)
    examples = options.examples if options.examples is not None else usual.examples
    if examples < 1:
        raise BenchError(f"examples must be at least 1, got {examples}")
    few = options.spsa_examples if options.spsa_examples is not None else min(usual.spsa_examples, examples)
    if not 1 <= few <= examples:
        raise BenchError(f"SPSA must use from 1 to {examples} examples, got {few}")
    return suites.Sizes(examples, few)


def _sources(candidate: Candidate, suite: suites.Suite) -> list[Candidate]:
    """Return the networks that attack the candidate, from the same hands if possible; never itself."""
    found = []
    for name in suite.sources(candidate.dataset):
        if candidate.scored.name != name:
            known = zoo.ENTRIES[name].checkpoints
            found.append(
                models.from_zoo(name, candidate.checkpoint if candidate.checkpoint in known else None)
            )
    return found


def _pending(cells: Sequence[Cell], store: Store) -> list[Cell]:
    """Return the cells without a record, and those whose outcomes somebody has removed."""
    done = {key for key, record in finished(store.read()).items() if store.has_outcomes(record)}
    return [cell for cell in cells if cell.key not in done]


def _run_pending(
    pending: Sequence[Cell],
    involved: dict[Identity, Candidate],
    options: Options,
    device: torch.device,
    store: Store,
    progress: Progress,
) -> None:
    from bench.runner import Runner

    machine = _machine(options, device, involved.values())
    runner = Runner(involved, partial(_shown, options, involved), machine, store, progress)
    # Another run may have finished some of them since.
    runner.run(_pending(pending, store))


def _pictures(
    candidates: Sequence[Candidate],
    evaluation: Evaluation,
    options: Options,
    device: torch.device,
    store: Store,
) -> tuple[Path, ...]:
    """Draw the pictures of a suite that has some, of models all of whose cells went well."""
    if (picture := suites.named(options.suite).picture) is None:
        return ()
    draw = pkgutil.resolve_name(picture)
    failed = {cell.key for cell in evaluation.cells} - finished(evaluation.records).keys()
    drawn = []
    for candidate in candidates:
        cells = [cell for cell in evaluation.cells if cell.identity == candidate.scored.identity]
        if not any(cell.key in failed for cell in cells):
            images = partial(_shown, options, {candidate.scored.identity: candidate})
            drawn.append(draw(candidate, cells, images, _machine(options, device, candidates), store.folder))
    return tuple(drawn)


def _machine(options: Options, device: torch.device, candidates: Iterable[Candidate]) -> devices.Machine:
    import torch

    usual = CPU_BATCH_SIZE
    if device.type != "cpu":
        usual = suites.named(options.suite).gpu_batch_size
        if any(data.dataset(candidate.dataset).shape[0] > SMALL for candidate in candidates):
            usual //= LARGE_SHARE
    batch_size = usual if options.batch_size is None else options.batch_size
    return devices.Machine(device, batch_size, torch.float32)


def _shown(options: Options, candidates: Mapping[Identity, Candidate], cell: Cell) -> data.LabelledImages:
    """Return the images that a cell starts from."""
    if cell.perturbation and cell.perturbation.backend == "official" and options.corrupted_data:
        return corrupted_images.read(options.corrupted_data, cell)
    return _clean(options, candidates[cell.identity], cell.examples)


def _hash(clean: Callable[[int], data.LabelledImages], examples: int) -> str:
    return clean(examples).sha256


def _clean(options: Options, candidate: Candidate, examples: int) -> data.LabelledImages:
    return _images(candidate.dataset, examples, options.data_dir, candidate.preparation)


@cache
def _images(
    dataset: str, examples: int, data_dir: Path | None, preparation: Preparation
) -> data.LabelledImages:
    return data.evaluation_images(dataset, examples, data_dir, preparation)
