"""Makes what attacks see, and runs them as `analyze` does."""

import numpy as np

from mia_tf.analysis.evaluation import FPR_LEVELS, Population, evaluate
from mia_tf.attacks import attack_classes
from mia_tf.shadow.blocks import Block
from mia_tf.shadow.leave_one_out import drawn_starts
from mia_tf.shadow.lineup import Lineup

CLASSES = 3
LABELS_ALONE = {"label_only", "label_only_gap"}
"""Attacks that see nothing of phi but on which side of RIGHT it is."""
RIGHT = -np.log(CLASSES - 1)
"""Phi from which on an answer of `make_block` is correct."""


def membership(rng, num_examples, num_models, pkeep=0.5, plan="balanced"):
    """(N, M) bool."""
    uniform = rng.random((num_examples, num_models))
    return uniform.argsort(axis=1) < int(pkeep * num_models) if plan == "balanced" else uniform < pkeep


def left_for(keep, example, target):
    """Models whose phi judges the target on an example, IN and OUT, without the target and its partner."""
    sides = [[m for m in range(keep.shape[1]) if keep[example, m] == member] for member in (True, False)]
    turned = []
    for side, start in zip(sides, drawn_starts(example, 1)[0], strict=True):
        first = int(start * len(side))
        turned.append(side[first:] + side[:first])
    own, other = turned if keep[example, target] else turned[::-1]
    partner = other[own.index(target) % len(other)]
    return [[m for m in side if m not in (target, partner)] for side in sides]


def examples(count):
    """(N, 3) the examples themselves, which have nothing to do with what models say of them; the first are the same."""
    return np.random.default_rng(0).normal(size=(count, 3))


def make_block(phi, keep, start=0, x=None, lineup=None):
    """A block of phi (n, Q, M) whose logits say the same: phi + log 2 for the label, 0 for two other classes.

    There is an earlier epoch, whose phi is a function of phi. x (N, ...) is of all examples, from row 0; default
    `examples`.
    """
    stop = start + len(phi)
    x = (examples(stop) if x is None else x)[start:stop]

    def read_logits():
        logits = np.zeros((*phi.shape, CLASSES), np.float32)
        logits[..., 0] = phi + np.log(2)
        return logits

    earlier = (phi / 2 + np.sin(2 * phi))[None]
    labels = np.zeros(len(phi), np.int64)
    lineup = lineup or Lineup.of_one_logdir(keep.shape[1])
    return Block(start, labels, keep, phi, read_logits, lineup=lineup, read_x=lambda: x, earlier=earlier)


def run(name, phi, keep, rows_at_once=None, x=None, lineup=None):
    """(N, M) scores of an attack, shown the examples in one block, or in several."""
    attack = attack_classes()[name](keep.shape[1], np.random.default_rng(0))
    rows_at_once = rows_at_once or len(phi)
    blocks = [slice(start, start + rows_at_once) for start in range(0, len(phi), rows_at_once)]
    for rows in blocks:
        attack.observe(make_block(phi[rows], keep[rows], rows.start, x, lineup))
    attack.fit()
    return np.concatenate([attack.score(make_block(phi[rows], keep[rows], rows.start, x, lineup)) for rows in blocks])


def members_three_higher(rng, keep, name):
    """phi (N, 1, M), normal with variance 1, its mean 3 higher for members; lower for attacks that see labels alone.

    Labels show membership only of examples that non-members get wrong.
    """
    place = RIGHT - 1.5 if name in LABELS_ALONE else 0
    return rng.normal(size=(len(keep), 1, keep.shape[1])) + 3 * keep[:, None] + place


def pooled(scores, keep, seed=0, levels=FPR_LEVELS):
    """The Evaluation of scores (N, M), over all examples and targets."""
    population = Population(np.ones(len(keep), bool), keep, keep.sum(axis=1), keep.shape[1])
    return evaluate(scores.astype(np.float32), population, seed, levels)


def area(scores, keep):
    """(AUROC, ci_low, ci_high) of scores (N, M): without the rates at low levels, which take most of the time."""
    return pooled(scores, keep, levels=(0.1,)).metrics["auroc"]
