"""What can be measured on each example beside its answer.

A probe looks into the iterations of one unroll, or at the model as an attacker meets it. Its measures become
columns of the outcomes, named as here.
"""

from __future__ import annotations

from functools import partial

from bench.probes.feedback import answers, consistency, projection, restoration
from bench.probes.inspection import gradients, repeats
from bench.probes.observation import Measures, Observation, Probe, Walker
from zoo.feedback import Readout

__all__ = ["NOT_OF_EVERY_MODEL", "PROBES", "Measures", "Observation", "Probe", "Walker"]

PROBES: dict[str | None, Probe] = {
    None: answers,
    "restoration": restoration,
    "consistency": consistency,
    "projection": projection,
    "gradients_last": partial(gradients, Readout.LAST),
    "gradients_avg": partial(gradients, Readout.AVG),
    "repeats_last": partial(repeats, Readout.LAST),
    "repeats_avg": partial(repeats, Readout.AVG),
}
"""What a cell's `probe` names."""
NOT_OF_EVERY_MODEL = ("restoration", "consistency")
"""Probes whose suites hold nothing else, of something that many models with feedback do not show."""
