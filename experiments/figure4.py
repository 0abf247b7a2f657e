"""Figure 4 of Choi et al. (section 8): memorization with and without DP-SGD at epsilon 3.2, on MNIST with SVHN.

    python -m experiments.figure4 --scale=cpu --data_dir=DATA

Cost: smoke 2 minutes; cpu 25 minutes on two cores; paper 2 x 2,000 models, one of the runs shared with table 1.
The paper: under-represented examples have low memorization scores too; its models with DP have "low utility". Also
writes what the attacks, the accuracy and the bounds on epsilon come to. `experiments.figure4_dp` compares any LOGDIRs.
"""

import pandas as pd

from experiments import figure4_dp, runs
from experiments.reproduction import command
from mia_tf.analysis.dp_comparison import PLAIN, compare
from mia_tf.figures import dp_pages


def names(scale: str) -> list[str]:
    """The run without differential privacy, and the one with it."""
    return runs.defence(scale)


def build(measured) -> command.Outcome:
    """Every table and figure of `experiments.figure4_dp`; nothing unless both runs are there."""
    if len(measured) < 2:
        return command.Outcome({})
    plain, dp = (run.folder for run in measured.values())
    compared = compare(plain, dp, labels=(PLAIN, "DP-SGD"), scratch=dp)
    note = "stand-in data" if any(run.stand_in for run in measured.values()) else ""
    tables = {**compared.tables, "memorization_bins": figure4_dp.bins(compared)}
    return command.Outcome(
        {"" if name == "memorization" else f"_{name}": _rows(table, note) for name, table in tables.items()},
        {"" if name == "memorization" else f"_{name}": figure for name, figure in dp_pages.pages(compared)},
    )


def _rows(table: pd.DataFrame, note: str) -> list[dict]:
    """The rows of a table, each with a note."""
    noted = table if "note" in table else table.assign(note=note)
    return noted.astype(object).where(noted.notna(), None).to_dict("records")


if __name__ == "__main__":
    command.main("figure4", __doc__, names, build)
