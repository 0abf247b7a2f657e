"""Figure 12 of Carlini et al. (LiRA): a target's architecture and that of the shadow models, each with each.

Every model of every run is a target. It is attacked with the models of its own architecture and with those of each
other one. All are trained on 5/6 of the same examples. There are few OUT models, so LiRA takes one variance for all
examples, as in the paper. The paper's targets are pre-trained on all of CIFAR-10's training set.
"""

from collections.abc import Mapping

from experiments import runs
from experiments.reproduction import comparison_figure as comparison
from experiments.reproduction.measured import LIRA_SWEPT, Measured
from experiments.reproduction.outcome import Outcome, footnote
from experiments.reproduction.paper_numbers import beside
from mia_tf.analysis.result import FACTS, load_audit
from mia_tf.figures import attacks, style


def build(measured: Mapping[str, Measured]) -> Outcome:
    """Builds a row for every target and shadow architecture that have been attacked with each other."""
    rows = [row for target in measured.values() for shadow in measured.values() for row in pair_rows(target, shadow)]
    rows = beside("lira_figure12", rows)
    pairs = len({(row["target"], row["shadow"]) for row in rows})
    figure = style.new_figure(9.6, 1.3 + 0.28 * pairs)
    panels = figure.subplots(1, len(attacks.CHANCE), sharey=True)
    for ax, metric in zip(panels, attacks.CHANCE, strict=True):
        shown = [
            comparison.Pair(f"{row['target']} by {row['shadow']}", "all", _triple(row), _papers(row))
            for row in rows
            if row["metric"] == metric
        ]
        comparison.draw_comparison(ax, shown, attacks.LABELS[metric], logarithmic=metric != "auroc")
        ax.axvline(attacks.CHANCE[metric], color=style.GREY, linewidth=0.8, zorder=0)
    words = "Rows: a target's architecture by the shadow models'. LiRA online with one variance; 95% intervals."
    footnote(figure, words, measured, "lira_figure12")
    return Outcome({"": rows}, {"": figure})


def pair_rows(target: Measured, shadow: Measured) -> list[dict]:
    """AUROC and TPR of one architecture attacked with the models of one; none if it has not been."""
    audit = target.audit
    if target is not shadow:
        folder = runs.crossed(target.folder, shadow.folder)
        if not (folder / FACTS).exists():
            return []
        audit = load_audit(folder)
    return [
        {
            "target": target.arch,
            "shadow": shadow.arch,
            "attack": LIRA_SWEPT,
            "metric": metric,
            **dict(zip(("ours", "ci_low", "ci_high"), audit.metric(metric)[LIRA_SWEPT, "all"], strict=True)),
            "num_models": shadow.audit.num_models,
            "note": target.note,
        }
        for metric in attacks.CHANCE
    ]


def _papers(row: dict) -> tuple[float, float, float] | None:
    return (float(row["paper"]), float("nan"), float("nan")) if row["paper"] else None


def _triple(row: dict) -> tuple[float, float, float]:
    return row["ours"], row["ci_low"], row["ci_high"]
