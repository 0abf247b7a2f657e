"""From a LOGDIR's models to every number of the tables, in two passes over the examples."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mia_tf.analysis.accuracy import AccuracyTally, test_image_rows
from mia_tf.analysis.comparisons import comparison_rows
from mia_tf.analysis.epsilon import EpsilonBound, epsilon_bounds
from mia_tf.analysis.evaluation import Evaluation, Population, evaluate
from mia_tf.analysis.scratch import scratch_folder
from mia_tf.analysis.statistics import spearman
from mia_tf.analysis.tables import in_order
from mia_tf.attacks import Attack, attack_classes
from mia_tf.attacks.lira import FIXED_BELOW, recommended_online
from mia_tf.records import OVER, UNDER, Examples
from mia_tf.shadow import ood
from mia_tf.shadow.blocks import Block, PlainView, Recording, ScoreFile
from mia_tf.shadow.lineup import NONE, Lineup
from mia_tf.shadow.memorization import memorization
from mia_tf.shadow.privacy_scores import privacy_score
from mia_tf.shadow.sweep import Sweep
from mia_tf.store import StoredModel
from mia_tf.validation import check_integer, check_shape, fail

CORRELATED = (
    ("memorization", "privacy_score"),
    ("memorization", "ood_msp"),
    ("memorization", "ood_energy"),
    ("privacy_score", "ood_msp"),
    ("privacy_score", "ood_energy"),
)
REASON = f"below {FIXED_BELOW} models one variance for all examples, from there on each example's own"
"""Why `Findings.recommended` is what it is."""
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
        sweep: (attack, shadow models a side, population) -> Evaluation.
        comparisons: rows of comparisons.csv.
        bounds: (attack, population) -> EpsilonBound.
        recommended: the online LiRA variant to trust at this number of models.
        num_models: how many shadow models there are, a target itself among them or not.
    """

    columns: dict[str, np.ndarray]
    accuracy: list[tuple]
    correlations: list[tuple]
    evaluations: dict[tuple[str, str], Evaluation]
    sweep: dict[tuple[str, int, str], Evaluation]
    comparisons: list[tuple]
    bounds: dict[tuple[str, str], EpsilonBound]
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
    num_shadow: Sequence[int] = (),
    delta: float | None = None,
    shadow_models: Sequence[StoredModel] = (),
) -> Findings:
    """Measures the models of a LOGDIR.

    Args:
        models: all complete models; each is the shadow model of every other.
        examples: the pool they were trained on subsets of.
        attacks: names of `attack_classes`.
        num_targets: attack only the first so many models; None for all.
        seed: of the bootstrap, of attacks that draw at random, of the sweep and of the bounds on epsilon.
        folder: where the scratch folder goes, which is removed at the end, also of a failure.
        progress: shows how far the work is.
        num_shadow: numbers of shadow models a side to limit the attacks to, beside attacking with all.
        delta: at which epsilon is bounded; None for no bounds.
        shadow_models: those of another LOGDIR on the same examples, which then alone are the shadow models.

    Raises:
        InputError: too few models, or models that do not fit together or hold NaN, which names the model; or subsets
            of two LOGDIRs that are too much alike (`Lineup.of_two_logdirs`).
    """
    check_integer(1, optional=True, num_targets=num_targets)
    with scratch_folder(folder) as scratch:
        everyone = [*models, *shadow_models]
        recording = Recording(everyone, examples.labels, scratch, len(models) if shadow_models else None)
        lineup = recording.lineup
        num_models = len(everyone)
        num_shadow_models = num_models - lineup.first_shadow
        num_targets = min(num_targets or len(models), len(models))
        recommended = recommended_online(num_shadow_models)
        sweep = Sweep(num_shadow, recording.keep[:, lineup.first_shadow :], seed)
        running = {None: _attacks([*attacks, recommended], num_models, seed)}
        running |= {size: _attacks(limitable(attacks), num_models, seed) for size in sweep.sizes}
        masks = group_masks(examples.groups)
        columns, tally = _observe(recording, sweep, running, masks, progress)
        files = {
            (name, size): ScoreFile(scratch / f"{name}-{size}.f32", num_targets)
            for size, among in running.items()
            for name in among
            if name in attacks
        }
        evident = recommended, num_targets
        columns["lira_evidence"] = _attack(recording, sweep, running, files, evident, progress)
        targets = recording.keep[:, :num_targets]
        sides = _sides(lineup, columns["n_in"], targets)
        # Where there is one group it is all there is.
        chosen = {name: mask for name, mask in masks.items() if name != "over" or "under" in masks}
        populations = {name: Population(mask, targets, *sides) for name, mask in chosen.items()}
        tasks = [(*key, population) for key in files for population in populations]
        found = {
            (name, size, population): evaluate(files[name, size].blocks, populations[population], seed)
            for name, size, population in progress("measuring the attacks", tasks, len(tasks))
        }
        bounds = {}
        for name in progress("bounding epsilon", attacks, len(attacks)) if delta is not None else ():
            by_population = epsilon_bounds(files[name, None].blocks, targets, chosen, delta, seed)
            bounds |= {(name, population): bound for population, bound in by_population.items()}
    return Findings(
        columns=columns,
        accuracy=[*tally.rows(), *test_image_rows(models)],
        correlations=correlation_rows(columns, masks),
        evaluations={(name, population): each for (name, size, population), each in found.items() if size is None},
        sweep={key: each for name in attacks for key, each in found.items() if key[0] == name and key[1] is not None},
        comparisons=comparison_rows(found, recommended),
        bounds=bounds,
        recommended=recommended,
        num_models=num_shadow_models,
    )


def _sides(lineup: Lineup, num_in: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray | None, int]:
    """What `Population` weighs pairs by: of how many models each example is IN, and how many models these are.

    Args:
        lineup: who is attacked.
        num_in: (N,) int64, over all models of the LOGDIR.
        targets: (N, T) bool, membership in the training sets of those that are attacked.
    """
    alone = lineup.twins == NONE
    if alone.all():
        return None, lineup.num_targets
    if alone.any():
        # In a balanced plan the memberships of targets without a twin go with the number of shadow models left, so
        # that each example must weigh the same on both sides whichever targets are attacked.
        return targets.sum(axis=1), targets.shape[1]
    return num_in, lineup.num_targets


def _attacks(names: Iterable[str], num_models: int, seed: int) -> dict[str, Attack]:
    """Fresh attacks by name. An attack draws the same whichever others run beside it."""
    return {
        name: attack_classes()[name](num_models, np.random.default_rng([seed, *name.encode()]))
        for name in dict.fromkeys(names)
    }


def _views(sweep: Sweep, piece: Block) -> Iterator[tuple[int | None, Block]]:
    """A piece as the attacks see it, by the number of shadow models a side; None is for all."""
    yield None, piece
    yield from sweep.blocks(piece)


def _observe(
    recording: Recording,
    sweep: Sweep,
    running: Mapping[int | None, Mapping[str, Attack]],
    masks: Mapping[str, np.ndarray],
    progress: Progress,
) -> tuple[dict[str, np.ndarray], AccuracyTally]:
    """First pass: the measured columns of examples.csv and accuracies; the attacks see every example."""
    columns, tally = [], AccuracyTally()
    for block, view in progress("reading the models", recording.read(), len(recording)):
        targets = _targets_alone(block, view)
        columns.append(example_columns(*targets))
        tally.add(*targets, masks)
        for _, piece in block.pieces():
            for size, seen in _views(sweep, piece):
                for attack in running[size].values():
                    attack.observe(seen)
    return {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}, tally


def _targets_alone(block: Block, view: PlainView) -> tuple[Block, PlainView]:
    """A block and its view without the models that are no targets."""
    targets = slice(block.lineup.num_targets)
    keep, phi = block.keep[:, targets], block.phi[..., targets]
    of_targets = PlainView(view.correct[:, targets], view.ood_msp[:, targets], view.ood_energy[:, targets])
    return Block(block.start, block.labels, keep, phi, block.read_logits), of_targets


def _attack(
    recording: Recording,
    sweep: Sweep,
    running: Mapping[int | None, Mapping[str, Attack]],
    files: Mapping[tuple[str, int | None], ScoreFile],
    evident: tuple[str, int],
    progress: Progress,
) -> np.ndarray:
    """Second pass: fills the files with scores; gives (N,) the mean evidence of an attack on so many targets."""
    evidence = []
    for block in progress("attacking every model", recording.reread(), len(recording)):
        for _, piece in block.pieces():
            for size, seen in _views(sweep, piece):
                for name, attack in running[size].items():
                    scores = attack.score(seen)
                    check_shape(piece.keep.shape, **{f"scores of attack {name}": scores})
                    if (name, size) in files:
                        files[name, size].append(scores)
                    if (name, size) == (evident[0], None):
                        evidence.append(mean_evidence(scores[:, : evident[1]], piece.keep[:, : evident[1]]))
    return np.concatenate(evidence)


def check_attacks(names: Sequence[str] | None) -> list[str]:
    """The attacks to run, as tables list them; None is for all. Raises InputError for a name that none has."""
    known = in_order(attack_classes())
    chosen = in_order(known if names is None else names)
    for name in chosen:
        if name not in known:
            fail("must be among " + ", ".join(known), attacks=name)
    if not chosen:
        fail("must name at least one attack", attacks="")
    return chosen


def limitable(attacks: Iterable[str]) -> list[str]:
    """Those of the attacks whose shadow models can be limited to K a side of every example.

    The others have none (Yeom), or fit one thing to the records of all models together.
    """
    return [name for name in attacks if attack_classes()[name].limitable]


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
    """Name of a group, as the CSVs have it, -> (N,) bool; a group without examples is left out.

    Where there is one group only, Choi et al. report as under-represented its highly memorized examples
    (memorization above 0.4 on MNIST, 0.8 on CIFAR-10). That is not done here: memorization and the attack would be
    measured on the same models, and an example whose models happen to differ much would be chosen for what is then
    reported of it. Examples chosen so belong into a new pool, with new models.
    """
    masks = {"all": np.ones(len(groups), bool), "over": groups == OVER, "under": groups == UNDER}
    return {name: mask for name, mask in masks.items() if mask.any()}


def correlation_rows(columns: dict[str, np.ndarray], masks: dict[str, np.ndarray]) -> list[tuple]:
    """Rows of correlations.csv, of the columns of examples.csv."""
    return [
        (x, y, name, *spearman(columns[x][mask], columns[y][mask]))
        for x, y in CORRELATED
        for name, mask in masks.items()
    ]
