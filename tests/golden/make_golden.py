"""Writes the kept numbers anew; run it only where a change of the numbers is meant, and say so in the commit.

PYTHONPATH=tests:tests/golden python tests/golden/make_golden.py
"""

import csv
import tempfile
from pathlib import Path

from golden_helpers import CASES, FOLDER, analyze_case, read_rows, thinned

for case in CASES:
    with tempfile.TemporaryDirectory() as scratch:
        for table in sorted(analyze_case(case, Path(scratch)).glob("*.csv")):
            target = FOLDER / case / table.name
            target.parent.mkdir(exist_ok=True)
            with open(target, "w", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows(thinned(table.stem, read_rows(table)))
