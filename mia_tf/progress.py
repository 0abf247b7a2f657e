"""What a long run says while it works: a bar on a terminal, plain lines otherwise."""

import sys
import time
from collections.abc import Iterable, Iterator

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 10


def show_steps(doing: str, steps: Iterable, total: int) -> Iterator:
    """The same steps, with a bar on a terminal and a line now and then elsewhere."""
    if sys.stderr.isatty():
        yield from tqdm(steps, desc=doing, total=total, leave=False)
        return
    last_line = time.monotonic()
    for done, step in enumerate(steps, 1):
        yield step
        if time.monotonic() > last_line + _SECONDS_BETWEEN_LINES:
            last_line = time.monotonic()
            print(f"{doing}: {done} of {total}", file=sys.stderr, flush=True)


class Progress:
    """Progress over models, each of several epochs.

    Args:
        num_models: models to train.
        epochs: epochs of each.
        terminal: draw a bar; None for whether stderr is a terminal.
    """

    def __init__(self, num_models: int, epochs: int, terminal: bool | None = None):
        self._num_models, self._epochs = num_models, epochs
        self._finished, self._epochs_seen = 0, {}
        self._started = time.monotonic()
        terminal = sys.stderr.isatty() if terminal is None else terminal
        layout = "{desc} {percentage:3.0f}%|{bar}| {elapsed} spent, {remaining} left"
        self._bar = tqdm(total=num_models * epochs, bar_format=layout, disable=not terminal)
        self._describe()

    def epoch(self, index: int) -> None:
        """An epoch of model `index` is over."""
        self._epochs_seen[index] = self._epochs_seen.get(index, 0) + 1
        self._bar.update()

    def restarted(self, index: int) -> None:
        """Model `index` begins anew."""
        self._bar.update(-self._epochs_seen.pop(index, 0))

    def finished(self, index: int | None, message: str) -> None:
        """Model `index` (None if it has none) has ended, one way or the other, and `message` says how."""
        self._finished += 1
        self._bar.update(self._epochs - self._epochs_seen.pop(index, 0))  # early stops, models of others
        if self._bar.disable:
            spent = time.monotonic() - self._started
            left = spent / self._finished * (self._num_models - self._finished)
            self.say(f"[{self._finished}/{self._num_models}, {duration(left)} left] {message}")
        self._describe()

    def say(self, line: str) -> None:
        """Writes a line without disturbing the bar."""
        tqdm.write(line, file=sys.stderr)

    def close(self) -> None:
        """Ends the bar."""
        self._bar.close()

    def _describe(self) -> None:
        self._bar.set_description_str(f"{self._finished}/{self._num_models} models")


def duration(seconds: float) -> str:
    """A span of time, for people."""
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 90 else f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"
