"""Trains shadow models on random subsets of a data set and keeps what each says of every example.

    python -m mia_tf.train --dataset=mnist_svhn --num_experiments=64 --logdir=runs/mnist_svhn
    python -m mia_tf.train --task=my_task.py:task --num_experiments=64 --logdir=runs/mine

With --task it trains what the user's own function trains (`mia_tf.Task`), in any framework and on any data. Flags that
set the data or the training are then refused, because the function decides both.

A paper's mixture is trained by that paper's recipe. It sets the flags that you do not give; --recipe=lira takes LiRA's.

The flags are those of LiRA's published code, and more. A --flagfile goes first: the last setting
of a flag wins. The same command resumes where an earlier one stopped.
"""

import dataclasses
import functools
import os
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import flags

from mia_tf import backend, command_line, recipes, subsets
from mia_tf.config import MIN_MODELS, DataConfig, ExperimentConfig, PlanConfig, TaskConfig, TrainingConfig
from mia_tf.files import expanded
from mia_tf.keras_task import KerasTask
from mia_tf.preparation import announce, announce_task, answers_bytes, check_disk, model_bytes, settle
from mia_tf.privacy_config import PrivacyConfig
from mia_tf.run_options import RunOptions, parse_ensemble_size, parse_expid
from mia_tf.settings import flag_help
from mia_tf.store import Store
from mia_tf.task import load_task
from mia_tf.validation import check, fail

SECTIONS = {
    PlanConfig: "Shadow models",
    DataConfig: "Data",
    TrainingConfig: "Training",
    PrivacyConfig: "Private training, with --dp",
    RunOptions: "Where and how fast",
}
"""The settings that flags of the same names set -> the heading of these flags."""
_LIRA = "Only to repeat runs of LiRA's published code"
_DEFINE = {str: flags.DEFINE_string, Path: flags.DEFINE_string, int: flags.DEFINE_integer}
_DEFINE |= {float: flags.DEFINE_float, bool: flags.DEFINE_bool}
_OTHERS = {
    PlanConfig: (
        flags.DEFINE_string,
        "task",
        None,
        "FILE.py:NAME, a mia_tf.Task of your own, such as my_task.py:task. Refuses the flags of the built-in data and "
        "networks (--dataset, --arch, --epochs, --dp, ...).",
    ),
    TrainingConfig: (
        flags.DEFINE_string,
        "recipe",
        "paper",
        "Settings for the flags that are not given: paper for those of the mixture's paper, if it has any, or lira "
        "for LiRA's on every data set, which are the default values here.\nThose of the papers:\n" + recipes.table(),
    ),
    PrivacyConfig: (flags.DEFINE_bool, "dp", False, "Train with differential privacy (DP-SGD)."),
}
"""The flags that set no field, under the headings of the settings that they choose."""
_AS_TEXT = {"expid": None, "ensemble_size": "auto"}
"""Flags that `read_config` parses, with their defaults."""
_DERIVED = ("queries", "clip_norm", "batch", "logdir")
"""Flags whose default follows from others, or of which it matters whether they were given."""


def flag_fields(owner: type) -> dict[str, dataclasses.Field]:
    """Returns the fields of one of `SECTIONS` that flags set, by name."""
    fields = dataclasses.fields(owner)
    return {field.name: field for field in fields if field.name in _AS_TEXT or _kind(field) in _DEFINE}


def _kind(field: dataclasses.Field) -> Any:
    return next(iter(typing.get_args(field.type)), field.type)  # `int | None` is an int


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the command's flags in `values`; their types, defaults and help are the dataclasses'."""
    for lira in (False, True):
        for owner, heading in SECTIONS.items():
            add = {"flag_values": values, "module_name": _LIRA if lira else heading}
            if owner in _OTHERS and not lira:
                define, *others = _OTHERS[owner]
                define(*others, **add)
            for name, field in flag_fields(owner).items():
                if field.metadata.get("lira", False) != lira:
                    continue
                if name in _AS_TEXT:
                    flags.DEFINE_string(name, _AS_TEXT[name], flag_help(field), **add)
                else:
                    default = None if name in _DERIVED else field.default
                    _DEFINE[_kind(field)](name, default, flag_help(field), **add)


def read_config(values: flags.FlagValues = flags.FLAGS) -> tuple[ExperimentConfig, RunOptions]:
    """The flags as validated dataclasses.

    Raises:
        InputError: a flag has a value that is not allowed.
    """
    recipe = from_recipe(values)
    plan, data, training, privacy, run = (
        {name: recipe.get(name, values[name].value) for name in flag_fields(owner)} for owner in SECTIONS
    )
    if training["queries"] is None:
        training["queries"] = 1 if training["augment"] == "none" else 2
    if training["batch"] is None:
        training["batch"] = TrainingConfig.batch
    training["privacy"] = _read_privacy(values.dp, {k: v for k, v in privacy.items() if values[k].present})
    if training["clip_norm"] is None:
        training["clip_norm"] = 0.0 if values.dp else TrainingConfig.clip_norm
    config = ExperimentConfig(data=DataConfig(**data), training=TrainingConfig(**training), **plan)
    return config, _read_options(run, config, config.data.dataset)


def from_recipe(values: flags.FlagValues = flags.FLAGS) -> dict[str, Any]:
    """Returns the settings that --recipe decides, by the names of the flags that the user did not give.

    Raises:
        InputError: the recipe is unknown.
    """
    settings = recipes.settings(values.recipe, values.dataset)
    return {name: value for name, value in settings.items() if not values[name].present}


def read_task_config(values: flags.FlagValues = flags.FLAGS) -> tuple[Callable, TaskConfig, RunOptions]:
    """Returns what loads the task of --task in any process, and the flags as validated dataclasses.

    Raises:
        InputError: a flag has a value that is not allowed, or is not for a task; or there is no such task.
    """
    built_in = (name for owner in (DataConfig, TrainingConfig, PrivacyConfig) for name in flag_fields(owner))
    for name in (*built_in, "dp", "recipe"):
        check(
            name,
            values[name].value,
            not values[name].present,
            "must not be given with --task, whose function decides it",
        )
    plan, run = ({name: values[name].value for name in flag_fields(owner)} for owner in (PlanConfig, RunOptions))
    config = TaskConfig(**plan)
    file, _, _ = values.task.rpartition(":")
    options = _read_options(run, config, file)
    source = functools.partial(load_task, str(expanded(values.task, "task").absolute()))
    return source, config, options


def _read_options(run: dict, config: PlanConfig, name: str) -> RunOptions:
    """Reads the settings of RunOptions; `name`, of a data set or file, names the default LOGDIR."""
    logdir = run["logdir"] or f"runs/{Path(name).stem.replace(':', '_')}"
    run["logdir"] = expanded(logdir)
    run["expid"] = parse_expid(run["expid"], config.num_experiments)
    run["ensemble_size"] = parse_ensemble_size(run["ensemble_size"])
    return RunOptions(**run)


def _read_privacy(private: bool, given: dict) -> PrivacyConfig | None:
    if private:
        return PrivacyConfig(**given)
    for name, value in given.items():
        fail(name, value, "needs --dp")
    return None


def main() -> int:
    """Runs the command; returns 1 if a model could not be trained."""
    return _train_networks() if flags.FLAGS.task is None else _train_task()


def _train_networks() -> int:
    """Trains a network of `mia_tf.models` on images."""
    backend.name()  # one that is not there is said before any work
    config, options = read_config()
    Store.check_folder(options.logdir)
    from mia_tf import data

    identity = {**config.to_dict(), **data.fingerprint(config.data)}
    data.check_new_models(config.data, identity, options.logdir)
    from mia_tf.training import executors

    with executors.opened(options) as executor:  # before any work, as it may be refused
        if options.dry_run:
            from mia_tf.dry_run import rehearse

            rehearse(config, options, identity, flags.FLAGS.batch is not None)
            _say_recipe(config)
            return 0
        store, config = _begin(config, options, identity)
        store.check_whole()
        _say_recipe(config)
        store.check_nominal_size(subsets.nominal_size(config, len(store.examples().labels)))
        dataset = store.dataset()  # opened here as the workers will: what is damaged is said before they start
        say = functools.partial(announce, dataset, config, options.logdir)
        failures = _train(store, config, options, executor, say, functools.partial(model_bytes, dataset, config))
    advice = ""
    if any("not finite" in reason for reason in failures.values()):
        limit = "--clip_norm" if config.training.clip_norm else "--clip_norm above 0"
        advice = f"Models that diverged would diverge again: take a smaller --lr or a {limit}, in another --logdir."
    return _report(store, config, options, failures, advice)


def _say_recipe(config: ExperimentConfig) -> None:
    """Prints the settings that the user did not give and a recipe decided."""
    if recipe := from_recipe():
        print(f"Recipe of {config.data.dataset}: {recipes.text(recipe)}. LiRA's is --recipe=lira.", flush=True)


def _begin(config: ExperimentConfig, options: RunOptions, identity: dict) -> tuple[Store, ExperimentConfig]:
    """The LOGDIR, and the configuration with the batch that its data allow; the data are no longer in memory."""
    config, load_dataset = settle(config, options.logdir, flags.FLAGS.batch is not None)
    return Store.create(options.logdir, {**identity, "batch": config.training.batch}, load_dataset), config


def _train_task() -> int:
    """Trains what the function of a user's task trains."""
    source, config, options = read_task_config()
    Store.check_folder(options.logdir)
    here = Path.cwd()
    task = source()
    os.chdir(here)  # where the paths of flags begin; the file may have changed it
    several = options.ensemble_size in (None, 1) or isinstance(task, KerasTask)
    check("ensemble_size", options.ensemble_size, several, "must be auto or 1, unless the task is a mia_tf.KerasTask")
    config = dataclasses.replace(config, task=task.identity())
    from mia_tf.task_training import open_store
    from mia_tf.training import executors

    with executors.opened(options, task, source) as executor:  # before any work, as it may be refused
        if options.dry_run:
            from mia_tf.dry_run import rehearse_task

            rehearse_task(task, config, options)
            return 0
        store = open_store(task, config, options)
        say = functools.partial(announce_task, task, config, options.logdir)
        failures = _train(store, config, options, executor, say, functools.partial(answers_bytes, task))
    return _report(store, config, options, failures)


def _train(
    store: Store,
    config: PlanConfig,
    options: RunOptions,
    executor,
    say: Callable[[int, int], None],
    size: Callable[[], int],
) -> dict[int, str]:
    """Trains the models that are not present; returns one line per model that could not be trained.

    Args:
        executor: what trains (`mia_tf.training.executors`).
        say: prints what will be trained, given how many models are wanted and missing.
        size: returns the size of one model on the disk, in bytes.
    """
    wanted = options.models(config.num_experiments)
    missing = sorted(set(wanted) - store.completed())
    say(len(wanted), len(missing))
    failures = {}
    if missing:
        check_disk(options.logdir, size(), len(missing))
        failures = executor.train_models(store, config, missing)
    store.sweep(wanted)
    return failures


def _report(store: Store, config: PlanConfig, options: RunOptions, failures: dict[int, str], advice: str = "") -> int:
    """Prints how many models are present or failed, and what to do next; returns the exit code."""
    for index, reason in sorted(failures.items()):
        print(f"mia_tf.train: model {index} failed: {reason}", file=sys.stderr)
    wanted = options.models(config.num_experiments)
    present = len(set(wanted) & store.completed())
    needed = " --shadow_logdir=OTHER" if 1 < config.num_experiments < MIN_MODELS else ""
    after = f"Next: {command_line.again('mia_tf.analyze', logdir=options.logdir)}{needed}"
    if failures:
        after = advice or "The same command tries the rest again."
    print(f"{present} of {len(wanted)} models present. {after}")
    return 1 if failures or present < len(wanted) else 0


if __name__ == "__main__":
    define_flags()
    command_line.run("mia_tf.train", main)
