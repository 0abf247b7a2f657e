"""From a LOGDIR's models to every number of the tables, in two passes over the examples."""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mia_tf.analysis import ood
from mia_tf.analysis.accuracy import AccuracyTally, test_image_rows
from mia_tf.analysis.blocks import Block, PlainView, Recording, ScoreFile
from mia_tf.analysis.evaluation import Evaluation, Population, evaluate
from mia_tf.analysis.memorization import memorization
from mia_tf.analysis.privacy_scores import privacy_score
from mia_tf.analysis.statistics import spearman
from mia_tf.attacks import Attack, attack_classes
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
        running = {
            # An attack draws the same whichever others run beside it.
            name: attack_classes()[name](num_models, np.random.default_rng([seed, *name.encode()]))
            for name in dict.fromkeys([*attacks, recommended])
        }
        masks = group_masks(examples.groups)
        columns, tally = _observe(recording, running, masks, progress)
        files = {name: ScoreFile(Path(scratch) / f"{name}.f32", num_targets) for name in attacks}
        columns["lira_evidence"] = _attack(recording, running, files, recommended, num_targets, progress)
        populations = {
            name: Population(chosen, recording.keep[:, :num_targets], columns["n_in"], num_models)
            for name, chosen in masks.items()
            if name != "over"
        }
        tasks = [(name, population) for name in attacks for population in populations]
        evaluations = {
            (name, population): evaluate(files[name].blocks, populations[population], seed)
            for name, population in progress("measuring the attacks", tasks, len(tasks))
        }
    return Findings(
        columns=columns,
        accuracy=[*tally.rows(), *test_image_rows(models)],
        correlations=correlation_rows(columns, masks),
        evaluations=evaluations,
        recommended=recommended,
        num_models=num_models,
    )


def _observe(
    recording: Recording, running: Mapping[str, Attack], masks: Mapping[str, np.ndarray], progress: Progress
) -> tuple[dict[str, np.ndarray], AccuracyTally]:
    """First pass: the measured columns of examples.csv and accuracies; the attacks see every example."""
    columns, tally = [], AccuracyTally()
    for block, view in progress("reading the models", recording.read(), len(recording)):
        columns.append(example_columns(block, view))
        tally.add(block, view, masks)
        for _, piece in block.pieces():
            for attack in running.values():
                attack.observe(piece)
    return {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}, tally


def _attack(
    recording: Recording,
    running: Mapping[str, Attack],
    files: Mapping[str, ScoreFile],
    evident: str,
    num_targets: int,
    progress: Progress,
) -> np.ndarray:
    """Second pass: fills the files with the attacks' scores; gives (N,) the mean evidence of attack `evident`."""
    evidence = []
    for block in progress("attacking every model", recording.reread(), len(recording)):
        scores = {name: np.empty(block.keep.shape) for name in running}
        for rows, piece in block.pieces():
            for name, attack in running.items():
                scores[name][rows] = attack.score(piece)
        for name, file in files.items():
            file.append(scores[name])
        evidence.append(mean_evidence(scores[evident][:, :num_targets], block.keep[:, :num_targets]))
    return np.concatenate(evidence)


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


def group_masks(groups: np.ndarray) -> dict[str, np.ndarray]:
    """Name of a group, as the CSVs have it, -> (N,) bool; a group without examples is left out."""
    masks = {"all": np.ones(len(groups), bool), "over": groups == OVER, "under": groups == UNDER}
    return {name: mask for name, mask in masks.items() if mask.any()}


def correlation_rows(columns: dict[str, np.ndarray], masks: dict[str, np.ndarray]) -> list[tuple]:
    """Rows of correlations.csv, of the columns of examples.csv."""
    return [
        (x, y, name, *spearman(columns[x][mask], columns[y][mask]))
        for x, y in CORRELATED
        for name, mask in masks.items()
    ]
