"""A run as the tables and figures read it."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mia_tf.figures.results import Results, read_results

from experiments.runs import Run
from mia_tf.attacks.lira import recommended_online
from mia_tf.store import Store

LIRA_SWEPT = "lira_online_fixed"
"""The LiRA of the figures over numbers of shadow models: with few, one variance for all examples is the one to take."""
_TITLES = {
    "none": "alone",
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
        results: its analysis.
        names: what its two groups are called.
        arch: its models' architecture.
        stand_in: the sentence about stand-in data, "" where all are real.
    """

    run: Run
    folder: Path
    results: Results
    names: tuple[str, str]
    arch: str
    stand_in: str

    @property
    def lira(self) -> str:
        """The LiRA that stands for the paper's: by the number of models, never by which one did better."""
        return recommended_online(self.results.num_models)

    @property
    def counts(self) -> tuple[int, int]:
        """Examples of the over- and of the under-represented group."""
        return tuple(int(np.count_nonzero(self.results.groups == group)) for group in (0, 1))

    @property
    def title(self) -> str:
        """The run for a panel's title: MNIST + SVHN (random)."""
        # A selection puts its name behind that of the group, which the title has anyway.
        plain = [name.removesuffix(f", {self.run.selection}") for name in self.names]
        both = " + ".join(name for name in plain if name != "none")
        return f"{both} ({_TITLES.get(self.run.selection, self.run.selection)})"

    @property
    def scale(self) -> str:
        """The run for a footnote: its models and examples."""
        counts = " + ".join(f"{n:,} {name}" for n, name in zip(self.counts, self.names, strict=True) if n)
        return f"{self.title}: {self.results.num_models:,} {self.arch} models, {counts}."

    def table(self, name: str) -> list[dict[str, str]]:
        """The rows of a CSV of the analysis."""
        with open(self.folder / "analysis" / f"{name}.csv", newline="") as file:
            return list(csv.DictReader(file))


def read(run: Run, folder: Path) -> Measured:
    """Reads a run that has been analyzed."""
    store = Store(folder)
    about = store.about()
    names = tuple(about["group_names"])
    return Measured(run, folder, read_results(folder), names, store.config().get("arch", ""), about["stand_in"])
