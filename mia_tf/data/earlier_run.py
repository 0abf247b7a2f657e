"""The memorization that an earlier run has measured, by example."""

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mia_tf.files import expanded, read_csv
from mia_tf.store import Store
from mia_tf.validation import check

_COLUMNS = {
    **dict.fromkeys(("example_id", "group", "label"), "text"),
    **dict.fromkeys(("n_in", "n_out"), "integer"),
    **dict.fromkeys(("memorization", "memorization_se"), "number"),
}
"""What is read of examples.csv, and its kind."""


@dataclass(frozen=True)
class EarlierRun:
    """What examples.csv of an analyzed LOGDIR says of its n examples.

    Attributes:
        logdir: the run's folder.
        config: its config.json.
        stand_in: as in Dataset.
        example_ids: (n,) str.
        labels: (n,) int64.
        under: (n,) bool, true for the under-represented group.
        memorization: (n,) float64 in [-1, 1], NaN if no model was in, or none was out.
        memorization_se: (n,) float64, its standard error.
        num_models: models that the memorization was measured with.
    """

    logdir: Path
    config: Mapping
    stand_in: str
    example_ids: np.ndarray
    labels: np.ndarray
    under: np.ndarray
    memorization: np.ndarray
    memorization_se: np.ndarray
    num_models: int

    @property
    def config_digest(self) -> str:
        """16 hexadecimal digits that tell the run's configuration from another."""
        return digest_of([json.dumps(self.config, sort_keys=True)])


def read(logdir: str | Path, argument: str = "scores_from") -> EarlierRun:
    """Reads the memorization of a LOGDIR that `mia_tf.train` wrote and `mia_tf.analyze` has analyzed.

    Args:
        logdir: the folder.
        argument: the name that a message gives to it.

    Raises:
        InputError: there is no such LOGDIR, or it is not analyzed.
    """
    store = open_run(logdir, argument)
    folder, remedy = (
        store.logdir,
        f"; make it with `python -m mia_tf.analyze {shlex.quote(f'--logdir={store.logdir}')}`",
    )
    table = read_csv(folder / "analysis" / "examples.csv", _COLUMNS, remedy, argument)
    about = store.about()
    names = about["classes"] or map(str, range(about.get("num_classes", 0)))  # as the table calls them
    places = {name: place for place, name in enumerate(names)}
    return EarlierRun(
        logdir=folder,
        config=store.config(),
        stand_in=store.about()["stand_in"],
        example_ids=table["example_id"].to_numpy(str),
        labels=np.array([places.get(label, -1) for label in table["label"]], np.int64),
        under=(table["group"] == "under").to_numpy(),
        memorization=table["memorization"].to_numpy(),
        memorization_se=table["memorization_se"].to_numpy(),
        num_models=int((table["n_in"] + table["n_out"]).max()),
    )


def open_run(logdir: str | Path, argument: str = "scores_from") -> Store:
    """Opens a LOGDIR that `mia_tf.train` wrote, analyzed or not. Raises InputError if it is none."""
    folder = expanded(logdir, argument)
    trained = (folder / "config.json").is_file()
    check(argument, logdir, trained, "must be a LOGDIR that `python -m mia_tf.train` wrote")
    return Store.open(folder, argument)


def digest_of(lines: Iterable[str]) -> str:
    """16 hexadecimal digits that tell a set of lines from another, whatever their order."""
    return hashlib.blake2b("\n".join(sorted(set(lines))).encode(), digest_size=8).hexdigest()
