"""Who gets which cores of this machine: as asked for, or by a measurement.

Several one-thread workers usually beat one process with many threads, because small networks do
not fill several cores; `measure_workers` finds out which is true here.
"""

import contextlib
import multiprocessing

from mia_tf import backend
from mia_tf.config import ExperimentConfig
from mia_tf.run_options import RunOptions
from mia_tf.store import Store
from mia_tf.training import worker
from mia_tf.validation import InputError


def share_cores(store: Store, config: ExperimentConfig, options: RunOptions, num_models: int) -> tuple[int, int]:
    """Worker processes and threads of each: as asked for, or by a measurement on this machine."""
    import joblib

    cores = joblib.cpu_count()
    if options.workers and options.threads_per_worker:
        return options.workers, options.threads_per_worker
    if backend.name() == "jax":  # XLA fills the machine, and two processes would fight for one device's memory
        workers = options.workers or 1
        return workers, options.threads_per_worker or max(1, cores // workers)
    if options.workers or options.threads_per_worker or num_models < 2 * cores:
        workers = options.workers or max(1, min(num_models, cores) // (options.threads_per_worker or 1))
        return workers, options.threads_per_worker or max(1, cores // workers)
    workers, threads, speeds = measure_workers(store, config, cores)
    said = ", ".join(f"{w} x {t} threads: {speed:,.0f} images/s" for (w, t), speed in speeds.items())
    print(f"Measured workers ({said}); taking {workers} x {threads}.", flush=True)
    return workers, threads


def share_cores_of_task(options: RunOptions) -> tuple[int, int]:
    """Worker processes and threads of each for a user's task: as asked for, or one process.

    Nothing is measured, because that would train a model. One process, because only the user knows how much memory,
    or how much of a GPU, the task takes.
    """
    import joblib

    cores, threads = joblib.cpu_count(), options.threads_per_worker
    workers = options.workers or (max(1, cores // threads) if threads else 1)
    return workers, threads or max(1, cores // workers)


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
            speeds[workers, threads], _ = measure(store, config, workers, threads, seconds=seconds)
    if not speeds:
        raise _not_started()
    return *max(speeds, key=speeds.__getitem__), speeds


def measure(
    store: Store,
    config: ExperimentConfig,
    workers: int,
    threads: int,
    ensemble_size: int | None = None,
    num_models: int | None = None,
    seconds: float = 2.0,
) -> tuple[float, int]:
    """Trains for a while, and keeps nothing of it.

    Args:
        store, config: of the experiment.
        workers, threads: processes, and threads of each.
        ensemble_size: models that each trains at once, on JAX; None for what the memory allows.
        num_models: that they are to train in all; None where that is not known.
        seconds: at least, besides the start.

    Returns:
        (images per second of all workers together, bytes of memory that one needed at most).

    Raises:
        InputError: the workers do not all run.
    """
    context = multiprocessing.get_context("spawn")
    share = num_models and -(-num_models // workers)
    started = []
    for _ in range(workers):
        pipe, other = context.Pipe()
        arguments = (other, store.logdir, config, threads, ensemble_size, share, seconds)
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
    line = "No worker process could be started: give --workers and --threads_per_worker to see why"
    return InputError(line, "workers")
