"""The training loop: a run that can stop at any step and goes on as if it had not."""

from __future__ import annotations

import copy
import io
import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bench.batches import is_out_of_memory
from bench.data import LabelledImages
from bench.errors import BenchError
from bench.training import LOG
from bench.training.held_out import accuracies
from bench.training.images import augment, epoch_order, split, to_float
from bench.training.meters import DeviceClock, count_flops, peak_flops, synchronize
from bench.training.objective import EAGER, Objective
from bench.training.recipe import Recipe, completed
from bench.training.schedule import Plan
from reports.files import replace_bytes, replace_text

if TYPE_CHECKING:
    from zoo.checkpoint import Network

STATE = "state.pt"
STATE_KEYS = frozenset(
    ("identity", "step", "model", "average", "optimiser", "generator", "loss_sum", "seconds", "log")
)


class Run:
    """Everything that changes during training, and the one step that changes it.

    Args:
        model: The network as it starts, on the CPU.
        recipe: How to train it.
        found: The dataset's training images.
        device: Where to train.
        identity: What a saved state must agree on to be continued.
    """

    def __init__(
        self,
        model: Network,
        recipe: Recipe,
        found: LabelledImages,
        device: torch.device,
        identity: dict[str, Any],
    ) -> None:
        self.recipe = recipe
        self.device = device
        self.identity = identity
        layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.model = model.to(device).to(memory_format=layout).train()
        self.average = copy.deepcopy(self.model).eval() if recipe.ema_decay else None
        self.training, self.held_out = split(found, recipe.held_out, recipe.seed, device)
        self.plan = Plan(recipe, len(self.training.labels) // recipe.batch_size, found.images.shape[1])
        self.objective = Objective(self.model, recipe, device)
        self.optimiser = _optimiser(self.model, recipe)
        self.generator = torch.Generator(device).manual_seed(recipe.seed)
        self.step = 0
        self.seconds = 0.0
        self.log: list[dict[str, Any]] = []
        self._loss_sum = torch.zeros((), device=device)
        self._epoch_seconds = 0.0
        self._data_seconds = 0.0
        self._compiled = 0.0
        self._data_clock = DeviceClock(device)
        self._since = time.perf_counter()
        self._order: tuple[int, Tensor] | None = None
        self._flops: dict[int, int | None] = {}

    @property
    def shipped(self) -> Network:
        """The network that is evaluated and shipped: the moving average if there is one."""
        return self.model if self.average is None else self.average

    @property
    def is_done(self) -> bool:
        """Whether all steps have been made."""
        return self.step >= self.plan.steps

    @property
    def epoch(self) -> int:
        """The epoch that the next step belongs to, counted from 0."""
        return self.step // self.plan.steps_per_epoch

    def take_step(self) -> None:
        """Make one step, and close the epoch after its last one."""
        rate = self.plan.learning_rate(self.step)
        with self._data_clock.running():
            images, labels = self._batch(self.step, self.generator)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.objective.loss(images, labels, self.generator)
        loss.backward()
        if self.recipe.gradient_clip:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.gradient_clip)
        self.optimiser.step()
        if self.average is not None:
            self._follow(self.average)
        self._loss_sum += loss.detach()
        epoch, self.step = self.epoch, self.step + 1
        if self.step == self.plan.epoch_end(epoch):
            self._close_epoch(epoch, rate)

    def save(self, out: Path) -> None:
        """Write the state and the log so far into `out`, each all or nothing.

        Raises:
            BenchError: If the run has diverged; what was saved before stays.
        """
        self._require_finite((self.step - 1) // self.plan.steps_per_epoch)
        self._tick()
        state = {
            "identity": self.identity,
            "step": self.step,
            "model": self.model.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "loss_sum": self._loss_sum,
            "seconds": (self.seconds, self._epoch_seconds, self._data_seconds),
            "log": self.log,
        }
        # Not into the file itself: torch turns a full disk into an error of its own.
        content = io.BytesIO()
        torch.save(state, content)
        replace_bytes(out / STATE, content.getvalue())
        replace_text(out / LOG, "".join(json.dumps(row) + "\n" for row in self.log))
        self._since = time.perf_counter()

    def restore(self, out: Path) -> None:
        """Go on from the state in `out`, if there is one.

        Raises:
            BenchError: If it is damaged, no saved training, or of another recipe, dataset or start.
        """
        if not (out / STATE).is_file():
            return
        try:
            # Optimisers move what belongs on the device; Adam's step counts are faster where they were.
            state = torch.load(out / STATE, map_location="cpu", weights_only=True)
        except Exception as error:
            # torch's unpickler raises whatever it stumbles on.
            reason = str(error).split("\n")[0]
            raise BenchError(f"{out / STATE} cannot be read, remove it to start afresh: {reason}") from error
        if not (isinstance(state, dict) and state.keys() >= STATE_KEYS):
            raise BenchError(f"{out / STATE} is not the state of a training; choose another --out")
        _require_same(state["identity"], self.identity, out)
        self.model.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        self.step, self.log = state["step"], state["log"]
        self._loss_sum = state["loss_sum"].to(self.device)
        self.seconds, self._epoch_seconds, self._data_seconds = state["seconds"]
        self._since = time.perf_counter()

    def _batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        recipe = self.recipe
        epoch, position = divmod(step, self.plan.steps_per_epoch)
        if self._order is None or self._order[0] != epoch:
            order = epoch_order(len(self.training.labels), recipe.seed, epoch)
            self._order = (epoch, order.to(self.device))
        first = position * recipe.batch_size
        images, labels = self.training.take(self._order[1][first : first + recipe.batch_size])
        images = augment(images, recipe.crop_padding, recipe.flip, generator)
        return to_float(images, self.plan.image_size(step), recipe.channels_last), labels

    @torch.no_grad()
    def _follow(self, average: Network) -> None:
        # The decay grows to its value so that the average soon forgets the weights drawn at the start.
        decay = min(self.recipe.ema_decay, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(average.parameters()), list(self.model.parameters()), 1 - decay)
        for followed, buffer in zip(average.buffers(), self.model.buffers(), strict=True):
            followed.copy_(buffer)

    def _tick(self) -> None:
        """Book the time since the last booking."""
        synchronize(self.device)
        now = time.perf_counter()
        self.seconds += now - self._since
        # The speed of an epoch is that of its steps.
        compiled = self.objective.seconds_compiling
        self._epoch_seconds += now - self._since - (compiled - self._compiled)
        self._compiled = compiled
        self._data_seconds += self._data_clock.reset()
        self._since = now

    def _close_epoch(self, epoch: int, rate: float) -> None:
        self._tick()
        first, seconds = epoch * self.plan.steps_per_epoch, self._epoch_seconds
        steps, size = self.step - first, self.plan.image_size(self.step - 1)
        self._require_finite(epoch)
        loss = float(self._loss_sum) / steps
        measured = accuracies(self.shipped, self.held_out, self.recipe, size, is_exact=False)
        speed = self.plan.work(first, self.step) / seconds
        row = {
            "epoch": epoch + 1,
            "step": self.step,
            "image_size": size,
            "loss": loss,
            "learning_rate": rate,
            "held_out": len(self.held_out.labels),
            "clean_accuracy": measured.clean["last"],
            "robust_accuracy": measured.robust["last"] if measured.robust else None,
            "images_per_second": steps * self.recipe.batch_size / seconds,
            "seconds": seconds,
            "data_share": self._data_seconds / seconds,
            "minutes_left": self.plan.work(self.step, self.plan.steps) / speed / 60,
        }
        peak = peak_flops(self.device, self.recipe.amp)
        if peak is not None and (flops := self._step_flops(size)) is not None:
            row["flop_utilisation"] = flops * steps / seconds / peak
        self.log.append(row)
        self._loss_sum.zero_()
        self._tick()
        self._epoch_seconds = self._data_seconds = 0.0

    def _require_finite(self, epoch: int) -> None:
        """Raise BenchError where the losses of an epoch or the weights after it are no numbers."""
        weights = all(bool(weight.isfinite().all()) for weight in self.model.parameters())
        if not (weights and math.isfinite(float(self._loss_sum))):
            raise BenchError(
                f"the loss of epoch {epoch + 1} is not finite: lower learning_rate or set amp = 'off'"
            )

    def _step_flops(self, size: int) -> int | None:
        """Return the FLOPs of one step, counted on the uncompiled functions with other draws.

        None where these have too little memory; compiled ones need less.
        """
        if size not in self._flops:
            # A copy, whose statistics and gradients nobody will miss.
            copied = copy.deepcopy(self.model)
            eager = Objective(copied, self.recipe.model_copy(update=EAGER), self.device)
            generator = torch.Generator(self.device).manual_seed(0)
            images, labels = self._batch(self.step - 1, generator)
            try:
                self._flops[size] = count_flops(lambda: eager.loss(images, labels, generator).backward())
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                self._flops[size] = None
        return self._flops[size]


def _optimiser(model: Network, recipe: Recipe) -> torch.optim.Optimizer:
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if recipe.optimiser == "adam":
        return torch.optim.Adam(learning, recipe.learning_rate, weight_decay=recipe.weight_decay)
    return torch.optim.SGD(
        learning,
        recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.nesterov,
    )


def _require_same(saved: dict[str, Any], asked: dict[str, Any], out: Path) -> None:
    recipe = completed(saved["recipe"])
    if saved | {"recipe": recipe} == asked:
        return
    for key in sorted({*recipe, *asked["recipe"]}):
        before, now = recipe.get(key), asked["recipe"].get(key)
        if before != now:
            raise BenchError(
                f"{out} holds a run of another recipe: {key} was {before!r}, is {now!r}; choose another --out"
            )
    raise BenchError(
        f"{out} holds a run on other training images or from other weights; choose another --out"
    )
