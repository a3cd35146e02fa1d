"""Any network made recurrent by predictive coding.

One timestep is one pass of the backbone. Encoders are modules of the backbone; a forward hook on each
replaces its output by the updated representation (equation 2), so that whatever the backbone does next starts
from there. Everything that the update needs besides that output belongs to the past (`Recall`) and is
computed between two passes.

Hooks, and why they are safe: see `passing`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from math import prod, sqrt
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zoo.predictive_coding.cells import count_cells
from zoo.predictive_coding.dynamics import (
    Balance,
    ErrorGradient,
    Recall,
    Scaling,
    mean_squared_error,
    predict_with_gradient,
)
from zoo.predictive_coding.passing import Pass, tap
from zoo.predictive_coding.paths import canonical_name


class Iteration(NamedTuple):
    """What one timestep yields. Representation 0 is that of the lowest encoder."""

    logits: Float[Tensor, "n k"]
    representations: tuple[Float[Tensor, "n ..."], ...]
    """e_1 .. e_N."""
    predictions: tuple[Float[Tensor, "n ..."], ...]
    """d_0 .. d_{N-1}: what each encoder predicts of the image or of the encoder below it."""
    prediction_errors: Float[Tensor, "n encoders"]
    """eps_0 .. eps_{N-1}: mean squared errors of the predictions, each image's own."""
    image: Float[Tensor, "n c h w"]
    """d_0 in the units of the images."""


class PredictiveCodingNetwork(nn.Module):
    """A backbone with predictive coding on some of its modules; see `zoo.predictive_coding.predify`.

    The backbone is taken over: hooked, frozen (W^f is fixed in the paper) and kept in evaluation mode;
    `predify` gives a copy of the caller's. The decoders are used as they are given.

    Args:
        backbone: Maps images to logits.
        encoders: Paths of modules in the order in which they run, each once a pass; see `paths`.
        decoders: For each encoder the module that predicts the image, or the encoder before it.
        balances: For each encoder its weights. The top one's lambda is not used: nothing predicts it.
        scaling: Of the error gradient.
        prediction_cells: C of each encoder for the scaled update; None computes it from the geometry.
        is_public: Divide the plain error by the batch too, as the public package does. Results then depend
            on who shares a batch.
        error_gradient: Whether the error term is differentiated.

    Raises:
        ValueError: If an encoder does not exist, if lists differ in length, or if weights are out of range.
    """

    def __init__(
        self,
        backbone: nn.Module,
        encoders: Sequence[str],
        decoders: Sequence[nn.Module],
        balances: Sequence[Balance],
        *,
        scaling: Scaling = Scaling.PLAIN,
        prediction_cells: Sequence[float] | None = None,
        is_public: bool = False,
        error_gradient: ErrorGradient = ErrorGradient.FULL,
    ) -> None:
        super().__init__()
        _check_lengths(len(encoders), decoders=decoders, balances=balances, prediction_cells=prediction_cells)
        _check_ranges(encoders, balances, prediction_cells)
        self.encoders = tuple(canonical_name(backbone, path) for path in encoders)
        self.backbone = backbone.requires_grad_(False).eval()
        self.decoders = nn.ModuleList(decoders)
        self.balances = tuple(balances)
        self.scaling = scaling
        self.prediction_cells = tuple(prediction_cells) if prediction_cells is not None else None
        self.is_public = is_public
        self.error_gradient = error_gradient
        self._counted: dict[tuple[tuple[int, ...], ...], tuple[float, ...]] = {}
        """Representation shapes -> C of each encoder."""
        tap(self.backbone, self.encoders)

    @property
    def settings(self) -> dict[str, object]:
        """What the answers depend on beside weights and modules, under the names that `predify` has."""
        beta, lambda_, alpha = zip(*(map(float, balance) for balance in self.balances), strict=True)
        return {
            "encoders": self.encoders,
            "beta": beta,
            "lambda_": lambda_,
            "alpha": alpha,
            "scaling": self.scaling,
            "prediction_cells": self.prediction_cells,
            "compat": "public" if self.is_public else None,
            "error_gradient": self.error_gradient,
        }

    def train(self, mode: bool = True) -> PredictiveCodingNetwork:
        """Set the decoders' mode; the backbone stays in evaluation mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    def unroll(self, images: Float[Tensor, "n c h w"], iterations: int) -> Float[Tensor, "t n k"]:
        """Return the logits of the first pass and of each timestep after it, t = iterations + 1.

        Args:
            images: As the backbone wants them.
            iterations: Timesteps after the first pass, at least 0.
        """
        _check_iterations(iterations)
        logits, representations = self._pass(images, None)
        every = [logits]
        for _ in range(iterations):
            recalls, _ = self._look_back(images, representations)
            logits, representations = self._pass(images, recalls)
            every.append(logits)
        return torch.stack(every)

    def walk(self, images: Float[Tensor, "n c h w"], iterations: int) -> Iterator[Iteration]:
        """Yield each pass of `unroll` with its representations, predictions and prediction errors.

        The feedback weights are trained on the first one's errors (equation 3).
        """
        _check_iterations(iterations)
        logits, representations = self._pass(images, None)
        for _ in range(iterations):
            recalls, predictions = self._look_back(images, representations)
            yield self._iteration(images, logits, representations, predictions)
            logits, representations = self._pass(images, recalls)
        targets = (images, *representations[:-1])
        predictions = [
            self._predict(n, t, e) for n, (t, e) in enumerate(zip(targets, representations, strict=True))
        ]
        yield self._iteration(images, logits, representations, predictions)

    def shapes(self, images: Float[Tensor, "n c h w"]) -> list[tuple[int, ...]]:
        """Return the shape of each representation, without the batch, for images of this size."""
        with torch.no_grad():
            return [tuple(e.shape[1:]) for e in self._pass(images, None)[1]]

    def check(self, images: Float[Tensor, "n c h w"]) -> None:
        """Run encoders and decoders once.

        Raises:
            ValueError: If an encoder does not run in its turn, or if a decoder does not fit (both shapes).
        """
        with torch.no_grad():
            _, representations = self._pass(images, None)
            for n, target in enumerate((images, *representations[:-1])):
                try:
                    self._predict(n, target, representations[n])
                except RuntimeError as error:
                    reason = str(error).split("\n")[0]
                    shape = _shape(representations[n])
                    raise ValueError(
                        f"the decoder of encoder {self.encoders[n]!r} does not take {shape}: {reason}"
                    ) from error

    def _pass(self, images: Tensor, recalls: Sequence[Recall] | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run the backbone once; without recalls it is the first pass, where e_n = W^f e_{n-1}."""
        with Pass(self.encoders, self.balances, recalls) as passing:
            logits = self.backbone(images)
        if not isinstance(logits, Tensor):
            raise TypeError(f"the backbone must return logits, not {type(logits).__name__}")
        return logits, passing.complete()

    def _look_back(
        self, images: Tensor, representations: Sequence[Tensor]
    ) -> tuple[list[Recall], list[Tensor]]:
        """Return what every encoder is to know of this timestep, and the predictions d_0 .. d_{N-1}."""
        targets = (images, *representations[:-1])
        divisors = self._divisors(representations, targets)
        predictions, gradients = [], []
        for n, (target, divisor) in enumerate(zip(targets, divisors, strict=True)):
            decode = partial(self._predict, n, target)
            prediction, gradient = predict_with_gradient(decode, representations[n], target, divisor)
            is_constant = self.error_gradient is ErrorGradient.CONSTANT
            predictions.append(prediction)
            gradients.append(gradient.detach() if is_constant else gradient)
        feedback = [*predictions[1:], None]
        recalls = [Recall(*past) for past in zip(representations, feedback, gradients, strict=True)]
        return recalls, predictions

    def _predict(self, n: int, target: Tensor, representation: Tensor) -> Tensor:
        # The alias is for tools that hook a module's inputs, as FLOP counters do: they fail on the leaf that
        # the differentiation by vjp makes of the representation.
        prediction = self.decoders[n](representation.view_as(representation))
        if prediction.shape != target.shape:
            below = f"encoder {self.encoders[n - 1]!r}" if n else "the image"
            raise ValueError(
                f"the decoder of encoder {self.encoders[n]!r} turns {_shape(representation)} into "
                f"{_shape(prediction)}, but {below} is {_shape(target)}"
            )
        return prediction

    def _divisors(self, representations: Sequence[Tensor], targets: Sequence[Tensor]) -> list[float]:
        """Return what each sum of squared differences is divided by."""
        if self.scaling is Scaling.SCALED:
            return [sqrt(cells) for cells in self._cells(representations)]
        batch = len(targets[0]) if self.is_public else 1
        return [batch * prod(target.shape[1:]) for target in targets]

    def _cells(self, representations: Sequence[Tensor]) -> tuple[float, ...]:
        if self.prediction_cells is not None:
            return self.prediction_cells
        shapes = tuple(tuple(e.shape[1:]) for e in representations)
        if shapes not in self._counted:
            pairs = zip(self.decoders, shapes, strict=True)
            self._counted[shapes] = tuple(count_cells(decoder, shape) for decoder, shape in pairs)
        return self._counted[shapes]

    def _iteration(
        self, images: Tensor, logits: Tensor, representations: Sequence[Tensor], predictions: Sequence[Tensor]
    ) -> Iteration:
        targets = (images, *representations[:-1])
        errors = [mean_squared_error(d, e) for d, e in zip(predictions, targets, strict=True)]
        return Iteration(
            logits, tuple(representations), tuple(predictions), torch.stack(errors, 1), predictions[0]
        )


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape[1:]))


def _check_iterations(iterations: int) -> None:
    if iterations < 0:
        raise ValueError(f"iterations must be at least 0, got {iterations}")


def _check_lengths(encoders: int, **lists: Sequence[object] | None) -> None:
    if not encoders:
        raise ValueError("there must be at least one encoder")
    for name, values in lists.items():
        if values is not None and len(values) != encoders:
            raise ValueError(f"{name} must have one value per encoder, {encoders} in all, got {len(values)}")


def _check_ranges(
    names: Sequence[str], balances: Sequence[Balance], prediction_cells: Sequence[float] | None
) -> None:
    for name, (beta, lambda_, alpha) in zip(names, balances, strict=True):
        # Decimal fractions such as 0.7 + 0.3 may add to a rounding error more than 1.
        if not (beta >= 0 and lambda_ >= 0 and beta + lambda_ <= 1 + 1e-9):
            raise ValueError(
                f"beta and lambda must be at least 0 and sum to at most 1, got {beta} and {lambda_} "
                f"for {name!r}"
            )
        if not alpha >= 0:
            raise ValueError(f"alpha must be at least 0, got {alpha} for {name!r}")
    if prediction_cells is not None and not all(cells > 0 for cells in prediction_cells):
        raise ValueError(f"prediction_cells must be above 0, got {list(prediction_cells)}")
