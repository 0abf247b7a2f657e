"""Figure 4 of Choi et al. (section 8): memorization with and without DP-SGD at epsilon 3.2, on MNIST with SVHN.

    python -m experiments.figure4 --scale=cpu --data_dir=DATA

Cost: smoke 2 minutes; cpu 25 minutes on two cores; paper 2 x 2,000 models, one of the runs shared with table 1.
The paper: under-represented examples have low memorization scores too; its private models have "low utility". Also
writes what the attacks, the accuracy and the bounds on epsilon come to. `experiments.figure4_dp` compares any LOGDIRs.
"""

from experiments import figure4_dp, runs
from experiments.reproduction import command
from mia_tf.analysis import private_tables
from mia_tf.analysis.private_runs import read_runs
from mia_tf.attacks import attack_classes
from mia_tf.figures import private_pages


def names(scale: str) -> list[str]:
    """The run without differential privacy, and the one with it."""
    return runs.defence(scale)


def build(found) -> command.Outcome:
    """Every table and figure of `experiments.figure4_dp`; nothing unless both runs are there."""
    if len(found) < 2:
        return command.Outcome({})
    plain, private = (run.folder for run in found.values())
    pair = dict(zip((figure4_dp.PLAIN, "DP-SGD"), read_runs(plain, [private]), strict=True))
    compared, rows, edges = figure4_dp.measure(pair, list(attack_classes()), 0, private)
    note = "stand-in data" if any(run.stand_in for run in found.values()) else ""
    tables = {
        name: [_noted(dict(zip(private_tables.COLUMNS[name], row, strict=True)), note) for row in table]
        for name, table in rows.items()
    }
    figures = dict(private_pages.pages(compared, rows, edges))
    return command.Outcome(
        {"" if name == "memorization" else f"_{name}": table for name, table in tables.items()},
        {"" if name == "figure4" else f"_{name}": figure for name, figure in figures.items()},
    )


def _noted(row: dict, note: str) -> dict:
    return {**row, "note": "; ".join(filter(None, (row.get("note"), note)))}


if __name__ == "__main__":
    command.main("figure4", __doc__, names, build)
