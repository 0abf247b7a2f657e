"""Tables 2, 3 and 5 of Choi et al.: every attack by mixture and selection, ours beside the paper's."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from experiments.reproduction import comparison_figure as comparison
from experiments.reproduction import comparisons, paper_numbers
from experiments.reproduction.judging import triple
from experiments.reproduction.kept_rows import earlier_runs
from experiments.reproduction.markdown import MIXTURES
from experiments.reproduction.measured import Measured, title
from experiments.reproduction.outcome import Outcome, footnote
from mia_tf.figures import style
from mia_tf.figures.attacks import CHANCE, LABELS

_ATTACKS = {"yeom": "Yeom", "shokri": "Shokri", "sablayrolles": "Sablayrolles", "song": "Song", "carlini": "LiRA"}
ALONE = "chosen by other models than the attacked ones, which the paper does not say of its own; not measured here"
CHOSEN = "chosen by other models"
"""Notes on the examples of one data set alone (footnote 11)."""


def build(table: str, measured: dict[str, Measured]) -> Outcome:
    """The rows of a table, and a figure for every mixture of the runs."""
    rows = attack_rows(paper_numbers.attack_numbers(table), measured)
    mixtures = dict.fromkeys(run.run.mixture for run in measured.values())
    compared = [row for run in measured.values() for row in comparisons.attack_rows(run)]

    def draw(rows: Sequence[Mapping[str, str]]) -> dict[str, Figure]:
        return {f"_{mixture}": _figure(table, rows, mixture, measured) for mixture in mixtures}

    return Outcome({"": rows, "_comparisons": compared}, draw=draw)


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


def _label(row: Mapping[str, str]) -> str:
    """What the line of a row is called."""
    return f"{_ATTACKS[row['attack']]}, {row['selection']}".removesuffix(", none")


def _figure(table: str, rows: Sequence[Mapping[str, str]], mixture: str, measured: Mapping[str, Measured]) -> Figure:
    """The five attacks of the paper on one mixture, of the rows of the runs and of earlier ones."""
    of_mixture = {name: run for name, run in measured.items() if run.run.mixture == mixture}
    present = {run.run.selection.replace("again", "none") for run in of_mixture.values()}
    ours = [row for row in rows if row["mixture"] == mixture and row["attack"]]
    kept = {row["selection"]: row for row in ours if row["selection"] not in present and row["num_models"]}
    shown = [row for row in ours if row["selection"] in present or row["selection"] in kept]
    labels = dict.fromkeys(map(_label, shown))
    figure = style.new_figure(9.6, 1.6 + 0.5 * len(labels))
    metrics = [metric for metric in CHANCE if any(row["metric"] == metric for row in shown)]
    panels = figure.subplots(1, len(metrics), sharey=True)
    for ax, metric in zip(panels, metrics, strict=True):
        # Earlier runs may lack a metric; all panels have the same lines.
        pairs = [comparison.Pair(label, "all", None, None) for label in labels]
        pairs += [
            comparison.Pair(
                _label(row),
                row["population"],
                None if row["note"] == ALONE else triple(row),
                (float(row["paper"] or "nan"), np.nan, np.nan),
            )
            for row in shown
            if row["metric"] == metric
        ]
        comparison.draw_comparison(ax, pairs, LABELS[metric], logarithmic=metric != "auroc")
        ax.axvline(CHANCE[metric], color=style.GREY, linewidth=0.8, zorder=0)
    heading = f"Table {table.removeprefix('table')} of Choi et al.: attacks on {MIXTURES[mixture]}"
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, title=heading)
    earlier = earlier_runs({title(MIXTURES[mixture], selection): row for selection, row in kept.items()})
    words = f"{comparison.WORDS} Grey line: random guess. Triangles at the edge: under 0.01%."
    if {_label(row) for row in shown if row["metric"] == metrics[-1]} != set(labels):
        words += " Empty lines: earlier runs without this rate."
    footnote(figure, "\n".join(filter(None, (words, earlier))), of_mixture)
    return figure
