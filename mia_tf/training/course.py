"""The course of one model's training, the same for every engine.

An engine computes epochs and answers. The course decides the rest: when to evaluate, which weights to keep, when to
stop, and what the model's record or failure says. It imports no framework.
"""

from collections.abc import Callable

import numpy as np

from mia_tf.config import TrainingConfig
from mia_tf.privacy_guarantee import PrivacyGuarantee
from mia_tf.records import Dataset, ModelFailure, ModelRecord
from mia_tf.training import accuracy, schedules

Weights = Callable[[], list[np.ndarray]]
"""Returns the weights of the model as it is now, in Keras' order. Called only when they are kept."""
Predictions = Callable[[], np.ndarray]
"""Returns (T,) the labels that the model as it is now predicts for the test images. Called only to evaluate it."""


class Course:
    """The course of one model, from its first epoch to its record.

    Args:
        index: number of the model in the call of the engine.
        keep: (N,) bool, true for the examples of the model's training set.
        seed: the model's seed.
        dataset: the examples.
        config: how to train the model.
        guarantee: the guarantee of private training; None for training without.

    Attributes:
        orders: iterator over epochs; the rows of the data set that each step of an epoch sees.
        total_steps: number of steps of the whole training.
        steps, epoch: number of steps and of epochs completed.
        running: False once training has failed or has stopped early.
        failure: a ModelFailure once training has failed, else None.
    """

    def __init__(
        self,
        index: int,
        keep: np.ndarray,
        seed: int,
        dataset: Dataset,
        config: TrainingConfig,
        guarantee: PrivacyGuarantee | None = None,
    ):
        self.seed, self._index, self._keep = int(seed), index, np.asarray(keep, bool)
        self._dataset, self._config, self._guarantee = dataset, config, guarantee
        members = np.flatnonzero(self._keep)
        self.orders = schedules.orders(config, guarantee, members, self.seed)
        self.total_steps = schedules.num_steps(config, guarantee, len(members))
        self.steps, self.epoch, self.running, self.failure = 0, 0, True, None
        self._history, self._checkpoints = [], {}
        self._best_accuracy, self._best_epoch = -1.0, 0

    def end_epoch(self, loss: float, completed: int, planned: int, weights: Weights, predictions: Predictions) -> None:
        """Records an epoch. Evaluates the model and keeps its weights in the epochs that the configuration names.

        Args:
            loss: sum of the losses of the completed steps.
            completed: number of steps completed. The first step whose loss is not finite ends the training.
            planned: number of steps of the epoch.
            weights, predictions: of the model after this epoch.
        """
        config = self._config
        self.steps += completed
        if completed < planned:
            progress = np.float32(self.steps / self.total_steps)
            rate = float(schedules.lira_learning_rate(config.lr, config.warmup, progress))
            where = f"step {self.steps + 1} of {self.total_steps} (epoch {self.epoch + 1})"
            reason = f"the loss was not finite at {where}, learning rate {rate:.3g}"
            self.running, self.failure = False, ModelFailure(self._index, reason)
            return
        self.epoch += 1
        self._history.append({"epoch": self.epoch, "loss": loss / max(planned, 1)})
        if config.save_steps and self.epoch % config.save_steps == 0:
            self._checkpoints[self.epoch] = weights()
        if config.eval_steps and self.epoch % config.eval_steps == 0:
            accuracies = self._test_accuracies(predictions)
            self._history[-1] |= accuracies
            current = accuracies.get("test_accuracy_all", 0.0)
            if current > self._best_accuracy:
                self._best_accuracy, self._best_epoch = current, self.epoch
            elif config.patience is not None and self.epoch > self._best_epoch + config.patience:
                self.running = False

    def finish(
        self, logits: np.ndarray, seconds: float, weights: Weights, predictions: Predictions, **engine_metrics
    ) -> ModelRecord | ModelFailure:
        """Returns the record of the trained model, or a failure if its logits are not finite.

        Args:
            logits: (N, 1, Q, C) float32, the model's answers for Q views of every example.
            seconds: duration of the training.
            weights, predictions: of the trained model.
            **engine_metrics: metrics that the engine adds, such as its backend.
        """
        if not np.isfinite(logits).all():
            reason = f"its logits were not finite after step {self.steps} of {self.total_steps}"
            return ModelFailure(self._index, reason)
        if self._config.keep_ckpt:
            self._checkpoints[self.epoch] = weights()
        accuracies = accuracy.on_pool(logits[:, 0, 0], self._dataset, self._keep)
        labels = self._dataset.labels[self._keep]
        metrics = {
            **accuracies,
            **self._test_accuracies(predictions),
            "at_chance": accuracy.is_at_chance(accuracies["train_accuracy_all"], labels),
            "num_members": len(labels),
            "steps": self.steps,
            "train_seconds": seconds,
            "images_per_second": self.steps * self._config.batch / seconds,
            **engine_metrics,
            "history": self._history,
        }
        guarantee = self._guarantee.to_dict() if self._guarantee else {}
        hparams = {**self._config.to_dict(), **guarantee, "seed": self.seed}
        return ModelRecord(self._index, self._keep, logits, self.epoch, hparams, metrics, self._checkpoints)

    def _test_accuracies(self, predictions: Predictions) -> dict[str, float]:
        """Returns the accuracy on each group's test images; {} if there are no test images."""
        data = self._dataset
        if not len(data.test_images):
            return {}
        return accuracy.by_group("test_accuracy", predictions() == data.test_labels, data.test_groups)
