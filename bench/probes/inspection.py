"""What an attacker must be able to count on: honest gradients, and an answer that depends on the image alone.

The measures stand at the last iteration and are NaN before it. Thresholds are in `reports.verdict`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from attacks import PGD, Draws, ThreatModel, losses
from bench.batches import is_out_of_memory
from bench.identity import state_hash
from bench.probes.observation import Images, Observation, Walker
from zoo.feedback import Readout

Answer = Callable[[Images], Float[Tensor, "n k"]]

STEP = 1e-6
"""Half the distance of a finite difference, in [0, 1] pixel units: short, for gates jump."""
JITTER = 0.01
"""How far pixels are moved before differentiating: flat regions sit on ties, which have no derivative."""
PIXELS = 2
"""Pixels compared with finite differences: so many of the steepest, and as many drawn ones."""


def gradients(
    readout: Readout, model: Walker, clean: Images, perturbed: Images, iterations: int
) -> Observation:
    """Measure what the gradient of a read answer is worth.

    - `zero_gradient`: 1 where the loss that PGD climbs, the cross-entropy of the answer's own class, has a
      gradient of exactly zero, or none at all
    - `nonfinite_gradient`: 1 where that gradient holds a NaN or an infinity
    - `difference_error`: relative distance, on a few pixels and in float64, between autograd and central
      finite differences of the margin between the two highest logits; 0 where both are zero
    - `casts`: 1 if the model does not compute in float64 throughout, so that `difference_error` is NaN
    - `margin`: that margin
    - `nonfinite_answer`: 1 where the answer holds a NaN or an infinity; the other measures mean nothing there

    The margin serves the comparison because it does not saturate.
    """

    def answer(images: Images) -> Float[Tensor, "n k"]:
        return readout.of(model.unroll(images, iterations))

    logits = model.unroll(perturbed, iterations)
    predicted = readout.of(logits).argmax(1)
    slope = _gradient(lambda x: losses.cross_entropy(answer(x), predicted), perturbed)
    rows = slope.flatten(1)
    twin, unknown = _in_float64(model), torch.full_like(rows[:, 0], torch.nan)
    casts = not _computes_in_float64(twin, perturbed, iterations)
    measures = {
        "zero_gradient": (rows == 0).all(1),
        "nonfinite_gradient": ~rows.isfinite().all(1),
        "difference_error": unknown if casts else _difference_error(twin, readout, perturbed, iterations),
        "casts": torch.full_like(unknown, casts),
        "margin": _margin(readout.of(logits)),
        "nonfinite_answer": ~readout.of(logits).isfinite().all(1),
    }
    return Observation(logits, _at_the_end(measures, logits))


def repeats(
    readout: Readout, model: Walker, clean: Images, perturbed: Images, iterations: int
) -> Observation:
    """Measure how far a read answer moves when only what surrounds the image changes.

    Distances are the largest over classes, in units of the largest finite logit of the batch. A NaN that
    stays one has not moved; one that comes or goes has moved infinitely far:

    - `again`: the same batch once more
    - `after_others`: the same batch after one of inverted images
    - `permuted`: the same batch backwards; NaN for a batch of one
    - `alone`: each image by itself

    Further `is_probability`, 1 where an answer lies in [0, 1] and sums to 1; and `changed`, 1 if parameters,
    buffers or the mode of the model are others after a two-step PGD, or it is in training mode before.
    """

    def answer(images: Images) -> Float[Tensor, "n k"]:
        return readout.of(model.unroll(images, iterations))

    logits = model.unroll(perturbed, iterations)
    first = readout.of(logits)
    scale = torch.where(first.isfinite(), first.abs(), 0).amax()

    def moved(other: Tensor) -> Float[Tensor, " n"]:
        is_same = (other == first) | (other.isnan() & first.isnan())
        distance = ((other - first).abs() / scale).nan_to_num(torch.inf, posinf=torch.inf)
        return distance.masked_fill(is_same, 0).amax(1)

    measures = {"again": moved(answer(perturbed))}
    answer(1 - perturbed)
    measures["after_others"] = moved(answer(perturbed))
    backwards = moved(answer(perturbed.flip(0)).flip(0))
    measures["permuted"] = backwards if len(perturbed) > 1 else torch.full_like(backwards, torch.nan)
    measures["alone"] = moved(torch.cat([answer(image[None]) for image in perturbed]))
    measures["is_probability"] = _is_probability(first)
    measures["changed"] = torch.full_like(first[:, 0], _is_changed_by_attack(model, answer, perturbed))
    return Observation(logits, _at_the_end(measures, logits))


def _network(model: Walker) -> Any:
    """Return the model itself where passes through it are counted."""
    return getattr(model, "model", model)


def _in_float64(model: Walker) -> Walker:
    """Return a copy; the original does not count passes through it."""
    twin = copy.deepcopy(model)
    _network(twin).double()
    return twin


def _gradient(loss: Callable[[Images], Float[Tensor, " n"]], images: Images) -> Images:
    """Return the gradient of the loss of each image; zero where the graph is cut."""
    with torch.enable_grad():
        images = images.detach().requires_grad_()
        total = loss(images).sum()
        if not total.requires_grad:
            return torch.zeros_like(images)
        (gradient,) = torch.autograd.grad(total, images, allow_unused=True, materialize_grads=True)
    return gradient


def _margin(logits: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    highest = logits.topk(2, dim=1).values
    return highest[:, 0] - highest[:, 1]


def _computes_in_float64(twin: Walker, images: Images, iterations: int) -> bool:
    """Return whether a model in float64 stays there; some cast what they are shown, or what they compute."""
    try:
        return twin.unroll(images.double(), iterations).dtype == torch.float64
    except (RuntimeError, TypeError) as error:
        if is_out_of_memory(error):
            raise
        return False


def _difference_error(
    model: Walker, readout: Readout, images: Images, iterations: int
) -> Float[Tensor, " n"]:
    # The same draws for every image, so that they do not depend on its place in a batch.
    generator = torch.Generator().manual_seed(0)
    shape = images.shape[1:]
    jitter = JITTER * (2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1)
    base = images.double() * (1 - 2 * JITTER) + JITTER + jitter.to(images.device)
    two = readout.of(model.unroll(base, iterations)).topk(2, dim=1).indices

    def margin(points: Images) -> Float[Tensor, " n"]:
        logits = readout.of(model.unroll(points, iterations))
        high, low = logits.gather(1, two.repeat(len(points) // len(two), 1)).unbind(1)
        return high - low

    slope = _gradient(margin, base).flatten(1)
    drawn = torch.randint(slope.shape[1], (PIXELS,), generator=generator).to(images.device)
    pixels = torch.cat([slope.abs().topk(PIXELS, dim=1).indices, drawn.expand(len(images), -1)], dim=1)
    estimated = torch.stack([_slope_along(margin, base, pixel) for pixel in pixels.unbind(1)], dim=1)
    exact = slope.gather(1, pixels)
    distance, length = (
        (exact - estimated).norm(dim=1),
        torch.maximum(exact.norm(dim=1), estimated.norm(dim=1)),
    )
    return torch.where(distance == 0, 0.0, distance / length)


def _slope_along(
    margin: Callable[[Images], Float[Tensor, " m"]], base: Images, pixel: Int[Tensor, " n"]
) -> Float[Tensor, " n"]:
    """Return the central difference along one pixel of each image."""
    step = torch.zeros_like(base).flatten(1).scatter_(1, pixel[:, None], STEP).view_as(base)
    above, below = margin(torch.cat([base + step, base - step])).chunk(2)
    return (above - below) / (2 * STEP)


def _is_probability(logits: Float[Tensor, "n k"]) -> Bool[Tensor, " n"]:
    is_inside = ((logits >= 0) & (logits <= 1)).all(1)
    return is_inside & ((logits.sum(1) - 1).abs() < 1e-3)


def _is_changed_by_attack(model: Walker, answer: Answer, images: Images) -> float:
    """Return 1 if a short attack leaves another model behind, NaN if the graph is cut and nothing climbs."""
    before = _fingerprint(_network(model))
    was_training = any(module.training for module in _network(model).modules())
    labels = answer(images).argmax(1)
    with torch.enable_grad():
        if not answer(images.detach().requires_grad_()).requires_grad:
            return torch.nan
        attack = PGD(ThreatModel("linf", JITTER), steps=2, step_size=JITTER, random_start=False)
        attack(answer, images, labels, Draws("unused", range(len(images)), images))
    return float(was_training or _fingerprint(_network(model)) != before)


def _fingerprint(network: nn.Module) -> str:
    modes = "".join(str(int(module.training)) for module in network.modules())
    return state_hash(network, modes)


def _at_the_end(measures: dict[str, Tensor], logits: Float[Tensor, "t n k"]) -> dict[str, Tensor]:
    """Return measures of the last iteration as a row per iteration."""
    empty = torch.full_like(logits[:, :, 0], torch.nan, dtype=torch.float64)
    rows = {}
    for name, values in measures.items():
        rows[name] = empty.clone()
        rows[name][-1] = values
    return rows
