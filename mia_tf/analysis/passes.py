"""The two passes over the examples of a record: the first observes, the second attacks."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from mia_tf.analysis.accuracy import AccuracyTally
from mia_tf.analysis.planning import HALF_WIDTH, models_for_memorization
from mia_tf.analysis.same_answers import AnswerDigests
from mia_tf.analysis.threads import Threads
from mia_tf.attacks import Attack
from mia_tf.shadow import ood
from mia_tf.shadow.blocks import MIN_MODELS, Block, PlainView, Recording
from mia_tf.shadow.kept import Kept, Scores
from mia_tf.shadow.memorization import memorization
from mia_tf.shadow.privacy_scores import privacy_score
from mia_tf.shadow.sweep import Sweep
from mia_tf.validation import check_shape, part_of

Progress = Callable[[str, Iterable, int], Iterable]
"""(what is being done, its steps, their number) -> the same steps, while a progress display counts them."""
Running = Mapping[int | None, Mapping[str, Attack]]
"""Shadow models per side, None for all of them -> name of an attack -> the attack."""


def observe(
    recording: Recording,
    kept: Kept,
    sweep: Sweep,
    running: Running,
    masks: Mapping[str, np.ndarray],
    progress: Progress,
    threads: Threads,
) -> tuple[dict[str, np.ndarray], AccuracyTally, AnswerDigests]:
    """First pass: returns the measured columns, accuracies and digests; the attacks see every example."""
    columns, tally, digests = [], AccuracyTally(), AnswerDigests()
    logits_each = _logits_each(recording, running)
    blocks = recording.read(kept, with_logits=logits_each > 0, run=threads.map)
    for block, view in progress("reading the models", blocks, len(recording)):
        digests.add(block.phi[:, 0])
        columns.append(example_columns(*_only(block, view, behind_records(recording))))
        of_targets, view_of_targets = _only(block, view, slice(block.lineup.num_targets))
        if view_of_targets is not None:
            tally.add(of_targets, view_of_targets, masks)
        for _, piece in block.pieces(logits_each):
            tasks = [(one, seen) for size, seen in _views(sweep, piece) for one in running[size].values()]
            for _ in threads.map(lambda one, seen: one.observe(seen), tasks):
                pass
    return {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}, tally, digests


def behind_records(recording: Recording) -> slice:
    """Returns which models the columns of the records are of.

    Of a few targets nothing can be said by example; the shadow models, if any, then speak for them.
    """
    lineup = recording.lineup
    enough = lineup.num_targets >= MIN_MODELS or not recording.has_shadows
    return slice(lineup.num_targets) if enough else slice(lineup.first_shadow, None)


def attack(
    recording: Recording,
    kept: Kept,
    sweep: Sweep,
    running: Running,
    scores: Mapping[tuple[str, int | None], Scores],
    evident: str,
    progress: Progress,
    threads: Threads,
) -> np.ndarray:
    """Fits the attacks; second pass: fills `scores`; returns (N,) `mean_evidence` of the attack `evident`."""
    fitted = [one for among in running.values() for one in among.values()]
    for one in progress("fitting the attacks", fitted, len(fitted)):
        one.fit(threads.map)

    def scores_of(piece: Block) -> tuple[np.ndarray, dict[tuple[str, int | None], np.ndarray]]:
        seen = _views(sweep, piece)
        return piece.keep, {(name, size): one.score(view) for size, view in seen for name, one in running[size].items()}

    evidence, logits_each = [], _logits_each(recording, running)
    for block in progress("attacking every model", recording.reread(kept), len(recording)):
        for keep, of_piece in threads.map(scores_of, ((piece,) for _, piece in block.pieces(logits_each))):
            for (name, size), values in of_piece.items():
                check_shape(part_of("attacks", f"the scores of {name}"), values, keep.shape)
                table = scores[name, size]
                table.append(values)
                if (name, size) == (evident, None):
                    evidence.append(mean_evidence(values[:, : table.num_targets], keep[:, : table.num_targets]))
    return np.concatenate(evidence)


def example_columns(block: Block, view: PlainView | None) -> dict[str, np.ndarray]:
    """The measured columns of the records for a block, each (n,), and `Audit.correct`, packed along the models.

    Without a view memorization and the OOD scores are NaN: phi > 0 is enough for a correct answer, but only of two
    classes is it needed.
    """
    n_in = block.keep.sum(axis=1)
    columns = {
        "n_in": n_in,
        "n_out": block.keep.shape[1] - n_in,
        "privacy_score": privacy_score(block.phi[:, 0], block.keep),
    }
    if view is None:
        unknown = ("memorization", "memorization_se", "models_needed", "ood_msp", "ood_energy")
        return columns | dict.fromkeys(unknown, np.full(len(n_in), np.nan))
    estimate, error = memorization(view.correct, block.keep)
    right_in, right_out = ((view.correct & side).sum(axis=1) for side in (block.keep, ~block.keep))
    return columns | {
        "memorization": estimate,
        "memorization_se": error,
        "models_needed": models_for_memorization(columns["n_in"], columns["n_out"], right_in, right_out, HALF_WIDTH),
        "ood_msp": ood.mean_over(view.ood_msp, ~block.keep),
        "ood_energy": ood.mean_over(view.ood_energy, ~block.keep),
        "correct": np.packbits(view.correct, axis=1),
    }


def mean_evidence(scores: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """(n,) mean log-likelihood ratio in favour of the truth, in nats; higher = easier to attack.

    The mean over the example's members and minus the mean over its non-members, averaged; the one of them if there
    is only one, as with a single target.

    Args:
        scores: (n, T) log-likelihood ratios in nats, positive for a member.
        keep: (n, T) bool.
    """
    sides = []
    for side, sign in ((keep, 1), (~keep, -1)):
        count = side.sum(axis=1)
        sides.append(sign * np.where(side, scores, 0).sum(axis=1) / np.where(count, count, np.nan))
    members, others = sides
    return np.where(np.isnan(members), others, np.where(np.isnan(others), members, 0.5 * members + 0.5 * others))


def _logits_each(recording: Recording, running: Running) -> int:
    """Logits that attacks look at beside each value of phi; 0 if none looks at any."""
    looks = any("logits" in one.needs for among in running.values() for one in among.values())
    return recording.shape[2] if looks else 0


def _views(sweep: Sweep, piece: Block) -> Iterator[tuple[int | None, Block]]:
    """A piece as the attacks see it, by the number of shadow models per side; None is for all."""
    yield None, piece
    yield from sweep.blocks(piece)


def _only(block: Block, view: PlainView | None, models: slice) -> tuple[Block, PlainView | None]:
    """A block and its view with some of the models."""
    chosen = view and PlainView(view.correct[:, models], view.ood_msp[:, models], view.ood_energy[:, models])
    keep, phi = block.keep[:, models], block.phi[..., models]
    return Block(block.start, block.labels, keep, phi, lambda: block.logits[:, :, models]), chosen
