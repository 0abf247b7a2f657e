"""Which models are to be trained, held elsewhere or failed: the account that every executor keeps."""

import math
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence

from mia_tf.progress import Progress
from mia_tf.store import Store

_FAILURES = 3
"""If that many models fail in the same way before one succeeds, the others are not tried."""
POLL_SECONDS = 2.0
"""Between looks at models that another process is training."""


class Ledger:
    """The account of one call of an executor; shows its progress, and stops that at the end of its `with` block.

    Args:
        store: where the models go.
        indices: models to train.
        epochs: epochs of each.
        workers: how many take models from it.

    Attributes:
        failures: index -> one line, for every model that could not be trained.
    """

    def __init__(self, store: Store, indices: Sequence[int], epochs: int, workers: int):
        self.failures: dict[int, str] = {}
        self._store, self._workers, self._total = store, workers, len(indices)
        self._todo, self._elsewhere = deque(indices), set()
        self._times_lost = Counter()
        self._look_again, self._waiting_said = 0.0, False
        self._answered: dict[str | None, int | None] | None = None  # digest of answers -> the model that gave them
        self._twins_said = False
        self._progress = Progress(len(indices), epochs)

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_) -> None:
        self._progress.close()

    @property
    def settled(self) -> bool:
        """Whether nothing is left to hand out, now or once another process has released it."""
        return not self._todo and not self._elsewhere

    def next_models(self, ensemble_size: int) -> list[int]:
        """Models for a worker that trains `ensemble_size` at the same time; none if there are none at the moment.

        The shares are as equal, and as few one after another, as possible: no worker gets `ensemble_size` models
        while others get few. An engine that chose its size among those of `mia_tf.training.device_memory.sizes` gets
        just that many, except in the last share.
        """
        rounds = math.ceil(self._total / (self._workers * ensemble_size))
        share = math.ceil(self._total / (self._workers * rounds))
        return [self._todo.popleft() for _ in range(min(share, len(self._todo)))]

    def say(self, line: str) -> None:
        """Writes a line without disturbing the bar."""
        self._progress.say(line)

    def epoch(self, indices: Iterable[int]) -> None:
        """An epoch of each of these models is over."""
        for index in indices:
            self._progress.epoch(index)

    def hear(self, event: str, index: int, detail) -> None:
        """Records the outcome of a model (the events of `mia_tf.training.worker`)."""
        if event == "done":
            self._progress.finished(index, _summary(index, detail))
            of_task = "answers_digest" in detail
            if detail["at_chance"]:
                order = ": are the columns of its answers in the order of the classes?" if of_task else ""
                self.say(f"warning: model {index} is no better than chance on its own training set{order}")
            if of_task:
                self._compare_answers(index, detail["answers_digest"])
        elif event == "elsewhere":
            self._elsewhere.add(index)
        elif event in ("failed", "unwritable"):
            self._fail(index, detail)
            if event == "unwritable":  # the others would be trained in vain
                self.give_up("not begun, because another could not be written")
            elif list(self.failures.values()) == [detail] * _FAILURES and not self._store.completed():
                self.give_up(f"not begun, because the first {_FAILURES} models all failed in the same way")

    def _compare_answers(self, index: int, digest: str) -> None:
        """Warns once if two models of the LOGDIR gave the same answers."""
        answered = self._answered
        if answered is None:  # models of earlier calls count, too
            others = [model for model in self._store.models() if model.index != index]
            answered = {model.metrics().get("answers_digest"): model.index for model in reversed(others)}
            self._answered = answered
        twin = answered.setdefault(digest, index)
        if twin is not None and twin != index and not self._twins_said:
            self._twins_said = True
            models = f"models {min(twin, index)} and {max(twin, index)}"
            advice = "does the task train on the rows that it gets, and use its seed?"
            self.say(f"warning: {models} gave the same answers: {advice}")

    def lost(self, indices: Iterable[int], reason: str, tries: int) -> None:
        """The worker that had these models is gone: they come first again, or fail after `tries` tries."""
        for index in sorted(indices, reverse=True):
            self._times_lost[index] += 1
            if self._times_lost[index] < tries:
                self._progress.restarted(index)
                self._todo.appendleft(index)
            else:
                self._fail(index, reason)

    def _fail(self, index: int, reason: str) -> None:
        self.failures[index] = reason
        self._progress.finished(index, f"model {index} failed: {reason}")

    def give_up(self, reason: str) -> None:
        """Records why what is left will not be trained."""
        self.failures |= dict.fromkeys([*self._todo, *self._elsewhere], reason)
        self._todo.clear()
        self._elsewhere.clear()

    def look_elsewhere(self) -> None:
        """Now and then, looks at the models of other processes; tries those again that are not present."""
        if self._todo or not self._elsewhere or time.monotonic() < self._look_again:
            return
        self._look_again = time.monotonic() + POLL_SECONDS
        present = self._store.completed()
        for index in sorted(self._elsewhere & present):
            self._progress.finished(index, f"model {index} was trained by another process")
        self._elsewhere -= present
        if self._elsewhere and not self._waiting_said:
            self._waiting_said = True
            self.say(f"waiting for {len(self._elsewhere)} models that another process is training")
        self._todo.extend(sorted(self._elsewhere))  # who holds them may have died
        self._elsewhere.clear()


def _summary(index: int, metrics: dict) -> str:
    parts = [f"train {metrics['train_accuracy_all']:.1%}"]
    parts += [
        f"test {name} {metrics[key]:.1%}" for name in ("over", "under") if (key := f"test_accuracy_{name}") in metrics
    ]
    return f"model {index}: " + ", ".join(parts) + f", {metrics['train_seconds']:.0f} s"
