"""What differential privacy (DP) cost and bought: a run beside others of the same examples and subsets."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mia_tf.analysis.dp_comparison import PLAIN, Comparison, compare
from mia_tf.analysis.passes import Progress
from mia_tf.records import ALL
from mia_tf.report.numbers import maybe, triple
from mia_tf.report.words import attack_label
from mia_tf.shadow.shadow_models import ShadowModels
from mia_tf.validation import InputError, fail, renamed


def compared(logdir: Path, others: Sequence[Path], seed: int, attacks: Sequence[str], progress: Progress) -> dict:
    """Compares a LOGDIR with others; one of them was trained without DP, the rest with it.

    Args:
        logdir: of the report.
        others: at least one LOGDIR of the same examples and subsets.
        seed: of the audits.
        attacks: names of the attacks to run.
        progress: shows how far the work is.

    Returns:
        `of_run`.

    Raises:
        InputError: not exactly one LOGDIR was trained without DP, or `mia_tf.compare` refuses them.
    """
    logdirs = [logdir, *others]
    opened = [ShadowModels.open(logdir), *(ShadowModels.open(path, argument="compare") for path in others)]
    private = [bool(record.models[0].hparams().get("dp")) for record in opened]
    if private.count(False) != 1:
        wanted = "must name runs of which, with --logdir, exactly one was trained without DP"
        fail("compare", ", ".join(map(str, others)), f"{wanted}; {private.count(False)} were")
    plain = private.index(False)
    dp = [path for position, path in enumerate(logdirs) if position != plain]
    names = _names([logdirs[plain], *dp])
    labels = [f"{names[0]} ({PLAIN})", *(f"{name} (DP)" for name in names[1:])]
    try:
        comparison = compare(logdirs[plain], dp, labels=labels, attacks=attacks, seed=seed, progress=progress)
    except InputError as error:
        if error.argument not in ("plain", "dp"):
            raise
        raise renamed(error, "compare", error.value) from None
    return of_run(comparison)


def _names(logdirs: Sequence[Path]) -> list[str]:
    """The folders' own names; their whole paths if two are alike."""
    names = [Path(os.path.abspath(path)).name for path in logdirs]
    return names if len(set(names)) == len(names) else [str(path) for path in logdirs]


def of_run(comparison: Comparison) -> dict:
    """The numbers of a comparison that a report shows.

    Returns:
        `attack`, whose differences are shown: the LiRA variant that the number of models recommends; `fpr`, the lowest
        rate that all runs resolve; `runs`, for each: label; tpr, auroc, memorization and accuracy, values with
        intervals; `minus`, the same minus that of the run without DP, paired; accuracy_of, epsilon_upper,
        epsilon_lower, delta and its own headline.
    """
    audits = comparison.audits
    attack = comparison.plain.about["recommended"]
    if not all((attack, ALL) in audit.evaluations for audit in audits.values()):
        attack = next(iter(comparison.plain.evaluations))[0]
    levels = {audit.about["headline_fpr"] for audit in audits.values()}
    fpr = None if None in levels else max(levels)
    metrics = {"auroc": "auroc"} | ({} if fpr is None else {"tpr": f"tpr_at_fpr_{fpr:g}"})
    split = "test" if all("test" in set(audit.accuracy["split"]) for audit in audits.values()) else "out"
    runs = []
    for label, audit in audits.items():
        row = {"label": label, "minus": {}}
        for name, metric in metrics.items():
            row[name] = triple(*audit.metric(metric)[attack, ALL])
            row["minus"][name] = _minus(comparison.differences, run=label, attack=attack, population=ALL, metric=metric)
        memorization = comparison.memorization.query("run == @label and group == @ALL").iloc[0]
        row["memorization"] = triple(memorization["mean"], memorization["ci_low"], memorization["ci_high"])
        row["minus"]["memorization"] = _minus(comparison.memorization, run=label, group=ALL)
        accuracy = audit.accuracies().get((split, ALL))
        row["accuracy"] = accuracy and triple(*accuracy)
        row["accuracy_of"] = split
        upper = comparison.upper_bounds.get(label, {})
        row["epsilon_upper"] = {name: maybe(bound) for name, bound in upper.items()}
        row["epsilon_lower"] = _lower(comparison, label, attack)
        head = audit.about["headline"]
        level = head["fpr"]
        row["headline"] = {
            "attack": attack_label(head["attack"]),
            "fpr": level,
            "tpr": None if level is None else head["measured"][ALL]["metrics"][f"tpr_at_fpr_{level:g}"],
        }
        runs.append(row)
    delta = float(comparison.epsilon["delta"].iloc[0])
    return {"attack": attack_label(attack), "fpr": fpr, "accuracy_of": split, "delta": delta, "runs": runs}


def _lower(comparison: Comparison, label: str, attack: str) -> float | None:
    """The lower bound on epsilon of one attack, which the results did not choose."""
    rows = comparison.epsilon
    rows = rows[(rows["run"] == label) & (rows["attack"] == attack) & (rows["population"] == ALL)]
    return maybe(rows["epsilon_lower"].iloc[0]) if len(rows) else None


def _minus(table, **wanted: str) -> list[float | None] | None:
    """The difference from the run without DP in the row of a table; None if there is none."""
    rows = table[np.logical_and.reduce([table[name] == value for name, value in wanted.items()])]
    columns = ["minus_plain", "minus_plain_low", "minus_plain_high"]
    return triple(*rows[columns].iloc[0]) if len(rows) else None
