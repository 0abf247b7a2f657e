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
from dataclasses import dataclass

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
    todo, elsewhere, failures = deque(indices), set(), {}
    look_again, waiting_said, tried_again = 0.0, False, set()
    pool = [_start(store, config, threads) for _ in range(min(workers, len(indices)))]
    try:
        while pool:
            for member in _heard(pool):
                try:
                    event, index, detail = member.pipe.recv()
                except (EOFError, ConnectionResetError):
                    pool.remove(member)
                    if member.index is None and not member.idle:
                        continue  # it never got ready, and another would not either
                    pool.append(_start(store, config, threads))
                    if member.index is None:
                        continue
                    if not member.begun and member.index not in tried_again:
                        tried_again.add(member.index)  # it may have died before it read which model was next
                        todo.appendleft(member.index)
                        continue
                    failures[member.index] = _cause_of_death(member.process)
                    progress.finished(member.index, f"model {member.index} failed: {failures[member.index]}")
                    continue
                if event == "epoch":
                    member.begun = True
                    progress.epoch(index)
                    continue
                member.index, member.idle = None, event == "ready"
                if event == "done":
                    progress.finished(index, _summary(index, detail))
                    if detail["at_chance"]:
                        progress.say(f"warning: model {index} is no better than chance on its own training set")
                elif event == "elsewhere":
                    elsewhere.add(index)
                elif event in ("failed", "unwritable"):
                    failures[index] = detail
                    progress.finished(index, f"model {index} failed: {detail}")
                    if event == "unwritable":  # the others would be trained in vain
                        reason = "not begun, because another could not be written"
                        failures |= dict.fromkeys([*todo, *elsewhere], reason)
                        todo.clear()
                        elsewhere.clear()
            if not todo and elsewhere and time.monotonic() > look_again:
                look_again = time.monotonic() + _POLL_SECONDS
                present = store.completed()
                for index in sorted(elsewhere & present):
                    progress.finished(index, f"model {index} was trained by another process")
                elsewhere -= present
                if elsewhere and not waiting_said:
                    waiting_said = True
                    progress.say(f"waiting for {len(elsewhere)} models that another process is training")
                todo.extend(sorted(elsewhere))  # who holds them may have died: try to claim them
                elsewhere.clear()
            for member in [m for m in pool if m.idle]:
                # A worker that died while idle is found when it is heard next; its model goes to another.
                with contextlib.suppress(BrokenPipeError):
                    if todo:
                        member.pipe.send(todo[0])
                        member.index, member.idle, member.begun = todo.popleft(), False, False
                    elif not elsewhere:
                        member.pipe.send(None)
                        pool.remove(member)
    finally:
        for member in pool:
            member.process.terminate()
    failures |= dict.fromkeys([*todo, *elsewhere], "no worker process could be started")
    return failures


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
    context = multiprocessing.get_context("spawn")
    speeds = {}
    for threads in sorted({2**k for k in range(cores.bit_length()) if 2**k <= cores} | {cores}):
        workers = max(1, cores // threads)
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
            speeds[workers, threads] = sum(pipe.recv() for _, pipe in started)
        except (EOFError, ConnectionError):  # not enough memory for so many, most likely
            speeds[workers, threads] = 0.0
        for process, _ in started:
            process.terminate()
            process.join()
    if not any(speeds.values()):
        raise InputError("No worker process could be started: give --workers and --threads_per_worker to see why")
    return *max(speeds, key=speeds.get), speeds


def _start(store: Store, config: ExperimentConfig, threads: int) -> _Worker:
    # Spawned, not forked: TensorFlow does not survive a fork.
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    process = context.Process(target=worker.run, args=(other, store.logdir, config, threads), daemon=True)
    process.start()
    other.close()
    return _Worker(process, pipe)


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
