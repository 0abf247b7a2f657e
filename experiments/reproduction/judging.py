"""The papers' claims, each decided on the CSVs of the tables and figures: a difference, its interval, a verdict."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

Triple = tuple[float, float, float]
"""A number with the ends of its 95% interval."""
ATTACKS = ("yeom", "shokri", "sablayrolles", "song", "carlini")
OTHERS = ATTACKS[:-1]
STRONG = 0.6
"""Spearman's correlation from here on is strong (section 4.1)."""
FEW, CLOSE = 4, 0.02
"""Shadow models a side that suffice for singletons if they come this close to the AUROC of all (section 7: 5)."""
_TAIL = 0.025
"""Of a 95% interval."""
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

    def among(self, number: int) -> "Finding":
        """The same as one of so many comparisons: its interval as wide as Bonferroni asks of a normal estimate."""
        factor = ndtri(1 - _TAIL / number) / ndtri(1 - _TAIL)
        return replace(self, value=tuple(self.value[0] + factor * (end - self.value[0]) for end in self.value))


CLAIMS = {
    "under": "Every attack does better on under-represented examples than on all (AUROC).",
    "order": "Singletons are easier to attack than a subpopulation, and that than random under-represented examples "
    "(AUROC on them).",
    "lira": "LiRA beats the other four attacks of the paper (AUROC).",
    "ood": "OOD scores do not correlate strongly with the privacy score (absolute value of Spearman's correlation "
    f"below {STRONG:g}; in the paper below 0.4 or at most 0.551).",
    "memorization": f"Memorization correlates strongly with the privacy score (Spearman's correlation of {STRONG:g} "
    "or more).",
    "better": "Memorization correlates better with the privacy score than OOD scores do (difference of the two).",
    "few": f"For singletons {FEW} shadow models a side suffice (AUROC of LiRA with one variance within {CLOSE:g} of "
    "that with all).",
    "fewer": "With one shadow model a side LiRA with one variance loses less AUROC on singletons than on random "
    "under-represented examples.",
}
"""What is claimed; Choi et al., sections 4 and 7."""


def difference(a: Triple, b: Triple) -> Triple:
    """a - b of different models and examples, with an interval made of theirs (Zou and Donner, 2008)."""
    value = a[0] - b[0]
    low = value - np.hypot(a[0] - a[1], b[2] - b[0])
    return value, low, value + np.hypot(a[2] - a[0], b[0] - b[1])


def attack_findings(rows: Sequence[Mapping[str, str]], compared: Sequence[Mapping[str, str]] = ()) -> Iterator[Finding]:
    """Of tables 2, 3 and 5, the rows and the paired differences: the claims "under", "order" and "lira"."""
    cells = {
        (row["mixture"], row["selection"], row["attack"], row["population"]): (_triple(row), float(row["paper"]))
        for row in rows
        if row["metric"] == "auroc" and row["attack"] and row["ours"]
    }
    paired = {
        (
            *(row["mixture"], row["selection"]),
            (row["attack"], row["other_attack"]),
            (row["population"], row["other_population"]),
        ): _triple(row, "difference")
        for row in compared
    }
    runs = dict.fromkeys(key[:2] for key in cells)
    for run in runs:
        for attack in ATTACKS:
            value = paired.get((*run, (attack, attack), ("under", "all")))
            if value:
                paper = _papers(cells[*run, attack, "under"], cells[*run, attack, "all"])
                yield Finding("under", *run, attack, value, paper)
        for population in ("under", "all"):
            found = {name: cells.get((*run, name, population)) for name in ATTACKS}
            values = {name: paired.get((*run, ("carlini", name), (population, population))) for name in OTHERS}
            others = {name: found[name] for name, value in values.items() if value}
            if others:
                best = max(others, key=lambda name: others[name][0][0])
                best_of_paper = max(others, key=lambda name: others[name][1])
                theirs = "" if others[best_of_paper][1] == others[best][1] else f" (the paper's is {best_of_paper})"
                case = f"{population}, best other {best}{theirs}"
                yield Finding("lira", *run, case, values[best], _papers(found["carlini"], others[best_of_paper]))
    for mixture in dict.fromkeys(mixture for mixture, _ in runs):
        for more, less in _ORDER:
            for attack in ATTACKS:
                a, b = (cells.get((mixture, selection, attack, "under")) for selection in (more, less))
                if a and b:
                    yield Finding("order", mixture, f"{more} - {less}", attack, difference(a[0], b[0]), _papers(a, b))


def correlation_findings(
    rows: Sequence[Mapping[str, str]], compared: Sequence[Mapping[str, str]] = ()
) -> Iterator[Finding]:
    """Of figures 1, 2 and 5, the rows and figure 2's paired differences: "ood", "memorization" and "better"."""
    for row in rows:
        if not row["spearman"] or row["group"] == "over":  # nearly all of "all", and tied at memorization 0
            continue
        (other,) = {row["x"], row["y"]} - {"privacy_score"}
        value, run = _triple(row, "spearman"), (row["mixture"], row["selection"])
        if other == "memorization":
            yield Finding("memorization", *run, row["group"], value, np.nan, STRONG)
            continue
        if value[0] < 0:  # strong or not, whatever its sign (section 4.1)
            value = tuple(-end for end in (value[0], value[2], value[1]))
        yield Finding("ood", *run, f"{row['group']}, {other}", value, np.nan, STRONG, above=False)
    for row in compared:
        case = f"{row['group']}, {row['detector']}"
        yield Finding("better", row["mixture"], row["selection"], case, _triple(row, "difference"), np.nan)


def sweep_findings(compared: Sequence[Mapping[str, str]]) -> Iterator[Finding]:
    """Of figure 3's paired differences between all shadow models and few: the claims "few" and "fewer"."""
    losses = {(row["mixture"], row["selection"], row["num_shadow"]): _triple(row, "difference") for row in compared}
    for mixture in dict.fromkeys(key[0] for key in losses):
        few = losses.get((mixture, "singletons", str(FEW)))
        if few:
            case = f"AUROC with all less AUROC with {FEW} a side"
            yield Finding("few", mixture, "singletons", case, few, 0.0, CLOSE, above=False)
        ones = [losses.get((mixture, selection, "1")) for selection in ("random", "singletons")]
        if all(ones):  # of different models
            yield Finding("fewer", mixture, "random - singletons", "loss of AUROC", difference(*ones), np.nan)


def _triple(row: Mapping[str, str], column: str = "ours") -> Triple:
    return tuple(float(row[name]) if row[name] else np.nan for name in (column, "ci_low", "ci_high"))


def _papers(a: tuple[Triple, float], b: tuple[Triple, float]) -> float:
    """The paper's difference."""
    return round(a[1] - b[1], 6)
