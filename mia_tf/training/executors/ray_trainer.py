"""What runs on the machines of a Ray cluster: an engine, which sends back all that it makes."""

import os
import queue
import socket
import threading
from collections.abc import Callable, Sequence

import numpy as np

import mia_tf
from mia_tf import backend
from mia_tf.config import ExperimentConfig, TaskConfig
from mia_tf.records import Dataset, Examples
from mia_tf.training.worker import train_with_engine


class Trainer:
    """The class of a Ray actor: an engine in a process of its own, started once and kept."""

    def hello(self) -> tuple[str, str]:
        """(version of mia_tf, name of the machine)."""
        return mia_tf.__version__, socket.gethostname()

    def start(
        self,
        dataset: Dataset | Examples,
        config: ExperimentConfig | TaskConfig,
        start: Callable,
        keras_backend: str,
        memory: float | None,
    ) -> int:
        """Starts the engine that `start(dataset)` returns; returns how many models it trains at the same time.

        Args:
            dataset, config: of the experiment.
            start: returns the engine.
            keras_backend: the driver's; this machine's own may be another.
            memory: share of a GPU's that JAX takes; None for its own choice.
        """
        os.environ["KERAS_BACKEND"] = keras_backend
        if memory:
            backend.limit_memory(memory)
        self._config, self._events = config, queue.SimpleQueue()
        self._engine = start(dataset)
        return self._engine.ensemble_size

    def train(self, members: np.ndarray, indices: Sequence[int]) -> None:
        """Begins to train models, (K, N) bool; `events` tells how it goes."""
        threading.Thread(target=self._train, args=(members, indices), daemon=True).start()

    def _train(self, members, indices):
        try:
            for outcome in train_with_engine(self._engine, self._config, members, indices, self._tell_epoch):
                self._events.put(("outcome", outcome))
            self._events.put(("ready", None))
        except Exception as error:  # whatever it is, the driver must hear of it: nobody else waits for this thread
            self._events.put(("crashed", f"{type(error).__name__}: {error}".splitlines()[0]))

    def _tell_epoch(self):
        self._events.put(("epoch", None))

    def events(self) -> list[tuple]:
        """Returns all that has happened since the last call; waits until something has.

        Returns:
            ("epoch", None) after an epoch of all its models; ("outcome", ModelRecord | ModelFailure) for each model;
            and at the end ("ready", None), or ("crashed", reason) if the engine raised an error.
        """
        events = [self._events.get()]
        while not self._events.empty():
            events.append(self._events.get())
        return events
