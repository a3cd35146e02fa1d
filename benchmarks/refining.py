"""Print what random search breaks where gradients fail: from its own start, and from where they ended."""

from __future__ import annotations

import sys

import torch

import attacks
import zoo
from attacks import Cascade, Draws, Member, Square, ThreatModel
from bench import data, suites
from bench.models import from_zoo
from bench.suites import Request, Sizes
from zoo.feedback import AttackTarget


def main(model: str, examples: int, queries: int) -> None:
    """Attack the last answer with the climbs of `strongest`, then what stands with Square, both ways."""
    candidate = from_zoo(model)
    found = data.evaluation_images(candidate.dataset, examples)
    request = Request(
        candidate.scored, (), candidate.dataset, Sizes(examples), lambda n: found.sha256, 0, "native"
    )
    cell = next(c for c in suites.plan("strongest", request) if c.perturbation and c.readout == "last")
    assert cell.perturbation is not None
    assert cell.attack_target is not None
    network = zoo.load(model).requires_grad_(False).to(memory_format=torch.channels_last)
    images = torch.from_numpy(found.images).permute(0, 3, 1, 2).float() / 255
    images, labels = images.contiguous(memory_format=torch.channels_last), torch.from_numpy(found.labels)
    threat = ThreatModel("linf", float(cell.perturbation.settings["epsilon"]))
    judge = AttackTarget(cell.attack_target).classifier(network, cell.attack_iterations)

    climbs = []
    for settings in cell.perturbation.members[:-1]:
        own = {name: value for name, value in settings.items() if name not in ("attack", "target")}
        classifier = AttackTarget(str(settings["target"])).classifier(network, cell.attack_iterations)
        shared = {"norm": threat.norm, "epsilon": threat.epsilon}
        climbs.append(Member(attacks.build(str(settings["attack"]), "native", shared | own), classifier))
    square = Square(threat, queries)
    print(f"torch {torch.__version__}, {model}, last answer, {examples} images, {queries} queries\n")
    print("| Square | stand after the climbs | stand after Square |")
    print("| --- | ---: | ---: |")
    for name, is_refining in (("from its own stripes", False), ("from the strongest image", True)):
        cascade = Cascade([*climbs, Member(square, judge, is_refining)], judge)
        _, fooled_by = cascade(images, labels, Draws(cell.draw_key, range(examples), images))
        climbed, standing = (int((fooled_by > k).sum()) for k in (len(climbs), len(climbs) + 1))
        print(f"| {name} | {climbed} | {standing} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
