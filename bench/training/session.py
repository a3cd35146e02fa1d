"""One call of `train`: what it starts from, when it stops, what it leaves behind."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from bench import devices
from bench.batches import is_out_of_memory
from bench.data import train_images
from bench.errors import BenchError
from bench.locks import held
from bench.training.card import to_float16, write_checkpoint
from bench.training.held_out import STEPS, Accuracies, accuracies, validation_attack
from bench.training.loop import STATE, Run
from bench.training.meters import describe
from bench.training.objective import frozen
from bench.training.progress import Reporter, listening
from bench.training.recipe import Recipe
from reports.files import remove_leftovers_of
from zoo import ENTRIES, CheckpointError, UnknownModelError
from zoo.checkpoint import CheckpointFile, build, found_at, locate, read_into
from zoo.predictive_coding import load_backbone
from zoo.reading import read

if TYPE_CHECKING:
    from zoo.checkpoint import Network


class Session:
    """A run bound to its folder; arguments as for `bench.training.train`."""

    def __init__(
        self, name: str, recipe: Recipe, out: Path, data_dir: Path | None, device: str, start_from: str | None
    ) -> None:
        self.name = name
        self.recipe = recipe
        self.out = out
        self.device = devices.resolve(device)
        if self.device.index is not None:
            # Events and allocations without a device of their own belong on it.
            torch.cuda.set_device(self.device)
        self.entry = ENTRIES[recipe.model]
        found = train_images(self.entry.dataset, data_dir)
        if recipe.held_out + recipe.batch_size > len(found.labels):
            raise BenchError(
                f"{self.entry.dataset} has {len(found.labels)} training images, too few for "
                f"held_out {recipe.held_out} and one batch of {recipe.batch_size}"
            )
        torch.manual_seed(recipe.seed)
        model = build(self.entry)
        self.start = _start(start_from or recipe.start_from, model, recipe)
        self.dataset_sha256 = found.sha256
        identity = {
            "recipe": recipe.as_json(),
            "dataset": self.dataset_sha256,
            "start": self.start.sha256 if self.start else None,
        }
        _check_sizes(model, recipe, found.images.shape)
        self._run = Run(model, recipe, found, self.device, identity)

    def run(self, max_minutes: float | None, save_minutes: float, is_shown: bool) -> Path:
        """Train until the end or until a reason to stop, and return the path of the weights.

        Raises:
            BenchError: If another training uses the folder, or it cannot be written.
        """
        with held(self.out, ".train.lock", "another training is using"), devices.timed_convolutions():
            return self._run_on(max_minutes, save_minutes, is_shown)

    def _run_on(self, max_minutes: float | None, save_minutes: float, is_shown: bool) -> Path:
        began = time.monotonic()
        run = self._run
        remove_leftovers_of(self.out / STATE)
        run.restore(self.out)
        if (finished := self._finished()) is not None:
            return finished
        with listening() as stop, Reporter(is_shown, run.plan.steps, run.step) as reporter:
            if run.objective.is_compiled and not run.is_done:
                reporter.say("compiling: the first step of each image size may take minutes")
            saved = time.monotonic()
            while not (run.is_done or stop.is_made or _is_past(began, max_minutes)):
                epochs = len(run.log)
                self._take_step()
                reporter.step(run.step)
                if len(run.log) > epochs:
                    reporter.epoch(run.log[-1])
                if len(run.log) > epochs or _is_past(saved, save_minutes):
                    run.save(self.out)
                    saved = time.monotonic()
            run.save(self.out)
            if stop.is_made:
                raise KeyboardInterrupt
            if not run.is_done:
                done = f"{run.step} of {run.plan.steps} steps"
                reporter.say(f"stopped after {done}, everything is saved: the same command goes on")
            return self._finish()

    def _take_step(self) -> None:
        try:
            self._run.take_step()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            size = self.recipe.batch_size
            raise BenchError(f"{self.device} has too little memory: lower batch_size ({size})") from error

    def _finished(self) -> Path | None:
        """Return the path of the weights if an earlier call has done everything."""
        path = self.out / f"{self.name}.safetensors"
        card = path.with_suffix(".json")
        if not (self._run.is_done and path.is_file() and card.is_file()):
            return None
        return path if _says_finished(card) else None

    def _finish(self) -> Path:
        run, recipe = self._run, self.recipe
        try:
            weights = to_float16(run.shipped)
        except ValueError as error:
            raise BenchError(f"training {self.name} diverged: {error}; lower learning_rate") from error
        shipped = build(self.entry)
        shipped.load_state_dict(weights)
        shipped = shipped.to(self.device).eval()
        measured = accuracies(shipped, run.held_out, recipe, run.plan.native_size, is_exact=True)
        facts = {
            "model": recipe.model,
            "parameters": sum(parameter.numel() for parameter in shipped.parameters()),
            "recipe": recipe.model_dump(mode="json"),
            "recipe_sha256": recipe.sha256,
            "start": {"file": self.start.path.name, "sha256": self.start.sha256} if self.start else None,
            "epochs": run.step / run.plan.steps_per_epoch,
            "steps": run.step,
            "is_finished": run.is_done,
            "minutes": round(run.seconds / 60, 1),
            "device": describe(self.device),
            "torch": torch.__version__,
            "dataset": {"name": self.entry.dataset, "train_sha256": self.dataset_sha256},
            "held_out": self._held_out(measured),
            "log": run.log,
        }
        return write_checkpoint(self.out, self.name, weights, facts)

    def _held_out(self, measured: Accuracies) -> dict[str, Any]:
        attack = validation_attack(self.recipe)
        return {
            "examples": self.recipe.held_out,
            "iterations": self.recipe.unrolled,
            "clean_accuracy": measured.clean,
            "robust_accuracy": measured.robust,
            "attack": None
            if attack is None
            else f"PGD-{STEPS} on the first pass, epsilon {attack.epsilon:.5f}",
        }


def _says_finished(card: Path) -> bool:
    """Return whether a card says so; one that cannot be read is written anew."""
    try:
        return bool(json.loads(card.read_text(encoding="utf-8"))["is_finished"])
    except (ValueError, KeyError, TypeError):
        return False


def _start(source: str | None, model: Network, recipe: Recipe) -> CheckpointFile | None:
    """Copy the weights named MODEL[:CHECKPOINT], or those of a file, into `model`.

    Feedback weights are learnt on top of a trained network: there the weights are the backbone's.
    """
    if source is None:
        return None
    try:
        if Path(source).is_file():
            file = found_at(Path(source))
        else:
            name, _, checkpoint = source.partition(":")
            if name not in ENTRIES:
                raise UnknownModelError(f"it is neither a file nor one of {', '.join(sorted(ENTRIES))}")
            file = locate(ENTRIES[name], checkpoint or "shipped")
        if recipe.objective == "prediction_errors":
            load_backbone(model, read(file.path))
        else:
            read_into(model, file)
    except (CheckpointError, UnknownModelError, ValueError) as error:
        raise BenchError(f"cannot start from {source!r}: {error}") from error
    return file


def _check_sizes(model: Network, recipe: Recipe, shape: tuple[int, ...]) -> None:
    for stage in recipe.image_sizes:
        if stage.size > shape[1]:
            raise BenchError(f"image_sizes: {stage.size} pixels are more than the {shape[1]} of the images")
        try:
            with frozen(model), torch.no_grad():
                model.unroll(torch.zeros(1, shape[3], stage.size, stage.size), 0)
        except RuntimeError as error:
            raise BenchError(f"image_sizes: {recipe.model} takes no images of {stage.size} pixels") from error


def _is_past(since: float, minutes: float | None) -> bool:
    return minutes is not None and time.monotonic() - since >= 60 * minutes
