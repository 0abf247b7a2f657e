"""LiRA's recipe as a Keras optimizer, for a user's model that is not compiled."""

import keras

from mia_tf import models
from mia_tf.config import TrainingConfig
from mia_tf.training import schedules


class LiraOptimizer(keras.optimizers.Optimizer):
    """SGD with momentum, LiRA's learning rate, an L2 penalty on kernels, and a limit on the norm of the gradient.

    The same update as that of `mia_tf.training.single.SingleEngine`, with the defaults of `TrainingConfig`.

    Args:
        total_steps: number of steps of the training, which the learning rate follows.
        private: whether the gradients come from DP-SGD, which clips each example's. Their noised sum is not clipped.
    """

    def __init__(self, total_steps: int, private: bool = False):
        recipe = TrainingConfig()
        clip_norm = None if private else recipe.clip_norm or None
        super().__init__(learning_rate=recipe.lr, global_clipnorm=clip_norm, name="lira")
        self._recipe, self._steps = recipe, total_steps
        self.momenta, self.total_steps = [], None

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.momenta = self.add_optimizer_variables(variables, "momentum")
        # A variable, so that a compiled step serves models with training sets of other sizes.
        self.total_steps = self.add_variable((), initializer="zeros", dtype="float32", name="total_steps")
        self.total_steps.assign(self._steps)

    def apply(self, grads, trainable_variables=None):
        variables = self._trainable_variables if trainable_variables is None else trainable_variables
        decay = self._recipe.weight_decay
        grads = [g + decay * v if models.is_decayed(v) else g for g, v in zip(grads, variables, strict=True)]
        return super().apply(grads, trainable_variables)

    def update_step(self, gradient, variable, learning_rate):
        """v = 0.9 v + g, w = w - rate * v, as in LiRA's code; Keras' SGD has the rate inside the momentum."""
        progress = keras.ops.cast(self.iterations, "float32") / self.total_steps
        rate = schedules.lira_learning_rate(self._recipe.lr, self._recipe.warmup, progress)
        momentum = self.momenta[self._get_variable_index(variable)]
        self.assign(momentum, schedules.MOMENTUM * momentum + gradient)
        self.assign_sub(variable, rate * momentum)
