"""Whether the models of two records answered the same queries on the same examples."""

import numpy as np

from mia_tf.shadow.shadow_models import ShadowModels
from mia_tf.validation import check


def check_same_examples(argument: str, received, targets: ShadowModels, shadows: ShadowModels, other: str) -> None:
    """Raises InputError unless both records are of the same examples, in the same order and asked as often.

    Args:
        argument: the parameter or flag that gave one of the records, which an InputError names.
        received: its value, for people.
        targets, shadows: the records.
        other: the parameter or flag that gave the other one.
    """
    for name in ("ids", "labels"):
        same = np.array_equal(getattr(targets, name), getattr(shadows, name))
        check(argument, received, same, f"must be of the same examples in the same order as {other}; the {name} differ")
    expected, answered = targets.shape[1:], shadows.shape[1:]
    classes_known = targets.has_logits and shadows.has_logits  # scores do not tell them
    check(
        argument,
        received,
        expected[0] == answered[0] and (expected[1] == answered[1] or not classes_known),
        f"must have answered as many queries of as many classes as {other}: {expected[0]} and {expected[1]} by the "
        f"targets, {answered[0]} and {answered[1]} by the shadow models",
    )
