from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.cell import Cell
from reports.records import Record, RecordError, Store, finished

from .conftest import made_cell, outcomes


def test_records_round_trip(record, tmp_path: Path) -> None:
    """What is written is read back, field by field, outcomes included."""
    store = Store(tmp_path)
    clean = store.append(record(None, 90), outcomes([True, False]))
    attacked = store.append(record("pgd-7 first", 40))

    assert store.read() == [clean, attacked]
    assert store.read_outcomes(clean)["is_correct"].tolist() == [True, False]


@given(st.integers(0, 5), st.sampled_from(["last", "avg"]), st.integers(1, 9), st.integers(0, 3))
def test_keys_are_content(iterations, readout, examples, seed) -> None:
    """Equal cells have equal keys, also after a round trip through JSON; any other field another key."""
    fields = {"iterations": iterations, "readout": readout, "examples": examples, "seed": seed}
    cell = made_cell("pgd-7 first", **fields)

    assert Cell.model_validate_json(cell.model_dump_json()).key == cell.key
    assert made_cell("pgd-7 first", **fields | {"seed": seed + 1}).key != cell.key
    assert made_cell("pgd-7 first", **fields | {"iterations": iterations + 1}).key != cell.key
    assert made_cell("pgd-7 e2e", **fields).key != cell.key


def test_images_do_not_depend_on_how_they_are_scored() -> None:
    """Readout, scored iterations and scored model share images; the attack's own settings do not."""
    cell = made_cell("transfer")

    assert made_cell("transfer", readout="avg", iterations=5, model="m").images_key == cell.images_key
    assert made_cell("transfer", seed=1).images_key != cell.images_key
    assert made_cell("pgd-7 first").images_key != cell.images_key


def test_draws_do_not_depend_on_the_number_of_examples() -> None:
    """The first examples of a larger run draw what they draw in a smaller one."""
    small, large = made_cell("pgd-7 first"), made_cell("pgd-7 first", examples=1000, data="other")

    assert small.draw_key == large.draw_key
    assert small.images_key != large.images_key


def test_settings_of_the_model_are_another_question() -> None:
    """With another balance a cell has another key, and shares its images as long as nobody attacks."""
    cell, other = (made_cell(None, settings={"beta": beta}) for beta in (0.8, 0.7))

    assert len({cell.key, other.key, made_cell(None).key}) == 3
    assert cell.images_key == other.images_key
    assert Cell.model_validate_json(cell.model_dump_json()).key == cell.key


def test_settings_of_the_source_make_other_images() -> None:
    """The attacker differentiates another function: against the model itself it is a transfer attack."""
    own = made_cell("pgd-7 first", settings={"beta": 0.8})
    twin = own.model_copy(update={"source_settings": {"beta": 0.7}})

    assert twin.images_key != own.images_key
    assert twin.is_transfer
    assert not own.is_transfer


@pytest.mark.parametrize(
    ("attack", "key"),
    [
        (None, "80e957ac4e9e3ce3853e8882128d54b73780e49b1e13b5581fb2be4b19efbcb5"),
        ("pgd-7 e2e", "a6240cc6510dfddf518b53e6616a96bfc99027df1b61e3624f775214cde6f16d"),
        ("transfer", "c180afa76ff2741de092527616ef71cc29ffc3480ff54bc298ff5e798cf93285"),
    ],
)
def test_draws_do_not_depend_on_settings(attack: str | None, key: str) -> None:
    """Two settings are compared in pairs, on the draws that records had before they told settings."""
    cell = made_cell(attack, settings={"beta": 0.8})
    other = cell.model_copy(update={"settings": {"beta": 0.7}, "source_settings": {"beta": 0.7}})

    assert cell.draw_key == other.draw_key == key


def test_a_cut_off_line_is_reported_and_repaired(record, tmp_path: Path) -> None:
    """A process killed while writing loses that line only; it is kept aside, and the file is whole again."""
    store = Store(tmp_path)
    first = store.append(record(None, 90))
    with store.file.open("a") as file:
        file.write('{"schema": 1, "key": "abc')

    with pytest.warns(UserWarning, match="last line was cut off"):
        assert store.read() == [first]
    with pytest.warns(UserWarning, match=r"moved a line that was cut off to records\.cut-off"):
        second = store.append(record("pgd-7 first", 40))
    assert store.read() == [first, second]
    assert (tmp_path / "records.cut-off").read_text() == '{"schema": 1, "key": "abc\n'


def test_appending_reads_the_end_alone(record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long file does not make the next line slow; an empty one is whole."""
    store = Store(tmp_path)
    store.file.touch()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", None)
        written = [store.append(record(None, 90)), store.append(record("pgd-7 first", 40))]

    assert store.read() == written


@pytest.mark.parametrize(
    ("schema", "advice"), [(99, "upgrade"), (1, "it lacks the models' settings, give another folder")]
)
def test_another_schema_is_refused(record, tmp_path: Path, schema: int, advice: str) -> None:
    """A file of a later version is not half understood; an earlier one does not say what was measured."""
    store = Store(tmp_path)
    written = store.append(record(None, 90))
    line = json.loads(written.model_dump_json(by_alias=True)) | {"schema": schema, "new_field": 1}
    store.file.write_text(json.dumps(line) + "\n")

    with pytest.raises(RecordError, match=f"line 1 has schema {schema}, this version knows 2: {advice}$"):
        store.read()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("not json", "line 1 is not a record"),
        ("[]", "line 1 is not a record"),
        ('{"schema": 2}', "line 1 is not a record: key Field required"),
    ],
)
def test_foreign_lines_are_refused(line: str, message: str, tmp_path: Path) -> None:
    """A whole line that is no record names its number and what is wrong."""
    (tmp_path / "records.jsonl").write_text(line + "\n")

    with pytest.raises(RecordError, match=message):
        Store(tmp_path).read()


def test_an_edited_cell_is_refused(record, tmp_path: Path) -> None:
    """The key must be that of the cell: a number cannot be moved to another question."""
    store = Store(tmp_path)
    store.append(record("pgd-7 first", 90))
    store.file.write_text(store.file.read_text().replace('"epsilon":0.03', '"epsilon":0.09'))

    with pytest.raises(RecordError, match="its key is not that of its cell"):
        store.read()


def test_damaged_outcomes_are_refused(record, tmp_path: Path) -> None:
    """A changed or missing parquet file is found by the hash in its record."""
    store = Store(tmp_path)
    written = store.append(record(None, 1), outcomes([True]))
    path = tmp_path / "outcomes" / f"{written.key}.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"X")
    with pytest.raises(RecordError, match="is damaged"):
        store.read_outcomes(written)
    path.unlink()
    with pytest.raises(RecordError, match="is missing"):
        store.read_outcomes(written)


def test_success_replaces_failure_and_never_the_reverse(record, tmp_path: Path) -> None:
    """Of several records of a cell the last counts, but an error does not hide a result."""
    store = Store(tmp_path)
    store.append(record(None, 0, status="error", error="first"))
    store.append(record(None, 90), outcomes([True]))
    store.append(record(None, 0, status="error", error="later"))

    assert [r.status for r in store.read()] == ["ok"]
    assert finished(store.read())[made_cell(None).key].correct == 90


def test_an_error_counts_where_outcomes_are_gone(record, tmp_path: Path) -> None:
    """Somebody removed them, and making them again failed."""
    store = Store(tmp_path)
    made = store.append(record(None, 90), outcomes([True]))
    (tmp_path / f"outcomes/{made.key}.parquet").unlink()
    store.append(record(None, 0, status="error", error="again"))
    assert [r.status for r in store.read()] == ["error"]

    store.append(record(None, 90), outcomes([True]))
    assert [r.status for r in store.read()] == ["ok"]


def test_the_last_success_counts(record, tmp_path: Path) -> None:
    """Whoever measures a cell again has new outcomes, whose hash stands in the new line."""
    store = Store(tmp_path)
    store.append(record(None, 90), outcomes([True, False]))
    again = store.append(record(None, 80), outcomes([False, False]))

    assert store.read() == [again]
    assert store.read_outcomes(again)["is_correct"].tolist() == [False, False]


def test_numbers_that_are_not_finite_cannot_be_written(record) -> None:
    """JSON has no NaN, and a record holds none."""
    with pytest.raises(ValueError, match="finite"):
        Record.model_validate(record(None, 1).model_dump() | {"largest_linf": float("nan")})


def _append_many(folder: Path, start: int) -> None:
    store = Store(folder)
    for seed in range(start, start + 10):
        cell = made_cell(None, seed=seed)
        template = json.loads(TEMPLATE)
        record = Record.model_validate(template | {"cell": cell.model_dump(), "key": cell.key})
        store.append(record)


TEMPLATE = json.dumps(
    {
        "label": "CNN-F",
        "status": "ok",
        "n": 1,
        "correct": 1,
        "seconds": 0.0,
        "provenance": {
            "revision": None,
            "is_dirty": None,
            "versions": {},
            "device": "cpu",
            "dtype": "float32",
            "batch_size": 1,
            "checkpoint": "shipped",
            "finished_at": "now",
        },
    }
)


def test_processes_append_without_tearing_lines(tmp_path: Path) -> None:
    """Several writers on one folder leave only whole records."""
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_append_many, args=(tmp_path, 100 * i)) for i in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert len(Store(tmp_path).read()) == 30


def test_a_second_run_is_told_why_it_may_not(tmp_path: Path) -> None:
    """A run holds the folder; another one hears so at once."""
    claim = Store(tmp_path).run_lock(timeout=0)
    with (
        claim,
        pytest.raises(TimeoutError, match="another run is using"),
        Store(tmp_path).run_lock(timeout=0),
    ):
        pass
    with Store(tmp_path).run_lock(timeout=0):
        pass


def test_a_run_removes_what_killed_ones_left(record, tmp_path: Path) -> None:
    """Half files of records, outcomes and examples; nothing of a run in a folder within, or of others."""
    store = Store(tmp_path)
    kept = store.append(record(None, 1), outcomes([True]))
    store.keep_example("key", b"PNG")
    half = [".records.jsonl.7.tmp", f"outcomes/.{kept.key}.parquet.7.tmp", "examples/.key.png.7.tmp"]
    others = [".picture.png.7.tmp", "within/.records.jsonl.7.tmp", "outcomes/.mine.tmp"]
    (tmp_path / "within").mkdir()
    for name in (*half, *others):
        (tmp_path / name).write_bytes(b"half")
    with store.run_lock(timeout=0):
        pass

    assert not any((tmp_path / name).exists() for name in half)
    assert all((tmp_path / name).exists() for name in others)
    assert store.read_outcomes(kept)["is_correct"].tolist() == [True]
    assert store.read_example(kept) is None
    assert (tmp_path / "examples" / "key.png").exists()


def test_a_folder_that_cannot_be_written_is_refused(record, tmp_path: Path) -> None:
    """One line that names the folder."""
    (tmp_path / "file").write_text("")

    with pytest.raises(RecordError, match="cannot write results to"):
        Store(tmp_path / "file").append(record(None, 1))
    with (
        pytest.raises(RecordError, match="cannot write results to"),
        Store(tmp_path / "file").run_lock(timeout=0),
    ):
        pass
