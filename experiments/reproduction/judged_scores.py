"""Claims that are judged on figures and on tables 1 and 4: accuracy, privacy scores, memorization, OOD scores."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from experiments.reproduction.judging import Finding, Row, Triple, difference, share, triple, whatever_its_sign

STRONG, WEAK, AT_MOST = 0.6, 0.4, 0.551
"""Spearman's correlations: the paper's words (section 4.1), and the largest of its Figure 1."""
TRAIN, TEST = 0.8, 0.5
PKEEP = 0.7
NONE_ABOVE = 0.01
AROUND_0 = 0.5
_HALF = 0.5
_NORMAL = 1.959964
Place = tuple[str, str]
"""Mixture and selection."""


def accuracy_findings(
    source: str, rows: Sequence[Row], pkeep: Mapping[Place, float] | None = None
) -> Iterator[Finding]:
    """Of table 1: whether models of MNIST and a random D_U have a reasonable accuracy.

    Accuracy on all of D^tr is a share of members and others. So runs of another pkeep than the paper's are left out.
    """
    pkeep = pkeep or {}
    for row in rows:
        if row["ours"] and row["split"] in ("pool", "test") and row["mixture"].startswith("mnist_"):
            if row["split"] == "pool" and pkeep.get((row["mixture"], "random"), PKEEP) != PKEEP:
                continue
            claim, threshold = ("train_accuracy", TRAIN) if row["split"] == "pool" else ("test_accuracy", TEST)
            paper = float(row["paper"]) if row["paper"] else np.nan
            yield Finding(claim, row["mixture"], "random", row["group"], triple(row), paper, source, threshold)


def correlation_findings(tables: Mapping[str, Sequence[Row]]) -> Iterator[Finding]:
    """Of figures 1, 2, 5, 9 and 10: "msp", "ood", "memorization" and "no_correlation".

    Args:
        tables: source -> rows.
    """
    for source, rows in tables.items():
        for row in rows:
            if not row["spearman"] or row["group"] == "over":  # nearly all of "all", and tied at memorization 0
                continue
            pair, place = {row["x"], row["y"]}, (row["mixture"], row["selection"])
            value, size = triple(row, "spearman"), whatever_its_sign(triple(row, "spearman"))
            if pair == {"memorization", "privacy_score"}:
                # The paper's red points are D_U; of the others, nine in ten digits tie at memorization 0.
                if row["group"] != "under" or _is_cut(row):
                    continue
                yield Finding("memorization", *place, row["group"], value, np.nan, source, STRONG)
                continue
            (detector,) = pair - {"memorization", "privacy_score"}
            about = (*place, f"{row['group']}, {detector}", size, np.nan, source)
            if "memorization" in pair:
                yield Finding("no_correlation", *about, WEAK, above=False)
                continue
            yield Finding("ood", *about, STRONG, above=False)
            if detector == "ood_msp":
                yield Finding("msp", *about, AT_MOST, above=False)


def better_findings(source: str, rows: Sequence[Row]) -> Iterator[Finding]:
    """Of figure 2's paired differences: "better"."""
    for row in rows:
        if _is_cut(row):
            continue
        case = f"{row['group']}, {row['detector']}"
        yield Finding("better", row["mixture"], row["selection"], case, triple(row, "difference"), np.nan, source)


def _is_cut(row: Row) -> bool:
    """Whether a row of figure 2 is of singletons alone: their memorization is cut at a threshold, which weakens it."""
    return row["selection"] == "singletons" and row["group"] == "under"


def privacy_findings(source: str, rows: Sequence[Row]) -> Iterator[Finding]:
    """Of figure 1's distribution of privacy scores: "majority", "overlap" and "below_2"."""
    for place, groups in by_group(rows).items():
        over, under = groups["over"], groups["under"]
        value = difference(mean(under), mean(over))
        yield Finding("majority", *place, "mean of D_U minus mean of D_O", value, np.nan, source)
        beyond = share(float(over["share_above_1"]), int(over["n"]))
        yield Finding("overlap", *place, "share of D_O above 1", beyond, np.nan, source)
        within = share(1 - float(under["share_above_1"]), int(under["n"]))
        yield Finding("overlap", *place, "share of D_U up to 1", within, np.nan, source)
        low = share(1 - float(under["share_above_2"]), int(under["n"]))
        yield Finding("below_2", *place, "share of D_U up to 2", low, np.nan, source, _HALF)


def memorization_findings(
    source: str, rows: Sequence[Row], epochs: Mapping[Place, int] | None = None
) -> Iterator[Finding]:
    """Of figure 9's distribution of memorization: "low_regime", "high_regime" and "separation"."""
    epochs, by_place = epochs or {}, by_group(rows)
    apart = {place: difference(mean(groups["under"]), mean(groups["over"])) for place, groups in by_place.items()}
    for (mixture, selection), groups in by_place.items():
        if selection == "random":
            over, under = groups["over"], groups["under"]
            low = share(1 - float(over["share_above_0.5"]), int(over["n"]))
            high = share(float(under["share_above_0.5"]), int(under["n"]))
            place = mixture, selection
            yield Finding("low_regime", *place, "share of D_O up to 0.5", low, np.nan, source, _HALF)
            yield Finding("high_regime", *place, "share of D_U above 0.5", high, np.nan, source, _HALF)
        elif selection == "singletons" and (mixture, "random") in by_place:
            places = (mixture, selection), (mixture, "random")
            value = difference(*(apart[place] for place in places))
            equal = len({epochs.get(place) for place in places}) == 1
            case, name = "mean of D_U minus mean of D_O", f"{selection} - random"
            yield Finding("separation", mixture, name, case, value, np.nan, source, comparable=equal)


def long_tail_findings(source: str, rows: Sequence[Row]) -> Iterator[Finding]:
    """Of figure 6: "long_tail" and "below_06"."""
    for row in rows:
        n, place = int(row["n"]), (row["mixture"], row["selection"])
        if row["selection"] == "none":
            value = tuple(end - float(row["median"]) for end in mean(row))
            yield Finding("long_tail", *place, "mean minus median", value, np.nan, source)
        elif row["mixture"] == "cifar10_cifar100":
            value, case = share(float(row["share_above_0.6"]), n), f"{row['group']}, share above 0.6"
            yield Finding("below_06", *place, case, value, 0.0, source, NONE_ABOVE, above=False)


def onion_findings(
    source: str, rows: Sequence[Row], accuracy_source: str, accuracy: Sequence[Row]
) -> Iterator[Finding]:
    """Of the privacy onion: "onion_new" and "onion_error"."""
    place = "mnist_svhn", "onion - control"
    for row in rows:
        yield Finding("onion_new", *place, row["group"], triple(row, "change"), np.nan, source)
    for row in accuracy:
        if row["group"] == "under":
            value = triple(row, "change")
            yield Finding("onion_error", *place, "under", value, np.nan, accuracy_source, above=False)


def shift_findings(source: str, rows: Sequence[Row]) -> Iterator[Finding]:
    """Of LiRA's figure 13: "around_0", "cinic", "between" and "mislabeled"."""
    mixtures = {place[0]: groups for place, groups in by_group(rows).items()}
    for row in rows:
        if row["group"] == "over":  # also of CIFAR-10 alone
            place = row["mixture"], row["selection"]
            yield Finding("around_0", *place, "over", mean(row), np.nan, source, AROUND_0, above=False)
    cinic, between, wrong = (
        mixtures.get(f"cifar10_{name}", {}).get("under") for name in ("cinic10", "cifar100_random", "mislabeled")
    )
    if cinic:
        value = difference(mean(cinic), mean(mixtures["cifar10_cinic10"]["over"]))
        yield Finding("cinic", "cifar10_cinic10", "random", "under - over", value, np.nan, source)
    for claim, more, less, mixture in (
        ("mislabeled", wrong, cinic, "cifar10_mislabeled"),
        ("between", between, cinic, "cifar10_cifar100_random"),
        ("between", wrong, between, "cifar10_mislabeled"),
    ):
        if more and less:
            case = f"under - under of {less['mixture']}"
            yield Finding(claim, mixture, "random", case, difference(mean(more), mean(less)), np.nan, source)


def by_group(rows: Sequence[Row]) -> dict[Place, dict[str, Row]]:
    """Mixture and selection -> group -> row."""
    places = {}
    for row in rows:
        places.setdefault((row["mixture"], row["selection"]), {})[row["group"]] = row
    return {place: groups for place, groups in places.items() if {"over", "under"} <= groups.keys()}


def mean(row: Row) -> Triple:
    """The mean of a distribution's row, with its interval over examples."""
    value, half = float(row["mean"]), _NORMAL * float(row["mean_se"])
    return value, value - half, value + half
