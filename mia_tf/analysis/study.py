"""From a LOGDIR's models to every number of the tables, in two passes over the examples."""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mia_tf.analysis import ood
from mia_tf.analysis.blocks import Block, PlainView, Recording, ScoreFile
from mia_tf.analysis.evaluation import Evaluation, Population, evaluate
from mia_tf.analysis.memorization import memorization
from mia_tf.analysis.privacy_scores import privacy_score
from mia_tf.analysis.statistics import mean_interval, spearman
from mia_tf.attacks import attack_classes
from mia_tf.attacks.lira import recommended_online
from mia_tf.records import OVER, UNDER, Examples
from mia_tf.store import StoredModel
from mia_tf.validation import check_integer, fail

CORRELATED = (
    ("memorization", "privacy_score"),
    ("memorization", "ood_msp"),
    ("memorization", "ood_energy"),
    ("privacy_score", "ood_msp"),
    ("privacy_score", "ood_energy"),
)
Progress = Callable[[str, Iterable, int], Iterable]
"""(what is being done, its steps, how many) -> the same steps, shown to whoever waits."""


@dataclass(frozen=True)
class Findings:
    """What an analysis found.

    Attributes:
        columns: name -> (N,) array, the columns of examples.csv that are measured.
        accuracy: rows of accuracy.csv.
        correlations: rows of correlations.csv.
        evaluations: (attack, population) -> Evaluation.
        recommended: the online LiRA variant to trust at this number of models.
        num_models: M.
    """

    columns: dict[str, np.ndarray]
    accuracy: list[tuple]
    correlations: list[tuple]
    evaluations: dict[tuple[str, str], Evaluation]
    recommended: str
    num_models: int


def study(
    models: Sequence[StoredModel],
    examples: Examples,
    attacks: Sequence[str],
    num_targets: int | None,
    seed: int,
    folder: Path,
    progress: Progress,
) -> Findings:
    """Measures the models of a LOGDIR.

    Args:
        models: all complete models; each is the shadow model of every other.
        examples: the pool they were trained on subsets of.
        attacks: names of `attack_classes`.
        num_targets: attack only the first so many models; None for all.
        seed: of the bootstrap and of attacks that draw at random.
        folder: where the scratch folder goes, which is removed at the end, also of a failure.
        progress: shows how far the work is.

    Raises:
        InputError: too few models, or models that do not fit together or hold NaN; names the model.
    """
    check_integer(1, optional=True, num_targets=num_targets)
    with tempfile.TemporaryDirectory(prefix=".scratch-", dir=folder) as scratch:
        recording = Recording(list(models), examples.labels, Path(scratch))
        num_models = len(models)
        num_targets = min(num_targets or num_models, num_models)
        recommended = recommended_online(num_models)
        names = list(dict.fromkeys([*attacks, recommended]))
        running = {
            # An attack draws the same whichever others run beside it.
            name: attack_classes()[name](num_models, np.random.default_rng([seed, *name.encode()]))
            for name in names
        }
        columns, tally = [], AccuracyTally(num_models)
        for block, view in progress("reading the models", recording.read(), len(recording)):
            columns.append(example_columns(block, view))
            tally.add(block, view, examples.groups)
            for _, piece in block.pieces():
                for attack in running.values():
                    attack.observe(piece)
        evidence = []
        files = {name: ScoreFile(Path(scratch) / f"{name}.f32", num_targets) for name in attacks}
        for block in progress("attacking every model", recording.reread(), len(recording)):
            scores = {name: np.empty((len(block.phi), num_models)) for name in running}
            for rows, piece in block.pieces():
                for name, attack in running.items():
                    scores[name][rows] = attack.score(piece)
            for name, file in files.items():
                file.append(scores[name])
            evidence.append(mean_evidence(scores[recommended][:, :num_targets], block.keep[:, :num_targets]))
        columns = {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}
        columns["lira_evidence"] = np.concatenate(evidence)
        populations = {
            name: Population(chosen, recording.keep[:, :num_targets], columns["n_in"], num_models)
            for name, chosen in (("all", np.ones(len(examples.groups), bool)), ("under", examples.groups == UNDER))
            if chosen.any()
        }
        tasks = [(name, population) for name in attacks for population in populations]
        evaluations = {
            (name, population): evaluate(files[name].blocks, populations[population], seed)
            for name, population in progress("measuring the attacks", tasks, len(tasks))
        }
    return Findings(
        columns=columns,
        accuracy=[*tally.rows(), *test_accuracy_rows(models)],
        correlations=correlation_rows(columns, examples.groups),
        evaluations=evaluations,
        recommended=recommended,
        num_models=num_models,
    )


def check_attacks(names: Sequence[str] | None) -> list[str]:
    """The attacks to run, each once; None is for all. Raises InputError for a name that none has registered."""
    known = attack_classes()
    chosen = list(dict.fromkeys(known if names is None else names))
    for name in chosen:
        if name not in known:
            fail("must be among " + ", ".join(known), attacks=name)
    if not chosen:
        fail("must name at least one attack", attacks="")
    return chosen


def example_columns(block: Block, view: PlainView) -> dict[str, np.ndarray]:
    """The measured columns of examples.csv for a block, each (n,)."""
    n_in = block.keep.sum(axis=1)
    estimate, error = memorization(view.correct, block.keep)
    return {
        "n_in": n_in,
        "n_out": block.keep.shape[1] - n_in,
        "memorization": estimate,
        "memorization_se": error,
        "privacy_score": privacy_score(block.phi[:, 0], block.keep),
        "ood_msp": ood.mean_over_out(view.ood_msp, block.keep),
        "ood_energy": ood.mean_over_out(view.ood_energy, block.keep),
    }


def mean_evidence(scores: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """(n,) mean log-likelihood ratio in favour of the truth, in nats; higher = easier to attack.

    The mean over the example's members and minus the mean over its non-members, averaged.

    Args:
        scores: (n, T) log-likelihood ratios in nats, positive for a member.
        keep: (n, T) bool.
    """
    sides = []
    for side, sign in ((keep, 0.5), (~keep, -0.5)):
        count = side.sum(axis=1)
        sides.append(sign * np.where(side, scores, 0).sum(axis=1) / np.where(count, count, np.nan))
    return sides[0] + sides[1]


def _groups(groups: np.ndarray) -> dict[str, np.ndarray]:
    """Name of a group, as the CSVs have it, -> (N,) bool; a group without examples is left out."""
    masks = {"all": np.ones(len(groups), bool), "over": groups == OVER, "under": groups == UNDER}
    return {name: mask for name, mask in masks.items() if mask.any()}


class AccuracyTally:
    """Each model's accuracy on the examples it trained on, and on the pool's others."""

    def __init__(self, num_models: int):
        self._num_models = num_models
        self._counts: dict[tuple[str, str], np.ndarray] = {}

    def add(self, block: Block, view: PlainView, groups: np.ndarray) -> None:
        """Counts a block; `groups` (N,) are those of all examples."""
        here = slice(block.start, block.start + len(block.keep))
        for split, side in (("train", block.keep), ("out", ~block.keep)):
            for name, mask in _groups(groups).items():
                rows = mask[here]
                counts = np.array([(view.correct & side)[rows].sum(axis=0), side[rows].sum(axis=0)])
                self._counts[split, name] = self._counts.get((split, name), 0) + counts

    def rows(self) -> list[tuple]:
        """Rows of accuracy.csv: the mean over models and its 95% interval."""
        rows = []
        for (split, name), (right, total) in self._counts.items():
            accuracies = right[total > 0] / total[total > 0]
            if len(accuracies):
                rows.append((split, name, *mean_interval(accuracies), len(accuracies)))
        return rows


def test_accuracy_rows(models: Sequence[StoredModel]) -> list[tuple]:
    """Rows of accuracy.csv for the test images, from the models' own records, where they have them."""
    metrics = [model.metrics() for model in models]
    rows = []
    for name in ("all", "over", "under"):
        values = [found for each in metrics if (found := each.get(f"test_accuracy_{name}")) is not None]
        if values:
            rows.append(("test", name, *mean_interval(np.array(values)), len(values)))
    return rows


def correlation_rows(columns: dict[str, np.ndarray], groups: np.ndarray) -> list[tuple]:
    """Rows of correlations.csv."""
    return [
        (x, y, name, *spearman(columns[x][mask], columns[y][mask]))
        for x, y in CORRELATED
        for name, mask in _groups(groups).items()
    ]
