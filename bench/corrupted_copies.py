"""Corrupted copies of a folder of images or of an .npz file: what `bench corrupt` does.

OUT/corrupt.json                          settings; a run with other ones is refused
OUT/KIND/SEVERITY/<relative path>.png     copies of a folder's images
OUT/KIND_SEVERITY.npz                     copies of an .npz file: `images`, and `labels` if it has any

Every file is written whole or not at all, so that a run that was stopped goes on where it was. The same seed
gives the same pixels on any device and in any batch, and the same bytes wherever Pillow is the same.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import devices
from bench.errors import BenchError, UnknownName
from bench.kinds import parse_kinds, parse_severities
from bench.locks import held
from bench.pictures import Archive, Corrupt, Folder, Originals, Pixels, write_file
from bench.progress import Progress, SilentProgress
from corruptions.names import SEVERITY_TABLES
from reports.files import remove_leftovers

if TYPE_CHECKING:
    import torch

BATCH_SIZE = 512
"""Images corrupted together; of large ones fewer, see `bench.pictures.originals.BATCH_VALUES`."""


@dataclass(frozen=True)
class Options:
    """What copies to make, and how."""

    kinds: str = "all"
    """Names of corruptions, "benchmark" (15) or "all" (19), separated by commas."""
    severity: str = "3"
    """Numbers from 1 to 5, separated by commas, or "all"."""
    family: str = "imagenet"
    """The severity table."""
    seed: int = 0
    device: str = "auto"
    batch_size: int = BATCH_SIZE


@dataclass
class Report:
    """What became of the images."""

    written: int = 0
    """Copies written now."""
    kept: int = 0
    """Copies that were there before."""
    failures: dict[str, str] = field(default_factory=dict)
    """Image -> why it could not be corrupted."""
    without_alpha: set[str] = field(default_factory=set)
    """Images whose alpha channel was dropped, of those read now."""
    skipped: list[str] = field(default_factory=list)
    """Files beside the images that are not read."""

    @property
    def is_complete(self) -> bool:
        """Whether every image was corrupted."""
        return not self.failures

    def lines(self) -> list[str]:
        """Return what to tell the user at the end."""
        lines = [f"{self.written} corrupted images written, {self.kept} were there"]
        if self.without_alpha:
            lines.append(f"alpha dropped: {_shortened(self.without_alpha)}")
        if self.skipped:
            lines.append(f"left alone, no kind of image that is read: {_shortened(self.skipped)}")
        if self.failures:
            lines.append(f"{len(self.failures)} images could not be corrupted:")
            lines += [f"  {name}: {reason}" for name, reason in sorted(self.failures.items())]
        return lines


def _shortened(names: Collection[str]) -> str:
    others = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{min(names)}{others}"


def corrupt(source: Path, out: Path, options: Options, progress: Progress | None = None) -> Report:
    """Write corrupted copies of images.

    An image's random draws belong to the seed, the kind, the severity and the image: its path within
    `source`, or its row in an .npz file. They are the same when other images come or go.

    Args:
        source: A folder of images, searched with the folders in it, or an .npz file with `images` uint8
            [n, h, w, c] and, if it has any, `labels`.
        out: Where to. A copy that is there is not made again, even if its original has changed since.
        options: Kinds, severities and how.
        progress: What is told how far it is.

    Returns:
        A report; it names the images that could not be read or are too small. All others are written.

    Raises:
        BenchError: If `source` has no images; if `out` cannot be written, is inside `source`, is in use or
            was made with other settings; or if an option is wrong.
    """
    names, severities = parse_kinds(options.kinds), parse_severities(options.severity)
    if options.family not in SEVERITY_TABLES:
        raise UnknownName("severity table", options.family, SEVERITY_TABLES)
    if options.batch_size < 1:
        raise BenchError(f"the batch size must be at least 1, got {options.batch_size}")
    progress = progress or SilentProgress()
    originals = _open(source, out, options.batch_size)
    device = devices.resolve(options.device)
    report = Report(
        failures=originals.failures, without_alpha=originals.without_alpha, skipped=originals.skipped
    )
    with _claimed(out, _settings(originals, options), names):
        pending = {(name, level): originals.pending(name, level) for name in names for level in severities}
        report.kept = len(pending) * originals.count - sum(pending.values())
        groups = {f"{name} {level}": (name, level, n) for (name, level), n in pending.items() if n}
        progress.start([(title, count) for title, (_, _, count) in groups.items()])
        for title, (name, level, count) in groups.items():
            with progress.group(title, count) as advance:
                damage = _damage(name, level, options, device)
                report.written += originals.write(name, level, damage, advance)
    return report


def _open(source: Path, out: Path, batch_size: int) -> Originals:
    if not source.exists():
        raise BenchError(f"{source} does not exist")
    if out.exists() and not out.is_dir():
        raise BenchError(f"{out} is not a folder")
    if source.is_dir():
        if out.resolve().is_relative_to(source.resolve()):
            raise BenchError(f"{out} is inside {source}: copies would be taken for originals")
        return Folder(source, out, batch_size)
    if source.suffix.lower() == ".npz":
        return Archive(source, out, batch_size)
    raise BenchError(f"{source} is neither a folder of images nor an .npz file")


def _damage(name: str, severity: int, options: Options, device: torch.device) -> Corrupt:
    import torch

    from corruptions import apply

    def damage(pixels: Pixels, indices: Sequence[int]) -> Pixels:
        images = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float().div_(255)
        try:
            damaged = apply(images, name, severity, options.seed, options.family, indices)
        except torch.OutOfMemoryError as error:
            raise BenchError(f"{device} has too little memory for {len(pixels)} images at once") from error
        return damaged.mul_(255).round_().byte().permute(0, 2, 3, 1).cpu().numpy()

    return damage


def _settings(originals: Originals, options: Options) -> dict[str, Any]:
    return {
        "images": originals.identity,
        "family": options.family,
        "seed": options.seed,
        "version": version("feedback-bench"),
    }


@contextmanager
def _claimed(out: Path, settings: dict[str, Any], names: Sequence[str]) -> Iterator[None]:
    """Hold a folder that was made with these settings, or is new."""
    with held(out, ".corrupt.lock", "another run is writing to"):
        _check_settings(out, settings, names)
        try:
            remove_leftovers(out)
        except OSError as error:
            raise BenchError(f"cannot remove {error.filename}: {error.strerror}") from error
        yield


def _check_settings(out: Path, settings: dict[str, Any], names: Sequence[str]) -> None:
    """Refuse a folder that was made with others; write them into one that is new."""
    path = out / "corrupt.json"
    if not path.exists():
        for name in names:
            for foreign in (out / name, *out.glob(f"{name}_[1-5].npz")):
                if foreign.exists():
                    raise BenchError(f"{foreign} is there without {path.name}: choose another folder")
        write_file(path, lambda file: file.write((json.dumps(settings, indent=2) + "\n").encode()))
        return
    try:
        found = dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise BenchError(f"{path} is damaged: {error}") from error
    changed = [
        f"{key} {found.get(key)!r}, not {value!r}"
        for key, value in settings.items()
        if found.get(key) != value
    ]
    if changed:
        raise BenchError(f"{out} was made with {'; '.join(changed)}: choose another folder")
