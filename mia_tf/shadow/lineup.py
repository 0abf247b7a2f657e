"""Who is attacked with whose help: which models are targets, which shadow models, and which of these is left out."""

from dataclasses import dataclass

import numpy as np

from mia_tf.validation import check, fail

NONE = -1
_APART = (
    "must hold models whose subsets were drawn apart from the targets', by another --seed, or are the same, each once"
)
_OWN_SUBSETS = (
    "must hold models with a subset each, all or none of which have a model with the opposite subset "
    "(ShadowModels.subset leaves models out)"
)
_FEW = 64
"""Subsets of no more examples may be the same, or opposite, by chance."""
_OPPOSITE = 0.999
"""Correlation, its sign reversed, of subsets that are each other's rest."""
_RELATED = 8
"""Standard errors: two subsets drawn independently do not agree by more, however many pairs are compared."""
_COMPARED = 10_000
"""Examples by which subsets are compared: more than enough to see that one was made of the other."""


@dataclass(frozen=True)
class Lineup:
    """M models by their position.

    Attributes:
        num_targets: T; the first T models are attacked.
        first_shadow: the models from this position on are shadow models: 0, or T if they are others or there are none.
        twins: (T,) int64, per target the place among the shadow models of the one that must not be used against it.
            That one is the target itself or was trained on the same subset. NONE if there is no such model.
        pairs: (S,) int64, per shadow model the place of the one that was trained on exactly the other examples; None
            unless each has one.
    """

    num_targets: int
    first_shadow: int
    twins: np.ndarray
    pairs: np.ndarray | None = None

    @classmethod
    def of_one_logdir(cls, num_models: int) -> "Lineup":
        """Every model is a target, and the shadow model of all others."""
        return cls(num_models, 0, np.arange(num_models))

    @classmethod
    def of_one_record(cls, keep: np.ndarray, argument: str = "shadows") -> "Lineup":
        """The same, of models whose membership keep (N, M) is known.

        Raises:
            InputError: two models, or all, were trained on the same subset; or some, but not all, come in pairs of
                which one was trained on exactly the examples that the other was not. On noise that such models share,
                LiRA had an AUROC of 0.55.
        """
        _check_not_alike(keep, argument)
        told_apart = keep[_telling(keep)]
        places, opposites = np.arange(keep.shape[1]), _opposites(told_apart)
        if len(told_apart) > _FEW:
            for same in _places(told_apart).values():
                if len(same) > 1:
                    fail(argument, f"models {same[0]} and {same[1]}, trained on the same examples", _OWN_SUBSETS)
        if (opposites == NONE).any() and (opposites != NONE).any():
            one = int(np.argmax(opposites != NONE))
            received = f"model {opposites[one]}, trained on exactly the examples that model {one} was not"
            fail(argument, received, _OWN_SUBSETS)
        return cls(keep.shape[1], 0, places, _whole(opposites))

    @classmethod
    def of_one_model(cls) -> "Lineup":
        """One target, and no shadow models."""
        return cls(1, 1, np.array([NONE]))

    @classmethod
    def of_two_logdirs(cls, keep: np.ndarray, num_targets: int, argument: str = "shadows") -> "Lineup":
        """The first T models attacked with the others, which come from another LOGDIR.

        What a target says of an example depends on what else it trained on. A shadow model of the very same subset
        says alike, and is on the target's side of every example: it would give membership away where nothing is
        remembered. So it is left out, as the target itself is where it is among the shadow models.

        Different models of one balanced plan are no help either: each example is IN a fixed number of them, so the
        fewer shadow models it is IN, the more targets it is IN.

        Args:
            keep: (N, M) bool, membership in the training sets.
            num_targets: T.
            argument: the parameter or flag that gave the shadow models, which an InputError names.

        Raises:
            InputError: all shadow models were trained on the same examples, but not on all or none; or a target's and a
                shadow model's subsets agree more than chance, and are not the same; or two
                shadow models have the subset of one target; or none has that of any, but how many of them an example
                is IN goes with how many targets it is IN. No leaving out makes up for that.
        """
        targets, shadows = keep[:, :num_targets], keep[:, num_targets:]
        places = _places(shadows)
        same = [places.get(subset, []) for subset in _subsets(targets)]
        twins = np.array([positions[0] if positions else NONE for positions in same])
        num_in = shadows.sum(axis=1)
        rows = _telling(shadows)
        _check_not_alike(shadows, argument)
        if not len(rows):  # shadow models trained on none of the examples, or on all: nothing to be alike in
            return cls(num_targets, num_targets, twins)
        pairs = _whole(_opposites(shadows[rows]))
        agreement = _agreement(targets[rows], shadows[rows])
        agreement[twins != NONE, twins[twins != NONE]] = 0
        target, shadow = np.unravel_index(agreement.argmax(), agreement.shape)
        if agreement[target, shadow] > _RELATED or any(len(positions) > 1 for positions in same):
            like = f"a subset of shadow model {shadow} that is too much like that of target {target}"
            fail(argument, like, _APART)
        counted = _agreement(targets[rows].sum(axis=1, keepdims=True), num_in[rows, None])
        if (twins == NONE).all() and abs(counted.item()) > _RELATED:
            fail(argument, "other models of the targets' own plan", _APART)
        opposite = agreement.min(axis=1) < -_OPPOSITE * np.sqrt(len(rows))
        opposite &= (twins == NONE) | (pairs is None)
        if len(rows) > _FEW and opposite.any():
            target = int(np.argmax(opposite))
            shadow = int(agreement[target].argmin())
            fail(argument, f"shadow model {shadow}, trained on exactly what target {target} was not", _APART)
        return cls(num_targets, num_targets, twins, pairs)

    @property
    def apart(self) -> bool:
        """Whether the targets are not among the shadow models."""
        return self.first_shadow > 0


def _check_not_alike(keep: np.ndarray, argument: str) -> None:
    """Raises InputError if all of several models (N, M) were trained on the same examples, but not on all or none."""
    alike = keep.shape[1] > 1 and not len(_telling(keep)) and keep.any() and not keep.all()
    check(argument, "models that were all trained on the same examples", not alike, _OWN_SUBSETS)


def _telling(keep: np.ndarray) -> np.ndarray:
    """Rows of the first examples that some models were trained on and others not."""
    return np.flatnonzero(keep.any(axis=1) & ~keep.all(axis=1))[:_COMPARED]


def _subsets(keep: np.ndarray) -> list[bytes]:
    """Each model's subset of the examples, (N, M), as bytes that are equal for equal subsets."""
    return [column.tobytes() for column in np.packbits(keep, axis=0).T]


def _places(keep: np.ndarray) -> dict[bytes, list[int]]:
    """Subset -> the places of the models that were trained on it."""
    places: dict[bytes, list[int]] = {}
    for place, subset in enumerate(_subsets(keep)):
        places.setdefault(subset, []).append(place)
    return places


def _opposites(keep: np.ndarray) -> np.ndarray:
    """(M,) the place of the model that was trained on exactly the other ones of these examples, or NONE."""
    if len(keep) <= _FEW:
        return np.full(keep.shape[1], NONE)
    places = _places(keep)
    return np.array([places.get(subset, [NONE])[0] for subset in _subsets(~keep)], np.int64)


def _whole(opposites: np.ndarray) -> np.ndarray | None:
    """The pairs, if each model has an opposite."""
    return None if (opposites == NONE).any() else opposites


def _agreement(targets: np.ndarray, shadows: np.ndarray) -> np.ndarray:
    """(T, S) correlations of memberships, or of their sums, (N, T) and (N, S) in standard errors."""
    columns = []
    for keep in (targets, shadows):
        centred = keep - keep.mean(axis=0, dtype=np.float32)
        norms = np.sqrt(np.square(centred).sum(axis=0))
        columns.append(centred / np.where(norms, norms, 1))
    return columns[0].T @ columns[1] * np.sqrt(len(targets))
