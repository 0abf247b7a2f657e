"""Work in threads: its order, how much of it runs at the same time, and NumPy's own threads meanwhile."""

import threading
import time

import joblib
import pytest
from threadpoolctl import threadpool_info

from mia_tf.analysis import threads as module
from mia_tf.analysis.threads import Threads


@pytest.fixture(autouse=True)
def four_cores(monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 4)


def counted(threads, **settings):
    """What twelve tasks returned, and how many ran at the same time as each began."""
    lock, running, most = threading.Lock(), [], []

    def work(number):
        with lock:
            running.append(number)
            most.append(len(running))
        time.sleep(0.02)
        with lock:
            running.remove(number)
        return number

    return list(threads.map(work, [(k,) for k in range(12)], **settings)), most


def test_outcomes_come_in_the_order_of_the_tasks():
    with Threads() as threads:
        assert list(threads.map(lambda pause: time.sleep(pause) or pause, [(0.02,), (0.0,), (0.01,)])) == [
            0.02,
            0,
            0.01,
        ]


@pytest.mark.parametrize("share, expected", [(0, 4), (2, 2), (1, 1), (0.5, 1)])
def test_as_much_runs_at_the_same_time_as_fits_in_memory(share, expected):
    num_bytes = int(module._MOST_BYTES / share) if share else 0
    with Threads() as threads:
        outcomes, most = counted(threads, num_bytes=num_bytes)
    assert outcomes == list(range(12)) and max(most) == expected


def test_an_error_reaches_the_caller_and_numpy_has_its_threads_back():
    def blas():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = blas()
    with pytest.raises(ZeroDivisionError), Threads() as threads:
        assert set(blas()) == {1}
        list(threads.map(lambda k: 1 / k, [(1,), (0,)]))
    assert blas() == before
