"""Trains the models of a LOGDIR in worker processes on this machine.

Several one-thread workers usually beat one process with many threads, because small networks do
not fill several cores; `measure_workers` finds out which is true here.
"""

import contextlib
import multiprocessing
import multiprocessing.connection
import signal
import time
from collections import deque
from dataclasses import dataclass, field

from mia_tf.config import ExperimentConfig
from mia_tf.progress import Progress
from mia_tf.store import Store
from mia_tf.training import worker
from mia_tf.validation import InputError

_POLL_SECONDS = 2.0  # between looks at models that another process is training


@dataclass
class _Worker:
    process: multiprocessing.Process
    pipe: multiprocessing.connection.Connection
    index: int | None = None  # the model it is on
    begun: bool = False  # an epoch of it is over
    idle: bool = False


def train_models(
    store: Store, config: ExperimentConfig, indices: list[int], workers: int, threads: int, progress: Progress
) -> dict[int, str]:
    """Trains models that are not present yet; waits for those that another process has in hand.

    Args:
        store: where they go.
        config: the store's configuration.
        indices: models to train.
        workers: worker processes.
        threads: threads of each.
        progress: told of epochs and models.

    Returns:
        index -> one line, for every model that could not be trained.
    """
    run = _Run(store, config, threads, progress, deque(indices))
    run.pool = [run.start() for _ in range(min(workers, len(indices)))]
    try:
        while run.pool:
            for member in _heard(run.pool):
                try:
                    run.hear(member, *member.pipe.recv())
                except (EOFError, ConnectionResetError):
                    run.bury(member)
            run.look_elsewhere()
            run.hand_out()
    finally:
        for member in run.pool:
            member.process.terminate()
    run.give_up("no worker process could be started")
    return run.failures


@dataclass
class _Run:
    """The state of `train_models`: who has which model, and what is left."""

    store: Store
    config: ExperimentConfig
    threads: int
    progress: Progress
    todo: deque[int]
    pool: list[_Worker] = field(default_factory=list)
    elsewhere: set[int] = field(default_factory=set)  # another process holds them
    tried_again: set[int] = field(default_factory=set)
    failures: dict[int, str] = field(default_factory=dict)
    look_again: float = 0.0
    waiting_said: bool = False

    def start(self) -> _Worker:
        """Starts a worker. Spawned, not forked: TensorFlow does not survive a fork."""
        context = multiprocessing.get_context("spawn")
        pipe, other = context.Pipe()
        arguments = (other, self.store.logdir, self.config, self.threads)
        process = context.Process(target=worker.run, args=arguments, daemon=True)
        process.start()
        other.close()
        return _Worker(process, pipe)

    def hear(self, member: _Worker, event: str, index: int | None, detail) -> None:
        """Takes in one message of a worker (`mia_tf.training.worker`)."""
        if event == "epoch":
            member.begun = True
            self.progress.epoch(index)
            return
        member.index, member.idle = None, event == "ready"
        if event == "done":
            self.progress.finished(index, _summary(index, detail))
            if detail["at_chance"]:
                self.progress.say(f"warning: model {index} is no better than chance on its own training set")
        elif event == "elsewhere":
            self.elsewhere.add(index)
        elif event in ("failed", "unwritable"):
            self.fail(index, detail)
            if event == "unwritable":  # the others would be trained in vain
                self.give_up("not begun, because another could not be written")

    def bury(self, member: _Worker) -> None:
        """A worker has died: another takes its place, and its model where it had not begun."""
        self.pool.remove(member)
        if member.index is None and not member.idle:
            return  # it never got ready, and another would not either
        self.pool.append(self.start())
        if member.index is None:
            return
        if not member.begun and member.index not in self.tried_again:
            self.tried_again.add(member.index)  # it may have died before it read which model was next
            self.todo.appendleft(member.index)
        else:
            self.fail(member.index, _cause_of_death(member.process))

    def fail(self, index: int, reason: str) -> None:
        """Records that a model could not be trained."""
        self.failures[index] = reason
        self.progress.finished(index, f"model {index} failed: {reason}")

    def give_up(self, reason: str) -> None:
        """Records why what is left will not be trained."""
        self.failures |= dict.fromkeys([*self.todo, *self.elsewhere], reason)
        self.todo.clear()
        self.elsewhere.clear()

    def look_elsewhere(self) -> None:
        """Now and then, looks at the models of other processes; tries those again that are not present."""
        if self.todo or not self.elsewhere or time.monotonic() < self.look_again:
            return
        self.look_again = time.monotonic() + _POLL_SECONDS
        present = self.store.completed()
        for index in sorted(self.elsewhere & present):
            self.progress.finished(index, f"model {index} was trained by another process")
        self.elsewhere -= present
        if self.elsewhere and not self.waiting_said:
            self.waiting_said = True
            self.progress.say(f"waiting for {len(self.elsewhere)} models that another process is training")
        self.todo.extend(sorted(self.elsewhere))  # who holds them may have died
        self.elsewhere.clear()

    def hand_out(self) -> None:
        """Gives idle workers a model, or sends them home where there is none and none may come."""
        for member in [m for m in self.pool if m.idle]:
            # A worker that died while idle is buried when it is heard next; nothing was given to it.
            with contextlib.suppress(BrokenPipeError):
                if self.todo:
                    member.pipe.send(self.todo[0])
                    member.index, member.idle, member.begun = self.todo.popleft(), False, False
                elif not self.elsewhere:
                    member.pipe.send(None)
                    self.pool.remove(member)


def measure_workers(
    store: Store, config: ExperimentConfig, cores: int, seconds: float = 2.0
) -> tuple[int, int, dict[tuple[int, int], float]]:
    """Tries ways to share out the cores and takes the fastest.

    Args:
        store: whose data set the trial trains on.
        config: the store's configuration.
        cores: cores to use.
        seconds: length of each trial, besides its start.

    Returns:
        (workers, threads of each, {(workers, threads): images per second}).
    """
    speeds = {}
    for threads in sorted({2**k for k in range(cores.bit_length()) if 2**k <= cores} | {cores}):
        workers = max(1, cores // threads)
        # Not enough memory for so many, most likely.
        with contextlib.suppress(InputError):
            speeds[workers, threads], _ = measure(store, config, workers, threads, seconds)
    if not speeds:
        raise _not_started()
    return *max(speeds, key=speeds.get), speeds


def measure(
    store: Store, config: ExperimentConfig, workers: int, threads: int, seconds: float = 2.0
) -> tuple[float, int]:
    """Trains for a while, and keeps nothing of it.

    Returns:
        (images per second of all workers together, bytes of memory that one needed at most).

    Raises:
        InputError: the workers do not all run.
    """
    context = multiprocessing.get_context("spawn")
    started = []
    for _ in range(workers):
        pipe, other = context.Pipe()
        arguments = (other, store.logdir, config, threads, seconds)
        process = context.Process(target=worker.measure, args=arguments, daemon=True)
        process.start()
        other.close()
        started.append((process, pipe))
    try:
        for _, pipe in started:
            pipe.recv()
        for _, pipe in started:
            pipe.send("go")
        found = [pipe.recv() for _, pipe in started]
    except (EOFError, ConnectionError):
        raise _not_started() from None
    finally:
        for process, _ in started:
            process.terminate()
            process.join()
    speeds, memory = zip(*found, strict=True)
    return sum(speeds), max(memory)


def _not_started() -> InputError:
    return InputError("No worker process could be started: give --workers and --threads_per_worker to see why")


def _heard(pool: list[_Worker]) -> list[_Worker]:
    pipes = multiprocessing.connection.wait([m.pipe for m in pool], timeout=_POLL_SECONDS)
    return [m for m in pool if m.pipe in pipes]


def _cause_of_death(process: multiprocessing.Process) -> str:
    process.join()
    code = process.exitcode
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return f"its worker process {how}"


def _summary(index: int, metrics: dict) -> str:
    parts = [f"train {metrics['train_accuracy_all']:.1%}"]
    parts += [
        f"test {name} {metrics[key]:.1%}" for name in ("over", "under") if (key := f"test_accuracy_{name}") in metrics
    ]
    return f"model {index}: " + ", ".join(parts) + f", {metrics['train_seconds']:.0f} s"
