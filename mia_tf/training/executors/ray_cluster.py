"""The Ray cluster that models are trained on: which it is, and what its machines have."""

import contextlib
import importlib.util
import logging
import os
import re
import signal
import socket
import warnings
from collections.abc import Iterator

import joblib

from mia_tf.quiet import native_messages_held_back
from mia_tf.validation import InputError, fail

_ANSWERS = "must be the address of a Ray cluster that answers"
_SECONDS_TO_ANSWER = 10.0
_SECONDS_TO_PROBE = 2.0


@contextlib.contextmanager
def connected() -> Iterator[str]:
    """Connects to a running cluster, or to one that is started on this machine for as long as the block lasts.

    Yields:
        Which cluster that is, for people.

    Raises:
        InputError: Ray is not installed, or no cluster answers at $RAY_ADDRESS.
    """
    if importlib.util.find_spec("ray") is None:
        fail("executor", "ray", "must be local if Ray is not installed: pip install 'mia_tf[ray]'")
    import ray

    on_sigterm = signal.getsignal(signal.SIGTERM)
    where = _connect()
    try:
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray has set its own, which ends this process at once
        yield where
    finally:
        ray.shutdown()


def _connect() -> str:
    """Connects to the cluster of $RAY_ADDRESS, to one that runs on this machine or to a new one; tells which."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # it complains of metrics that nobody asked for
    import ray

    quiet = {"logging_level": logging.CRITICAL, "log_to_driver": False}
    address = os.environ.get("RAY_ADDRESS")
    _check_answers(address)
    with native_messages_held_back(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of workers without a GPU, which will see all of them one day
        try:
            ray.init(address="auto", **quiet)
            return f"the cluster at {ray.get_runtime_context().gcs_address}"
        except (ConnectionError, RuntimeError, ValueError) as error:
            if not isinstance(error, ConnectionError):  # other versions of Ray or Python there
                line = f"Ray cannot connect to the running cluster: {first_line(error)}"
                raise InputError(line, "executor", "ray") from error
            if address:
                fail("RAY_ADDRESS", address, _ANSWERS)
            os.environ.setdefault("RAY_worker_niceness", "0")  # they are the work, not what is done beside it
            ray.init(address="local", num_cpus=joblib.cpu_count(), include_dashboard=False, **quiet)
            return "started on this machine"


def _check_answers(address: str | None) -> None:
    """Refuses an address that nobody listens at, which Ray tries for minutes."""
    if match := re.search(r"([^/:]+):(\d+)$", address or ""):
        try:
            socket.create_connection((match[1], int(match[2])), timeout=_SECONDS_TO_ANSWER).close()
        except (OSError, OverflowError):
            fail("RAY_ADDRESS", address, _ANSWERS)


def head_answers() -> bool:
    """Whether the head of the cluster can be reached; without it Ray ends this process after about a minute."""
    import ray

    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_SECONDS_TO_PROBE).close()
    except OSError:
        return False
    return True


def machines() -> list[dict[str, float]]:
    """The resources of every machine that is alive."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def room(on: list[dict[str, float]], cpus: int, gpus: float) -> int:
    """How many workers fit on them; one of a share of a GPU is on one GPU only."""
    rooms = [int(machine.get("CPU", 0) // cpus) for machine in on]
    if gpus:
        per_gpu = int(1 / gpus + 1e-9) if gpus < 1 else 1 / gpus
        by_gpu = [int(machine.get("GPU", 0) * per_gpu) for machine in on]
        rooms = [min(pair) for pair in zip(rooms, by_gpu, strict=True)]
    return sum(rooms)


def first_line(error: BaseException) -> str:
    """What an error says first; Ray's go on for a page."""
    return next(iter(_lines(error)), type(error).__name__)


def last_line(error: BaseException) -> str:
    """What an error says last, which is the cause where it quotes what was printed elsewhere."""
    return next(reversed(_lines(error)), type(error).__name__)


def _lines(error: BaseException) -> list[str]:
    return [line.strip() for line in str(error).splitlines() if line.strip()]
