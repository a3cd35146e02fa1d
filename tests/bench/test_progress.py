from __future__ import annotations

import io

import pytest

from bench.progress import LiveProgress, PlainProgress, Progress, SilentProgress


def walk(progress: Progress) -> None:
    """Go through two groups, of which the second fails."""
    progress.start([("model: clean", 4), ("model: pgd-7 e2e", 4)])
    with progress.group("model: clean", 4) as advance:
        advance(3)
        advance(1)
    with progress.group("model: pgd-7 e2e", 4):
        progress.failed("model: pgd-7 e2e", "RuntimeError: [red]no")


def test_plain_lines_say_how_far_it_is() -> None:
    """One line per group, and one for a failure."""
    stream = io.StringIO()
    walk(PlainProgress(stream))
    lines = stream.getvalue().splitlines()

    assert lines[0].startswith("[1/2] model: clean, 4 examples: ")
    assert lines[1] == "model: pgd-7 e2e FAILED: RuntimeError: [red]no"
    assert lines[2].startswith("[2/2] model: pgd-7 e2e, 4 examples: ")


def test_the_live_display_shows_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Finished groups and failures stay on the screen; brackets in a message are not markup."""
    with LiveProgress() as progress:
        walk(progress)
    shown = capsys.readouterr().err

    assert "model: clean, 4 examples:" in shown
    assert "RuntimeError: [red]no" in shown
    assert "2/2" in shown


def test_an_interrupt_passes_through_a_group() -> None:
    """Ctrl-C is not swallowed by the display."""
    for progress in (PlainProgress(io.StringIO()), SilentProgress()):
        progress.start([("a", 1)])
        with pytest.raises(KeyboardInterrupt), progress.group("a", 1):
            raise KeyboardInterrupt
