"""Who gets which cores."""

import dataclasses
from pathlib import Path

import joblib
import pytest

from mia_tf.config import ExperimentConfig
from mia_tf.run_options import RunOptions
from mia_tf.store import Store
from mia_tf.training.executors import sharing
from mia_tf.validation import InputError


@pytest.mark.parametrize(
    "backend, chosen, models, expected",
    [
        ("tensorflow", {"workers": 3, "threads_per_worker": 2}, 100, (3, 2)),
        ("tensorflow", {"workers": 2}, 100, (2, 4)),
        ("tensorflow", {"threads_per_worker": 2}, 100, (4, 2)),
        ("tensorflow", {}, 3, (3, 2)),  # too few models to be worth a measurement
        ("jax", {}, 100, (1, 8)),  # XLA fills the machine by itself
        ("jax", {"workers": 2}, 100, (2, 4)),
        ("jax", {"threads_per_worker": 2}, 100, (1, 2)),
    ],
)
def test_cores_are_shared_as_asked_for(backend, chosen, models, expected, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.setattr(joblib, "cpu_count", lambda: 8)
    options = RunOptions(Path("unused"), **chosen)
    assert sharing.share_cores(None, ExperimentConfig(), options, models) == expected


def test_each_way_is_measured_once_on_a_machine(nothing_measured, dataset, tmp_path, monkeypatch):
    measured = []

    def measure(store, config, ways, *_):
        measured.append(list(ways))
        return {way: (100.0 * way[0], 2**30) for way in ways if way != (8, 1)}  # for 8 the memory does not suffice

    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.setattr(joblib, "cpu_count", lambda: 8)
    monkeypatch.setattr(sharing, "measure_ways", measure)
    config = ExperimentConfig()
    store = Store.create(tmp_path / "run", config.to_dict(), lambda: dataset)
    for _ in range(2):
        assert sharing.share_cores(store, config, RunOptions(Path("unused")), 100) == (4, 2)
    assert measured == [[(8, 1), (4, 2), (2, 4), (1, 8)], [(8, 1)]]
    assert sharing.cost(store, config, 4, 2) == (400.0, 2**30)
    other = dataclasses.replace(config, training=dataclasses.replace(config.training, batch=16))
    assert sharing.cost(store, other, 4, 2) == (400.0, 2**30)
    assert measured[2:] == [[(4, 2)]]
    with pytest.raises(InputError, match="No worker process could be started"):
        sharing.cost(store, config, 8, 1)


class FakePipe:
    """Says what is given, then that its process has ended."""

    def __init__(self, *messages):
        self.messages = list(messages)

    def recv(self):
        if not self.messages:
            raise EOFError
        return self.messages.pop(0)

    def send(self, message):
        pass


class FakeProcess:
    def terminate(self):
        pass

    def join(self):
        pass


def test_a_way_whose_workers_do_not_all_get_through_is_left_out(dataset, tmp_path, monkeypatch):
    """Two workers run; of eight one ends while it trains; of four one never gets ready."""
    failing = {1: FakePipe("ready"), 2: FakePipe()}  # threads of a worker -> the pipe of its last worker
    begun = []

    def start(arguments):
        threads = arguments[2]
        begun.append(threads)
        last = begun.count(threads) == 8 // threads
        pipe = failing.get(threads, FakePipe("ready", (100.0, 2**20))) if last else FakePipe("ready", (100.0, 2**20))
        return FakeProcess(), pipe

    monkeypatch.setattr(sharing, "_start", start)
    store = Store.create(tmp_path / "run", {}, lambda: dataset)
    tried = sharing.measure_ways(store, ExperimentConfig(), [(8, 1), (4, 2), (2, 4)])
    assert tried == {(2, 4): (200.0, 2**20)}
