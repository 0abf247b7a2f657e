"""What an attack is, and the table that each attack's file enters itself in."""

from typing import TypeVar

import numpy as np

from mia_tf.shadow.blocks import Block
from mia_tf.shadow.concurrency import Run, one_by_one
from mia_tf.validation import check

ATTACKS: dict[str, type["Attack"]] = {}
"""Name -> class, in the order of registration. `mia_tf.attacks.attack_classes` fills it."""


class Attack:
    """A membership-inference attack on every model in turn; all other models are its shadow models.

    Or an attack on the targets of another LOGDIR, which come before the shadow models (`Block.lineup`).

    `analyze` shows every block of examples to `observe`, calls `fit`, and shows the blocks again to `score`. Every fit
    for a target must leave that target out. It must also rest on equally many models, whether or not the example was in
    the target's training set (`mia_tf.shadow.leave_one_out` does both).

    Attributes:
        limitable: whether all that it takes from shadow models comes from `Block.fits` or `Block.leave_one_out`,
            so that `analyze --num_shadow` can limit how many they are.
        alone: whether it takes nothing from shadow models, so that it can attack a model that has none.
        needs: what it looks at besides phi, which may be all that was kept: "logits" (`Block.logits`); "x" (`Block.x`),
            the examples themselves; "epochs" (`Block.trajectory`), phi at several epochs.
    """

    limitable = False
    alone = False
    needs: tuple[str, ...] = ()

    def __init__(self, num_models: int, rng: np.random.Generator):
        """An attack on `num_models` models; one that draws at random takes its draws from `rng`."""
        self.num_models = num_models
        self.rng = rng

    def observe(self, block: Block) -> None:
        """First pass, in order of the examples: gathers what is fitted over all examples. By default nothing."""

    def fit(self, run: Run = one_by_one) -> None:
        """Between the passes: fits what `observe` gathered. By default nothing.

        Args:
            run: does independent parts of the work, `run(work, tasks)` -> results in order, in several threads. Go
                through the results: until then nothing need be done. Only `fit` itself may use it.
        """

    def score(self, block: Block) -> np.ndarray:
        """(n, M) float64 scores of a block's examples against each target model.

        Several threads may ask at the same time, each with a block of its own: nothing of the attack may change.
        HIGHER means more likely a member. NaN if there are too few shadow models to score the example. What stands
        for models that are no targets is not looked at.
        """
        raise NotImplementedError


AnyAttack = TypeVar("AnyAttack", bound=Attack)


def register(name: str):
    """Class decorator: enters an Attack in the table under `name`, as the command line and the CSVs call it.

    The same class defined again, as when a notebook's cell is run once more, replaces what was there.

    Raises:
        InputError: the name is no text, as when the decorator stands without it.
        ValueError: another attack has that name.
    """
    received = getattr(name, "__name__", name)
    check("name", received, isinstance(name, str), 'must be what the attack is called, such as @register("my_attack")')

    def enter(attack: type[AnyAttack]) -> type[AnyAttack]:
        known = ATTACKS.get(name, attack)
        if (known.__module__, known.__qualname__) != (attack.__module__, attack.__qualname__):
            raise ValueError(f"Attack {name!r} of {attack.__module__} is already that of {ATTACKS[name].__module__}")
        ATTACKS[name] = attack
        return attack

    return enter
