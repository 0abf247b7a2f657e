"""The papers' claims, each decided on the CSVs of the tables and figures: a difference, its interval, a verdict."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Triple = tuple[float, float, float]
"""A number with the ends of its 95% interval."""
ATTACKS = ("yeom", "shokri", "sablayrolles", "song", "carlini")
OTHERS = ATTACKS[:-1]
STRONG = 0.6
"""Spearman's correlation from here on is strong (section 4.1)."""
FEW, CLOSE = 4, 0.02
"""Shadow models a side that suffice for singletons if they come this close to the AUROC of all (section 7: 5)."""
_ORDER = (("singletons", "subpopulation"), ("subpopulation", "random"), ("singletons", "random"))


@dataclass(frozen=True)
class Finding:
    """One comparison.

    Attributes:
        claim: a key of CLAIMS.
        mixture, selection: where.
        case: what is compared, for people.
        value: the difference, or what else the claim is about, with its interval.
        paper: the same number of the paper, NaN where its text has none.
        threshold: what the claim says the number is above; below where `above` is false.
        above: whether the claim holds above the threshold.
    """

    claim: str
    mixture: str
    selection: str
    case: str
    value: Triple
    paper: float
    threshold: float = 0
    above: bool = True

    @property
    def verdict(self) -> str:
        """ "holds" or "fails" where the whole interval lies on one side of the threshold, else "undecided"."""
        _, low, high = self.value
        if np.isnan(low) or np.isnan(high):
            return "undecided"
        beyond = low > self.threshold if self.above else high < self.threshold
        short = high <= self.threshold if self.above else low >= self.threshold
        return "holds" if beyond else "fails" if short else "undecided"


CLAIMS = {
    "under": "Every attack does better on under-represented examples than on all (AUROC).",
    "order": "Singletons are easier to attack than a subpopulation, and that than random under-represented examples "
    "(AUROC on them).",
    "lira": "LiRA beats the other four attacks of the paper (AUROC).",
    "ood": "OOD scores do not correlate strongly with the privacy score (absolute value of Spearman's correlation "
    f"below {STRONG:g}).",
    "memorization": f"Memorization correlates strongly with the privacy score (Spearman's correlation of {STRONG:g} "
    "or more).",
    "better": "Memorization correlates better with the privacy score than OOD scores do (difference of the two).",
    "few": f"For singletons {FEW} shadow models a side suffice (AUROC of LiRA within {CLOSE:g} of that with all).",
    "fewer": "With one shadow model a side the AUROC of LiRA loses less on singletons than on random "
    "under-represented examples.",
}
"""What is claimed; Choi et al., sections 4 and 7."""


def difference(a: Triple, b: Triple) -> Triple:
    """a - b with an interval made of theirs (Zou and Donner, 2008), for independent estimates.

    Where the two are of the same models and examples they go up and down together, and the interval is too wide.
    """
    value = a[0] - b[0]
    low = value - np.hypot(a[0] - a[1], b[2] - b[0])
    return value, low, value + np.hypot(a[2] - a[0], b[0] - b[1])


def attack_findings(rows: Sequence[Mapping[str, str]]) -> Iterator[Finding]:
    """Of the rows of tables 2, 3 and 5: the claims "under", "order" and "lira"."""
    cells = {
        (row["mixture"], row["selection"], row["attack"], row["population"]): (_triple(row), float(row["paper"]))
        for row in rows
        if row["metric"] == "auroc" and row["attack"] and row["ours"]
    }
    runs = dict.fromkeys(key[:2] for key in cells)
    for mixture, selection in runs:
        for attack in ATTACKS:
            pair = [cells.get((mixture, selection, attack, population)) for population in ("under", "all")]
            if all(pair):
                yield Finding("under", mixture, selection, attack, *_both(*pair))
        for population in ("under", "all"):
            lira = cells.get((mixture, selection, "carlini", population))
            found = {name: cells.get((mixture, selection, name, population)) for name in OTHERS}
            found = {name: cell for name, cell in found.items() if cell}
            if lira and found:
                best = max(found, key=lambda name: found[name][0][0])
                best_of_paper = max(paper for _, paper in found.values())
                value = difference(lira[0], found[best][0])
                case = f"{population}, best other {best}"
                yield Finding("lira", mixture, selection, case, value, lira[1] - best_of_paper)
    for mixture in dict.fromkeys(mixture for mixture, _ in runs):
        for more, less in _ORDER:
            for attack in ATTACKS:
                pair = [cells.get((mixture, selection, attack, "under")) for selection in (more, less)]
                if all(pair):
                    yield Finding("order", mixture, f"{more} - {less}", attack, *_both(*pair))


def correlation_findings(rows: Sequence[Mapping[str, str]]) -> Iterator[Finding]:
    """Of the rows of figures 1, 2 and 5: the claims "ood", "memorization" and "better"."""
    found = {}
    for row in rows:
        if row["spearman"]:
            (other,) = {row["x"], row["y"]} - {"privacy_score"}
            found[row["mixture"], row["selection"], row["group"], other] = _triple(row, "spearman")
    for (mixture, selection, group, other), value in found.items():
        if group == "over":  # nearly all of "all", and tied at memorization 0
            continue
        if other == "memorization":
            yield Finding("memorization", mixture, selection, group, value, np.nan, STRONG)
            continue
        if value[0] < 0:  # strong or not, whatever its sign (section 4.1)
            value = tuple(-end for end in (value[0], value[2], value[1]))
        yield Finding("ood", mixture, selection, f"{group}, {other}", value, np.nan, STRONG, above=False)
        if (mixture, selection, group, "memorization") in found:
            better = difference(found[mixture, selection, group, "memorization"], value)
            yield Finding("better", mixture, selection, f"{group}, {other}", better, np.nan)


def sweep_findings(rows: Sequence[Mapping[str, str]], attack: str) -> Iterator[Finding]:
    """Of the rows of figure 3: the claims "few" and "fewer"."""
    found = {
        (row["mixture"], row["selection"], row["num_shadow"]): _triple(row)
        for row in rows
        if row["attack"] == attack and row["ours"]
    }
    for mixture in dict.fromkeys(key[0] for key in found):
        everything = found.get((mixture, "singletons", "all"))
        few = found.get((mixture, "singletons", str(FEW)))
        if everything and few:
            case = f"AUROC with all less AUROC with {FEW} a side"
            value = difference(everything, few)
            yield Finding("few", mixture, "singletons", case, value, 0.0, CLOSE, above=False)
        losses = [
            difference(found[mixture, selection, "all"], found[mixture, selection, "1"])
            for selection in ("random", "singletons")
            if {(mixture, selection, "all"), (mixture, selection, "1")} <= found.keys()
        ]
        if len(losses) == 2:
            yield Finding("fewer", mixture, "random - singletons", "loss of AUROC", difference(*losses), np.nan)


def _triple(row: Mapping[str, str], column: str = "ours") -> Triple:
    return tuple(float(row[name]) if row[name] else np.nan for name in (column, "ci_low", "ci_high"))


def _both(a: tuple[Triple, float], b: tuple[Triple, float]) -> tuple[Triple, float]:
    """Ours and the paper's difference."""
    return difference(a[0], b[0]), round(a[1] - b[1], 6)
