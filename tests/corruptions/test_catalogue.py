"""The catalogue: what is listed is there, and listing it is cheap."""

from __future__ import annotations

import subprocess
import sys

import pytest

import corruptions
from corruptions import catalogue


def test_families_and_groups_partition_the_corruptions() -> None:
    """19 kinds, each in one family, 15 for the benchmark and 4 extra; keys are the functions' names."""
    listed = [name for names in corruptions.FAMILIES.values() for name in names]
    assert sorted(listed) == sorted(corruptions.CORRUPTIONS)
    assert len(listed) == 19
    assert len(corruptions.BENCHMARK_CORRUPTIONS) == 15
    assert set(corruptions.BENCHMARK_CORRUPTIONS) | set(corruptions.EXTRA_CORRUPTIONS) == set(listed)
    for name, function in (corruptions.CORRUPTIONS | catalogue.RESTORATION_CORRUPTIONS).items():
        assert function.__name__ == name


def test_every_table_has_five_settings_in_every_family() -> None:
    """Every corruption has a setting for each severity in each severity table."""
    assert set(corruptions.TABLES) == set(corruptions.CORRUPTIONS) | {"dotted_line"}
    for table in corruptions.TABLES.values():
        assert tuple(table) == corruptions.SEVERITY_TABLES
        assert all(len(settings) == len(corruptions.SEVERITIES) for settings in table.values())


def test_listing_does_not_import_torch() -> None:
    """A command line can list the corruptions without paying for torch."""
    code = (
        "import sys, corruptions;"
        "assert 'fog' in corruptions.BENCHMARK_CORRUPTIONS and 'apply' in dir(corruptions);"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


MEMORY = """
import resource, sys, torch, corruptions
torch.set_num_threads(1)
family, count, side, channels = sys.argv[1], *map(int, sys.argv[2:])
for name in corruptions.CORRUPTIONS:
    corruptions.apply(torch.rand(2, channels, side, side), name, 5, family=family)
images = torch.rand(count, channels, side, side)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in corruptions.CORRUPTIONS:
    corruptions.apply(images, name, 5, family=family)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(name, (after - before) * 1024 / (images.numel() * 4))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_memory_stays_below_twelve_batches() -> None:
    """The scratch memory of the hungriest corruption is less than 12 times the batch, the result included."""
    for arguments in (("imagenet", "32", "224", "3"), ("fashion", "512", "28", "1")):
        run = subprocess.run(
            [sys.executable, "-c", MEMORY, *arguments], check=True, capture_output=True, text=True
        )
        growth = {line.split()[0]: float(line.split()[1]) for line in run.stdout.splitlines()}
        assert max(growth.values()) < 12, growth
