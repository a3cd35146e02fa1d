"""The checks by name. To add one, write its judge and add it here and to docs/verdict.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from reports.archive import Outcomes, Results
from reports.records import Record
from reports.subjects import Subject, subject, subjects
from reports.verdict import comparisons, inspections
from reports.verdict.evidence import Evidence, Threat, about, usual_threat
from reports.verdict.finding import Finding


@dataclass(frozen=True)
class Rule:
    """A check that can be made.

    Attributes:
        judge: From the evidence on one scored answer to what was found.
        failing: What it means if it fails, in one sentence.
    """

    judge: Callable[[Evidence], Finding]
    failing: str


@dataclass(frozen=True)
class Check:
    """A check that was made, or could not be."""

    name: str
    finding: Finding
    failing: str
    """What it means if it failed."""


RULES: dict[str, Rule] = {
    "single step": Rule(
        comparisons.single_step,
        "One long step beats many short ones: the loss is too rough to climb, the attack is weak.",
    ),
    "steps": Rule(
        comparisons.steps, "Twice the steps find more: the attack has not converged, the model is weaker."
    ),
    "restarts": Rule(
        comparisons.restarts, "More random starts find more: the attack got stuck, the model is weaker."
    ),
    "epsilon": Rule(
        comparisons.epsilon,
        "More stand in a larger ball than in the one inside it: the attack loses its way.",
    ),
    "chance": Rule(
        comparisons.chance,
        "Images stand where no model can be robust: the attack fails to find what is surely there.",
    ),
    "other targets": Rule(
        comparisons.other_targets,
        "An attacker who differentiates something else than what is scored does better: gradients mislead.",
    ),
    "noise": Rule(
        comparisons.noise, "Random noise does better than following the gradient: the gradient is useless."
    ),
    "gradient-free": Rule(
        comparisons.gradient_free, "An attacker without gradients does better: gradients are masked."
    ),
    "transfer": Rule(
        comparisons.transfer, "Gradients of another model serve better than its own: gradients are masked."
    ),
    "per example": Rule(
        comparisons.per_example,
        "Other attacks break images that the informed ones leave: believe only the worst case over all.",
    ),
    "objective": Rule(
        comparisons.objective,
        "No gradient attack aims at what is scored: the numbers are not of an adaptive one.",
    ),
    "ball": Rule(
        comparisons.ball, "Perturbed images leave the allowed ball or the pixel range: the attack cheats."
    ),
    "gradients": Rule(
        inspections.gradients, "The loss has no usable gradient: an attack that follows it does not move."
    ),
    "finite differences": Rule(
        inspections.finite_differences,
        "Autograd does not return the slope of the function: part of the graph is cut or replaced.",
    ),
    "logit scale": Rule(
        inspections.logit_scale, "Logits are so far apart that the loss is flat in float32: rescale them."
    ),
    "logits": Rule(
        inspections.logits, "The model returns probabilities: a second softmax flattens the attacked loss."
    ),
    "deterministic": Rule(
        inspections.deterministic,
        "The same images get other answers when asked again: attacks must average over the randomness.",
    ),
    "stateless": Rule(
        inspections.stateless,
        "An answer depends on other images shown before or beside it: no number is that of an image.",
    ),
    "unchanged": Rule(
        inspections.unchanged, "An attack leaves another model behind: what follows measures something else."
    ),
}


def verdict_of(records: Iterable[Record], store: Outcomes, threat: Threat | None = None) -> list[Check]:
    """Return all checks on one scored answer: one model, iteration count and readout.

    Args:
        records: Its records; what they do not allow is "not run".
        store: Where their outcomes lie.
        threat: The threat model in question; None for the one that most attacks share.

    Raises:
        RecordError: If outcomes are missing or damaged.
    """
    evidence = Evidence.of(records, store, threat)
    return [Check(name, rule.judge(evidence), rule.failing) for name, rule in RULES.items()]


def verdicts_on(records: Sequence[Record], results: Results) -> dict[Subject, list[Check]]:
    """Return all checks on every scored answer of a table, by the records of all suites in the folder.

    Args:
        records: What the table shows, of one dataset and seed. In question is the threat model that most
            attacks on an answer share here, whatever other suites allowed theirs.
        results: Where these and the others lie.

    Raises:
        RecordError: If outcomes are missing or damaged.
    """
    found, every = {}, results.read()
    for answer in subjects(records):
        own = [record for record in records if subject(record) == answer]
        found[answer] = verdict_of(about(answer, own[0].cell, every), results, usual_threat(own))
    return found


def doubted(checks: Iterable[Check]) -> frozenset[str]:
    """Return the keys of the records that failed checks put in doubt."""
    return frozenset[str]().union(*(check.finding.doubted for check in checks))
