"""Square Attack: random search with square-shaped changes, which needs no gradient.

Andriushchenko et al., "Square Attack: a query-efficient black-box adversarial attack via random search",
ECCV 2020.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attacks import losses
from attacks.ascent import Classifier, Images, Labels, require_positive
from attacks.draws import Draws
from attacks.threat import ThreatModel

Window = Float[Tensor, "n c side side"]
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Queries, of 10,000, after which the changed share of pixels halves (`p_selection` of the authors' code)."""
TINY = 1e-12


@dataclass(frozen=True)
class SquareSettings:
    """What a random search with squares is told.

    Attributes:
        threat: Allowed perturbations.
        queries: Images shown to the classifier for each example, the first guess included.
        initial_share: Share of the pixels that the first changes cover, p in the paper, in (0, 1].
    """

    threat: ThreatModel
    queries: int
    initial_share: float = 0.8

    def __post_init__(self) -> None:
        require_positive(queries=self.queries, initial_share=self.initial_share)
        if self.initial_share > 1:
            raise ValueError(f"initial_share must be at most 1, got {self.initial_share}")

    @property
    def width(self) -> int:
        """One image per example."""
        return 1


@dataclass(frozen=True)
class Square(SquareSettings):
    """Random search on the margin between the label and the likeliest other class.

    An example rests as soon as it fools the classifier. Each one has windows of its own.
    """

    def __call__(self, classifier: Classifier, images: Images, labels: Labels, draws: Draws) -> Images:
        """Attack; see `attacks.ascent.Attack`."""
        first_guess = self._stripes if self.threat.norm == "linf" else self._tiles
        return self.refine(classifier, images, first_guess(images, draws), labels, draws)

    def refine(
        self, classifier: Classifier, images: Images, start: Images, labels: Labels, draws: Draws
    ) -> Images:
        """Search from images that another attack found; see `attacks.ascent.Refiner`."""
        propose = self._recoloured if self.threat.norm == "linf" else self._moved
        with torch.no_grad():
            adversarial = start.clone()
            rows = torch.arange(len(images), device=images.device)
            current, highest = start, torch.full_like(images[:, 0, 0, 0], -float("inf"))
            candidate = current
            for query in range(1, self.queries + 1):
                logits = classifier(candidate)
                reached = losses.margin(logits, labels)
                is_fooled = losses.is_fooled(logits, labels)
                is_better = (reached > highest) | is_fooled
                current = torch.where(is_better[:, None, None, None], candidate, current)
                highest = torch.where(is_better, reached, highest)
                adversarial[rows] = current
                if is_fooled.any():
                    kept = ~is_fooled
                    rows, current, highest = rows[kept], current[kept], highest[kept]
                    images, labels, draws = images[kept], labels[kept], draws.of(kept.nonzero()[:, 0])
                if len(rows) == 0 or query == self.queries:
                    break
                candidate = propose(images, current, self._side(images, query), draws)
        return adversarial

    def _side(self, images: Images, query: int) -> int:
        """Return the side of the windows at a query, in pixels."""
        height, width = images.shape[2:]
        halvings = sum(query * 10_000 > after * self.queries for after in HALVINGS)
        share = self.initial_share / 2**halvings
        side = max(round(math.sqrt(share * height * width)), 1)
        if self.threat.norm == "l2":
            # A bump needs a middle and something beside it.
            side = max(side + 1 - side % 2, 3)
        return min(side, height, width)

    def _stripes(self, images: Images, draws: Draws) -> Images:
        """Return the first guess under linf: vertical stripes one pixel wide."""
        _, channels, _, width = images.shape
        return self.threat.project(
            images + self.threat.epsilon * draws.signs((channels, 1, width)), images
        ).contiguous()

    def _recoloured(self, images: Images, current: Images, side: int, draws: Draws) -> Images:
        """Return images with one square moved to a corner of the ball in each channel (algorithm 2)."""
        channels = images.shape[1]
        place = _Place.drawn(images, side, draws.uniform((2,)))
        shift = 2 * self.threat.epsilon * draws.signs((channels, 1, 1))
        square = place.read(current) + shift
        return self.threat.project(place.write(current, square), images)

    def _tiles(self, images: Images, draws: Draws) -> Images:
        """Return the first guess under l2: a grid of five by five bumps with random signs."""
        channels, height, width = images.shape[1:]
        side = max(min(height, width) // 5, 1)
        down, across = height // side, width // side
        top, left = (height - down * side) // 2, (width - across * side) // 2
        signs = draws.signs((channels, down, across)).repeat_interleave(side, 2).repeat_interleave(side, 3)
        bumps = _bumps(side, images).repeat(down, across)
        pattern = torch.zeros_like(images)
        pattern[:, :, top : top + down * side, left : left + across * side] = signs * bumps
        return self._to_sphere(images, pattern)

    def _moved(self, images: Images, current: Images, side: int, draws: Draws) -> Images:
        """Return images with the perturbation of one square gathered in another (algorithm 3)."""
        channels = images.shape[1]
        change = current - images
        chance = draws.uniform((5,))
        first, second = _Place.drawn(images, side, chance[:, :2]), _Place.drawn(images, side, chance[:, 2:4])
        covered = torch.zeros_like(images)
        covered = second.write(first.write(covered, 1.0), 1.0)
        unused = (self.threat.epsilon**2 - _square_sum(change, (1, 2, 3))).clamp_min(0)
        available = (_square_sum(change * covered, (2, 3)) + unused / channels).sqrt()

        bumps = _bumps(side, images)
        is_turned = (chance[:, 4] < 0.5)[:, None, None, None]
        bumps = torch.where(is_turned, bumps.T, bumps)
        there = first.read(change)
        there = draws.signs((channels, 1, 1)) * bumps + there / (_square_sum(there, (2, 3)).sqrt() + TINY)
        there = there / (_square_sum(there, (2, 3)).sqrt() + TINY) * available
        change = first.write(second.write(change, 0.0), there)
        return self._to_sphere(images, change)

    def _to_sphere(self, images: Images, change: Images) -> Images:
        return self.threat.project(images + self.threat.epsilon * self.threat.steepest(change), images)


@dataclass(frozen=True)
class _Place:
    """One square window an example, all of one size."""

    rows: Int[Tensor, "n 1 side 1"]
    columns: Int[Tensor, "n 1 1 side"]

    @classmethod
    def drawn(cls, images: Images, side: int, chance: Float[Tensor, "n 2"]) -> _Place:
        """Return windows from uniform draws."""
        free = torch.tensor([images.shape[2] - side + 1, images.shape[3] - side + 1], device=images.device)
        # A draw just below 1 may round up to it.
        corner = torch.minimum((chance * free).long(), free - 1)
        along = torch.arange(side, device=images.device)
        return cls((corner[:, :1] + along)[:, None, :, None], (corner[:, 1:] + along)[:, None, None, :])

    def _index(self, images: Images) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        count, channels = images.shape[:2]
        batch = torch.arange(count, device=images.device)[:, None, None, None]
        return batch, torch.arange(channels, device=images.device)[:, None, None], self.rows, self.columns

    def read(self, images: Images) -> Window:
        """Return what is inside."""
        return images[self._index(images)]

    def write(self, images: Images, values: Window | float) -> Images:
        """Return images with other values inside."""
        written = images.clone()
        written[self._index(images)] = torch.as_tensor(values, dtype=images.dtype, device=images.device)
        return written


def _bumps(side: int, like: Tensor) -> Float[Tensor, "side side"]:
    """Return eta of the paper's equation 2, one bump up and one down side by side, with norm 1."""
    if side == 1:
        return torch.ones_like(like[:1, 0, 0, 0])[None]
    half = side // 2
    both = torch.cat([_bump(side, half, like), -_bump(side, side - half, like)], dim=1)
    return both / torch.linalg.vector_norm(both)


def _bump(height: int, width: int, like: Tensor) -> Float[Tensor, "height width"]:
    """Return sums of 1 / (n + 1 - k)^2 for k up to n less the distance from the middle, n = height // 2."""
    reach = height // 2
    down = (torch.arange(1, height + 1) - reach - 1).abs()
    across = (torch.arange(1, width + 1) - width // 2 - 1).abs()
    depth = reach - torch.maximum(down[:, None], across)
    sums = (1 / torch.arange(reach + 1, 0, -1).to(like) ** 2).cumsum(0)
    return sums[depth.to(like.device)]


def _square_sum(values: Tensor, over: tuple[int, ...]) -> Float[Tensor, "n c 1 1"]:
    return values.square().sum(over, keepdim=True)
