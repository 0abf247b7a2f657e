"""Trains the models of a LOGDIR in worker processes on this machine."""

import contextlib
import functools
import multiprocessing
import multiprocessing.connection
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from mia_tf import backend
from mia_tf.config import ExperimentConfig, TaskConfig
from mia_tf.run_options import RunOptions
from mia_tf.store import Store
from mia_tf.training import worker
from mia_tf.training.engines import start_engine
from mia_tf.training.executors import sharing
from mia_tf.training.executors.ledger import POLL_SECONDS, Ledger

_SECONDS_TO_END = 5.0
"""Of a worker that has been dismissed or terminated."""


class LocalExecutor:
    """Worker processes on this machine (`mia_tf.training.executors`)."""

    def __init__(self, options: RunOptions):
        self._options = options

    def train_models(self, store: Store, config: ExperimentConfig, indices: Sequence[int]) -> dict[int, str]:
        """Trains models; see `mia_tf.training.executors`."""
        workers, threads = sharing.share_cores(store, config, self._options, len(indices))
        backend.limit_memory(0.9 / workers)
        start = functools.partial(
            start_engine,
            config=config,
            threads=threads,
            ensemble_size=self._options.ensemble_size,
            num_models=-(-len(indices) // workers),
        )
        return train_models(store, config, indices, start, workers)


# Spawned, not forked: TensorFlow does not survive a fork.
_spawned = functools.partial(multiprocessing.get_context("spawn").Process, daemon=True)


def train_models(
    store: Store,
    config: ExperimentConfig | TaskConfig,
    indices: Sequence[int],
    start: Callable,
    workers: int,
    new_process: Callable = _spawned,
) -> dict[int, str]:
    """Trains models that are not present yet; waits for models that another process is training.

    Args:
        store: where they go.
        config: the store's configuration.
        indices: models to train.
        start: returns the engine for a data set, in a worker process; can be pickled.
        workers: worker processes.
        new_process: makes one of `target` and `args`, as multiprocessing.Process does.

    Returns:
        index -> one line, for every model that could not be trained.
    """
    workers = min(workers, len(indices))
    with Ledger(store, indices, config.epochs, workers) as ledger:
        # Absolute, because a user's task may change the current folder of its process.
        run = _Run(ledger, (store.logdir.absolute(), config, start), new_process)
        try:
            run.pool = [run.start() for _ in range(workers)]
            while run.pool:
                for member in _heard(run.pool):
                    try:
                        run.hear(member, *member.pipe.recv())
                    except (EOFError, ConnectionResetError):
                        run.bury(member)
                ledger.look_elsewhere()
                run.hand_out()
            _wait_for(run.processes)
        finally:
            _end(run.processes)
        ledger.give_up(f"no worker process could be started{run.reason}")
        return ledger.failures


@dataclass
class _Worker:
    process: multiprocessing.Process
    pipe: multiprocessing.connection.Connection
    ensemble_size: int = 0  # models that it trains at the same time, once it is ready
    indices: set[int] = field(default_factory=set)  # the models it is on
    begun: bool = False  # an epoch of them is over
    idle: bool = False


@dataclass
class _Run:
    """The state of `train_models`: who has which models."""

    ledger: Ledger
    arguments: tuple  # of every worker
    new_process: Callable
    pool: list[_Worker] = field(default_factory=list)
    processes: list[multiprocessing.Process] = field(default_factory=list)  # of all workers, also of former ones
    reason: str = ""  # why one could not be started, if it said so

    def start(self) -> _Worker:
        """Starts a worker."""
        pipe, other = multiprocessing.Pipe()
        process = self.new_process(target=worker.run, args=(other, *self.arguments))
        process.start()
        self.processes.append(process)
        other.close()
        return _Worker(process, pipe)

    def hear(self, member: _Worker, event: str, index: int | None, detail) -> None:
        """Takes in one message of a worker (`mia_tf.training.worker`)."""
        if event == "epoch":
            member.begun = True
            self.ledger.epoch(member.indices)
        elif event == "refused":
            self.reason = f": {detail}"
        elif event == "ready":
            self.ledger.lost(member.indices, "the training engine returned no result for this model", tries=1)
            member.ensemble_size, member.idle, member.indices = detail, True, set()
        elif index is not None:
            member.indices.remove(index)
            self.ledger.hear(event, index, detail)

    def bury(self, member: _Worker) -> None:
        """A worker has died: another takes its place, and its models where they had not begun."""
        self.pool.remove(member)
        _wait_for([member.process])
        _end([member.process])
        if not member.ensemble_size:
            return  # it never got ready, and another would not either
        self.pool.append(self.start())
        # It may have died before it read which models were next.
        self.ledger.lost(member.indices, _cause_of_death(member.process), tries=1 if member.begun else 2)

    def hand_out(self) -> None:
        """Hands models to idle workers; dismisses these if there are none left and none may come."""
        for member in [m for m in self.pool if m.idle]:
            indices = self.ledger.next_models(member.ensemble_size)
            if indices:
                member.indices, member.idle, member.begun = set(indices), False, False
            elif self.ledger.settled:
                self.pool.remove(member)
            else:
                continue  # they are elsewhere, and may come back
            with contextlib.suppress(BrokenPipeError):  # a worker that died while idle is buried when it is heard next
                member.pipe.send(indices or None)


def _heard(pool: list[_Worker]) -> list[_Worker]:
    pipes = multiprocessing.connection.wait([m.pipe for m in pool], timeout=POLL_SECONDS)
    return [m for m in pool if m.pipe in pipes]


def _wait_for(processes: list[multiprocessing.Process]) -> None:
    """Waits for a few seconds until processes have ended."""
    # Not by `join`, which also waits for processes that a task has forked: they hold open what it waits for.
    end = time.monotonic() + _SECONDS_TO_END
    while any(process.is_alive() for process in processes) and time.monotonic() < end:
        time.sleep(0.01)


def _end(processes: list[multiprocessing.Process]) -> None:
    """Ends processes, whatever keeps them alive: threads or processes of a task's, or a handler of SIGTERM."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            if process.is_alive():
                os.kill(cast(int, process.pid), number)  # loky's processes have no `kill`
        _wait_for(processes)


def _cause_of_death(process: multiprocessing.Process) -> str:
    code = process.exitcode or 0
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return f"its worker process {how}"
