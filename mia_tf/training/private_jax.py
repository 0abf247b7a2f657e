"""What DP-SGD (Abadi et al. 2016) computes on JAX: sums of clipped per-example gradients, and their noise."""

from collections.abc import Callable

import jax
import optax


def clipped_sum(loss_of: Callable, weights: list, examples, counts: jax.Array, l2_norm_clip: float):
    """Returns the sum of the losses of B examples, a scalar, and the sums of their clipped gradients.

    Args:
        loss_of: function of the weights and of one example that returns its loss.
        weights: one array per trainable variable.
        examples: a tree of arrays, each (B, ...).
        counts: (B,) float32, 0 for an example that fills up the batch and counts for nothing, else 1.
        l2_norm_clip: largest L2 norm of one example's gradient, over all weights.
    """

    def counted_loss(weights, example, count):
        return loss_of(weights, example) * count

    of_examples = jax.vmap(jax.value_and_grad(counted_loss), in_axes=(None, 0, 0))
    losses, gradients = of_examples(weights, examples, counts)
    # With the fewer bits that cards multiply by default, an example could count for more than the clip.
    with jax.default_matmul_precision("float32"):
        clipped, _ = optax.per_example_global_norm_clip(gradients, l2_norm_clip)
    return losses.sum(), clipped


def noised(sums: list, deviation: float, key: jax.Array) -> list:
    """Returns the sums with Gaussian noise of this standard deviation, drawn anew for each array."""
    keys = jax.random.split(key, len(sums))
    return [total + deviation * jax.random.normal(k, total.shape) for total, k in zip(sums, keys, strict=True)]
