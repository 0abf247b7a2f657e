"""A run as the tables and figures read it."""

from dataclasses import dataclass
from pathlib import Path

from experiments.runs import Run
from mia_tf.analysis.result import Audit, load_audit
from mia_tf.attacks.lira import recommended_online
from mia_tf.shadow.shadow_models import GROUPS

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
    def names(self) -> tuple[str, str]:
        """What the over- and the under-represented group are called."""
        return tuple(self.audit.about["group_titles"][group] for group in GROUPS)

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
        """Number of examples of the over- and of the under-represented group, by "over" and "under"."""
        return {group: int((self.audit.records["group"] == group).sum()) for group in GROUPS}

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
        sizes = zip(self.counts.values(), self.names, strict=True)
        counts = " + ".join(f"{count:,} {name}" for count, name in sizes if count)
        return f"{self.title}: {self.audit.num_models:,} {self.arch} models, {counts}."


def read(run: Run, folder: Path) -> Measured:
    """Reads a run that has been analyzed."""
    remedy = f"; make it with `python -m mia_tf.analyze --logdir={folder}`"
    return Measured(run, folder, load_audit(folder / "analysis", remedy))
