"""The theory of Choi et al. (section 5, Appendix A) measured on the models of a LOGDIR: what holds and what does not.

    python -m experiments.theory --logdir=runs/mnist_svhn_cpu [--out=DIR] [--seed=0]

Half a minute on one core for 64 models and 5,250 examples. Writes to --out, by default
LOGDIR/analysis/theory: summary.csv (every check, by group), learning.csv (advantage against the number of shadow
models), predicted_numbers.csv, models_needed.csv, theory_examples.csv (one row per example) and the figures.
experiments/results/theory/README.md says what came out for MNIST with SVHN.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np

from experiments import commands
from experiments.theory_checks import drawing as draw
from experiments.theory_checks import models_needed as shadow
from experiments.theory_checks.adversaries import adversaries, theorem2
from experiments.theory_checks.corollary1 import ADVANTAGE, LEARNING, NUMBERS, corollary1
from experiments.theory_checks.equation8 import equation8, equation8_by_stratum
from experiments.theory_checks.record import SUMMARY, Record, plain_fits, read
from mia_tf.figures import style

NEEDED = (
    "group", "error", "n", "decidable", "beyond_cap", "not_decidable", "models_q25", "models_median", "models_q75",
)  # fmt: skip
ERRORS = (0.05, 0.1, 0.25)
"""For the user's question: mean of the two kinds of error."""


def write(path: Path, columns: tuple[str, ...], rows) -> None:
    """Writes a CSV with five digits."""
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([[f"{v:.5g}" if isinstance(v, float | np.floating) else v for v in row] for row in rows])


def needed_rows(record: Record, needed: dict[float, np.ndarray]) -> Iterator[tuple]:
    """Rows of models_needed.csv: how many of a group's examples can be decided, and quartiles of what these need."""
    for group, mask in record.masks.items():
        for error, column in needed.items():
            in_group = column[mask]
            decidable = in_group[np.isfinite(in_group)]
            quartiles = np.quantile(decidable, [0.25, 0.5, 0.75], method="higher") if len(decidable) else [np.nan] * 3
            shares = (test(in_group).mean() for test in (np.isfinite, np.isinf, np.isnan))
            yield group, error, len(in_group), *shares, *quartiles


def needed_cells(column: np.ndarray) -> list[str]:
    """A column of `models_needed` in words."""
    special = {np.inf: f">{shadow.LADDER[-1]}"}
    return ["not decidable" if np.isnan(k) else special.get(k, f"{k:g}") for k in column.tolist()]


def main() -> None:
    parser = commands.Parser(__doc__)
    parser.add_argument("--logdir", type=commands.folder, required=True)
    parser.add_argument("--out", type=commands.folder_to_write)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    out = options.out or options.logdir / "analysis" / "theory"
    record = read(options.logdir)
    out.mkdir(parents=True, exist_ok=True)
    generators = [np.random.default_rng(s) for s in np.random.SeedSequence(options.seed).spawn(5)]

    rows, columns = equation8(record, generators[0])
    rows += equation8_by_stratum(record, generators[4])
    rows += theorem2(record, generators[1])
    rows += adversaries(record, generators[2])
    write(out / "summary.csv", SUMMARY, rows)
    learning, numbers, curves, inverse, models = corollary1(record, generators[3])
    write(out / "learning.csv", LEARNING, learning)
    write(out / "predicted_numbers.csv", NUMBERS, numbers)
    needed = shadow.models_needed(plain_fits(record), ERRORS, options.seed)
    write(out / "models_needed.csv", NEEDED, needed_rows(record, needed))
    columns = {"index": np.arange(len(record.groups)), "group": np.array([*record.titles])[record.groups], **columns}
    columns |= {f"models_needed_{error:g}": needed_cells(column) for error, column in needed.items()}
    write(out / "theory_examples.csv", tuple(columns), zip(*columns.values(), strict=True))
    with matplotlib.rc_context(style.RC):
        figures(record, columns, curves, inverse, models, needed, out)
    print(out)


def figures(record: Record, columns, curves, inverse, models, needed, out: Path) -> None:
    """Draws and saves them."""
    groups = {"groups": record.groups, "names": tuple(record.titles.values())}
    figure = style.new_figure(7.2, 6.6)
    panels = {
        "hellinger_normal": ("$H^2$, bias-corrected", "$H^2$ of phi, normal fits"),
        "tv_normal": ("TV, bias-corrected", "TV of phi, normal fits"),
        "hellinger_binned": ("$H^2$, bias-corrected", "$H^2$ of phi in four bins"),
        "hellinger_correct": ("$H^2$", "$H^2$ of correctness"),
    }
    for ax, (name, (label, title)) in zip(figure.subplots(2, 2).ravel(), panels.items(), strict=True):
        draw.draw_distance(ax, columns["memorization"], columns[name], **groups, label=label, title=title)
    note = "Equation 8: every H² on or under the line. It must be for correctness; for phi it need not."
    style.footnote(figure, f"{note}\n{record.scale}")
    figure.savefig(out / "distances.png", dpi=150)

    figure = style.new_figure(7.2, 4.2)
    left, right = figure.subplots(1, 2)
    draw.draw_learning_curves(left, models, *curves["fixed"])
    draw.draw_predicted_numbers(right, inverse, models[-1], ADVANTAGE)
    note = (
        "Left: one answer of the target; bands are 95% intervals over examples. Right: hollow = not reached.\n"
        "Predicted from one half of the models, measured on the other."
    )
    style.footnote(figure, f"{note}\n{record.scale}")
    figure.savefig(out / "shadow_models.png", dpi=150)

    figure = style.new_figure(3.6 * len(record.titles), 3.6)
    panels = figure.subplots(1, len(record.titles), squeeze=False)[0]
    for ax, (name, title) in zip(panels, record.titles.items(), strict=True):
        mask = record.masks[name]
        draw.draw_models_needed(ax, shadow.LADDER, {e: v[mask] for e, v in needed.items()}, title)
    note = "The fitted normals are taken for the truth; with few models they look further apart than they are."
    style.footnote(figure, f"{note}\n{record.scale}")
    figure.savefig(out / "models_needed.png", dpi=150)


if __name__ == "__main__":
    commands.run(main)
