"""The page of `experiments.open_questions.vacuous_guarantees`: every number in it is a cell of its CSVs."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

Row = Mapping
TITLES = {"none": "no DP", "clip": "clipping alone"}
"""What the page calls the points that have no epsilon."""
_VACUOUS = 100.0
"""From this epsilon on a guarantee says next to nothing."""
_TEXT = """# What do vacuous guarantees of differential privacy do against a strong attack?

{answer}

    python -m experiments.open_questions.vacuous_guarantees --runs runs/frontier --data_dir DATA

MNIST + SVHN ({dataset}), 3,000 + 150 examples, {num_models} models of cnn8-3-max per point; 20 epochs of batches of
64 at rate 0.2, pkeep 0.5, seed 0; bootstrap seed {seed}. All points share the examples, the subsets, the seeds and
every setting but the noise. With pkeep 0.5 an example has 8 models on each side, and training costs least. DP-SGD clips
to norm 1 and draws Poisson batches; delta is {delta:g}. Without DP batches are cut from permutations, and a step's mean
gradient is limited to norm 1, the default: without this limit trials at rates 0.1 and 0.2 diverged. Every model is
attacked in turn with all others. Intervals are 95%; differences are paired. All numbers are in
[vacuous_guarantees.csv](vacuous_guarantees.csv).
The SVHN digits are those of all pages here ([data](../README.md#what-was-run)): 10% were
cropped again, and 35% of the test images are ones.

![Leak against accuracy, with epsilon at each point](vacuous_guarantees.png)

{missing}## Accuracy and memorization

In percent; memorization is the mean of the group.

{accuracy}

## Attacks

{attack_name}, on the under-represented examples ({pairs}), in percent.
The lower bound on epsilon is that of the same attack, with 95% confidence.

{attacks}

What each point changes of that AUROC, in points:

{differences}

## One model beside the accountant

Each row has the bound of Steinke et al. (2023) from ONE model, whose examples were chosen by fair coins: 20,000 + 1,000
examples, all of them canaries, the recipes of [figure 4](../figure4/README.md), pkeep 0.5, seed 1. The score is minus
the loss, because one model has no shadow models. Bounds have 95% confidence; rows in
[vacuous_guarantees_one_run.csv](vacuous_guarantees_one_run.csv). Noise 1.3 has another epsilon here than the 3.2 of
figure 4, because models are trained on half of the examples, not on 70%.

{one_run}

- A lower bound of 0 does not say that nothing leaks. A stronger attack, or more canaries, may show more.
- RDP's epsilon is an upper bound. PLD's is tighter, and far below it if the noise is small.
- One learning rate serves all points. It suits none of them best, and the private ones may want another.
- One mixture, one network and one seed were measured. Attackers who know the noise or see the steps are stronger.
"""


def page(attack: str, attack_name: str, table: Sequence[Row], single: Sequence[Row], missing: Sequence[str]) -> str:
    """Returns the page as Markdown.

    Args:
        attack: whose leak the page shows, and what it is called.
        attack_name: as above.
        table: rows of vacuous_guarantees.csv, by column.
        single: rows of vacuous_guarantees_one_run.csv, by column.
        missing: points and runs of one model that are not complete.
    """
    cells = {(row["point"], row["quantity"], row["of"], row["population"], row["metric"]): row for row in table}
    points = list(dict.fromkeys(row["point"] for row in table))
    first = table[0]
    auroc = {point: cells[point, "attack", attack, "under", "auroc"] for point in points}
    some = auroc[points[0]]
    left_out = f"Not complete yet, and left out: {', '.join(missing)}. The same command goes on.\n\n" if missing else ""
    return _TEXT.format(
        answer=answer(auroc, attack_name, missing),
        missing=left_out,
        dataset=first["dataset"],
        num_models=first["num_models"],
        seed=first["seed"],
        delta=first["delta"],
        attack_name=attack_name,
        pairs=f"{some['num_members']:,} member and {some['num_nonmembers']:,} non-member pairs",
        accuracy=_table(
            ("point", "noise", "epsilon, RDP", "PLD", *_ACCURACY), (_accuracy(point, cells) for point in points)
        ),
        attacks=_table(("point", *_ATTACK), (_attack(point, attack, cells) for point in points)),
        differences=_table(("point", "minus no DP", "minus clipping alone"), _differences(auroc)),
        one_run=_table(("noise", "epsilon, RDP", "PLD", "all", "MNIST", "SVHN"), _single(single)),
    )


def answer(auroc: Mapping[str, Row], attack_name: str, missing: Sequence[str]) -> str:
    """The first sentences, which answer the question by AUROC on the under-represented examples.

    Args:
        auroc: point -> its row; "none" and, for an answer, "clip" and points with a large epsilon.
        attack_name: what the attack is called.
        missing: what is not complete.
    """
    vacuous = [point for point, row in auroc.items() if _VACUOUS <= row["epsilon_rdp"] < np.inf]
    if "clip" not in auroc or not vacuous:
        return f"This cannot be answered yet: {', '.join(missing)} are not trained."
    helped = [point for point in vacuous if auroc[point]["minus_clip_high"] < 0]
    leaking = [point for point in vacuous if auroc[point]["ci_low"] > 0.5]
    clipped = auroc["clip"]
    how = "lowers" if clipped["minus_none_high"] < 0 else "does not measurably change"
    values = "; ".join(f"{_percent(auroc[point])} at epsilon {point}" for point in vacuous)
    lead = "They weaken the attack" if helped else "Their noise has no effect that this small run can show"
    noise = f"Noise lowers it further at epsilon {_list(helped)}" if helped else "Noise does not lower it measurably"
    rest = [point for point in vacuous if point not in helped]
    also = f", and not measurably at {_list(rest)}" if helped and rest else ""
    still = f"The attack still beats guessing at epsilon {_list(leaking)}." if leaking else ""
    return (
        f"{lead}. Clipping alone {how} the AUROC of {attack_name},\n"
        f"on the under-represented examples: it goes from {_percent(auroc['none'])} to {_percent(clipped)}.\n"
        f"{noise}{also}.\n"
        f"The AUROC is {values}.\n"
        f"{still}"
    )


_ACCURACY = ("test, MNIST", "test, SVHN", "members, SVHN", "non-members, SVHN", "memorization, MNIST", "SVHN")
_ATTACK = ("AUROC", "TPR at 1% FPR", "TPR at 0.1% FPR", "per target", "epsilon at least, SVHN", "all")


def _accuracy(point: str, cells: Mapping) -> Iterator[str]:
    row = next(row for key, row in cells.items() if key[0] == point)
    yield TITLES.get(point, f"epsilon {point}")
    yield from (_number(row[name]) for name in ("noise_multiplier", "epsilon_rdp", "epsilon_pld"))
    for split, group in (("test", "over"), ("test", "under"), ("train", "under"), ("out", "under")):
        yield _percent(cells.get((point, "accuracy", split, group, "mean")))
    for group in ("over", "under"):
        yield _percent(cells[point, "memorization", "", group, "mean"])


def _attack(point: str, attack: str, cells: Mapping) -> Iterator[str]:
    yield TITLES.get(point, f"epsilon {point}")
    for metric in ("auroc", "tpr_at_fpr_0.01", "tpr_at_fpr_0.001", "tpr_at_fpr_0.001_per_target"):
        yield _percent(cells[point, "attack", attack, "under", metric])
    for population in ("under", "all"):
        yield _number(cells[point, "epsilon_lower", attack, population, ""]["value"])


def _differences(auroc: Mapping[str, Row]) -> Iterator[tuple]:
    for point, row in auroc.items():
        if point != "none":
            yield TITLES.get(point, f"epsilon {point}"), _percent(row, "minus_none"), _percent(row, "minus_clip")


def _single(single: Sequence[Row]) -> Iterator[tuple]:
    for point in dict.fromkeys(row["point"] for row in single):
        rows = {row["population"]: row for row in single if row["point"] == point}
        upper = (_number(rows["all"][name]) for name in ("epsilon_rdp", "epsilon_pld"))
        lower = (_number(rows[population]["epsilon_lower"]) for population in ("all", "over", "under"))
        yield ("no DP" if point == "none" else point, *upper, *lower)


def _table(header: Sequence[str], lines: Iterator) -> str:
    """A table in Markdown."""
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _percent(row: Row | None, name: str = "") -> str:
    """A share and its interval in percent; nothing if it was not measured."""
    keys = (name, f"{name}_low", f"{name}_high") if name else ("value", "ci_low", "ci_high")
    if row is None or np.isnan(row[keys[0]]):
        return ""
    value, low, high = (100 * row[key] for key in keys)
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def _number(value: float | None) -> str:
    """Three digits; nothing for a missing number."""
    if value is None or np.isnan(value):
        return ""
    return "none" if np.isinf(value) else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _list(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
