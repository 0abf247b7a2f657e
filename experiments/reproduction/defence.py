"""Figure 4 of Choi et al. (section 8): memorization with and without DP-SGD at epsilon 3.2, on MNIST with SVHN.

Also what the attacks, the accuracy and the bounds on epsilon come to. `experiments.figure4_dp` compares any LOGDIRs.
"""

from collections.abc import Mapping

import pandas as pd

from experiments import figure4_dp
from experiments.reproduction.measured import Measured
from experiments.reproduction.outcome import Outcome
from experiments.reproduction.paper_numbers import statements
from mia_tf.analysis.dp_comparison import PLAIN, compare
from mia_tf.figures import dp_pages


def build(measured: Mapping[str, Measured]) -> Outcome:
    """Builds every table and figure of `experiments.figure4_dp`; nothing unless both runs are there."""
    if len(measured) < 2:
        return Outcome({})
    plain, dp = (run.folder for run in measured.values())
    compared = compare(plain, dp, labels=(PLAIN, "DP-SGD"), scratch=dp)
    says = "\n".join(f"The paper: {statement['says']}" for statement in statements("figure4"))
    note = "stand-in data" if any(run.stand_in for run in measured.values()) else ""
    tables = {**compared.tables, "memorization_bins": figure4_dp.bins(compared)}
    return Outcome(
        {"" if name == "memorization" else f"_{name}": _rows(table, note) for name, table in tables.items()},
        {"" if name == "memorization" else f"_{name}": figure for name, figure in dp_pages.pages(compared, says)},
    )


def _rows(table: pd.DataFrame, note: str) -> list[dict]:
    """The rows of a table, each with a note."""
    noted = table if "note" in table else table.assign(note=note)
    return noted.astype(object).where(noted.notna(), None).to_dict("records")
