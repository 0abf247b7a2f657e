"""An audit as lines of text for people."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from mia_tf.analysis.tables import rate_of, shown_metrics
from mia_tf.attacks.lira import FIXED_BELOW
from mia_tf.records import ALL, shown_populations

_CHOSEN = {
    "halves": "the strongest attack on the other targets",
    "only": "the only attack that was run",
    "recommended": "fixed before the results",
}
"""How the headline's attack was chosen -> words for it."""


def summary(attacks: pd.DataFrame, sweep: pd.DataFrame, epsilon: pd.DataFrame, about: dict) -> Iterator[str]:
    """The lines of an audit.

    Args:
        attacks, sweep, epsilon: its tables.
        about: what it says besides; see `result.Audit.about`.
    """
    if len(attacks):
        yield from metric_lines(attacks, ["attack"])
        yield "In percent, with 95% intervals; - if it cannot be resolved. One threshold for all targets."
        if any(metric.endswith("_per_target") for metric in shown_metrics(attacks)):
            yield "Per target: each target has its own threshold, as in LiRA's published code. It favours attackers."
    else:
        yield "Whether the target was trained on the examples is unknown: they have scores, and no attack was measured."
    if len(sweep):
        heading = "shadow models per side"
        yield from metric_lines(sweep.rename(columns={"num_shadow": heading}), ["attack", heading])
    yield from about["notes"]
    if about["recommended_scores"]:
        yield (
            f"With {about['num_models']} models the LiRA variant to trust is {about['recommended']}: "
            f"below {FIXED_BELOW} models one variance for all examples, from there on each example's own. "
            "The number of models alone says so, not these results."
        )
    elif about["num_models"] == 1:
        yield "One model alone: no memorization, no exposure, and only attacks that need no shadow models."
    else:
        yield "No example has shadow models that trained on it and some that did not: the online LiRA has no scores."
    if about["headline_fpr"] is not None:
        yield _headline(about["headline_fpr"], about.get("headline"))
    if len(epsilon):
        yield from epsilon_lines(epsilon)
    if about["stand_in"]:
        yield about["stand_in"]


def _headline(fpr: float, headline: Mapping | None) -> str:
    """What the headline is, and its value if it is resolved; audits of earlier versions have None."""
    rate = f"The headline is the true positive rate at {100 * fpr:g}% false positives"
    if headline is None:
        return f"{rate}."
    if not (triple := headline["measured"][ALL]["metrics"][f"tpr_at_fpr_{fpr:g}"]):
        return f"{rate}, which is not resolved."
    count = headline["measured"][ALL]["num_targets"]
    targets = f"{count} target" + ("" if count == 1 else "s")
    value, low, high = (f"{100 * share:.2f}" for share in triple)
    return f"{rate}: {value}% [{low}, {high}] by {headline['attack']}, {_CHOSEN[headline['chosen']]}, on {targets}."


def metric_lines(frame: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """A table of `shown_metrics`, in percent, like table 2 of Choi et al., of `shown_populations`.

    Args:
        frame: a table with the columns of attacks.csv.
        keys: the columns whose values make a row.
    """
    populations = shown_populations(frame["population"].unique())
    metrics = shown_metrics(frame)
    lines = [[*keys, *(f"{_heading(metric)} {population}" for metric in metrics for population in populations)]]
    columns = [*keys, "population", "metric"]
    cells = dict(
        zip(
            frame[columns].itertuples(index=False, name=None),
            frame[["value", "ci_low", "ci_high"]].itertuples(index=False, name=None),
            strict=True,
        )
    )
    for row in dict.fromkeys(key[: len(keys)] for key in cells):
        triples = [cells[(*row, population, metric)] for metric in metrics for population in populations]
        lines.append([*map(str, row), *("-" if np.isnan(value) else percent(value, *ends) for value, *ends in triples)])
    return _aligned(lines)


def _heading(metric: str) -> str:
    """What a column of a short table is called."""
    if metric == "auroc":
        return "AUROC"
    return f"TPR@{100 * rate_of(metric):g}%FPR{' per target' if metric.endswith('_per_target') else ''}"


def epsilon_lines(frame: pd.DataFrame) -> list[str]:
    """The bounds on epsilon."""
    populations = frame["population"].unique().tolist()
    bounds = frame.pivot(index="attack", columns="population", values="epsilon_lower")
    lines = [["attack", *(f"epsilon at least, {population}" for population in populations)]]
    for attack in frame["attack"].unique():
        values = [bounds.loc[attack, population] for population in populations]
        lines.append([attack, *("-" if np.isnan(value) else f"{value:.3f}" for value in values)])
    delta = frame["delta"].iloc[0]
    pairs = "" if frame["note"].str.startswith("one run").all() else ", the pairs taken for independent trials"
    return [*_aligned(lines), f"Each at delta = {delta:g} with 95% confidence by itself{pairs}."]


def _aligned(lines: list[list[str]]) -> list[str]:
    """Cells as columns of one width."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def percent(value: float, low: float, high: float) -> str:
    """A share and its interval in percent."""
    return f"{100 * value:.2f} [{100 * low:.2f}, {100 * high:.2f}]"
