"""What a checkpoint reaches, written into its card from the records of a run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.reporting import mendable
from reports.files import replace_text
from reports.records import Record


def fill(card: Path, records: Iterable[Record]) -> int:
    """Write the accuracies of a checkpoint into its card and return how many there are now.

    Of one attack that on most images counts, and of as many images the records. What the card has and the
    records lack stays. Left out are records of other weights, and of corrupted or noisy images.

    Args:
        card: The JSON file beside the weights.
        records: Of any runs.

    Raises:
        BenchError: If the card cannot be read or written, or no record is of its weights.
    """
    try:
        content = json.loads(card.read_text())
        sha256 = str(content["sha256"])
        earlier = sorted(_on_most_images(content.get("accuracies", [])), key=_order)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BenchError(f"{card} is not a card: {error}") from error
    own = [r for r in records if r.status == "ok" and r.cell.weights == sha256 and _belongs(r)]
    if not own:
        raise BenchError(f"no record is of the weights of {card.name}, SHA-256 {sha256[:12]}")
    # Of several seeds on as many images the lowest.
    own.sort(key=lambda record: -record.cell.seed)
    content["accuracies"] = sorted(_on_most_images([*earlier, *map(_accuracy, own)]), key=_order)
    with mendable():
        replace_text(card, json.dumps(content, indent=2) + "\n")
    return len(content["accuracies"])


def _on_most_images(accuracies: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    best: dict[str, dict[str, Any]] = {}
    for found in accuracies:
        # The suite is a name for what the rest says.
        counts = ("suite", "correct", "n")
        done = json.dumps(
            {name: value for name, value in found.items() if name not in counts}, sort_keys=True
        )
        if done not in best or found["n"] >= best[done]["n"]:
            best[done] = found
    return list(best.values())


def _order(accuracy: dict[str, Any]) -> str:
    """Return what sorts accuracies: clean ones, then attack by attack, shorter before longer."""
    attack = accuracy["attack"] or {}
    facts = [
        attack.get("name", ""),
        accuracy["source"] or "",
        f"{attack.get('steps', 0):06}",
        accuracy["attack_target"] or "",
        f"{accuracy['iterations']:06}",
        accuracy["readout"],
    ]
    return json.dumps([*facts, accuracy["settings"], attack], sort_keys=True)


def _belongs(record: Record) -> bool:
    """Return whether a record is a plain accuracy on clean or attacked images."""
    done = record.cell.perturbation
    return record.cell.probe is None and (done is None or done.kind == "attack")


def _accuracy(record: Record) -> dict[str, Any]:
    cell, done = record.cell, record.cell.perturbation
    return {
        "model": cell.model,
        "settings": cell.settings,
        "suite": f"{cell.suite} {cell.suite_version}",
        "attack": None if done is None else {"name": done.name, "backend": done.backend, **done.settings},
        "attack_target": cell.attack_target,
        "source": cell.source if cell.is_transfer else None,
        "iterations": cell.iterations,
        "readout": cell.readout,
        "correct": record.correct,
        "n": record.n,
    }
