"""Engines that train nothing, several models at once, for tests of those who start them; workers import this file."""

import os
import resource
import signal
import time
from pathlib import Path

import numpy as np

from mia_tf import subsets
from mia_tf.config import ExperimentConfig, TrainingConfig
from mia_tf.records import ModelFailure, ModelRecord
from mia_tf.validation import fail

CONFIG = ExperimentConfig(training=TrainingConfig(epochs=2), num_experiments=10)


def seed(index):
    """Of a model of CONFIG."""
    return subsets.model_seed(CONFIG.seed, index)


class FakeEngine:
    """Answers with numbers that follow from each model's seed.

    Args:
        dataset: the examples.
        ensemble_size: models at the same time.
        epochs: epochs of each call.
        log: a folder that gets a file for every call, named by its time and its parent process, with the seeds in it.
        fails: number of examples that a model must have to be trained; those with fewer fail.
        dies: a path; the process ends itself where it is missing, and makes it first.
        dies_after: epochs before that.
        seconds: length of an epoch.
        silent: whether the last model of a call is forgotten.
        raises: whether training raises an error where `dies` is missing, in place of the process' end.
        file_limit: bytes that a file of the process may have at most, which stands for a full disk.
    """

    def __init__(
        self, dataset, ensemble_size, log, epochs=2, fails=(), dies=None, dies_after=0, seconds=0.0, silent=False,
        raises=False, file_limit=None,
    ):  # fmt: skip
        self.dataset, self.ensemble_size, self.log, self.epochs = dataset, ensemble_size, Path(log), epochs
        self.fails, self.dies, self.dies_after, self.seconds, self.silent = fails, dies, dies_after, seconds, silent
        self.raises, self.file_limit = raises, file_limit

    def train(self, members, seeds, on_epoch=lambda: None):
        assert len(members) == len(seeds) <= self.ensemble_size
        (self.log / f"{time.time_ns()}-{os.getppid()}").write_text(" ".join(map(str, seeds)))
        if self.file_limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.file_limit, resource.RLIM_INFINITY))
        for epoch in range(self.epochs + 1):
            if self.dies and epoch == self.dies_after and not Path(self.dies).exists():
                Path(self.dies).touch()
                if self.raises:
                    raise MemoryError("no room for the engine\nand a second line")
                os.kill(os.getpid(), signal.SIGKILL)
            if epoch < self.epochs:
                time.sleep(self.seconds)
                on_epoch()
        for index, (keep, seed) in enumerate(zip(members, seeds, strict=True)):
            if self.silent and index == len(seeds) - 1:
                return
            if seed in self.fails:
                yield ModelFailure(index, "the loss was not finite at step 1 of 2")
                continue
            logits = np.random.default_rng(seed).normal(size=(len(keep), 1, 1, 4)).astype(np.float32)
            metrics = {"train_accuracy_all": 1.0, "train_seconds": 0.0, "at_chance": False}
            yield ModelRecord(index, np.asarray(keep, bool), logits, self.epochs, {"seed": int(seed)}, metrics)


def start(dataset, **settings) -> FakeEngine:
    """What an executor starts in its workers."""
    return FakeEngine(dataset, **settings)


def refuse(dataset):
    """What an executor starts where it does not start."""
    raise RuntimeError("no device of that kind\nand a second line")


def refuse_a_flag(dataset):
    """As `refuse`, because of how it was asked."""
    fail("ensemble_size", "auto", "must be a number")
