"""Trains shadow models on random subsets of a data set and keeps what each says of every example.

    python -m mia_tf.train --dataset=mnist_svhn --num_experiments=64 --logdir=runs/mnist_svhn

The flags are those of LiRA's published code, and more. A --flagfile goes first: the last setting
of a flag wins. The same command goes on where an earlier one stopped.
"""

import shutil
import sys
from pathlib import Path

from absl import flags

from mia_tf import command_line, subsets
from mia_tf.config import (
    ARCHITECTURES,
    AUGMENTATIONS,
    DATA_SOURCES,
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

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines the command's flags; their defaults are the dataclasses'."""
    data, training, experiment = DataConfig(), TrainingConfig(), ExperimentConfig()
    flags.DEFINE_string("logdir", None, "Folder of the results; default runs/DATASET.")
    flags.DEFINE_string("dataset", data.dataset, "Mixture (mnist, mnist_svhn, ...) or npz:PATH for your own arrays.")
    flags.DEFINE_string("data_source", data.data_source, "Where pictures come from: " + ", ".join(DATA_SOURCES) + ".")
    flags.DEFINE_string("data_dir", data.data_dir, "Folder of mnist.npz, svhn.npz, ...; default $MIA_TF_DATA.")
    flags.DEFINE_integer("num_over", data.num_over, "Over-represented examples, balanced; default as in the paper.")
    flags.DEFINE_integer("num_under", data.num_under, "Under-represented examples, balanced; default as in the paper.")
    flags.DEFINE_integer("dataset_size", data.dataset_size, "Keep this many examples of the mixture; default all.")
    flags.DEFINE_integer("data_seed", data.seed, "Chooses the examples.")

    flags.DEFINE_string("arch", training.arch, "Architecture: " + ", ".join(ARCHITECTURES.values()) + ".")
    flags.DEFINE_float("lr", training.lr, "Peak learning rate.")
    flags.DEFINE_integer("batch", training.batch, "Examples a step.")
    flags.DEFINE_integer("epochs", training.epochs, "Passes over a model's training set.")
    flags.DEFINE_float("weight_decay", training.weight_decay, "L2 penalty on weights, not on biases.")
    flags.DEFINE_float("warmup", training.warmup, "Share of training in which the rate rises (LiRA: 0.01).")
    flags.DEFINE_float("clip_norm", training.clip_norm, "Largest norm of a step's gradient; 0 for no limit (LiRA).")
    flags.DEFINE_float("ema", training.ema, "Decay of averaged weights for test accuracy (LiRA: 0.999); 0 for none.")
    flags.DEFINE_string("augment", training.augment, "Augmentation: " + ", ".join(AUGMENTATIONS) + ".")
    flags.DEFINE_integer("queries", None, "Views of each example to ask; default 1 without augmentation, else 2.")
    flags.DEFINE_integer("eval_steps", training.eval_steps, "Epochs between test accuracies; 0 for the last only.")
    flags.DEFINE_integer("patience", training.patience, "Stop after so many epochs without better test accuracy.")
    flags.DEFINE_integer("save_steps", training.save_steps, "Epochs between kept checkpoints; 0 for none.")
    flags.DEFINE_bool("keep_ckpt", training.keep_ckpt, "Keep the final weights, for mia_tf.inference.")

    flags.DEFINE_integer("num_experiments", experiment.num_experiments, "Shadow models.")
    flags.DEFINE_float("pkeep", experiment.pkeep, "Share of the models that an example is in.")
    flags.DEFINE_string("subsets", experiment.subsets, "Plan of the subsets: " + ", ".join(SUBSET_PLANS) + ".")
    flags.DEFINE_integer("only_subset", experiment.only_subset, "Train on none of the examples from this row on.")
    flags.DEFINE_integer("seed", experiment.seed, "Draws the subsets and every model's own seed.")

    flags.DEFINE_integer("expid", None, "Train this model only, as one task of an array job.")
    flags.DEFINE_integer("workers", None, "Processes that train at the same time; default by a measurement.")
    flags.DEFINE_integer("threads_per_worker", None, "Threads of each process; default by a measurement.")


def read_config() -> tuple[ExperimentConfig, RunOptions]:
    """The flags as validated dataclasses.

    Raises:
        InputError: a flag has a value that is not allowed.
    """
    data = DataConfig(
        dataset=FLAGS.dataset,
        data_source=FLAGS.data_source,
        data_dir=FLAGS.data_dir,
        num_over=FLAGS.num_over,
        num_under=FLAGS.num_under,
        dataset_size=FLAGS.dataset_size,
        seed=FLAGS.data_seed,
    )
    names = set(TrainingConfig.__dataclass_fields__) - {"queries"}
    queries = FLAGS.queries if FLAGS.queries is not None else 1 if FLAGS.augment == "none" else 2
    training = TrainingConfig(queries=queries, **{name: FLAGS[name].value for name in names})
    names = set(ExperimentConfig.__dataclass_fields__) - {"data", "training"}
    experiment = ExperimentConfig(data, training, **{name: FLAGS[name].value for name in names})
    logdir = Path(FLAGS.logdir or f"runs/{Path(FLAGS.dataset).stem.replace(':', '_')}")
    options = RunOptions(logdir, FLAGS.expid, FLAGS.workers, FLAGS.threads_per_worker)
    if options.expid is not None and options.expid >= experiment.num_experiments:
        fail(f"must be below --num_experiments={experiment.num_experiments}", expid=options.expid)
    return experiment, options


def load_and_check(config: ExperimentConfig) -> Dataset:
    """The data set, once it is certain that the configuration can train on it.

    Raises:
        InputError: the data cannot be had, or do not fit the rest of the configuration.
    """
    from mia_tf import data

    dataset = data.load(config.data)
    check_images_fit(config.training.arch, dataset.images.shape[1:])
    smallest = int(subsets.membership(config, len(dataset.images)).sum(axis=1).min())
    batch = config.training.batch
    check(batch <= smallest, f"must not exceed the smallest model's training set of {smallest} examples", batch=batch)
    return dataset


def check_disk(store: Store, config: ExperimentConfig, num_models: int) -> None:
    """Raises InputError where the logits of the models still to come would not fit on the disk."""
    about = store.about()
    needed = num_models * about["num_examples"] * config.training.queries * about["num_classes"] * 4
    free = shutil.disk_usage(store.logdir).free
    if needed > free:
        have = f"{store.logdir} with {free / 1e9:.2f} GB free"
        fail(f"must have {needed / 1e9:.2f} GB free for the logits of {num_models} models", logdir=have)


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
    store = Store.create(options.logdir, config.to_dict(), lambda: load_and_check(config))
    store.check_whole()
    about = store.about()
    wanted = range(config.num_experiments) if options.expid is None else [options.expid]
    missing = sorted(set(wanted) - store.completed())
    print(f"{about['name']}: {about['num_examples']:,} examples, {config.training.arch}, {options.logdir}")
    if about["stand_in"]:
        print(about["stand_in"])
    print(f"{len(wanted) - len(missing)} of {len(wanted)} models present, {len(missing)} to train.", flush=True)
    if not missing:
        return 0
    check_disk(store, config, len(missing))
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
    print(f"{present} of {len(wanted)} models present. Next: python -m mia_tf.analyze --logdir={options.logdir}")
    return 1 if failures else 0


if __name__ == "__main__":
    define_flags()
    command_line.run("mia_tf.train", main)
