"""Tables 2, 3 and 5 of Choi et al.: every attack by mixture and selection, ours beside the paper's."""

import numpy as np

from experiments.reproduction import comparison_figure as comparison
from experiments.reproduction import comparisons, paper_numbers
from experiments.reproduction.markdown import MIXTURES
from experiments.reproduction.measured import Measured
from experiments.reproduction.outcome import Outcome, footnote
from mia_tf.figures import style
from mia_tf.figures.attacks import CHANCE, LABELS

_ATTACKS = {"yeom": "Yeom", "shokri": "Shokri", "sablayrolles": "Sablayrolles", "song": "Song", "carlini": "LiRA"}
ALONE = "chosen by other models than the attacked ones, which the paper does not say of its own; not measured here"
CHOSEN = "chosen by other models"
"""Notes on the examples of one data set alone (footnote 11)."""


def build(table: str, measured: dict[str, Measured]) -> Outcome:
    """The rows of a table, and a figure for every mixture that has been run."""
    rows = attack_rows(paper_numbers.attack_numbers(table), measured)
    mixtures = dict.fromkeys(run.run.mixture for run in measured.values())
    compared = [row for run in measured.values() for row in comparisons.attack_rows(run)]
    figures = {f"_{mixture}": _figure(table, rows, mixture, measured) for mixture in mixtures}
    return Outcome({"": rows, "_comparisons": compared}, figures)


def both_protocols(paper: list[dict]) -> list[dict]:
    """The paper's numbers, where each TPR stands twice: it does not say whether targets are pooled."""
    both = {"tpr_at_fpr_0.001": "tpr_at_fpr_0.001_per_target"}
    copies = [{**number, "metric": both[number["metric"]]} for number in paper if number["metric"] in both]
    return [*paper, *copies]


def attack_rows(paper: list[dict], measured: dict[str, Measured]) -> list[dict]:
    """One row per number: those of the paper, and of the further attacks of every run.

    Args:
        paper: of `paper_numbers.attack_numbers`.
        measured: the runs by name.
    """
    runs = {(run.run.mixture, run.run.selection): run for run in measured.values()}
    rows = []
    for number in both_protocols(paper):
        chosen = number["selection"] == "none" and number["population"] == "under"
        run = runs.get((number["mixture"], "again" if chosen else number["selection"]))
        ours = run and (run.lira if number["attack"] == "carlini" else paper_numbers.ATTACKS[number["attack"]])
        row = _row(number, run, ours)
        if chosen and not run:
            row["note"] = ALONE
        rows.append(_noted(row, run.run.selection if run else ""))
    for (mixture, selection), run in runs.items():
        place = mixture, "none" if selection == "again" else selection
        populations = {"none": ["all"], "again": ["under"]}.get(selection, ["all", "under"])
        listed = {
            row["our_attack"]
            for row in rows
            if (row["mixture"], row["selection"]) == place and row["population"] in populations
        }
        for metric in CHANCE:
            for attack, population in run.audit.metric(metric):
                if attack not in listed and population in populations:
                    about = {"attack": "", "mixture": mixture, "selection": place[1]}
                    number = {**about, "population": population, "metric": metric, "paper": np.nan}
                    rows.append(_noted(_row(number, run, attack), selection))
    return rows


def _noted(row: dict, selection: str) -> dict:
    """The same row, which says of a data set alone that other models chose its examples."""
    notes = (CHOSEN, row["note"]) if selection == "again" else (row["note"],)
    return {**row, "note": "; ".join(filter(None, notes))}


def _row(number: dict, run: Measured | None, attack: str | None) -> dict:
    """A number of the paper with ours, or with empty cells if there is no run or no such population."""
    key = attack, number["population"]
    triple = run.audit.metric(number["metric"]).get(key, (np.nan,) * 3) if run else (np.nan,) * 3
    counts = run.counts if run else {"over": "", "under": ""}
    return {
        **number,
        **dict(zip(("ours", "ci_low", "ci_high"), triple, strict=True)),
        "our_attack": attack or "",
        "num_models": run.audit.num_models if run else "",
        "num_over": counts["over"],
        "num_under": counts["under"],
        "note": run.note if run else "",
    }


def _figure(table: str, rows: list[dict], mixture: str, measured: dict[str, Measured]):
    """The five attacks of the paper on one mixture."""
    of_mixture = {name: run for name, run in measured.items() if run.run.mixture == mixture}
    selections = {run.run.selection.replace("again", "none") for run in of_mixture.values()}
    shown = [r for r in rows if r["mixture"] == mixture and r["selection"] in selections and r["attack"]]
    labels = dict.fromkeys((r["attack"], r["selection"]) for r in shown)
    figure = style.new_figure(9.6, 1.6 + 0.5 * len(labels))
    metrics = [metric for metric in CHANCE if any(row["metric"] == metric for row in shown)]
    panels = figure.subplots(1, len(metrics), sharey=True)
    for ax, metric in zip(panels, metrics, strict=True):
        pairs = [
            comparison.Pair(
                f"{_ATTACKS[row['attack']]}, {row['selection']}".removesuffix(", none"),
                row["population"],
                None if row["note"] == ALONE else (row["ours"], row["ci_low"], row["ci_high"]),
                (row["paper"], np.nan, np.nan),
            )
            for row in shown
            if row["metric"] == metric
        ]
        comparison.draw_comparison(ax, pairs, LABELS[metric], logarithmic=metric != "auroc")
        ax.axvline(CHANCE[metric], color=style.GREY, linewidth=0.8, zorder=0)
    title = f"Table {table.removeprefix('table')} of Choi et al.: attacks on {MIXTURES[mixture]}"
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, title=title)
    footnote(figure, f"{comparison.WORDS} Grey line: random guess. Triangles at the edge: under 0.01%.", of_mixture)
    return figure
