from __future__ import annotations

from reports.restoration_table import restoration_tables


def test_a_row_is_of_as_many_images_throughout(stored) -> None:
    """Of a run on few images and one on more the latter counts, whichever was first."""

    def run(n: int) -> list[tuple[list[bool], dict[str, object]]]:
        own = {"suite": "restoration", "probe": "restoration", "measures": {"distance": [0.1 * n] * n}}
        return [([True] * n, {**own, "iterations": iterations}) for iterations in (0, 1, 2)]

    for cells in (run(2) + run(3), run(3) + run(2)):
        archive = stored(*cells)
        (table,) = restoration_tables(archive.records, archive)
        (row,) = table.rows

        assert [value.n for value in row.values] == [3, 3, 3]
        assert "n = 3" in table.provenance
