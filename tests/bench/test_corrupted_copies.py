from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from bench import corrupted_copies, kinds
from bench.corrupted_copies import Options, Report, corrupt
from bench.errors import BenchError, UnknownName
from bench.pictures import folder, originals
from bench.progress import PlainProgress, SilentProgress

from .conftest import FOG, NOISE, archive, content, picture, pixels


class Told(SilentProgress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.groups: list[tuple[str, int]] = []

    def start(self, groups: Sequence[tuple[str, int]]) -> None:
        self.groups = list(groups)


def test_importing_needs_no_torch() -> None:
    """The command line stays light until there is something to corrupt."""
    code = "import sys, bench.corrupted_copies; assert 'torch' not in sys.modules"

    subprocess.run([sys.executable, "-c", code], check=True)


def test_other_files_change_no_copy(photos: Path, tmp_path: Path) -> None:
    """A picture's draws belong to its path: adding or removing others leaves its bytes alone."""
    corrupt(photos, tmp_path / "before", NOISE)
    picture(photos / "aaa.png", 32, 32, 3)
    (photos / "cat" / "a.png").unlink()
    corrupt(photos, tmp_path / "after", NOISE)

    before, after = content(tmp_path / "before"), content(tmp_path / "after")
    assert before.keys() ^ after.keys() == {f"gaussian_noise/3/{name}.png" for name in ("aaa", "cat/a")}
    assert all(before[name] == after[name] for name in before.keys() & after.keys())


def test_the_same_seed_gives_the_same_bytes(photos: Path, tmp_path: Path) -> None:
    """At another time, in another folder; another seed gives others."""
    source = archive(tmp_path / "x.npz", pixels(3, 28, 28, 1))
    other = Options("gaussian_noise", "3", "cifar", 1, "cpu")
    for images in (photos, source):
        out = tmp_path / f"out {images.name}"
        corrupt(images, out / "first", NOISE)
        corrupt(images, out / "again", NOISE)
        corrupt(images, out / "other", other)
        first, another = content(out / "first"), content(out / "other")
        assert content(out / "again") == first
        assert all(first[name] != another[name] for name in first)


def test_a_second_run_does_nothing(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No image is read, no group is announced, no file is touched."""
    source = archive(tmp_path / "x.npz", pixels(2, 28, 28, 1))
    for images, count in ((photos, 5), (source, 2)):
        out = tmp_path / f"out {images.name}"
        corrupt(images, out, FOG)
        before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix != ".lock"}
        monkeypatch.setattr(folder, "_read_pixels", lambda *_: pytest.fail("read again"))
        told = Told()
        report = corrupt(images, out, FOG, told)
        monkeypatch.undo()
        assert (report.written, report.kept, told.groups) == (0, count, [])
        assert {path: path.stat().st_mtime_ns for path in before} == before


def test_only_what_is_missing_is_made(photos: Path, tmp_path: Path) -> None:
    """A further severity, a lost copy and a new picture are added; what is there is not written again."""
    out, told = tmp_path / "out", Told()
    corrupt(photos, out, FOG)
    undisturbed = content(out)
    (out / "fog/2/cat/a.png").unlink()
    (out / "fog/2/grey.png").write_bytes(b"not made again")
    picture(photos / "new.png", 32, 32, 3)
    report = corrupt(photos, out, Options("fog", "1,2", "cifar", 0, "cpu"), told)

    assert told.groups == [("fog 1", 6), ("fog 2", 2)]
    assert (report.written, report.kept) == (8, 4)
    assert (out / "fog/2/cat/a.png").read_bytes() == undisturbed["fog/2/cat/a.png"]
    assert (out / "fog/2/grey.png").read_bytes() == b"not made again"


SCRIPT = """
import sys
from pathlib import Path
from bench.corrupted_copies import Options, corrupt

corrupt(Path(sys.argv[1]), Path(sys.argv[2]), Options("fog,glass_blur", "all", "cifar", 0, "cpu", 1))
"""


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    """kill -9 in the middle leaves whole pictures, and the same command makes the rest and tidies up."""
    photos, out = tmp_path / "photos", tmp_path / "out"
    for place in range(40):
        picture(photos / f"{place}.png", 32, 32, 3, seed=place)
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(photos), str(out)])
    deadline = time.monotonic() + 60
    while len(list(out.glob("fog/*/*.png"))) < 60:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    # What it was writing when it was killed, if it was.
    (out / "fog" / "1" / f".7.png.{process.pid}.tmp").write_bytes(b"half a pic")
    cut = {name: data for name, data in content(out).items() if not name.endswith(".tmp")}

    options = Options("fog,glass_blur", "all", "cifar", 0, "cpu")
    report = corrupt(photos, out, options)
    corrupt(photos, tmp_path / "undisturbed", options)
    whole = content(tmp_path / "undisturbed")
    assert 60 <= report.kept < 400
    assert report.written == 400 - report.kept
    assert content(out) == whole
    assert all(whole[name] == data for name, data in cut.items())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (Options("fog", "2", "cifar", 1), "seed 0, not 1"),
        (Options("fog", "2", "imagenet", 0), "family 'cifar', not 'imagenet'"),
        (Options("snow", "1", "fashion", 3), "family 'cifar', not 'fashion'; seed 0, not 3"),
    ],
)
def test_changed_settings_are_refused(photos: Path, tmp_path: Path, changed: Options, said: str) -> None:
    """One folder never mixes seeds or severity tables."""
    corrupt(photos, tmp_path / "out", FOG)
    before = content(tmp_path / "out")

    with pytest.raises(BenchError, match=f"out was made with {said}: choose another folder"):
        corrupt(photos, tmp_path / "out", changed)
    assert content(tmp_path / "out") == before


def test_another_version_is_refused(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its corruptions might differ."""
    corrupt(photos, tmp_path / "out", FOG)
    monkeypatch.setattr(corrupted_copies, "version", lambda name: "99")

    with pytest.raises(BenchError, match=r"version '[0-9.a-z]+', not '99'"):
        corrupt(photos, tmp_path / "out", FOG)


def test_other_images_are_refused(photos: Path, tmp_path: Path) -> None:
    """A folder of another name, or an .npz with one other level or label, has copies of its own."""
    corrupt(photos, tmp_path / "out", FOG)
    with pytest.raises(BenchError, match="images 'folder photos', not 'folder pictures'"):
        corrupt(photos.rename(tmp_path / "pictures"), tmp_path / "out", FOG)

    images, labels = pixels(2, 28, 28, 1), np.arange(2)
    corrupt(archive(tmp_path / "x.npz", images, labels=labels), tmp_path / "arrays", FOG)
    corrupt(archive(tmp_path / "renamed.npz", images, labels=labels), tmp_path / "arrays", FOG)
    for values in ({"labels": labels + 1}, {}, {"images": images ^ 1, "labels": labels}):
        changed = archive(tmp_path / "x.npz", values.pop("images", images), **values)
        with pytest.raises(BenchError, match=r"images 'sha256 [0-9a-f]+', not 'sha256 [0-9a-f]+'"):
            corrupt(changed, tmp_path / "arrays", FOG)


def test_settings_come_first_and_name_no_machine(photos: Path, tmp_path: Path) -> None:
    """A run killed at once already owns its folder; what is written can be published."""
    with pytest.raises(RuntimeError, match="stop"):
        corrupt(photos, tmp_path / "out", FOG, Stopping())

    settings = json.loads((tmp_path / "out/corrupt.json").read_text())
    assert settings.keys() == {"images", "family", "seed", "version"}
    assert settings["images"] == "folder photos"
    assert content(tmp_path / "out").keys() == {"corrupt.json"}


class Stopping(SilentProgress):
    """Stops a run before its first group."""

    def start(self, groups: Sequence[tuple[str, int]]) -> None:
        raise RuntimeError("stop")


def test_what_cannot_be_read_is_collected(photos: Path, tmp_path: Path) -> None:
    """Damaged and too small pictures are named at the end, once; all others are written."""
    (photos / "broken.png").write_bytes(b"\x89PNG nothing more")
    (photos / "cut.jpg").write_bytes((photos / "dog/deep/c.JPEG").read_bytes()[:400])
    picture(photos / "cat" / "small.png", 27, 300, 3)
    Image.fromarray(pixels(30, 30).astype(np.uint16)).save(photos / "deep.png")
    options = Options("fog,contrast", "2", "cifar", 0, "cpu")
    report = corrupt(photos, tmp_path / "out", options)
    again = corrupt(photos, tmp_path / "out", options)

    assert report.written == again.kept == 10
    assert again.written == 0
    assert not report.is_complete
    assert not again.is_complete
    assert report.failures == again.failures
    assert report.failures.keys() == {"broken.png", "cut.jpg", "cat/small.png", "deep.png"}
    assert report.failures["cat/small.png"] == "27x300 is smaller than 28x28"
    assert report.failures["deep.png"] == "mode I;16 is not 8 bits per channel"
    assert report.lines()[-5] == "4 images could not be corrupted:"
    assert report.lines()[-3] == "  cat/small.png: 27x300 is smaller than 28x28"
    assert all("\n" not in line for line in report.lines())


def test_what_cannot_be_read_is_tried_once(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not once more for every kind and severity."""
    tried: list[Path] = []

    def fail(path: Path) -> None:
        tried.append(path)
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(folder, "_read_pixels", fail)
    report = corrupt(photos, tmp_path / "out", Options("fog,snow", "1,2", "cifar", 0, "cpu"))

    assert len(tried) == len(report.failures) == 5
    assert report.failures["grey.jpg"] == "Input/output error"


def test_a_mended_picture_is_added(photos: Path, tmp_path: Path) -> None:
    """The same command after the repair completes the folder."""
    (photos / "broken.png").write_bytes(b"")
    corrupt(photos, tmp_path / "out", FOG)
    picture(photos / "broken.png", 32, 32, 3)
    report = corrupt(photos, tmp_path / "out", FOG)

    assert (report.written, report.kept, report.is_complete) == (1, 5, True)


def test_groups_are_told(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Kind by kind in the catalogue's order, severities ascending, each with its number of images."""
    options = Options("snow,gaussian_noise", "4,2", "cifar", 0, "cpu")
    corrupt(photos, tmp_path / "out", options, PlainProgress())

    lines = [line.rsplit(":", 1)[0] for line in capsys.readouterr().err.splitlines()]
    names = ("gaussian_noise 2", "gaussian_noise 4", "snow 2", "snow 4")
    assert lines == [f"[{place}/4] {name}, 5 examples" for place, name in enumerate(names, 1)]


def test_kinds_and_severities_are_parsed() -> None:
    """Names, groups and lists of both, without repetition and in one order."""
    from corruptions import BENCHMARK_CORRUPTIONS, CORRUPTIONS

    assert kinds.parse_kinds("all") == tuple(CORRUPTIONS)
    assert set(kinds.parse_kinds("benchmark")) == set(BENCHMARK_CORRUPTIONS)
    assert kinds.parse_kinds("snow, fog,snow") == ("snow", "fog")
    assert len(kinds.parse_kinds("benchmark,spatter")) == 16
    assert kinds.parse_severities("all") == (1, 2, 3, 4, 5)
    assert kinds.parse_severities("5, 1,5") == (1, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(kinds="fogg"), "unknown corruption 'fogg'; did you mean 'fog'? known: all, benchmark, "),
        (Options(kinds="fog,"), "unknown corruption ''"),
        (Options(severity="0"), "severity must be from 1 to 5, several as in 1,3,5, or all, got '0'"),
        (Options(severity="1,6"), "got '6'"),
        (Options(severity="high"), "got 'high'"),
        (Options(family="imagnet"), "unknown severity table 'imagnet'; did you mean 'imagenet'?"),
        (Options(batch_size=0), "the batch size must be at least 1, got 0"),
        (Options(device="tpu"), "device must be auto, cpu, cuda or cuda:N"),
    ],
)
def test_bad_options_are_one_line(photos: Path, tmp_path: Path, options: Options, message: str) -> None:
    """And nothing is written."""
    with pytest.raises(BenchError) as caught:
        corrupt(photos, tmp_path / "out", options)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_unknown_kinds_are_unknown_names() -> None:
    """So that the did-you-mean is the one of all commands."""
    with pytest.raises(UnknownName):
        kinds.parse_kinds("snw")


def bad_places(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Return what is wrong with them -> IN and OUT."""
    photos, empty, file = folder / "photos", folder / "empty", folder / "file.txt"
    empty.mkdir()
    file.write_text("taken")
    twins = folder / "twins"
    picture(twins / "a.png", 28, 28)
    picture(twins / "a.jpg", 28, 28)
    made = folder / "made"
    (made / "fog").mkdir(parents=True)
    return {
        "nowhere does not exist": (folder / "nowhere", folder / "out"),
        "empty has no images (png, jpg, jpeg, webp, bmp)": (empty, folder / "out"),
        "file.txt is neither a folder of images nor an .npz file": (file, folder / "out"),
        "out is inside": (photos, photos / "cat" / "out"),
        "photos is inside": (photos, photos),
        "file.txt is not a folder": (photos, file),
        "cannot write to": (photos, file / "out"),
        "a.jpg and a.png in": (twins, folder / "out"),
        "is there without corrupt.json: choose another folder": (photos, made),
    }


@pytest.mark.parametrize("place", range(9))
def test_bad_places_are_one_line(photos: Path, tmp_path: Path, place: int) -> None:
    """What a user can mend is said in one line."""
    message, (source, out) = list(bad_places(tmp_path).items())[place]
    with pytest.raises(BenchError) as caught:
        corrupt(source, out, FOG)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["{", "[1]", "7"])
def test_damaged_settings_are_one_line(photos: Path, tmp_path: Path, text: str) -> None:
    """A folder whose settings cannot be read is not written to."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/corrupt.json").write_text(text)

    with pytest.raises(BenchError, match=r"corrupt.json is damaged"):
        corrupt(photos, tmp_path / "out", FOG)


def test_a_folder_in_use_is_said(photos: Path, tmp_path: Path) -> None:
    """Two runs never write one folder; after a run it is free again."""
    corrupt(photos, tmp_path / "out", FOG)
    corrupt(photos, tmp_path / "out", FOG)
    with (
        FileLock(tmp_path / "out/.corrupt.lock"),
        pytest.raises(BenchError, match="another run is writing to"),
    ):
        corrupt(photos, tmp_path / "out", FOG)


def test_a_full_disk_is_one_line(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the run, which goes on when there is room."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    corrupt(photos, tmp_path / "out", FOG)
    (tmp_path / "out/fog/2/grey.png").unlink()
    monkeypatch.setattr(originals, "replace_file", full)
    with pytest.raises(BenchError, match=r"cannot write .*grey.png: No space left on device"):
        corrupt(photos, tmp_path / "out", FOG)
    monkeypatch.undo()

    assert corrupt(photos, tmp_path / "out", FOG).written == 1


def test_a_report_without_trouble_is_one_line() -> None:
    """The last line of a good run."""
    assert Report(written=3, kept=2).lines() == ["3 corrupted images written, 2 were there"]
