"""`analyze` still writes the numbers that are kept in this folder, which `make_golden.py` wrote."""

import pytest
from golden_helpers import CASES, FOLDER, analyze_case, read_rows, thinned

RELATIVE = 1e-6
"""Tables have ten digits; scores pass through float32, whose rounding other processors may do otherwise."""


def _differs(cell, kept):
    try:
        return float(cell) != pytest.approx(float(kept), rel=RELATIVE, abs=1e-9)
    except ValueError:
        return cell != kept


@pytest.mark.parametrize("case", CASES)
def test_the_tables_are_the_golden_ones(case, tmp_path):
    folder = analyze_case(case, tmp_path)
    kept = sorted(path.name for path in (FOLDER / case).glob("*.csv"))
    assert sorted(path.name for path in folder.glob("*.csv")) == kept
    for name in kept:
        rows = thinned(name.removesuffix(".csv"), read_rows(folder / name))
        expected = read_rows(FOLDER / case / name)
        assert [len(row) for row in rows] == [len(row) for row in expected], name
        for row, wanted in zip(rows, expected, strict=True):
            # Shokri's networks are trained for 50 epochs, which makes much of a difference in the last digit.
            cells = 2 if "shokri" in row[:2] else len(row)
            differing = [pair for pair in zip(row[:cells], wanted[:cells], strict=True) if _differs(*pair)]
            assert not differing, (name, row, wanted)
