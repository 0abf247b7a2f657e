"""Ensembles of models, handed out to workers whose engine trains several at the same time."""

import contextlib
import functools

import fake_engines
import numpy as np
import pytest
from fake_engines import CONFIG, seed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mia_tf import subsets
from mia_tf.progress import Progress
from mia_tf.store import Store
from mia_tf.training import device_memory
from mia_tf.training.executors import ledger as ledger_file
from mia_tf.training.executors.ledger import Ledger
from mia_tf.training.executors.local import train_models


class Recorded(Progress):
    """Progress that keeps what it was told."""

    def __init__(self, num_models, epochs):
        super().__init__(num_models, epochs, terminal=False)
        self.epochs_of, self.ended, self.said = {}, [], []
        Recorded.last = self

    def epoch(self, index):
        super().epoch(index)
        self.epochs_of[index] = self.epochs_of.get(index, 0) + 1

    def finished(self, index, message):
        super().finished(index, message)
        self.ended.append(index)

    def say(self, line):
        self.said.append(line)


@pytest.fixture(autouse=True)
def progress(monkeypatch):
    monkeypatch.setattr(ledger_file, "Progress", Recorded)
    return lambda: Recorded.last


def trained(log):
    """The ensembles in the order in which they were begun, as lists of models."""
    of = {seed(index): index for index in range(CONFIG.num_experiments)}
    return [[of[int(text)] for text in path.read_text().split()] for path in sorted(log.iterdir())]


def run(store, log, indices=range(10), workers=1, ensemble_size=4, **settings):
    start = functools.partial(fake_engines.start, ensemble_size=ensemble_size, log=log, **settings)
    return train_models(store, CONFIG, list(indices), start, workers)


def test_ensembles_are_trained_together_and_stored_one_by_one(store, log, progress):
    assert run(store, log) == {}
    # Three calls are needed of an engine for four; they are as equal as ten models allow.
    assert trained(log) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    plan = subsets.membership(CONFIG, 64)
    for model in Store(store.logdir).models():
        np.testing.assert_array_equal(model.keep, plan[model.index])
        answers = np.random.default_rng(seed(model.index)).normal(size=(64, 1, 4)).astype(np.float32)
        np.testing.assert_array_equal(model.read_logits(), answers)
        hparams = model.hparams()
        assert hparams["expid"] == model.index and hparams["seed"] == seed(model.index)
        assert hparams["num_experiments"] == 10
    assert progress().epochs_of == dict.fromkeys(range(10), 2)  # an epoch of an ensemble is one of each of its models
    assert sorted(progress().ended) == list(range(10))


@pytest.mark.parametrize(
    "total, workers, ensemble_size, sizes",
    [
        (10, 1, 1, [1] * 10),
        (10, 1, 100, [10]),
        (100, 2, 64, [50, 50]),
        (130, 2, 64, [33, 33, 33, 31]),
        (100, 1, 64, [50, 50]),
        (3, 2, 64, [2, 1]),
        (1000, 3, 64, [56] * 17 + [48]),
    ],
)
def test_shares_are_equal_in_as_few_rounds_as_can_be(total, workers, ensemble_size, sizes, store):
    with Ledger(store, range(total), 1, workers) as ledger:
        ensembles = list(iter(lambda: ledger.next_models(ensemble_size), []))
    assert [len(ensemble) for ensemble in ensembles] == sizes
    assert [index for ensemble in ensembles for index in ensemble] == list(range(total))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 3000), st.integers(1, 9), st.integers(0, 6))
def test_what_an_engine_was_measured_with_is_what_it_trains(total, workers, halvings):
    """It once was 64, where two thousand models made ensembles of 63: each size is a program to compile."""
    few_enough = [*device_memory.sizes(-(-total // workers))][halvings:] or [1]
    with Ledger(None, range(total), 1, workers) as ledger:
        ensembles = list(iter(lambda: ledger.next_models(few_enough[0]), []))
    assert {len(ensemble) for ensemble in ensembles[:-1]} <= {few_enough[0]}


def test_a_model_that_another_process_holds_leaves_its_ensemble_and_is_waited_for(store, log, progress, monkeypatch):
    claims = contextlib.ExitStack()

    def say(self, line):
        self.said.append(line)
        claims.close()  # the other process ends without its models once it is waited for

    monkeypatch.setattr(Recorded, "say", say)
    with claims:
        monkeypatch.setattr(Recorded, "finished", lambda self, index, message: self.ended.append(index))
        assert claims.enter_context(store.claim_models([1, 5])) == [1, 5]
        assert run(store, log, range(6), ensemble_size=3) == {}
    assert progress().said == ["waiting for 2 models that another process is training"]
    assert trained(log) == [[0, 2], [3, 4], [1, 5]]
    assert store.completed() == set(range(6))


def test_a_model_that_fails_costs_no_other_of_its_ensemble(store, log, progress):
    assert run(store, log, fails=[seed(2)]) == {2: "the loss was not finite at step 1 of 2"}
    assert store.completed() == set(range(10)) - {2}
    assert sorted(progress().ended) == list(range(10))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_ensemble_whose_worker_dies_before_its_first_epoch_is_trained_again(workers, store, log, tmp_path, progress):
    assert run(store, log, workers=workers, dies=tmp_path / "died") == {}
    assert store.completed() == set(range(10))
    # Nothing was trained a second time but the ensemble that was lost.
    ensembles = trained(log)
    counts = np.bincount([index for ensemble in ensembles for index in ensemble])
    assert sorted(counts)[-1] == 2 and any(set(ensemble) == set(np.flatnonzero(counts == 2)) for ensemble in ensembles)
    assert progress().epochs_of == dict.fromkeys(range(10), 2)


def test_an_ensemble_whose_worker_dies_later_fails_by_its_cause_and_the_others_go_on(store, log, tmp_path):
    failures = run(store, log, dies=tmp_path / "died", dies_after=1)
    assert failures == dict.fromkeys([0, 1, 2, 3], "its worker process was ended by SIGKILL")
    assert store.completed() == set(range(4, 10))


def test_an_engine_that_refuses_a_flag_is_said_in_one_line(store, capfd):
    reason = "no worker process could be started: Argument `ensemble_size` must be a number."
    failures = train_models(store, CONFIG, [0, 1], fake_engines.refuse_a_flag, workers=2)
    assert failures == dict.fromkeys([0, 1], f"{reason} Received: ensemble_size=auto")
    assert "Traceback" not in capfd.readouterr().err


def test_a_model_that_its_engine_forgets_is_named(store, log):
    failures = run(store, log, range(4), silent=True)
    assert failures == {3: "the training engine returned no result for this model"} and store.completed() == {0, 1, 2}


def test_a_disk_that_is_full_is_named_for_every_model_of_the_ensemble_and_ends_the_run(store, log):
    failures = run(store, log, file_limit=100)
    assert all(f"could not be written to {store.logdir}: File too large" in failures[index] for index in range(4))
    rest = dict.fromkeys(range(4, 10), "not begun, because another could not be written")
    assert {index: failures[index] for index in range(4, 10)} == rest
    assert trained(log) == [[0, 1, 2, 3]] and store.completed() == set()
