"""The engine of a user's task: it trains by calling the user's function, or Keras models several at once."""

import hashlib
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mia_tf.records import Examples, ModelFailure, ModelRecord
from mia_tf.task import ANSWERS, Task, error_line, say_one_at_a_time
from mia_tf.task_identity import USES, has_file
from mia_tf.training import accuracy
from mia_tf.validation import InputError, check, fail

if TYPE_CHECKING:
    from mia_tf.training.keras_ensemble import KerasEnsemble


class TaskEngine:
    """Trains models one at a time by calling the task's function, or several at once if the task can.

    Args:
        task: what to train.
        num_members: nominal number of examples of a model's training set.
        ensemble_size: number of models to train at once; None to leave it to the task.
        num_models: number of models to train in all; None if that is not known.

    Attributes:
        ensemble_size: number of models that train at the same time.
    """

    def __init__(self, task: Task, num_members: int, ensemble_size: int | None = None, num_models: int | None = None):
        self._task, self._examples = task, task.examples()
        self._ensemble = task.ensemble(num_members, ensemble_size, num_models)
        self.ensemble_size = 1 if self._ensemble is None else self._ensemble.size
        self._train_and_predict, self._hparams = task.training(num_members), task.hparams(num_members)
        self._shape = None  # of the first model's answers

    def train(
        self, members: np.ndarray, seeds: Sequence[int], on_epoch: Callable[[], None] = lambda: None
    ) -> Iterator[ModelRecord | ModelFailure]:
        """Trains one model per row of `members`.

        Args:
            members: (K, N) bool, the training set of each model.
            seeds: (K,) int, the seed that the function gets for each model.
            on_epoch: called after every model, or once for models that train at once.

        Yields:
            For k = 0..K-1 in turn a ModelRecord or a ModelFailure with index k. A model fails if the function raises an
            error or returns something that is not the task's answers.
        """
        models = [(np.asarray(keep, bool), int(seed)) for keep, seed in zip(members, seeds, strict=True)]
        if len(models) > 1 and self._ensemble is not None:
            yield from self._train_at_once(self._ensemble, models, on_epoch)
            return
        for index, (keep, seed) in enumerate(models):
            yield self._train_one(index, keep, seed)  # first of all, so that it is stored whatever happens
            on_epoch()

    def _train_one(self, index: int, keep: np.ndarray, seed: int) -> ModelRecord | ModelFailure:
        started = time.perf_counter()
        try:
            returned = self._train_and_predict(np.flatnonzero(keep), seed)
        except (Exception, SystemExit) as error:  # whatever a user's code raises, it costs this model alone
            returned = error
        return self._outcome(index, keep, seed, returned, time.perf_counter() - started)

    def _train_at_once(
        self, ensemble: "KerasEnsemble", models: list[tuple[np.ndarray, int]], on_epoch: Callable[[], None]
    ) -> Iterator[ModelRecord | ModelFailure]:
        """Trains models at once; one at a time if that raises an error, so that it costs no other model."""
        started = time.perf_counter()
        try:
            returned = ensemble.train([np.flatnonzero(keep) for keep, _ in models], [seed for _, seed in models])
        except Exception as error:
            say_one_at_a_time(self._task.error_line(error))
            outcomes = (self._train_one(index, keep, seed) for index, (keep, seed) in enumerate(models))
        else:
            seconds, metrics = (time.perf_counter() - started) / len(models), {"ensemble_size": len(models)}
            outcomes = (
                self._outcome(index, keep, seed, some, seconds, **metrics)
                for index, ((keep, seed), some) in enumerate(zip(models, returned, strict=True))
            )
        yield from outcomes
        on_epoch()

    def _outcome(
        self, index: int, keep: np.ndarray, seed: int, returned, seconds: float, **metrics_of_ensemble
    ) -> ModelRecord | ModelFailure:
        """The record of a model, given what its training returned, or the error that it raised."""
        if isinstance(returned, BaseException):
            return ModelFailure(index, f"{self._task.name} raised {self._task.error_line(returned)}")
        try:
            answers = self._answers(returned)
        except Exception as error:  # a user's array may raise an error of its own when it is read
            reason = str(error) if isinstance(error, InputError) else error_line(error)
            return ModelFailure(index, f"{self._task.name} returned answers that cannot be used: {reason}")
        accuracies = accuracy.on_pool(self._task.logits(answers)[:, 0], self._examples, keep)
        labels = self._examples.labels[keep]
        metrics = {
            **accuracies,
            "at_chance": accuracy.is_at_chance(accuracies["train_accuracy_all"], labels),
            "num_members": len(labels),
            "train_seconds": seconds,
            **metrics_of_ensemble,
            "answers_digest": hashlib.blake2b(answers.tobytes(), digest_size=8).hexdigest(),
        }
        return ModelRecord(index, keep, answers[:, None], 1, {**self._hparams, "seed": seed}, metrics)

    def _answers(self, returned) -> np.ndarray:
        """(N, Q, K) float32 answers, of the shape of the models before."""
        answers = self._task.answers(returned)
        self._shape = self._shape or answers.shape
        same = answers.shape == self._shape
        check(ANSWERS, f"shape {answers.shape}", same, f"must have the shape of the models before, {self._shape}")
        return answers


def start_task_engine(
    _: Examples,
    source: Callable[[], Task],
    identity: dict,
    num_members: int,
    ensemble_size: int | None = None,
    num_models: int | None = None,
) -> TaskEngine:
    """Starts the engine of a task in this process.

    Args:
        source: returns the task.
        identity: of the task for which the models are trained; the one that `source` returns must have the same.
        num_members, ensemble_size, num_models: as TaskEngine takes them.

    Raises:
        InputError: the task cannot be loaded here, or is another one.
    """
    # Processes that the task starts must not be loky's, as this one is: those of spawn would not know that method.
    multiprocessing.set_start_method(None, force=True)
    try:
        task = source()
    except InputError:
        raise
    except Exception as error:
        fail("task", identity["task"], f"must be one that another process can load; it raised {error_line(error)}")
    own = task.identity()
    differ = [name for name in {**own, **identity} if own.get(name) != identity.get(name)]
    if not has_file(task.train_and_predict):  # it was sent by its content: it is the same, though it looks another
        differ = [name for name in differ if name != "task_digest" and not name.startswith(USES)]
    check("task", identity["task"], not differ, f"must be the same in each process; it differs in {', '.join(differ)}")
    return TaskEngine(task, num_members, ensemble_size, num_models)
