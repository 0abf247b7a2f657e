"""The engine of a user's task: it trains by calling the user's function, one model after another."""

import hashlib
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from mia_tf.records import Examples, ModelFailure, ModelRecord
from mia_tf.task import ANSWERS, Task, told
from mia_tf.training import accuracy
from mia_tf.validation import InputError, check, fail


class TaskEngine:
    """Trains models one at a time by calling the task's function.

    Args:
        task: what to train.
        num_members: nominal number of examples of a model's training set.
    """

    group_size = 1  # models that train at the same time

    def __init__(self, task: Task, num_members: int):
        self._task, self._examples = task, task.examples()
        self._train_and_predict, self._hparams = task.training(num_members), task.hparams(num_members)
        self._shape = None  # of the first model's answers

    def train(
        self, members: np.ndarray, seeds: Sequence[int], on_epoch: Callable[[], None] = lambda: None
    ) -> Iterator[ModelRecord | ModelFailure]:
        """Trains one model per row of `members`.

        Args:
            members: (K, N) bool, the training set of each model.
            seeds: (K,) int, the seed that the function gets for each model.
            on_epoch: called after every model.

        Yields:
            For k = 0..K-1 in turn a ModelRecord with index k, or a ModelFailure if the function raised an error or
            returned what is not the task's answers.
        """
        for index, (keep, seed) in enumerate(zip(members, seeds, strict=True)):
            outcome = self._train_one(index, np.asarray(keep, bool), int(seed))
            on_epoch()
            yield outcome

    def _train_one(self, index: int, keep: np.ndarray, seed: int) -> ModelRecord | ModelFailure:
        started = time.perf_counter()
        try:
            returned = self._train_and_predict(np.flatnonzero(keep), seed)
        except (Exception, SystemExit) as error:  # whatever a user's code raises, it costs this model alone
            return ModelFailure(index, f"{self._task.name} raised {self._task.told(error)}")
        seconds = time.perf_counter() - started
        try:
            answers = self._answers(returned)
        except Exception as error:  # a user's array may raise an error of its own when it is read
            reason = str(error) if isinstance(error, InputError) else told(error)
            return ModelFailure(index, f"{self._task.name} returned answers that cannot be used: {reason}")
        accuracies = accuracy.on_pool(self._task.logits(answers)[:, 0], self._examples, keep)
        labels = self._examples.labels[keep]
        metrics = {
            **accuracies,
            "at_chance": accuracy.is_at_chance(accuracies["train_accuracy_all"], labels),
            "num_members": len(labels),
            "train_seconds": seconds,
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


def start_task_engine(_: Examples, source: Callable[[], Task], identity: dict, num_members: int) -> TaskEngine:
    """Starts the engine of a task in this process.

    Args:
        source: returns the task.
        identity: of the task for which the models are trained; the one that `source` returns must have the same.
        num_members: nominal number of examples of a model's training set.

    Raises:
        InputError: the task cannot be had here, or is another one.
    """
    # Processes that the task starts must not be loky's, as this one is: those of spawn would not know that method.
    multiprocessing.set_start_method(None, force=True)
    try:
        task = source()
    except InputError:
        raise
    except Exception as error:
        fail("task", identity["task"], f"must be one that another process can load; it raised {told(error)}")
    own = task.identity()
    differ = [name for name in {**own, **identity} if own.get(name) != identity.get(name)]
    check("task", identity["task"], not differ, f"must be the same in each process; it differs in {', '.join(differ)}")
    return TaskEngine(task, num_members)
