"""What differential privacy (DP) changes: memorization, attacks, accuracy and epsilon of runs with and without it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mia_tf.analysis import group_memorization, study, summary, tables
from mia_tf.analysis.comparisons import difference
from mia_tf.analysis.dp_runs import GUARANTEE, read_runs, upper_bounds
from mia_tf.analysis.group_memorization import GroupMean
from mia_tf.analysis.passes import Progress
from mia_tf.analysis.result import Audit
from mia_tf.files import expanded, folder_to_fill, write_texts
from mia_tf.records import ALL
from mia_tf.validation import check, check_choice, check_several, fail

PLAIN = "without DP"
"""What the run without DP is called by default."""
_SETTINGS = ("arch", "lr", "batch", "epochs", "augment", "weight_decay", "pkeep")
COLUMNS = {
    "memorization": (
        *("run", "group", "n", "mean", "ci_low", "ci_high", "minus_plain", "minus_plain_low", "minus_plain_high"),
        *("median", "q05", "q95", "std", "standard_error", "share_above_0", "note"),
    ),
    "attacks": ("run", *tables.COLUMNS["attacks"]),
    "accuracy": ("run", *tables.COLUMNS["accuracy"]),
    "epsilon": ("run", *tables.COLUMNS["epsilon"][:-1], "epsilon_rdp", "epsilon_pld", "note"),
    "runs": ("run", "num_models", *_SETTINGS, *GUARANTEE),
    "differences": ("run", "attack", "population", "metric", "minus_plain", "minus_plain_low", "minus_plain_high"),
}
"""Table -> its columns, in order. Other columns than these are those of an audit's tables."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` measured. `print(comparison)` shows it in short tables.

    Each table is a pandas DataFrame; its first column `run` is the label of a run, and the run without DP comes first.

    Attributes:
        memorization: per run and group ("all", "over", "under"): n examples with an estimate; their mean memorization
            and its 95% interval; the difference from the mean without DP and its 95% interval (minus_plain,
            minus_plain_low, minus_plain_high; NaN for the run without DP); and `group_memorization.spread`.
        attacks, accuracy: as of an Audit.
        epsilon: as of an Audit, with the accountants' upper bounds epsilon_rdp and epsilon_pld: NaN without DP,
            infinite if there is no bound.
        runs: per run: num_models, and the settings and the guarantee in hparams.json; missing if it does not say.
        differences: per run with DP, attack, population and metric: the metric minus the same without DP, with a 95%
            interval paired by targets and examples; NaN if one of them is not resolved.
        audits: label -> Audit of the run's models.
        hparams: label -> hparams.json of the run's first model.
    """

    memorization: pd.DataFrame
    attacks: pd.DataFrame
    accuracy: pd.DataFrame
    epsilon: pd.DataFrame
    runs: pd.DataFrame
    differences: pd.DataFrame
    audits: Mapping[str, Audit]
    hparams: Mapping[str, Mapping]

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables by the names of their CSVs."""
        return {name: getattr(self, name) for name in COLUMNS}

    @property
    def plain(self) -> Audit:
        """The audit of the run without DP."""
        return next(iter(self.audits.values()))

    @property
    def upper_bounds(self) -> dict[str, dict[str, float]]:
        """Label of a run with DP -> accountant, "rdp" or "pld" -> its upper bound on epsilon."""
        return {label: upper_bounds(hparams) for label, hparams in list(self.hparams.items())[1:]}

    @property
    def stated_epsilons(self) -> dict[str, float]:
        """Label -> epsilon by the run's own accountant: NaN without DP, infinite if nothing is promised."""
        return {label: upper_bounds(of_run)[of_run.get("accountant", "rdp")] for label, of_run in self.hparams.items()}

    def frontier(self, attack: str | None = None):
        """Draws leak against accuracy, a point per run with its epsilon; returns the matplotlib Figure.

        Each group of examples has a column. The rows are AUROC and, if it was measured, the TPR at 0.1% FPR with a
        threshold per target. Unlike `pages` it takes any number of runs.

        Args:
            attack: whose leak is drawn; default the LiRA variant that the number of models recommends, or the first
                attack if that was not run.

        Raises:
            InputError: the attack was not run.

        Example:
            `mia_tf.compare(["runs/none", "runs/eps3", "runs/eps100"]).frontier().savefig("frontier.png")`
        """
        import matplotlib  # slow to import

        from mia_tf.figures import dp_pages, style

        ran = list(dict.fromkeys(self.plain.attacks["attack"]))
        recommended = self.plain.about["recommended"]
        attack = attack or (recommended if recommended in ran else ran[0])
        check_choice("attack", attack, ran)
        with matplotlib.rc_context(style.RC):
            return dp_pages.frontier_page(self, attack)

    def pages(self) -> dict:
        """Draws the figures; returns them by name: "memorization", "accuracy", "attacks", "epsilon".

        Raises:
            InputError: there are more runs than figures can tell apart; `frontier` draws any number.
        """
        import matplotlib  # slow to import

        from mia_tf.figures import dp_pages, style

        with matplotlib.rc_context(style.RC):
            return dict(dp_pages.pages(self))

    def save(self, folder) -> Path:
        """Writes `FOLDER/*.csv`, one per table, all of them or none; returns the folder.

        Raises:
            InputError: the folder cannot be written, or holds an audit, whose tables have the same names.
        """
        folder = expanded(folder, "folder")
        check("folder", folder, not (folder / "examples.csv").exists(), "must not be the folder of an audit")
        try:
            with folder_to_fill(folder):
                write_texts(
                    folder, {f"{name}.csv": tables.csv_text(name, frame) for name, frame in self.tables.items()}
                )
        except OSError as error:
            fail("folder", folder, f"must be a folder that can be written ({error.strerror or error})")
        return folder

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    def __repr__(self) -> str:
        return f"<Comparison of {', '.join(self.audits)}>"


def compare(
    plain: str | os.PathLike | Sequence[str | os.PathLike],
    dp: str | os.PathLike | Sequence[str | os.PathLike] = (),
    *,
    labels: Sequence[str] | None = None,
    attacks: Sequence[str] | None = None,
    seed: int = 0,
    progress: Progress = lambda doing, steps, total: steps,
    scratch: Path | None = None,
) -> Comparison:
    """Compares models trained without DP and with it (Choi et al., section 8), each run attacked by itself.

    The LOGDIRs hold the same examples, and models trained on the same subsets. The models that all of them have, by
    index, are compared. The attacks' lower bounds on epsilon are at the delta of the guarantee.

    Args:
        plain: LOGDIR trained without DP; or a list of LOGDIRs, the one without DP first and then those of `dp`.
        dp: LOGDIR trained with DP (`python -m mia_tf.train --dp`), or several of them.
        labels: what the runs are called, the one without DP first. Default: "without DP", and for the others the first
            of "DP, lr RATE", "DP, epsilon EPSILON" and "DP, LOGDIR" that tells them apart.
        attacks, seed, progress, scratch: as of `mia_tf.audit`.

    Returns:
        The Comparison: tables, audits, figures.

    Raises:
        InputError: the LOGDIRs do not fit together (`dp_runs.read_runs`); a label is missing or given twice; or
            `mia_tf.audit` refuses an argument or the models.

    Example:
        >>> comparison = compare("runs/plain", "runs/dp")  # doctest: +SKIP
        >>> comparison.memorization[["run", "group", "mean", "minus_plain"]]  # doctest: +SKIP
        >>> comparison.save("runs/dp_comparison")  # doctest: +SKIP
        >>> mia_tf.compare(["runs/plain", "runs/eps3", "runs/eps100"]).frontier()  # doctest: +SKIP
    """
    one = isinstance(plain, str | os.PathLike)
    if not one:
        check_several("plain", plain, '["runs/plain", "runs/dp"], or one LOGDIR')
    given = [plain] if one else list(plain)
    check("plain", plain, bool(given), "must name a LOGDIR trained without DP")
    first, *more = [expanded(logdir, "plain") for logdir in given]
    private = [dp] if isinstance(dp, str | os.PathLike) else dp
    check_several("dp", private, '["runs/dp"], or one LOGDIR')
    logdirs = [*more, *(expanded(logdir, "dp") for logdir in private)]
    runs = read_runs(first, logdirs, "plain" if more and not private else "dp")
    settings = [run.models[0].hparams() for run in runs]
    labels = _default_labels(logdirs, settings[1:]) if labels is None else list(map(str, labels))
    fitting = len(labels) == len(runs) == len(set(labels))
    check("labels", ", ".join(labels), fitting, f"must be {len(runs)} different names, one per LOGDIR")
    hparams = dict(zip(labels, settings, strict=True))
    audits, means = {}, {}
    for label, run in zip(labels, runs, strict=True):
        audits[label] = study.audit(
            run, attacks=attacks, delta=settings[1]["delta"], seed=seed, progress=progress, scratch=scratch
        )
        correct, keep = audits[label].correct(), run.members.T
        means[label] = group_memorization.mean_memorization(correct, keep, run.populations, seed)
    upper = pd.DataFrame({label: upper_bounds(of_run) for label, of_run in hparams.items()}).T.add_prefix("epsilon_")
    epsilon = _stacked({label: audit.epsilon for label, audit in audits.items()}).join(upper, on="run")
    return Comparison(
        memorization=pd.DataFrame(_memorization_rows(audits, means), columns=COLUMNS["memorization"]),
        attacks=_stacked({label: audit.attacks for label, audit in audits.items()}),
        accuracy=_stacked({label: audit.accuracy for label, audit in audits.items()}),
        epsilon=epsilon[list(COLUMNS["epsilon"])],
        runs=_run_table(audits, hparams),
        differences=pd.DataFrame(_difference_rows(audits), columns=COLUMNS["differences"]),
        audits=audits,
        hparams=hparams,
    )


def _default_labels(logdirs: Sequence, hparams: Sequence[Mapping]) -> list[str]:
    """The labels of the run without DP and of those with it."""
    rates = [settings.get("lr") for settings in hparams]
    epsilons = [f"{upper_bounds(settings)[settings.get('accountant', 'rdp')]:.3g}" for settings in hparams]
    names = list(map(str, logdirs))
    if None not in rates and len(set(rates)) == len(rates):
        names = [f"lr {rate}" for rate in rates]
    elif len(set(epsilons)) == len(epsilons):
        names = [f"epsilon {epsilon}" for epsilon in epsilons]
    return [PLAIN, *(f"DP, {name}" for name in names)]


def _stacked(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The runs' tables, one below the other, behind a column of their labels."""
    return pd.concat(frames, names=["run", None]).reset_index("run").reset_index(drop=True)


def _memorization_rows(audits: Mapping[str, Audit], means: Mapping[str, Mapping[str, GroupMean]]) -> Iterator[tuple]:
    plain = next(iter(audits))
    for label, audit in audits.items():
        for group, mean in means[label].items():
            less = (np.nan,) * 3 if label == plain else mean.minus(means[plain][group])
            records = audit.records if group == ALL else audit.records[audit.records["group"] == group]
            columns = (records[name].to_numpy() for name in ("memorization", "memorization_se"))
            count, *rest = (spread := group_memorization.spread(*columns)).values()
            reach = group_memorization.RESOLVED_ERRORS * spread["standard_error"]
            known = f"one example's value is known to about {reach:.2g} either way" if np.isfinite(reach) else ""
            yield label, group, count, mean.value, *mean.interval(), *less, *rest, _note(known, audit)


def _difference_rows(audits: Mapping[str, Audit]) -> Iterator[tuple]:
    (_, plain), *others = audits.items()
    for label, audit in others:
        for (attack, population), own in audit.evaluations.items():
            for metric in own.offsets if plain.evaluations[attack, population].offsets else ():
                less = difference(own, plain.evaluations[attack, population], metric)
                yield label, attack, population, metric, *less


def _run_table(audits: Mapping[str, Audit], hparams: Mapping[str, Mapping]) -> pd.DataFrame:
    rows = [
        (label, audit.num_models, *map(hparams[label].get, (*_SETTINGS, *GUARANTEE[:-1])))
        for label, audit in audits.items()
    ]
    frame = pd.DataFrame(rows, columns=COLUMNS["runs"][:-1])
    frame["note"] = [_note(hparams[label].get("note"), audit) for label, audit in audits.items()]
    return frame.astype(dict.fromkeys(("batch", "epochs", "steps"), "Int64"))  # also if it is missing from some


def _note(note: str | None, audit: Audit) -> str:
    """The note of a row, which also says if data stand in for the real ones."""
    return "; ".join(filter(None, (note, audit.about["stand_in"] and "stand-in data")))


def _lines(comparison: Comparison) -> Iterator[str]:
    """Short tables for people."""
    plain = next(iter(comparison.audits))
    yield "mean memorization [95%]"
    for row in comparison.memorization.itertuples():
        less = _interval(row.minus_plain, row.minus_plain_low, row.minus_plain_high)
        difference = "" if np.isnan(row.minus_plain) else f"; minus {plain}: {less}"
        yield f"  {row.run}, {row.group}: {_interval(row.mean, row.ci_low, row.ci_high)}{difference}"
    yield "accuracy [95%]"
    for row in comparison.accuracy.itertuples():
        yield f"  {row.run}, {row.split}, {row.group}: {_interval(row.mean, row.ci_low, row.ci_high)}"
    for label, audit in comparison.audits.items():
        yield f"attacks {label}"
        yield from summary.metric_lines(audit.attacks, ["attack"])
        yield from summary.epsilon_lines(audit.epsilon)
        if label != plain:
            yield _verdict(audit.epsilon, comparison.hparams[label])
    if comparison.plain.about["stand_in"]:
        yield comparison.plain.about["stand_in"]


def _verdict(epsilon: pd.DataFrame, hparams: Mapping) -> str:
    """The accountants' upper bounds, and which of the attacks' lower bounds contradict them."""
    upper = upper_bounds(hparams)
    above = epsilon[epsilon["epsilon_lower"] > min(upper.values())]
    names = ", ".join(f"{row.attack} ({row.population})" for row in above.itertuples())
    bounds = ", ".join(f"{bound:.3f} by {accountant.upper()}" for accountant, bound in upper.items())
    kept = f"ABOVE it: {names}" if names else "every lower bound is under it"
    return " ".join(filter(None, (f"The accountant: epsilon at most {bounds}; {kept}.", hparams.get("note"))))


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
