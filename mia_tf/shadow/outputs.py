"""Turns what a model returns (logits, probabilities, one sigmoid output) into logits of C classes."""

from collections.abc import Callable, Iterable

import numpy as np

from mia_tf.validation import as_array, check, check_choice, fail

OUTPUTS = ("logits", "probabilities", "sigmoid")
SMALLEST_FLOOR = 1e-30
"""What a probability counts as at least, so that log p is finite."""
_TOLERANCE = 1e-2
"""Probabilities in half precision sum to 1 within this."""
_ROUNDED = 0.01
"""The unit of probabilities with two digits, each of which may be wrong by half of it."""


def probability_floor(read: Iterable[Callable[[], np.ndarray]]) -> float:
    """What a probability of 0 counts as: half the smallest probability above 0 of all models, at least SMALLEST_FLOOR.

    A forest of 100 trees says 0, 0.01, 0.02, ...: its 0 is below 0.01, but not by 30 orders of magnitude. Measured with
    LiRA on scikit-learn's breast-cancer data (16 forests): half the smallest gives an AUROC of 0.73, 1e-7 gives 0.68,
    and 1e-30 gives 0.57.

    Args:
        read: each call returns probabilities of one model, of any shape.
    """
    smallest = 1.0
    for one in read:
        outputs = np.asarray(one(), np.float64)
        if outputs.shape[-1] == 1:
            outputs = np.concatenate([outputs, 1 - outputs], axis=-1)
        smallest = min(smallest, float(np.min(outputs, where=outputs > 0, initial=1.0)))
    return max(smallest / 2, SMALLEST_FLOOR)


def as_logits(outputs: np.ndarray, kind: str, floor: float = SMALLEST_FLOOR) -> np.ndarray:
    """Returns logits whose softmax is the model's answer.

    Args:
        outputs: (..., C) float: logits or probabilities; (..., 1) float: the logit, or with "probabilities" the
            probability, of the second of two classes.
        kind: one of OUTPUTS.
        floor: of probabilities.

    Returns:
        (..., C) float32, or (..., 2) for one output.
        - "probabilities": log p, each p raised to the floor. `signals.phi` of these is log p_y - log(1 - p_y).
        - "sigmoid": (0, z), so that phi is z for the second class and -z for the first.

    Example:
        >>> as_logits(np.array([[2.0], [-1.0]]), "sigmoid").tolist()
        [[0.0, 2.0], [0.0, -1.0]]
    """
    if kind == "logits":
        return np.asarray(outputs, np.float32)
    if kind == "sigmoid":
        return np.concatenate([np.zeros_like(outputs, np.float32), outputs], axis=-1, dtype=np.float32)
    outputs = np.asarray(outputs, np.float64)
    if outputs.shape[-1] == 1:
        outputs = np.concatenate([1 - outputs, outputs], axis=-1)
    return np.log(np.maximum(outputs, floor)).astype(np.float32)


def answers_of_one_model(answers, argument: str) -> np.ndarray:
    """Returns what one model returns for N examples with all its axes.

    Args:
        answers: (N, Q, C), (N, C) of one query, or (N,) of one query and one output.
        argument: the name of the answers in error messages.

    Returns:
        (N, Q, C); arrays of other shapes come back as they are.
    """
    array = as_array(argument, answers)
    if array.ndim == 1:
        array = array[:, None]
    return array[:, None] if array.ndim == 2 else array


def check_outputs(
    read: Iterable[Callable[[], np.ndarray]], num_outputs: int, kind: str, argument: str = "logits"
) -> None:
    """Raises InputError if the outputs are plainly of another kind than stated.

    Args:
        read: each call returns (n, Q, C) outputs of one model, finite; they are read as long as they tell something.
        num_outputs: C.
        kind: one of OUTPUTS.
        argument: the name of the outputs in error messages.
    """
    check_choice("outputs", kind, OUTPUTS)
    if kind == "sigmoid":
        check(argument, f"{num_outputs} outputs", num_outputs == 1, 'must have one output with outputs="sigmoid"')
    elif kind == "logits" and num_outputs < 2:
        allowed = 'must have at least 2 outputs; one output of two classes needs outputs="sigmoid"'
        check(argument, f"{num_outputs} output", num_outputs > 1, allowed)
    if kind == "probabilities":
        for one in read:
            outputs = one()
            if (fault := _not_probabilities(outputs)) is not None:
                fail(argument, fault, 'must be probabilities with outputs="probabilities"')
    elif all(_not_probabilities(one()) is None for one in read):
        advice = 'looks like probabilities: give outputs="probabilities" (--outputs=probabilities)'
        fail(argument, "values in [0, 1] that sum to 1", f'must be logits with outputs="{kind}", but {advice}')


def _not_probabilities(outputs: np.ndarray) -> str | None:
    """What shows that outputs (..., C) are no probabilities; None if nothing does."""
    low, high = float(outputs.min()), float(outputs.max())
    if low < -1e-6 or high > 1 + 1e-6:
        return f"values from {low:.6g} to {high:.6g}"
    if outputs.shape[-1] == 1:
        return None
    totals = outputs.sum(axis=-1, dtype=np.float64)
    worst = totals.flat[np.abs(totals - 1).argmax()]
    if abs(worst - 1) <= _TOLERANCE or abs(worst - 1) <= _rounding(outputs):
        return None
    return f"a row that sums to {worst:.6g}"


def _rounding(outputs: np.ndarray) -> float:
    """By how much rows of outputs (..., C) may miss 1 because all are rounded to two digits; 0 if they are not."""
    steps = outputs.astype(np.float64) / _ROUNDED
    rounded = np.abs(steps - np.rint(steps)).max() < 0.1  # half precision moves them by up to 0.03
    return (outputs.shape[-1] / 2 + 0.1) * _ROUNDED if rounded else 0.0
