"""Who gets which cores of this machine: as asked for, or by a measurement.

Several one-thread workers usually beat one process with many threads, because small networks do
not fill several cores; `measure_workers` finds out which is true here.
"""

import dataclasses
import multiprocessing
from collections.abc import Sequence

from mia_tf import backend
from mia_tf.config import ExperimentConfig
from mia_tf.run_options import RunOptions
from mia_tf.store import Store
from mia_tf.training import measured, worker
from mia_tf.validation import InputError

Way = tuple[int, int]
"""A way to share out the cores: workers, and threads of each."""
_MOST_PROCESSES = 8
"""That are started at the same time to be measured: each has a copy of the data and of the framework in memory."""


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

    tried = measure_once(store, config, _ways(cores))
    if not tried:
        raise _not_started()
    speeds = {way: speed for way, (speed, _) in tried.items()}
    workers, threads = max(speeds, key=speeds.__getitem__)
    text = ", ".join(f"{w} x {t} threads: {speed:,.0f} images/s" for (w, t), speed in speeds.items())
    print(f"Measured workers ({text}); taking {workers} x {threads}.", flush=True)
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


def cost(
    store: Store,
    config: ExperimentConfig,
    workers: int,
    threads: int,
    ensemble_size: int | None = None,
    num_models: int | None = None,
) -> tuple[float, int]:
    """Images per second and bytes of memory, as `measure_ways` returns them, of one way to share out the cores.

    Raises:
        InputError: the workers do not all run.
    """
    tried = measure_once(store, config, [(workers, threads)], ensemble_size, num_models)
    if not tried:
        raise _not_started()
    return tried[workers, threads]


def measure_workers(store: Store, config: ExperimentConfig, cores: int, seconds: float = 1.0) -> dict[Way, float]:
    """Measures the ways to share out the cores afresh: way -> images per second.

    Args:
        store: whose data set the trial trains on.
        config: the store's configuration.
        cores: cores to use.
        seconds: length of each trial, besides its start.
    """
    return {way: speed for way, (speed, _) in measure_ways(store, config, _ways(cores), seconds=seconds).items()}


def _ways(cores: int) -> list[Way]:
    threads = {2**k for k in range(cores.bit_length()) if 2**k <= cores} | {cores}
    return [(max(1, cores // count), count) for count in sorted(threads)]


def measure_once(
    store: Store,
    config: ExperimentConfig,
    ways: Sequence[Way],
    ensemble_size: int | None = None,
    num_models: int | None = None,
) -> dict[Way, tuple[float, int]]:
    """As `measure_ways`, but what was measured on this machine before is taken from there."""
    setting = _setting(store, config)
    if backend.name() == "jax":
        setting |= {"ensemble_size": ensemble_size, "num_models": num_models}
    tried = {way: measured.recall("training", {**setting, "way": way}) for way in ways}
    unknown = [way for way in ways if tried[way] is None]
    fresh = measure_ways(store, config, unknown, ensemble_size, num_models) if unknown else {}
    for way, values in fresh.items():
        measured.keep("training", {**setting, "way": way}, values)
    return {way: tuple(values) for way, values in {**tried, **fresh}.items() if values is not None}


def measure_ways(
    store: Store,
    config: ExperimentConfig,
    ways: Sequence[Way],
    ensemble_size: int | None = None,
    num_models: int | None = None,
    seconds: float = 1.0,
) -> dict[Way, tuple[float, int]]:
    """Trains for a while in several ways, and keeps nothing of it.

    If there are few cores, the processes of all ways start at the same time, because starting is what takes long;
    they train one way after the other.

    Args:
        store, config: of the experiment.
        ways: (workers, threads of each).
        ensemble_size: models that each trains at once, on JAX; None for what the memory allows.
        num_models: that they are to train in all; None if that is not known.
        seconds: at least, besides the start.

    Returns:
        way -> (images per second of all workers together, bytes of memory that one needed at most), for the ways whose
        workers all run.
    """
    if sum(workers for workers, _ in ways) > _MOST_PROCESSES and len(ways) > 1:
        parts = (measure_ways(store, config, [way], ensemble_size, num_models, seconds) for way in ways)
        return {way: values for part in parts for way, values in part.items()}
    trials = {}
    try:
        for workers, threads in ways:
            share = num_models and -(-num_models // workers)
            arguments = (store.logdir, config, threads, ensemble_size, share, seconds)
            trials[workers, threads] = [_start(arguments) for _ in range(workers)]
        # If some do not get ready, there is most likely not enough memory for all.
        ready = {way: started for way, started in trials.items() if all(_is_ready(pipe) for _, pipe in started)}
        tried = {way: _train(started) for way, started in ready.items()}
        return {way: values for way, values in tried.items() if values is not None}
    finally:
        for started in trials.values():
            _stop(started)


def _start(arguments: tuple) -> tuple:
    """A process that gets ready to train, and the pipe to it."""
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    process = context.Process(target=worker.measure_speed, args=(other, *arguments), daemon=True)
    process.start()
    other.close()
    return process, pipe


def _is_ready(pipe) -> bool:
    try:
        return pipe.recv() == "ready"
    except (EOFError, ConnectionError):
        return False


def _train(started: list) -> tuple[float, int] | None:
    """The speed of processes that train at the same time, and the most memory of one; None if one of them ends."""
    try:
        for _, pipe in started:
            pipe.send("go")
        speeds, memory = zip(*(pipe.recv() for _, pipe in started), strict=True)
    except (EOFError, ConnectionError):
        return None
    finally:
        _stop(started)
    return sum(speeds), max(memory)


def _stop(started: list) -> None:
    for process, _ in started:
        process.terminate()
        process.join()


def _setting(store: Store, config: ExperimentConfig) -> dict[str, object]:
    """What the speed of training depends on."""
    training = dataclasses.asdict(config.training)
    names = ("arch", "norm", "precision", "batch", "augment", "ema", "privacy")
    images = store.dataset().images
    return {"backend": backend.name(), "images": list(images.shape), **{name: training[name] for name in names}}


def _not_started() -> InputError:
    line = "No worker process could be started: give --workers and --threads_per_worker to see why"
    return InputError(line, "workers")
