"""Fewer shadow models: which K models per side may be used for each example, for several K at once.

An adversary who trains K shadow models with an example and K without it is measured on the models of the same
LOGDIR: K + 1 models per side are drawn for each example, and each target meets K of each (`LimitedLeaveOneOut`).
A smaller K uses models that a larger K uses too, so that the step from one to the other is no new draw.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from mia_tf.shadow.blocks import Block
from mia_tf.validation import check, check_integer


def most_shadow_models(keep: np.ndarray) -> int:
    """The largest K of a Sweep: membership keep (N, S) bool leaves a target that many models on both sides."""
    num_in = keep.sum(axis=1)
    return int(np.minimum(num_in, keep.shape[1] - num_in).max()) - 1


class Sweep:
    """Numbers K of shadow models per side, and the draw of the models.

    Attributes:
        sizes: the K, ascending, each once.
    """

    def __init__(self, sizes: Iterable[int], keep: np.ndarray, seed: int):
        """Takes the K, membership keep (N, S) bool of the shadow models and the seed of the draw.

        Raises:
            InputError: no example has K + 1 models per side, of which a target meets K.
        """
        self.sizes = sorted(set(sizes))
        self._seed = seed
        most = most_shadow_models(keep)
        for size in self.sizes:
            check_integer("num_shadow", size, 1)
            check(
                "num_shadow",
                size,
                size <= most,
                f"must be at most {most}: a target leaves no more models on both sides",
            )

    def blocks(self, block: Block) -> Iterator[tuple[int, Block]]:
        """Each K, and the block with K + 1 models per side to choose from; no choice for an example with fewer."""
        if not self.sizes:
            return
        first = block.lineup.first_shadow
        ranks = self._ranks(block.start, block.keep[:, first:])
        if block.lineup.pairs is not None:  # both of a pair or none
            ranks = np.where(block.keep[:, first:], ranks, ranks[:, block.lineup.pairs])
        for size in self.sizes:
            chosen = np.zeros(block.keep.shape, bool)
            chosen[:, first:] = ranks <= size
            chosen[chosen.sum(axis=1) < 2 * (size + 1)] = False
            yield size, replace(block, chosen=chosen)

    def _ranks(self, start: int, keep: np.ndarray) -> np.ndarray:
        """(n, S) place of each model in the random order of its side of the example, however the blocks are cut."""
        generator = np.random.PCG64(self._seed)
        generator.advance(start * keep.shape[1])  # one step a number
        order = (np.random.Generator(generator).random(keep.shape) - keep).argsort(axis=1)
        ranks = np.empty(order.shape, np.int64)
        np.put_along_axis(ranks, order, np.arange(order.shape[1])[None], axis=1)
        return np.where(keep, ranks, ranks - keep.sum(axis=1, keepdims=True))
