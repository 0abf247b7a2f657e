"""Which models answered alike for every example: one model is there twice, or nothing that differs was trained on."""

from hashlib import blake2b

import numpy as np


class AnswerDigests:
    """A digest of each model's answers, so that equal models are seen in one pass over the examples.

    Example:
        >>> digests = AnswerDigests()
        >>> digests.add(np.array([[0.5, 0.5], [0.1, 0.1]]))
        >>> first, second = digests.by_model()
        >>> first == second
        True
    """

    def __init__(self):
        self._digests = []

    def add(self, phi: np.ndarray) -> None:
        """Adds a block of examples: phi (n, M) of one query, by example and model."""
        self._digests = self._digests or [blake2b() for _ in range(phi.shape[1])]
        for digest, of_model in zip(self._digests, np.ascontiguousarray(phi.T), strict=True):
            digest.update(of_model)

    def by_model(self) -> list[bytes]:
        """The M digests of all examples so far."""
        return [digest.digest() for digest in self._digests]
