"""Trains shadow models on random subsets of a data set and keeps what each says of every example.

    python -m mia_tf.train --dataset=mnist_svhn --num_experiments=64 --logdir=runs/mnist_svhn

The flags are those of LiRA's published code, and more. A --flagfile goes first: the last setting
of a flag wins. The same command goes on where an earlier one stopped.
"""

import dataclasses
import os
import shutil
import sys
import typing
from pathlib import Path

import numpy as np
from absl import flags

from mia_tf import command_line, subsets
from mia_tf.config import (
    ARCHITECTURES,
    AUGMENTATIONS,
    CLUSTERED,
    DATA_SOURCES,
    EFFICIENTNET,
    NORMS,
    SELECTIONS,
    SUBSET_PLANS,
    DataConfig,
    ExperimentConfig,
    RunOptions,
    TrainingConfig,
    check_images_fit,
)
from mia_tf.records import Dataset
from mia_tf.store import Store
from mia_tf.validation import check, fail

HELP = {
    DataConfig: {
        "dataset": "Mixture (mnist, mnist_svhn, ...) or npz:PATH for your own arrays.",
        "data_source": "Where pictures come from: " + ", ".join(DATA_SOURCES) + ".",
        "data_dir": "Folder of mnist.npz, svhn.npz, ...; default $MIA_TF_DATA.",
        "num_over": "Over-represented examples, balanced over the labels; default as in the paper.",
        "num_under": "Under-represented examples, balanced over the labels; default as in the paper.",
        "pool_test": "Let the test images be examples too; none are left to test with.",
        "dataset_size": "Keep this many examples of the mixture; default all.",
        "data_seed": "Chooses the examples.",
        "under": "Under-represented examples that stay: " + ", ".join(SELECTIONS) + ".",
        "features": f"Network whose features are clustered: {EFFICIENTNET} (default) or an architecture.",
        "clustered": "What is clustered: " + ", ".join(CLUSTERED) + "; the paper: mixture.",
        "scores_from": "Analyzed LOGDIR whose memorization singles out the singletons.",
        "threshold": "Memorization of a singleton; default the paper's, 0.8 on MNIST, 0.5 on CIFAR-10.",
        "without": "Text file of ids of examples to leave out, one a line.",
    },
    TrainingConfig: {
        "arch": "Architecture: " + ", ".join(ARCHITECTURES.values()) + ".",
        "norm": "Normalisation, for architectures that have one: " + ", ".join(NORMS) + ".",
        "lr": "Peak learning rate.",
        "batch": "Examples a step.",
        "epochs": "Passes over a model's training set.",
        "weight_decay": "L2 penalty on weights, not on biases.",
        "warmup": "Share of training in which the rate rises (LiRA: 0.01).",
        "clip_norm": "Largest norm of a step's gradient; 0 for no limit (LiRA).",
        "ema": "Decay of averaged weights for test accuracy (LiRA: 0.999); 0 for none.",
        "augment": "Augmentation: " + ", ".join(AUGMENTATIONS) + ".",
        "queries": "Views of each example to ask; default 1 without augmentation, else 2.",
        "eval_steps": "Epochs between test accuracies; 0 for the last only.",
        "patience": "Stop after so many epochs without a better test accuracy.",
        "save_steps": "Epochs between kept checkpoints; 0 for none.",
        "keep_ckpt": "Keep the final weights, for mia_tf.inference.",
    },
    ExperimentConfig: {
        "num_experiments": "Shadow models.",
        "pkeep": "Share of the models that an example is in.",
        "subsets": "Plan of the subsets: " + ", ".join(SUBSET_PLANS) + ".",
        "only_subset": "Train on none of the examples from this row on.",
        "seed": "Draws the subsets and every model's own seed.",
    },
    RunOptions: {
        "logdir": "Folder of the results; default runs/DATASET.",
        "expid": "Train this model only, as one task of an array job.",
        "workers": "Processes that train at the same time; default by a measurement.",
        "threads_per_worker": "Threads of each process; default by a measurement.",
    },
}
"""The flags: each sets the field of its own name, but --data_seed, which is DataConfig's seed."""
_DEFINE = {str: flags.DEFINE_string, Path: flags.DEFINE_string, int: flags.DEFINE_integer}
_DEFINE |= {float: flags.DEFINE_float, bool: flags.DEFINE_bool}


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the command's flags in `values`; types and defaults are the dataclasses'."""
    for owner, texts in HELP.items():
        fields = {field.name: field for field in dataclasses.fields(owner)}
        for name, text in texts.items():
            field = fields["seed" if name == "data_seed" else name]
            kind = next(iter(typing.get_args(field.type)), field.type)  # `int | None` is an int
            default = None if name in ("queries", "logdir") else field.default
            _DEFINE[kind](name, default, text, flag_values=values)


def read_config(values: flags.FlagValues = flags.FLAGS) -> tuple[ExperimentConfig, RunOptions]:
    """The flags as validated dataclasses.

    Raises:
        InputError: a flag has a value that is not allowed.
    """
    data, training, experiment, run = ({name: values[name].value for name in texts} for texts in HELP.values())
    data["seed"] = data.pop("data_seed")
    if training["queries"] is None:
        training["queries"] = 1 if training["augment"] == "none" else 2
    config = ExperimentConfig(data=DataConfig(**data), training=TrainingConfig(**training), **experiment)
    logdir = run["logdir"] or f"runs/{Path(config.data.dataset).stem.replace(':', '_')}"
    run["logdir"] = Path(os.path.expanduser(logdir))
    options = RunOptions(**run)
    if options.expid is not None and options.expid >= config.num_experiments:
        fail(f"must be below --num_experiments={config.num_experiments}", expid=options.expid)
    return config, options


def load_and_check(config: ExperimentConfig) -> Dataset:
    """The data set, once it is certain that the configuration can train on it.

    Raises:
        InputError: the data cannot be had, or do not fit the rest of the configuration.
    """
    from mia_tf import data
    from mia_tf.training import features

    def extract_features(mixture: Dataset, network: str, seed: int) -> np.ndarray:
        check_fits(config, mixture)  # before minutes of work
        return features.extract(mixture, network, seed)

    dataset = data.load(config.data, extract_features)
    check_fits(config, dataset)
    return dataset


def check_fits(config: ExperimentConfig, dataset: Dataset) -> None:
    """Raises InputError where the configuration cannot train on a data set."""
    check_images_fit(config.training, dataset.images.shape[1:])
    patience = config.training.patience
    check(patience is None or len(dataset.test_images) > 0, "needs test images in the data set", patience=patience)
    smallest = int(subsets.membership(config, len(dataset.images)).sum(axis=1).min())
    batch = config.training.batch
    check(batch <= smallest, f"must not exceed the smallest model's training set of {smallest} examples", batch=batch)


def check_disk(logdir: Path, dataset: Dataset, config: ExperimentConfig, num_models: int) -> None:
    """Raises InputError where the logits of the models still to come would not fit on the disk."""
    needed = num_models * len(dataset.images) * config.training.queries * dataset.num_classes * 4
    free = shutil.disk_usage(logdir).free
    if needed > free:
        have = f"{logdir} with {free / 1e6:,.1f} MB free"
        fail(f"must have {needed / 1e6:,.1f} MB free for the logits of {num_models} models", logdir=have)


def share_cores(store: Store, config: ExperimentConfig, options: RunOptions, num_models: int) -> tuple[int, int]:
    """Worker processes and threads of each: as asked for, or by a measurement on this machine."""
    import joblib

    from mia_tf.training import executors

    cores = joblib.cpu_count()
    if options.workers and options.threads_per_worker:
        return options.workers, options.threads_per_worker
    if options.workers or options.threads_per_worker or num_models < 2 * cores:
        workers = options.workers or max(1, min(num_models, cores) // (options.threads_per_worker or 1))
        return workers, options.threads_per_worker or max(1, cores // workers)
    workers, threads, speeds = executors.measure_workers(store, config, cores)
    said = ", ".join(f"{w} x {t} threads: {speed:,.0f} images/s" for (w, t), speed in speeds.items())
    print(f"Measured workers ({said}); taking {workers} x {threads}.", flush=True)
    return workers, threads


def main() -> int:
    """Runs the command; returns 1 where a model could not be trained."""
    config, options = read_config()
    from mia_tf import data

    identity = {**config.to_dict(), **data.identity(config.data)}
    data.check_new_models(config.data, identity, options.logdir)
    store = Store.create(options.logdir, identity, lambda: load_and_check(config))
    store.check_whole()
    dataset = store.dataset()  # opened here as the workers will: what is damaged is said before they start
    wanted = range(config.num_experiments) if options.expid is None else [options.expid]
    missing = sorted(set(wanted) - store.completed())
    print(f"{dataset.name}: {len(dataset.images):,} examples, {config.training.arch}, {options.logdir}")
    for said in (dataset.sources.get("without"), dataset.sources.get("selection"), dataset.stand_in):
        if said:
            print(said)
    print(f"{len(wanted) - len(missing)} of {len(wanted)} models present, {len(missing)} to train.", flush=True)
    if not missing:
        return 0
    check_disk(options.logdir, dataset, config, len(missing))
    workers, threads = share_cores(store, config, options, len(missing))

    from mia_tf.progress import Progress
    from mia_tf.training import executors

    progress = Progress(len(missing), config.training.epochs)
    try:
        failures = executors.train_models(store, config, missing, workers, threads, progress)
    finally:
        progress.close()
    for index, reason in sorted(failures.items()):
        print(f"mia_tf.train: model {index} failed: {reason}", file=sys.stderr)
    present = len(set(wanted) & store.completed())
    if not failures:
        after = f"Next: python -m mia_tf.analyze --logdir={options.logdir}"
    elif any("not finite" in reason for reason in failures.values()):
        after = "Models that diverged would diverge again: take a smaller --lr or --clip_norm, in another --logdir."
    else:
        after = "The same command tries the rest again."
    print(f"{present} of {len(wanted)} models present. {after}")
    return 1 if failures else 0


if __name__ == "__main__":
    define_flags()
    command_line.run("mia_tf.train", main)
