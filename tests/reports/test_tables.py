from __future__ import annotations

import csv
import io
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from reports.catalogue import tables_of
from reports.cnnf_paper import pick
from reports.metrics import Accuracy
from reports.records import Record, Store
from reports.tables import (
    MISSING,
    Column,
    Row,
    Table,
    as_data,
    render,
    to_csv,
    to_latex,
    to_markdown,
    to_terminal,
)
from reports.values import Claim, Points, Remark
from reports.worst_case import worst_case

from .conftest import PROVENANCE, outcomes

PAPER = {
    ("cnn_cifar", "last"): {"clean": 79.09, "pgd-7 first": 42.31, "spsa-7 first": 66.61},
    ("cnnf_cifar", "last"): {
        "clean": 78.68,
        "pgd-7 first": 48.90,
        "pgd-7 e2e": 49.35,
        "spsa-7 first": 68.75,
        "spsa-7 e2e": 51.46,
        "transfer": 66.19,
    },
    ("cnnf_cifar", "avg"): {
        "clean": 80.27,
        "pgd-7 first": 48.72,
        "pgd-7 e2e": 55.02,
        "spsa-7 first": 71.56,
        "spsa-7 e2e": 58.83,
        "transfer": 67.09,
    },
}
"""Huang et al., table 2: accuracies in percent."""


@pytest.fixture
def paper(record) -> list:
    """Return records that say what the paper's CIFAR-10 table says, SPSA on 640 images."""
    records = []
    for (model, readout), columns in PAPER.items():
        own = {"model": model, "readout": readout}
        if model == "cnn_cifar":
            own |= {"iterations": 0, "weights": "b" * 64, "label": "CNN"}
        for attack, percent in columns.items():
            n = 640 if attack.startswith("spsa") else 10_000
            largest = 0.035 if attack.startswith("spsa") else 0.03
            kind = None if attack == "clean" else attack
            records.append(record(kind, round(n * percent / 100), n, largest_linf=largest, **own))
    return records


def test_the_papers_table(paper, golden, tmp_path: Path) -> None:
    """The table of the paper from records of its numbers, in all formats, read by a person."""
    tables = tables_of(paper, Store(tmp_path))

    golden("cnnf_cifar.md", render(tables, "markdown"))
    golden("cnnf_cifar.tex", render(tables, "latex"))
    golden("cnnf_cifar.csv", render(tables, "csv"))
    golden("cnnf_cifar.json", render(tables, "json"))


def test_the_weakest_is_of_those_on_most_examples() -> None:
    """One SPSA image of two says little beside PGD on 32; of a row of few any may be the weakest."""
    table = Table(
        "t", (Column("clean", is_attack=False), Column("PGD"), Column("PGD-40"), Column("SPSA")), ()
    )
    pgd, longer, spsa = Accuracy(13, 32), Accuracy(12, 32), Accuracy(0, 2)

    assert table.weakest(Row("r", (Accuracy(1, 64), pgd, longer, spsa))) == longer
    assert table.weakest(Row("r", (None, None, None, spsa))) == spsa
    assert table.weakest(Row("r", (None, None, None, None))) is None


def test_the_published_attacks_do_not_aim_at_the_mean(paper, tmp_path: Path) -> None:
    """End to end PGD leaves 55 % of the mean, on the first pass 49 %: the former aims at the last logits.

    So the difference is no sign of masked gradients; and of the last answer nobody knows which images stood.
    """
    (table,) = tables_of(paper, Store(tmp_path))

    for kind in ("PGD", "SPSA"):
        said = f"{kind} (e2e) aims at the last logits, not at the mean, which is scored"
        assert f"CNN-F (avg): {said}" in table.notes
        assert f"CNN-F (last): {said}" not in table.notes
    assert not any("masked gradients" in note for note in table.notes)


@pytest.mark.parametrize(
    ("more", "less", "told"),
    [
        (5, 0, "(p = 0.031): masked gradients"),
        (4, 0, "(p = 0.062): masked gradients, or chance"),
        (10, 5, "(p = 0.15): masked gradients, or chance"),
    ],
)
@pytest.mark.parametrize(("readout", "scored"), [("last", "e2e"), ("avg", "e2e_avg")])
def test_masking_is_judged_image_by_image(
    record, tmp_path: Path, readout: str, scored: str, more: int, less: int, told: str
) -> None:
    """By hand: 1/2**5, 1/2**4, 4944/2**15; intervals of the two numbers overlap in all of these."""
    store = Store(tmp_path)
    first = [False] * more + [True] * less + [True, False] * 8
    informed = [True] * more + [False] * less + [True, False] * 8
    for attack, right in (("pgd-7 first", first), (f"pgd-7 {scored}", informed)):
        store.append(record(attack, sum(right), len(right), readout=readout), outcomes(right))
    (table,) = tables_of(store.read(), store)

    (note,) = (note for note in table.notes if "masked gradients" in note)
    assert f"of {len(first)} images only PGD (first) breaks {more}, and" in note
    assert note.endswith(f"only PGD ({scored}), which aims at what is scored, {less} {told}")


def test_tests_of_masking_are_adjusted_for_their_number(record, tmp_path: Path) -> None:
    """By hand: 2 / 2**5, so that what one answer alone would show may be chance among two."""
    store = Store(tmp_path)
    for iterations in (1, 2):
        for attack, right in (("pgd-7 first", [False] * 5), ("pgd-7 e2e", [True] * 5)):
            own = {"iterations": iterations, "attack_iterations": iterations}
            store.append(record(attack, sum(right), 5, **own), outcomes(right))
    (table,) = tables_of(store.read(), store)

    told = [note for note in table.notes if "masked gradients" in note]
    assert len(told) == 2
    assert all(
        note.endswith("0 (p = 0.062, adjusted for 2 tests): masked gradients, or chance") for note in told
    )


def test_an_attack_on_the_other_answer_is_no_sign(record, tmp_path: Path) -> None:
    """That an attack on the last logits breaks less of their mean than one on the first pass is no wonder."""
    store = Store(tmp_path)
    for attack, right in (
        ("pgd-7 first", [False] * 9),
        ("pgd-7 e2e", [True] * 9),
        ("pgd-7 e2e_avg", [False] * 9),
    ):
        store.append(record(attack, sum(right), len(right), readout="avg"), outcomes(right))
    tables = tables_of(store.read(), store)

    assert not any("masked" in note or "aims at" in note for table in tables for note in table.notes)


def test_an_attack_that_is_stronger_on_the_same_images_is_no_sign(record, tmp_path: Path) -> None:
    """Its accuracy is the higher one because it ran on two easy images of eight."""
    store = Store(tmp_path)
    for attack, right in (("spsa-7 first", [True, True] + [False] * 6), ("spsa-7 e2e", [True, False])):
        store.append(record(attack, sum(right), len(right)), outcomes(right))
    (table,) = tables_of(store.read(), store)

    assert not any("masked gradients" in note for note in table.notes)


def test_the_worst_case_is_per_example(record, tmp_path: Path) -> None:
    """Two attacks that each break another half leave nothing, though both leave half."""
    store = Store(tmp_path)
    records = [
        store.append(record("pgd-40 first", 2, 4), outcomes([True, True, False, False])),
        store.append(record("pgd-40 e2e", 2, 4), outcomes([False, False, True, True])),
        store.append(record(None, 4, 4), outcomes([True] * 4)),
    ]
    tables = tables_of(records, store)

    assert worst_case(records, store) == Accuracy(0, 4)
    assert [column.heading for column in tables[1].columns[-2:]] == ["worst case", "verdict"]
    assert tables[1].rows[0].values[-2] == Accuracy(0, 4)


def test_an_example_that_is_wrong_as_it_is_does_not_stand(record, tmp_path: Path) -> None:
    """An attack may by chance put it right; an attacker would have left it alone."""
    store = Store(tmp_path)
    records = [
        store.append(record("pgd-7 first", 4, 4), outcomes([True] * 4)),
        store.append(record(None, 4, 6), outcomes([False, True, True, True, True, False])),
    ]

    assert worst_case(records, store) == Accuracy(3, 4)
    assert worst_case(records[1:], store) is None


def test_an_attack_on_fewer_examples_counts_on_those(record, tmp_path: Path) -> None:
    """The rest of the examples keep what the other attacks left."""
    store = Store(tmp_path)
    records = [
        store.append(record("pgd-7 first", 3, 4), outcomes([True, True, True, False])),
        store.append(record("spsa-7 first", 0, 1), outcomes([False])),
    ]

    assert worst_case(records, store) == Accuracy(2, 4)


def test_missing_and_failed_cells_are_dashes(record, tmp_path: Path) -> None:
    """Nothing is shown as zero that was not measured, and a failure is said."""
    records = [record(None, 9, 10), record("pgd-7 first", 0, 0, status="error", error="RuntimeError: no")]
    (table,) = tables_of(records, Store(tmp_path))

    assert table.rows[0].values == (Accuracy(9, 10), *[None] * 6, Remark("not checked"))
    assert any(
        "cells that failed and have no number here: 1;" in note and "RuntimeError: no" in note
        for note in table.notes
    )
    assert "| - " in to_markdown(table)
    assert f"- {MISSING}" in to_markdown(table)
    assert as_data(table)["rows"][0]["values"][1:7] == [None] * 6


def test_most_examples_win(record, tmp_path: Path) -> None:
    """Of two records of one place the one with more examples is shown."""
    (table,) = tables_of([record(None, 9, 10), record(None, 70, 100)], Store(tmp_path))

    assert table.rows[0].values[0] == Accuracy(70, 100)


def test_an_early_record_of_most_examples_wins(record, tmp_path: Path) -> None:
    """A later one on fewer images says less; of two on as many the later one is shown."""

    def at(day: int, correct: int, n: int, **changes: object) -> Record:
        provenance = PROVENANCE.model_copy(update={"finished_at": f"2026-01-0{day}T00:00:00+00:00"})
        return record(None, correct, n, provenance=provenance, **changes)

    records = [at(2, 70, 100), at(1, 60, 100, data="e" * 64), at(3, 9, 10)]

    assert pick(records, lambda cell: True) == Accuracy(70, 100)


def test_backends_are_not_mixed(record, tmp_path: Path) -> None:
    """Each has a table of its own, with the clean images in both."""
    records = [
        record(None, 9, 10),
        record("pgd-7 first", 5, 10),
        record("pgd-7 first", 4, 10, backend="advertorch"),
    ]
    ours, theirs = tables_of(records, Store(tmp_path))

    assert theirs.title == "adversarial on cifar10, attacks by advertorch"
    assert ours.rows[0].values[:2] == (Accuracy(9, 10), Accuracy(5, 10))
    assert theirs.rows[0].values[:2] == (Accuracy(9, 10), Accuracy(4, 10))


def test_rows_are_told_apart(record, tmp_path: Path) -> None:
    """Two models of one kind, two sets of weights, two iteration counts: no two rows share a name."""
    records = [
        record(None, 9, 10),
        record(None, 9, 10, iterations=3),
        record(None, 9, 10, weights="c" * 64),
        record(None, 9, 10, model="other"),
    ]
    (table,) = tables_of(records, Store(tmp_path))
    labels = [row.label for row in table.rows]

    assert len(set(labels)) == 4
    assert "CNN-F other (last)" in labels


HOSTILE = Table(
    title="a|b_c & 50 % *x* [a](b)",
    columns=(Column("$h$ <b>"),),
    rows=(Row("r|1\\ _{x}^~#", (Accuracy(1, 2),)), Row("empty", (None,))),
)


def test_names_cannot_break_a_markdown_table() -> None:
    """Pipes, stars, links and tags in names are text."""
    lines = to_markdown(HOSTILE).splitlines()

    assert lines[0] == r"### a\|b_c & 50 % \*x\* [a]\(b)"
    assert lines[2].replace(r"\|", "").count("|") == 3
    assert r"\<b\>" in lines[2]
    assert lines[4].startswith(r"| r\|1\\ \_{x}^~# ")


def test_names_cannot_break_a_latex_table() -> None:
    """Every special character of TeX is escaped, in values too."""
    words = Row("words", (Remark("FAIL < 1", "after_others 87.5 % & #1"),))
    text = to_latex(replace(HOSTILE, rows=(*HOSTILE.rows, words)))

    assert r"r\textbar{}1\textbackslash{} \_\{x\}\textasciicircum{}\textasciitilde{}\#" in text
    assert r"a\textbar{}b\_c \& 50 \% *x* {[}a](b)" in text
    assert r"\$h\$" in text
    assert r"\shortstack{FAIL \textless{} 1\\{\tiny (after\_others 87.5 \% \& \#1)}}" in text


def test_csv_holds_counts_and_intervals() -> None:
    """One line per value with where it is from, quoted where needed; what is missing has no line."""
    rows = list(csv.DictReader(io.StringIO(to_csv(replace(HOSTILE, provenance=("n = 2", 'a "b", c'))))))

    assert len(rows) == 1
    assert rows[0]["row"] == HOSTILE.rows[0].label
    assert (rows[0]["value"], rows[0]["correct"], rows[0]["n"]) == ("50.0", "1", "2")
    assert rows[0]["provenance"] == 'n = 2; a "b", c'


def test_the_terminal_shows_names_as_they_are() -> None:
    """Square brackets in a name are not markup."""
    from rich.console import Console

    console = Console(width=100, record=True, file=io.StringIO())
    table = Table("[bold]t", (Column("c"),), (Row("[red]r", (Accuracy(1, 2),)),))
    console.print(to_terminal(table, console.width))
    text = console.export_text()

    assert "[bold]t" in text
    assert "[red]r" in text
    assert "50.0" in text


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_the_terminal_cuts_nothing_off(width: int) -> None:
    """Columns without room stand below the others, with their labels; the notes stand once, at the end."""
    from rich.console import Console

    names = [f"PGD-{steps} (e2e_avg)" for steps in range(10, 30)]
    values = tuple(Accuracy(correct, 1000) for correct in range(401, 421))
    rows = (Row("CNN-F (last)", values), Row("CNN-F (avg)", (*values[:-1], None)))
    table = Table("t", tuple(map(Column, names)), rows, ("a note",), ("made here",))
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(to_terminal(table, console.width))
    text = console.export_text()

    assert max(map(len, text.splitlines())) <= width
    assert all(line[-1] == "\u2502" for line in text.splitlines() if line[:1] == "\u2502")
    assert "…" not in text
    assert all(f" {correct / 10:.1f} " in text for correct in range(401, 420))
    assert text.count("n=1000") == 39
    assert all(name.split()[0] in text for name in names)
    assert [text.count(note) for note in ("a note", "made here")] == [1, 1]


def test_the_terminal_shows_a_table_without_rows() -> None:
    """All of it may have failed."""
    from rich.console import Console

    console = Console(width=40, record=True, file=io.StringIO())
    console.print(to_terminal(Table("t", (Column("c"),), ()), console.width))

    assert "c" in console.export_text()


GROUPED = Table(
    "[g] <t>",
    (
        Column("clean", is_attack=False),
        Column("more"),
        Column("PGD (first)", group="PGD", under="first"),
        Column("PGD (e2e)", group="PGD", under="e2e"),
        Column("min", is_attack=False),
    ),
    (Row("[row]", (Accuracy(1, 2), None, Points(-1.5, is_clear=True), Claim(50.0, 10), None)),),
    ("50 % & _more_ {braces} ~ ^ \\ # $",),
)


def test_columns_stand_under_their_group() -> None:
    """In LaTeX a group spans its columns and nothing else, with a rule under it."""
    lines = to_latex(GROUPED).splitlines()

    assert r" &  &  & \multicolumn{2}{c}{PGD} &  \\" in lines
    assert r"\cmidrule(lr){4-5}" in lines
    assert r" & clean & more & first & e2e & min \\" in lines


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs a TeX engine")
def test_latex_compiles_as_it_is(paper, tmp_path: Path) -> None:
    """With booktabs and nothing else, whatever the names."""
    tables = [*tables_of(paper, Store(tmp_path)), HOSTILE, GROUPED]
    document = r"\documentclass{article}\usepackage{booktabs}\begin{document}"
    (tmp_path / "t.tex").write_text(f"{document}\n{render(tables, 'latex')}\n" + r"\end{document}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout[-2000:]


def test_values_say_what_they_are() -> None:
    """A difference has its sign and its mark, a claim is called published; JSON and CSV name the units."""
    (row,) = as_data(GROUPED)["rows"]
    lines = list(csv.DictReader(io.StringIO(to_csv(GROUPED))))

    assert r"-1.5\*" in to_markdown(GROUPED)
    assert "50.0 published" in to_markdown(GROUPED)
    assert row["values"][1] is None
    assert row["values"][2]["is_clear"] is True
    assert [line["unit"] for line in lines] == ["percent", "points", "percent, published"]


def test_the_latest_of_several_of_one_name_is_told(record, tmp_path: Path) -> None:
    """Who edits a model and runs it again sees which row is the new one; unlike names need no word."""

    def made(weights: str, hour: int, model: str = "my_net") -> Record:
        when = PROVENANCE.model_copy(update={"finished_at": f"2026-01-02T{hour:02}:00:00+00:00"})
        return record(None, 90, model=model, weights=weights * 64, provenance=when)

    one = [made("c", 7), made("c", 9, "other")]
    (alone,) = tables_of(one, Store(tmp_path))
    (both,) = tables_of([*one, made("b", 11), made("a", 10)], Store(tmp_path))

    assert not any("ran last" in note for note in alone.footnotes)
    assert "ran last of its name: my_net bbbbbbbb" in both.footnotes
