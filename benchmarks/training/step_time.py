"""Time one training step of a recipe: attack, forward, backward and update, on random images.

python benchmarks/training/step_time.py RECIPE [--size 16] [--batch 64] [--amp bf16|off] [--steps 3]

Prints milliseconds per image of the batch, the median over the steps after one to warm up.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from bench.data import dataset
from bench.training import load_recipe
from bench.training.meters import describe, synchronize
from bench.training.objective import Objective
from zoo import ENTRIES
from zoo.checkpoint import build


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe")
    parser.add_argument("--size", type=int, default=None)
    parser.add_argument("--batch", type=int, default=None)
    parser.add_argument("--amp", choices=["bf16", "off"], default=None)
    parser.add_argument("--steps", type=int, default=3)
    asked = parser.parse_args()
    name, recipe = load_recipe(asked.recipe)
    recipe = recipe.model_copy(update={"amp": asked.amp or recipe.amp})
    batch = asked.batch or recipe.batch_size
    height, _, channels = dataset(ENTRIES[recipe.model].dataset).shape
    size = asked.size or height
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # As in training.
    torch.backends.cudnn.benchmark = device.type == "cuda"
    model = build(ENTRIES[recipe.model]).to(device).to(memory_format=torch.channels_last)
    objective = Objective(model, recipe, device)
    optimiser = torch.optim.SGD(model.parameters(), 0.0, momentum=0.9)
    generator = torch.Generator(device).manual_seed(0)
    images = torch.rand(batch, channels, size, size, device=device).contiguous(
        memory_format=torch.channels_last
    )
    labels = torch.randint(0, 10, (batch,), device=device)
    seconds = []
    for _ in range(asked.steps + 1):
        began = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        objective.loss(images, labels, generator).backward()
        optimiser.step()
        synchronize(device)
        seconds.append(time.perf_counter() - began)
    milliseconds = 1000 * statistics.median(seconds[1:]) / batch
    print(
        f"{name} {size}px batch {batch} amp {recipe.amp}: {milliseconds:.2f} ms per image "
        f"({describe(device)})"
    )


if __name__ == "__main__":
    main()
