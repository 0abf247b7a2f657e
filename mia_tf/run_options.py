"""Where and how fast an experiment is computed: nothing here changes a result beyond rounding."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from mia_tf import backend
from mia_tf.settings import documented, setting
from mia_tf.validation import check, check_choice, check_integer, fail

EXECUTORS = ("local", "ray")
_MAX_PROCESSES = 4096
_MAX_ENSEMBLE = 10**6


@documented
@dataclass(frozen=True)
class RunOptions:
    """Where and how fast."""

    logdir: Path = field(metadata={"help": "Folder of the results; default runs/DATASET, or runs/FILE with `task`."})
    expid: range | None = setting(None, "Train only this model, or these (0-63), as one task of an array job.")
    executor: str = setting(
        "local", f"What trains: {', '.join(EXECUTORS)} (processes of this machine, or of a Ray cluster)."
    )
    workers: int | None = setting(
        None,
        "Processes that train at the same time; default by a measurement, on Ray as many as there is room for, with "
        "`task` 1.",
    )
    threads_per_worker: int | None = setting(
        None, "Threads of each process; default by a measurement, on Ray 1, with `task` all cores."
    )
    gpus_per_task: float | None = setting(
        None, "With `executor`=ray: GPUs of each process, such as 0.25; default 1 if there are any."
    )
    ensemble_size: int | None = setting(
        None,
        "With KERAS_BACKEND=jax: models trained in one step; auto for what the memory allows. With --task for a "
        "KerasTask alone.",
    )
    dry_run: bool = setting(False, "Check everything and train nothing; without --task, also print what it would cost.")

    def __post_init__(self):
        check_choice("executor", self.executor, EXECUTORS)
        check_integer("workers", self.workers, 1, _MAX_PROCESSES, optional=True)
        check_integer("threads_per_worker", self.threads_per_worker, 1, _MAX_PROCESSES, optional=True)
        check_integer("ensemble_size", self.ensemble_size, 1, _MAX_ENSEMBLE, optional=True)
        if (gpus := self.gpus_per_task) is not None:
            check("gpus_per_task", gpus, self.executor == "ray", "needs --executor=ray")
            whole = gpus <= 1 or gpus % 1 == 0  # Ray shares one GPU among tasks, not several
            check("gpus_per_task", gpus, 0 <= gpus < float("inf") and whole, "must be in [0, 1] or a whole number")

    def models(self, num_experiments: int) -> range:
        """Returns the indices of the models to train, of `num_experiments` models."""
        return range(num_experiments) if self.expid is None else self.expid


def parse_expid(text: str | None, num_experiments: int) -> range | None:
    """The models that --expid names: one, such as 7, or a range with both its ends, such as 0-63.

    Raises:
        InputError: it names no model, or one that does not exist.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    check("expid", text, first <= last, "must be a model, such as 7, or a range of them, such as 0-63")
    check("expid", text, last < num_experiments, f"must be below --num_experiments={num_experiments}")
    return range(first, last + 1)


def parse_ensemble_size(text: str) -> int | None:
    """The number that --ensemble_size gives; None for auto.

    Raises:
        InputError: it is neither, or more than Keras' backend trains at the same time.
    """
    if text == "auto":
        return None
    size = int(text) if re.fullmatch(r"[0-9]+", text) else 0
    check("ensemble_size", text, size >= 1, "must be auto or an integer of at least 1")
    if size > 1 and backend.name() != "jax":
        fail("ensemble_size", size, "must be auto or 1, unless KERAS_BACKEND=jax, which trains several models at once")
    return size
