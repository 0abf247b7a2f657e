"""The papers' claims and how they are judged: a number with its interval, a threshold, a verdict.

The claims are in experiments/paper/claims.csv, in the words of the papers. `judged_attacks`, `judged_scores` and
`judged_theory` find the numbers in the CSVs of the tables and figures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri
from scipy.stats import binomtest

from experiments.reproduction import paper_numbers

Triple = tuple[float, float, float]
"""A number with the ends of its 95% interval."""
Row = Mapping[str, str]
ATTACKS = ("yeom", "shokri", "sablayrolles", "song", "carlini")
OTHERS = ATTACKS[:-1]
VERDICTS = ("holds", "fails", "undecided", "not comparable", "cannot be judged at this scale", "not measured here")
_TAIL = 0.025
"""Of a 95% interval."""


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper.

    Attributes:
        claim: short name.
        paper: "choi" or "lira".
        section: where the sentence stands.
        quote: its words.
        reading: what is measured, and when the claim holds; empty if nothing can be measured.
        need: in which comparisons it must hold: "all", "most" or "some".
        stated: the paper's number; empty if the text has none.
        min_models: number of models that a judgement needs; 0 for any.
        max_models: number of models above which a run is not what the claim is about; 0 for any.
        runs: names of runs of `experiments.runs` whose comparisons are missing if they are not made.
        remark: what else a reader must know.
    """

    claim: str
    paper: str
    section: str
    quote: str
    reading: str
    need: str
    stated: str
    min_models: int
    max_models: int
    runs: tuple[str, ...]
    remark: str

    def counted(self, findings: Sequence["Finding"]) -> list["Finding"]:
        """Returns those of its comparisons that have enough models, and not too many."""
        most = self.max_models or np.inf
        return [
            finding for finding in findings if not finding.num_models or self.min_models <= finding.num_models <= most
        ]

    def verdict(self, findings: Sequence["Finding"], num_models: int, number: int = 1) -> str:
        """Returns one of VERDICTS.

        Args:
            findings: the comparisons of this claim.
            num_models: the most models that a run is planned with.
            number: of comparisons among which each is one (`Finding.among`). If some must hold, at least this claim's.
        """
        enough = self.counted(findings)
        if num_models < self.min_models or (findings and not enough):
            return "cannot be judged at this scale"
        if not enough:
            return "not measured here"
        compared = [finding for finding in enough if finding.comparable]
        # One of many comparisons would hold by chance.
        number = max(number, len(compared) if self.need == "some" else 1)
        verdicts = [finding.among(number).verdict for finding in compared]
        if not verdicts:
            return "not comparable"
        holds, fails, count = verdicts.count("holds"), verdicts.count("fails"), len(verdicts)
        needed = {"all": count, "most": count // 2 + 1, "some": 1}[self.need]
        return "holds" if holds >= needed else "fails" if count - fails < needed else "undecided"


@dataclass(frozen=True)
class Finding:
    """One comparison.

    Attributes:
        claim: name of the claim.
        mixture, selection: where; two selections that are compared stand as "MORE - LESS".
        case: what is compared, for people.
        value: the difference, or what else the claim is about, with its interval.
        paper: the same number of the paper, NaN if its text has none.
        source: the CSV that it is from, below experiments/results.
        threshold: what the claim says the number is above; below if `above` is false.
        above: whether the claim holds above the threshold.
        comparable: whether the models on both sides were trained equally long.
        scale: of the runs.
        num_models: of the run, the fewer of two runs; 0 if the CSVs do not say.
    """

    claim: str
    mixture: str
    selection: str
    case: str
    value: Triple
    paper: float
    source: str = ""
    threshold: float = 0
    above: bool = True
    comparable: bool = True
    scale: str = ""
    num_models: int = 0

    @property
    def selections(self) -> list[str]:
        """The selection, or the two that are compared."""
        return self.selection.split(" - ")

    @property
    def verdict(self) -> str:
        """ "holds" or "fails" if the whole interval lies on one side of the threshold, else "undecided"."""
        if not self.comparable:
            return "not comparable"
        _, low, high = self.value
        if np.isnan(low) or np.isnan(high):
            return "undecided"
        beyond = low > self.threshold if self.above else high < self.threshold
        short = high <= self.threshold if self.above else low >= self.threshold
        return "holds" if beyond else "fails" if short else "undecided"

    def among(self, number: int) -> "Finding":
        """The same as one of `count` comparisons: its interval as wide as Bonferroni asks of a normal estimate."""
        factor = ndtri(1 - _TAIL / number) / ndtri(1 - _TAIL)
        return replace(self, value=tuple(self.value[0] + factor * (end - self.value[0]) for end in self.value))


def _claim(row: Row) -> Claim:
    limits = {name: int(row[name] or 0) for name in ("min_models", "max_models")}
    changed = {**limits, "runs": tuple(row["runs"].split())}
    return Claim(**{**row, **changed})


CLAIMS = {row["claim"]: _claim(row) for row in paper_numbers.table("claims")}
"""Every claim of the papers' texts, in their order."""


def difference(a: Triple, b: Triple) -> Triple:
    """a - b of different models and examples, with an interval made of theirs (Zou and Donner, 2008)."""
    value = a[0] - b[0]
    low = value - np.hypot(a[0] - a[1], b[2] - b[0])
    return value, low, value + np.hypot(a[2] - a[0], b[0] - b[1])


def share(of: float, n: int) -> Triple:
    """A share of n examples with Clopper and Pearson's interval."""
    interval = binomtest(round(of * n), n).proportion_ci(method="exact")
    return of, interval.low, interval.high


def triple(row: Row, column: str = "ours") -> Triple:
    """A number of a row and the ends of its interval; NaN for empty cells."""
    return tuple(float(row[name]) if row[name] else np.nan for name in (column, "ci_low", "ci_high"))


def whatever_its_sign(value: Triple) -> Triple:
    """A correlation's absolute value, with its interval turned over if it is negative."""
    return tuple(-end for end in (value[0], value[2], value[1])) if value[0] < 0 else value
