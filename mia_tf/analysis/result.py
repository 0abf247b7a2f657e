"""The one result of an audit: named tables, scores and figures, kept as CSV files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from mia_tf.analysis import summary, tables
from mia_tf.analysis.evaluation import Evaluation
from mia_tf.files import expanded, folder_to_fill, load_json, write_texts
from mia_tf.records import ALL
from mia_tf.validation import InputError, check, check_choice, check_shape, fail

FACTS = "audit.json"
"""The file beside the CSVs that holds `Audit.about`, and how many rows each CSV has."""
_ABOUT = {
    **dict.fromkeys(("name", "arch", "stand_in", "recommended"), "text"),
    **dict.fromkeys(("num_classes", "num_models", "num_targets", "seed"), "integer"),
    **dict.fromkeys(("recommended_scores", "has_logits"), "flag"),
    **dict.fromkeys(("headline_fpr", "delta"), "number?"),
    **{"group_titles": "texts by name", "classes": "texts?", "notes": "texts", "rows": "integers by name"},
}
"""What that file holds, and its kinds for `files.load_json`."""
_OPTIONAL = {"sweep", "epsilon"}
"""Tables that are written only if they were asked for."""
_ATTRIBUTES = {
    **{"attacks": "attacks", "examples": "records", "accuracy": "accuracy", "curves": "curves"},
    **{"correlations": "correlations", "comparisons": "comparisons", "sweep": "sweep", "epsilon": "epsilon"},
}
"""Name of a CSV -> attribute of an Audit."""

_TRIPLE = ("value", "ci_low", "ci_high")


class Audit:
    """What an audit measured. `print(audit)` shows the summary; two audits are equal if their CSVs are.

    Each table is a pandas DataFrame with the columns of its CSV, which the manual explains.

    Attributes:
        attacks: per attack, population and metric: the value and its 95% interval.
        records: per example, in the user's order: row, id, label, group, n_in and n_out (models trained with and
            without it), memorization, memorization_se, privacy_score, ood_msp, ood_energy, lira_evidence; exposure,
            with its 95% interval exposure_low and exposure_high: of the targets trained on the example, the share in
            which the recommended attack recognises it at the headline's false positive rate; rank, 1 for the most
            exposed; and models_needed, how many models make the 95% interval of the memorization 0.1 wide either way.
        accuracy: per split and group, the models' mean accuracy.
        curves: points of the ROC curves.
        correlations: Spearman's rank correlations of columns of `records`.
        comparisons: paired differences of AUROC between attacks, populations and numbers of shadow models.
        sweep: as `attacks`, by the number of shadow models per side; empty unless it was asked for.
        epsilon: lower bounds on epsilon; empty unless they were asked for.
        about: what else is known: name, arch, group_titles, classes, stand_in, num_models, num_targets, delta, seed,
            versions; attacks, the names of the attacks that were run; arguments of `mia_tf.audit` that were not the
            default, arrays and records by a variable's name, and those of `mia_tf.analyze`; recommended, the LiRA
            variant; headline_fpr, the FPR of the headline and of exposure, by `headline.headline_level`; headline, the
            strongest attack, chosen on one half of the targets and measured on the other, as `headline.headline`
            returns it; None if membership is unknown; mean_memorization, of "groups" and "classes" by name, as
            `group_memorization.means_with_intervals` returns it; and notes, sentences about models that learnt nothing,
            were skipped or differ.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> members = rng.random((8, 60)) < 0.5
        >>> labels = rng.integers(0, 2, 60)
        >>> logits = rng.normal(size=(8, 60, 2)) + 3 * members[..., None] * np.eye(2)[labels]
        >>> audit = mia_tf.audit(mia_tf.ShadowModels(logits, members, labels), attacks=["yeom"])
        >>> len(audit.records), audit.scores("yeom").shape
        (60, (60, 8))
        >>> round(audit.metric("auroc")["yeom", "all"][0], 1)
        0.9
    """

    attacks: pd.DataFrame
    records: pd.DataFrame
    accuracy: pd.DataFrame
    curves: pd.DataFrame
    correlations: pd.DataFrame
    comparisons: pd.DataFrame
    sweep: pd.DataFrame
    epsilon: pd.DataFrame

    def __init__(
        self,
        tables: Mapping[str, pd.DataFrame],
        about: Mapping,
        scores: Mapping[str, np.ndarray] | None = None,
        correct: np.ndarray | None = None,
        evaluations: Mapping[tuple[str, str], Evaluation] | None = None,
    ):
        """Takes the tables by the names of their CSVs, what is said besides, and what is not written into files.

        These are the scores by attack, the packed bits of `correct`, and (attack, population) -> its Evaluation. The
        Evaluations' draws pair the differences of two audits.
        """
        for name, attribute in _ATTRIBUTES.items():
            setattr(self, attribute, tables[name])
        self.about = dict(about)
        self._scores = dict(scores or {})
        self._correct = correct
        self.evaluations = dict(evaluations or {})

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables by the names of their CSVs."""
        return {name: getattr(self, attribute) for name, attribute in _ATTRIBUTES.items()}

    def scores(self, attack: str) -> np.ndarray:
        """Returns (N, T) float32: how surely the attack takes each example for a member of each of the T targets.

        HIGHER means more likely a member; NaN if there are too few shadow models.

        Raises:
            InputError: the attack was not run, or the audit was loaded from files, which hold no scores.
        """
        if not self._scores:
            fail("attack", attack, "needs an audit that was not loaded from files, which hold no scores")
        check_choice("attack", attack, self._scores)
        return self._scores[attack]

    def correct(self) -> np.ndarray:
        """Returns (N, M) bool: whether each of the M models behind `records` classifies each example correctly.

        Raises:
            InputError: the audit was loaded from files, which do not hold it, or is of scores without logits.
        """
        if self._correct is None:
            line = "Correctness is only known of an audit of logits that was not loaded from files"
            raise InputError(line, "shadows")
        return np.unpackbits(self._correct, axis=1, count=self.num_models).astype(bool)

    def plot(self, figure: str = "roc", ax=None, images: np.ndarray | None = None):
        """Draws one figure.

        Args:
            figure: "roc" (one curve per attack), "roc_all" (one per variant), "attacks", "sweep", "privacy_scores",
                "memorization", "memorization_histogram", "privacy_score_ood", "memorization_ood" or "examples".
            ax: a matplotlib Axes for the figure's main panel; None: a page of its own with all panels.
            images: for "examples", (rows, H, W, C) uint8, the pictures of the records by their column `row`.

        Returns:
            The matplotlib Figure.

        Raises:
            InputError: there is no such figure, the audit has no numbers for it, the images are no pictures of all
                records, or `ax` is no Axes.

        Example:
            `audit.plot("roc").savefig("roc.png")`
        """
        import matplotlib  # here, because an audit without figures does not need it
        from matplotlib.axes import Axes

        from mia_tf.figures import pages, style

        check_choice("figure", figure, (*pages.NAMES, *pages.ON_REQUEST))
        self._check_images(images)
        known = ax is None or isinstance(ax, Axes)
        check("ax", type(ax).__name__, known, "must be one matplotlib Axes, such as plt.gca()")
        with matplotlib.rc_context(style.RC):
            if ax is not None:
                pages.draw_panel(ax, self, figure)
                return ax.figure
            drawn = pages.page(self, figure, images)
        if drawn is None:
            fail(
                "figure",
                figure,
                "needs numbers that this audit lacks" + (", or images" if figure == "examples" else ""),
            )
        return drawn

    def report(self, path="report.html", images: np.ndarray | None = None) -> Path:
        """Writes a report: one HTML page that needs nothing else, and the same numbers as JSON beside it.

        Args:
            path: of the page. The JSON has its name with the suffix .json.
            images: (rows, H, W, C) uint8, the pictures of the records by their column `row`; None if there are none.

        Returns:
            The path of the page.

        Raises:
            InputError: the folder cannot be written, or the images are no pictures of all records.

        Example:
            `audit.report("report.html")`
        """
        from mia_tf.report.page import write_report  # here, because only reports need it

        self._check_images(images)
        return write_report(self, path, images=images)

    def _check_images(self, images: np.ndarray | None) -> None:
        """Raises InputError unless the images are pictures of all records, or None."""
        if images is None:
            return
        rows = self.records["row"].to_numpy()
        check_shape("images", images, (None, None, None, None), np.uint8)
        fits = rows.min() >= 0 and rows.max() < len(images)
        check("images", f"{len(images)} pictures", fits, f"must hold one for each row of the data, up to {rows.max()}")

    # ---- what figures and pages show

    @property
    def num_models(self) -> int:
        """Models that the numbers of an example rest on."""
        return int((self.records["n_in"] + self.records["n_out"]).max())

    @property
    def models_per_side(self) -> int:
        """The smaller of the median numbers of models trained with and without an example; at least 1."""
        return max(1, int(min(self.records["n_in"].median(), self.records["n_out"].median())))

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of the groups of `records`, sorted."""
        return tuple(np.unique(self.records["group"].to_numpy(str)).tolist())

    @property
    def group_ids(self) -> np.ndarray:
        """(N,) int64, the place of each record's group in `groups`."""
        return np.searchsorted(self.groups, self.records["group"].to_numpy(str))

    @property
    def group_titles(self) -> tuple[str, ...]:
        """What figures call the `groups`; one group without a name is called by its examples."""
        titles = {ALL: "examples", **self.about["group_titles"]}
        return tuple(titles.get(name, name) for name in self.groups)

    @property
    def populations(self) -> list[str]:
        """The populations that attacks are measured on, in the order of the table."""
        return self.attacks["population"].unique().tolist()

    def column(self, name: str) -> np.ndarray:
        """(N,) float64, a column of numbers of `records`. Raises InputError if there is no such column."""
        check_choice("name", name, list(self.records))
        return self.records[name].to_numpy(np.float64, na_value=np.nan)

    @property
    def shown_metrics(self) -> list[str]:
        """The metrics of attacks that figures show, AUROC first."""
        return tables.shown_metrics(self.attacks)

    def metric(self, name: str) -> dict[tuple[str, str], tuple[float, float, float]]:
        """(attack, population) -> (value, ci_low, ci_high) of a metric; empty if no attack was measured.

        Raises:
            InputError: attacks were measured, but not by this metric.
        """
        self._check_metric("name", name)
        rows = self.attacks[self.attacks["metric"] == name]
        return dict(zip(_tuples(rows, "attack", "population"), _tuples(rows, *_TRIPLE), strict=True))

    def curve(self, population: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Attack -> its false and its true positive rates; without the attacks that could not be resolved.

        Raises:
            InputError: there is no such population.
        """
        check_choice("population", population, (ALL, *self.groups))
        rows = self.curves[self.curves["population"] == population]
        return {
            attack: (points["fpr"].to_numpy(), points["tpr"].to_numpy())
            for attack, points in rows.groupby("attack", sort=False)
        }

    def num_nonmembers(self, population: str) -> int:
        """Most non-members that an attack on a population was measured with."""
        return int(self.attacks.loc[self.attacks["population"] == population, "num_nonmembers"].max())

    def correlation(self, x: str, y: str) -> dict[str, tuple[float, float]]:
        """Group, or "all" -> Spearman's (rho, p) of two columns of `records`, whichever the table calls x;
        empty if the table does not correlate these two.

        Raises:
            InputError: there is no such column.
        """
        check_choice("x", x, list(self.records))
        check_choice("y", y, list(self.records))
        table = self.correlations
        rows = table[((table["x"] == x) & (table["y"] == y)) | ((table["x"] == y) & (table["y"] == x))]
        return dict(zip(rows["group"], _tuples(rows, "spearman", "p_value"), strict=True))

    def swept(self, metric: str, population: str) -> dict[str, dict[int, tuple[float, float, float]]]:
        """Attack -> shadow models per side -> (value, ci_low, ci_high); raises InputError as `metric` and `mask` do."""
        self._check_metric("metric", metric)
        check_choice("population", population, (ALL, *self.groups))
        rows = self.sweep[(self.sweep["metric"] == metric) & (self.sweep["population"] == population)]
        sweeps = {}
        for attack, size, triple in zip(rows["attack"], rows["num_shadow"], _tuples(rows, *_TRIPLE), strict=True):
            sweeps.setdefault(attack, {})[int(size)] = triple
        return sweeps

    def _check_metric(self, argument: str, name: str) -> None:
        """Raises InputError if attacks were measured, but not by this metric."""
        if measured := self.attacks["metric"].unique().tolist():
            check_choice(argument, name, measured)

    def accuracies(self) -> dict[tuple[str, str], tuple[float, float, float]]:
        """(split, group) -> (mean, ci_low, ci_high) over the models."""
        return dict(
            zip(
                _tuples(self.accuracy, "split", "group"),
                _tuples(self.accuracy, "mean", "ci_low", "ci_high"),
                strict=True,
            )
        )

    def mask(self, population: str) -> np.ndarray:
        """(N,) bool, which records a population consists of: "all", or the name of a group; else raises InputError."""
        check_choice("population", population, (ALL, *self.groups))
        groups = self.records["group"].to_numpy(str)
        return np.ones(len(groups), bool) if population == ALL else groups == population

    # ---- files

    def save(self, folder) -> Path:
        """Writes the tables as `FOLDER/*.csv`, and audit.json; all are whole, and none is of an earlier audit.

        Returns:
            The folder, for `load_audit`.

        Raises:
            InputError: the folder cannot be written.
        """
        folder = expanded(folder, "folder")
        try:
            with folder_to_fill(folder):
                self.write(folder)
        except OSError as error:
            fail("folder", folder, f"must be a folder that can be written ({error.strerror or error})")
        return folder

    def write(self, folder: Path) -> list[Path]:
        """Writes the files of `save` into a folder that exists; returns the paths of the tables.

        Raises:
            OSError: the folder cannot be written; the files of an earlier audit are then as they were.
        """
        frames = {name: frame for name, frame in self.tables.items() if len(frame) or name not in _OPTIONAL}
        texts = {f"{name}.csv": tables.csv_text(name, frame) for name, frame in frames.items()}
        rows = {name: len(frame) for name, frame in frames.items()}
        texts[FACTS] = json.dumps({**self.about, "rows": rows}, indent=2) + "\n"
        paths = write_texts(folder, texts)
        for name in _OPTIONAL - frames.keys():
            (folder / f"{name}.csv").unlink(missing_ok=True)
        return paths[: len(frames)]

    def __eq__(self, other) -> bool:
        if not isinstance(other, Audit):
            return NotImplemented
        own, others = self.tables, other.tables
        same = all(tables.csv_text(name, own[name]) == tables.csv_text(name, others[name]) for name in own)
        return same and _as_json(self.about) == _as_json(other.about)

    __hash__ = None  # type: ignore[assignment]  # as Python's manual says; object has a method there

    def __str__(self) -> str:
        return "\n".join(summary.summary(self.attacks, self.sweep, self.epsilon, self.about))

    def __repr__(self) -> str:
        return f"<Audit of {self.about['num_targets']} models and {len(self.records)} examples>"


def load_audit(folder, remedy: str = "", *, argument: str = "folder") -> Audit:
    """Loads what `Audit.save` or `python -m mia_tf.analyze` wrote.

    Args:
        folder: the folder of the CSVs, such as LOGDIR/analysis.
        remedy: ends an error message; it says how to make the files.
        argument: the parameter or flag that gave the folder, which an InputError names.

    Raises:
        InputError: a file is missing or unreadable; the message names it.

    Example:
        >>> import tempfile
        >>> logits, members = np.zeros((4, 6, 2)), np.arange(24).reshape(4, 6) % 4 < 2
        >>> audit = mia_tf.audit(mia_tf.ShadowModels(logits, members, np.arange(6) % 2), attacks=["yeom"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     load_audit(audit.save(folder)) == audit
        True
    """
    folder = expanded(folder, argument)
    frames = {}
    for name in _ATTRIBUTES:
        if name in _OPTIONAL and not (folder / f"{name}.csv").exists():
            frames[name] = tables.table(name, [])
        else:
            frames[name] = tables.read_table(folder, name, remedy, argument)
    examples, facts = folder / "examples.csv", folder / FACTS
    if not len(frames["examples"]):
        raise InputError(f"No rows in {examples}{remedy}", argument, examples)
    if not facts.exists():
        raise InputError(f"Missing file: {facts}{remedy}", argument, facts)
    required = [name for name in _ABOUT if name not in ("has_logits", "rows")]
    about = load_json(facts, _ABOUT, required, argument)
    if about["classes"] is None and frames["examples"]["label"].str.fullmatch(r"\d+").all():
        frames["examples"]["label"] = frames["examples"]["label"].astype(np.int64)  # else they are names of classes
    for name, rows in about.pop("rows", {}).items():
        if name not in frames or len(frames[name]) != rows:
            received = f"{len(frames.get(name, ()))} rows of {folder / name}.csv"
            line = f"{received}, and {rows} in {FACTS}: a part is missing, or it is of another audit{remedy}"
            raise InputError(line, argument, facts)
    unknown = set(frames["examples"]["group"]) - {*about["group_titles"], ALL}
    if unknown:
        raise InputError(f"Unknown group {min(unknown)!r} in {examples}{remedy}", argument, examples)
    return Audit(frames, about)


def _tuples(frame: pd.DataFrame, *columns: str) -> list[tuple]:
    """The rows of some columns."""
    return list(frame[list(columns)].itertuples(index=False, name=None))


def _as_json(about: Mapping) -> str:
    return json.dumps(about, sort_keys=True)
