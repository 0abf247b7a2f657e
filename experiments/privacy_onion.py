"""Discussion of Choi et al. (section 8), the privacy onion effect: what is memorized once the most memorized are gone?

    python -m experiments.privacy_onion --scale=cpu --data_dir=DATA

The tenth of MNIST + SVHN that is memorized most leaves, and new models are trained on the rest; a control loses as many
random examples of each group. Both are measured on the examples that stay in both, with models that had no part in
choosing them, so that the difference is no regression to the mean. Accuracy is compared on the test images, which are
the same: what leaves has no more than its kind among them.
Cost: three runs, one of which the singletons share: smoke 3 minutes; cpu 40 minutes on two cores; paper 3 x 2,000
models.
The paper: examples of low memorization get a high one, and accuracy on the low-density subset that the removed ones
belonged to falls; it has no number of this.
"""

import numpy as np

from experiments import runs
from experiments.reproduction import command, panels
from experiments.reproduction.judging import difference
from experiments.reproduction.measured import Measured
from mia_tf.files import Table

LEVELS = {"share_above_0.5": 0.5, "share_above_0.8": 0.8}


def names(scale: str) -> list[str]:
    """The run that chooses, the one without the most memorized, and its control."""
    pool = "candidates" if runs.SCALES[scale].candidates else "random"
    return [f"mnist_svhn_{pool}", "mnist_svhn_onion", "mnist_svhn_control"]


def build(found) -> command.Outcome:
    """Memorization by group in all three, and what the removal changed; nothing without the two that are compared."""
    shown = list(found.values())
    by_selection = {run.run.selection: run for run in shown}
    if not {"onion", "control"} <= by_selection.keys():
        return command.Outcome({})
    both = by_selection["onion"], by_selection["control"]
    spread = [row for run in shown for row in panels.distribution_rows(run, "memorization", LEVELS)]
    figure = panels.page([(shown, panels.draw_memorization_histogram)], "privacy_onion", "", 3.5)
    tables = {"": effect_rows(*both), "_accuracy": accuracy_rows(*both), "_distribution": spread}
    return command.Outcome(tables, {"": figure})


def effect_rows(onion: Measured, control: Measured) -> list[dict]:
    """What the removal changed in memorization, on examples that stay in both.

    Returns:
        a row a group: the means in both runs and their mean difference with its 95% interval over examples.
    """
    tables = [_by_id(run) for run in (onion, control)]
    shared = sorted(tables[0].keys() & tables[1].keys())
    rows = []
    for group in ("over", "under"):
        mine = [key for key in shared if tables[0][key][0] == group]
        without, with_them = (np.array([table[key][1] for key in mine]) for table in tables)
        change = without - with_them
        change = change[np.isfinite(change)]
        half = 1.959964 * change.std(ddof=1) / np.sqrt(len(change)) if len(change) > 1 else np.nan
        mean = change.mean() if len(change) else np.nan
        rows.append(
            {
                "group": group,
                "n": len(change),
                "memorization_without": np.nanmean(without) if len(mine) else np.nan,
                "memorization_control": np.nanmean(with_them) if len(mine) else np.nan,
                "change": mean,
                "ci_low": mean - half,
                "ci_high": mean + half,
                "num_models": onion.results.num_models,
                "note": "stand-in data" if onion.stand_in else "",
            }
        )
    return rows


def accuracy_rows(onion: Measured, control: Measured) -> list[dict]:
    """What the removal changed in accuracy on test images, a row a group; the interval is over models."""
    found = [{(r["split"], r["group"]): r for r in run.table("accuracy")} for run in (onion, control)]
    rows = []
    for group in ("over", "under"):
        cells = [table.get(("test", group)) for table in found]
        if all(cells):
            without, with_them = (
                tuple(float(c[name] or "nan") for name in ("mean", "ci_low", "ci_high")) for c in cells
            )
            change = difference(without, with_them)
            numbers = dict(zip(("change", "ci_low", "ci_high"), change, strict=True))
            accuracy = {"accuracy_without": without[0], "accuracy_control": with_them[0]}
            rows.append({"group": group, **accuracy, **numbers, "num_models": onion.results.num_models})
    return rows


def _by_id(run: Measured) -> dict[str, tuple[str, float]]:
    """Example id -> (group, memorization)."""
    table = Table(run.folder, "examples.csv")
    cells = zip(table.text("group"), table.numbers("memorization").tolist(), strict=True)
    return dict(zip(table.text("example_id"), cells, strict=True))


if __name__ == "__main__":
    command.main("privacy_onion", __doc__, names, build)
