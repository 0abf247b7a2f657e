"""The settings of every run: what the train command makes of its flags."""

import functools

from absl import flags

from experiments import runs
from mia_tf import train
from mia_tf.config import ExperimentConfig

Place = tuple[str, str]
"""Mixture and selection."""
_OF_NO_SCALE = {("mnist", "flow"): "0"}
"""Seeds of what is no run of `experiments.runs`: `experiments.inverse_flow`."""


@functools.cache
def by_place(scale: str) -> dict[Place, ExperimentConfig]:
    """Returns the configuration of every run of a scale by its mixture and selection."""
    return {(run.mixture, run.selection): _config(run) for run in runs.runs(scale).values()}


def epochs(scale: str) -> dict[Place, int]:
    """Returns how long the models of every run are trained."""
    return {place: config.epochs for place, config in by_place(scale).items()}


def pkeep(scale: str) -> dict[Place, float]:
    """Returns the share of the models of every run that are trained on an example."""
    return {place: config.pkeep for place, config in by_place(scale).items()}


def seeds(scale: str, mixture: str, selection: str) -> str:
    """Returns the seeds of a run, or of the runs of two selections that "MORE - LESS" names."""
    if (mixture, selection) in _OF_NO_SCALE:
        return _OF_NO_SCALE[mixture, selection]
    known = by_place(scale)
    names = [name for name in selection.split(" - ") if (mixture, name) in known]
    seeds = {name: known[mixture, name].seed for name in names}
    return ", ".join(f"{name} {seed}" for name, seed in seeds.items()) if len(seeds) > 1 else str(*seeds.values())


def _config(run: runs.Run) -> ExperimentConfig:
    chooser = ["--scores_from=unknown"] if run.selection == "singletons" else []
    values = flags.FlagValues()
    flags.DEFINE_multi_string("flagfile", [], "", flag_values=values)
    train.define_flags(values)
    values(["train", *values.read_flags_from_files([*run.flags, *chooser])])
    return train.read_config(values)[0]
