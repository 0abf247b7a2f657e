"""A run as the tables and figures read it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.runs import Run
from mia_tf.analysis.result import Audit, load_audit
from mia_tf.attacks.lira import recommended_online

LIRA_SWEPT = "lira_online_fixed"
"""The LiRA of the figures over numbers of shadow models: with few, one variance for all examples is the one to take."""
_TITLES = {
    "none": "alone",
    "again": "alone, other models",
    "singletons": "highly memorized",
    "onion": "without the most memorized",
    "control": "without random ones",
    "private": "DP-SGD",
    "plain": "without DP-SGD",
}


@dataclass(frozen=True)
class Measured:
    """The finished numbers of a run.

    Attributes:
        run: which one.
        folder: its LOGDIR.
        audit: its analysis.
    """

    run: Run
    folder: Path
    audit: Audit

    @property
    def lira(self) -> str:
        """The LiRA that stands for the paper's: by the number of models, never by which one did better."""
        return recommended_online(self.audit.num_models)

    @property
    def groups(self) -> dict[str, str]:
        """The paper's "over" or "under" -> the group of `audit`: of one data set alone all examples are "over"."""
        groups = self.audit.groups
        return {"over": groups[0]} if len(groups) == 1 else {group: group for group in groups}

    @property
    def names(self) -> tuple[str, ...]:
        """What the groups are called."""
        return self.audit.group_titles

    @property
    def arch(self) -> str:
        """The architecture of the models."""
        return self.audit.about["arch"]

    @property
    def stand_in(self) -> str:
        """The sentence about stand-in data; "" if all data are real."""
        return self.audit.about["stand_in"]

    @property
    def note(self) -> str:
        """What a row of a table says about the data; "" if all data are real."""
        return "stand-in data" if self.stand_in else ""

    @property
    def counts(self) -> dict[str, int]:
        """Number of examples of "over" and of "under"."""
        counts = {name: np.count_nonzero(self.audit.mask(group)) for name, group in self.groups.items()}
        return {"over": 0, "under": 0, **counts}

    @property
    def title(self) -> str:
        """The run for a panel's title: MNIST + SVHN (random)."""
        # A selection puts its name behind that of the group, which the title has anyway.
        both = " + ".join(name.removesuffix(f", {self.run.selection}") for name in self.names)
        return title(both, self.run.selection)

    @property
    def scale(self) -> str:
        """The run for a footnote: its models and examples."""
        counts = [f"{self.counts[group]:,} {name}" for group, name in zip(self.groups, self.names, strict=True)]
        return f"{self.title}: {self.audit.num_models:,} {self.arch} models, {' + '.join(counts)}."


def title(mixture: str, selection: str) -> str:
    """Returns the title of a run: MNIST + SVHN (random)."""
    return f"{mixture} ({_TITLES.get(selection, selection)})"


def read(run: Run, folder: Path) -> Measured:
    """Reads a run that has been analyzed."""
    remedy = f"; make it with `python -m mia_tf.analyze --logdir={folder}`"
    return Measured(run, folder, load_audit(folder / "analysis", remedy))
