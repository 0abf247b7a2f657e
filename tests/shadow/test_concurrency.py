"""What several threads share is computed once, and only who needs the same waits."""

import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from mia_tf.shadow.concurrency import once, one_by_one


class Sums:
    """Counts how often its property is computed."""

    def __init__(self, compute=lambda: 3):
        self.computed = 0
        self.compute = compute

    @once
    def value(self):
        """The value."""
        self.computed += 1
        return self.compute()


class Plain:
    """Can be pickled."""

    @once
    def value(self):
        return 3


def test_threads_that_ask_at_the_same_time_get_what_one_of_them_computed():
    together = Barrier(8, timeout=60)
    sums = Sums(lambda: time.sleep(0.05) or object())

    def ask():
        together.wait()
        return sums.value

    with ThreadPoolExecutor(8) as pool:
        values = list(pool.map(lambda _: ask(), range(8)))
    assert sums.computed == 1
    assert all(value is sums.value for value in values)


def test_no_object_waits_for_another_one():
    """In Python 3.11 `functools.cached_property` has one lock for all objects of a class."""
    started, other_is_done = Event(), Event()
    waiting = Sums(lambda: started.set() or other_is_done.wait(60))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lambda: waiting.value)
        assert started.wait(60)
        assert Sums().value == 3
        other_is_done.set()
        assert first.result()


def test_what_failed_is_tried_again():
    sums = Sums(lambda: 1 // (sums.computed - 1))
    with pytest.raises(ZeroDivisionError):
        _ = sums.value
    assert (sums.value, sums.value, sums.computed) == (1, 1, 2)


def test_nothing_but_the_value_is_left_in_the_object():
    plain = Plain()
    assert plain.value == 3
    assert vars(plain) == {"value": 3}
    assert pickle.loads(pickle.dumps(plain)).value == 3
    assert Sums.value.__doc__ == "The value."


def test_one_by_one_runs_in_order():
    assert list(one_by_one(pow, [(2, 3), (3, 2)])) == [8, 9]
