"""One group of models of the ensemble engine, from their initial weights to their records."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from mia_tf.records import ModelFailure, ModelRecord
from mia_tf.training import accuracy as accuracy_of
from mia_tf.training import schedules
from mia_tf.training.ensemble_step import State, averaged_weights, make_keys

if TYPE_CHECKING:
    from mia_tf.training.ensemble import EnsembleEngine


class Group:
    """One group of models from their first step to their records."""

    def __init__(self, engine: "EnsembleEngine", members: np.ndarray, seeds: list[int]):
        self.engine, self.config, self.dataset = engine, engine.config, engine.dataset
        self.members, self.seeds = members, seeds
        self.rows = [np.flatnonzero(keep) for keep in members]
        self.totals = np.array([schedules.num_steps(self.config, engine.guarantee, len(rows)) for rows in self.rows])
        count = len(seeds)
        self.history: list[list[dict]] = [[] for _ in seeds]
        self.checkpoints: list[dict] = [{} for _ in seeds]
        self.epochs = np.zeros(count, int)  # trained, of each model
        self.best_epochs, self.best_accuracies = np.zeros(count, int), np.full(count, -1.0)

    def train(self, on_epoch: Callable[[], None]) -> Iterator[ModelRecord | ModelFailure]:
        started = time.perf_counter()
        engine, config = self.engine, self.config
        state, keys = engine.initial_state(self.seeds), make_keys(self.seeds)
        orders = zip(
            *(
                schedules.orders(config, engine.guarantee, rows, seed)
                for rows, seed in zip(self.rows, self.seeds, strict=True)
            ),
            strict=True,
        )
        failed = np.zeros(len(self.seeds), bool)
        order = next(orders, None)
        while order is not None:
            running = np.array(state.running)  # copied, for the state is given away
            state, losses = engine.run_epoch(state, keys, order, self.totals)
            following = next(orders, None)  # drawn while the device is at work
            failed |= running & ~np.asarray(state.running)
            self._record_epoch(running & ~failed, np.asarray(losses), [len(part) for part in order])
            stopped = self._look(state, running & ~failed)
            state = state._replace(running=state.running & jnp.asarray(~stopped))
            on_epoch()
            order = following if np.asarray(state.running).any() else None
        # Every model's share of the time.
        yield from self._records(state, failed, (time.perf_counter() - started) / len(self.seeds))

    def _record_epoch(self, running, losses, lengths) -> None:
        self.epochs[running] += 1
        for k in np.flatnonzero(running):
            self.history[k].append({"epoch": int(self.epochs[k]), "loss": float(losses[k]) / max(lengths[k], 1)})

    def _look(self, state: State, running: np.ndarray) -> np.ndarray:
        """Keeps checkpoints and measures test accuracies where it is time; (K,) bool, who stops early."""
        config, stopped = self.config, np.zeros(len(self.seeds), bool)
        if not running.any():
            return stopped
        epoch = int(self.epochs[running].max())
        if config.save_steps and epoch % config.save_steps == 0:
            self._keep(state, {int(k): epoch for k in np.flatnonzero(running)})
        if config.eval_steps and epoch % config.eval_steps == 0:
            for k, found in enumerate(self._test_accuracies(state)):
                if not running[k]:
                    continue
                self.history[k][-1] |= found
                accuracy = found.get("test_accuracy_all", 0.0)
                if accuracy > self.best_accuracies[k]:
                    self.best_accuracies[k], self.best_epochs[k] = accuracy, epoch
                elif config.patience is not None and epoch > self.best_epochs[k] + config.patience:
                    stopped[k] = True
        return stopped

    def _keep(self, state: State, epochs: dict[int, int]) -> None:
        """Keeps the weights of some models; `epochs`: model -> under which epoch."""
        weights, statistics = ([np.array(a) for a in arrays] for arrays in (state.weights, state.statistics))
        for k, epoch in epochs.items():
            self.checkpoints[k][epoch] = self.engine.join([w[k] for w in weights], [s[k] for s in statistics])

    def _test_accuracies(self, state: State) -> list[dict[str, float]]:
        """Of each model, on each group's test images, with the averaged weights where there are any."""
        if not len(self.dataset.test_images):
            return [{} for _ in self.seeds]
        weights = averaged_weights(state, self.config.ema) if self.config.ema else state.weights
        return [
            accuracy_of.by_group(
                "test_accuracy", answers.argmax(axis=1) == self.dataset.test_labels, self.dataset.test_groups
            )
            for answers in self.engine.test_logits(weights, state.statistics)
        ]

    def _records(self, state: State, failed: np.ndarray, seconds: float) -> Iterator[ModelRecord | ModelFailure]:
        config, steps = self.config, np.asarray(state.steps)
        answers = self.engine.logits(state.weights, state.statistics, config.queries)
        tested = self._test_accuracies(state)
        if config.keep_ckpt:
            self._keep(state, dict(enumerate(map(int, self.epochs))))
        for k, (keep, seed, logits) in enumerate(zip(self.members, self.seeds, answers, strict=True)):
            total = int(self.totals[k])
            if failed[k]:
                yield ModelFailure(k, self._reason(int(steps[k]), total))
                continue
            if not np.isfinite(logits).all():
                yield ModelFailure(k, f"its logits were not finite after step {steps[k]} of {total}")
                continue
            epoch = int(self.epochs[k])
            accuracies = accuracy_of.on_pool(logits[:, 0, 0], self.dataset, keep)
            metrics = {
                **accuracies,
                **tested[k],
                "at_chance": accuracy_of.is_at_chance(accuracies["train_accuracy_all"], self.dataset.labels[keep]),
                "num_members": int(keep.sum()),
                "steps": int(steps[k]),
                "train_seconds": seconds,
                "images_per_second": int(steps[k]) * config.batch / seconds,
                "group_size": len(self.seeds),
                "backend": "jax",
                "history": self.history[k],
            }
            promised = self.engine.guarantee.to_dict() if self.engine.guarantee else {}
            hparams = {**config.to_dict(), **promised, "seed": seed}
            yield ModelRecord(k, keep, logits, epoch, hparams, metrics, self.checkpoints[k])

    def _reason(self, steps: int, total: int) -> str:
        rate = float(schedules.lira_learning_rate(self.config.lr, self.config.warmup, jnp.float32(steps / total)))
        epoch = steps * self.config.epochs // total + 1
        return f"the loss was not finite at step {steps + 1} of {total} (epoch {epoch}), learning rate {rate:.3g}"
