"""What one model says of one example, as numbers that attacks compare; float64, exact at any logits.

Sign conventions: the better a model knows an example, the HIGHER its phi and the LOWER its loss.
"""

import numpy as np


def _split(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The true class' logit (...,), and all logits as float64 with -inf in its place (..., C)."""
    others = np.array(logits, dtype=np.float64)
    place = np.broadcast_to(np.asarray(labels), others.shape[:-1])[..., None]
    true = np.take_along_axis(others, place, axis=-1)[..., 0]
    np.put_along_axis(others, place, -np.inf, axis=-1)
    return true, others


def phi(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Logit-scaled confidence log(p_y / (1 - p_y)) (LiRA, section VI.A), higher if the model is surer.

    It is computed as z_y - logsumexp of the other logits, which is finite for all finite logits. log(p / (1 - p)) is
    infinite from a margin of 20 (float32) or 37 (float64).

    Args:
        logits: (..., C) float, C >= 2.
        labels: integers, broadcast against the leading shape of `logits`.

    Returns:
        (...) float64.

    Example:
        >>> phi(np.array([[0.0, 0.0], [1000.0, 0.0]]), np.array([0, 1])).tolist()
        [0.0, -1000.0]
    """
    true, others = _split(logits, labels)
    largest = others.max(axis=-1)
    others -= largest[..., None]
    return (true - largest) - np.log(np.exp(others, out=others).sum(axis=-1))


def loss(phi: np.ndarray) -> np.ndarray:
    """Cross-entropy in nats, -log p_y = log(1 + exp(-phi)) >= 0, of phi of any shape."""
    phi = np.asarray(phi, np.float64)
    return np.log1p(np.exp(-np.abs(phi))) + np.maximum(-phi, 0)


def correct(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(...) bool: whether the label has the largest logit, the first of the largest if several tie.

    Args: as `phi`.
    """
    return np.argmax(logits, axis=-1) == labels
