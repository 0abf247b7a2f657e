"""Asks stored models again with other views, as LiRA's inference.py does.

    python -m mia_tf.inference --logdir=runs/mnist_svhn --queries=18

Works on models trained with --keep_ckpt or --save_steps, and writes logits/{epoch}.npy for every kept epoch, or for
--epoch alone. An interrupted run resumes where it stopped.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from absl import flags

from mia_tf import command_line
from mia_tf.config import MAX_QUERIES, ExperimentConfig, TrainingConfig, check_images_fit
from mia_tf.files import load_arrays
from mia_tf.store import Store, StoredModel
from mia_tf.validation import check, check_integer, fail, listed, part_of

FLAGS = flags.FLAGS


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the command's flags in `values`."""
    flags.DEFINE_string("logdir", None, "Folder of the results, as given to mia_tf.train.", flag_values=values)
    flags.DEFINE_integer("queries", 18, f"Views of each example, at most {MAX_QUERIES}.", flag_values=values)
    flags.DEFINE_integer("epoch", None, "Ask the weights of this epoch; default of each kept one.", flag_values=values)
    flags.DEFINE_integer("threads", None, "Threads; default all cores.", flag_values=values)


def unanswered(model: StoredModel, queries: int, epoch: int | None) -> dict[int, Path]:
    """Epoch -> weights, of the kept epochs, or of one, whose logits have another number of queries."""
    return {
        kept: path
        for kept, path in model.checkpoints().items()
        if epoch in (None, kept) and model.queries(kept) != queries
    }


def read_weights(path: Path, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """Returns the weights of a file that training kept.

    Args:
        path: of the .npz file.
        shapes: of the model's weights.

    Raises:
        InputError: the file cannot be read, or holds no finite weights of these shapes.
    """
    weights = load_arrays(path)
    received = [w.shape for w in weights]
    where = part_of("logdir", str(path))
    check(where, listed(received, 5), received == list(shapes), "must hold weights of the model's shapes")
    finite = all(w.dtype.kind == "f" and np.isfinite(w).all() for w in weights)
    check(where, "NaN, infinity or no floats", finite, "must hold finite weights")
    return weights


def main() -> int:
    """Runs the command."""
    import joblib

    check_integer("queries", FLAGS.queries, 1, MAX_QUERIES)
    check_integer("epoch", FLAGS.epoch, 0, optional=True)
    check_integer("threads", FLAGS.threads, 1, 4096, optional=True)
    logdir = command_line.required_path_flag("logdir")
    store = Store.open(logdir)
    models = store.models()
    bare = [model.index for model in models if model.epoch not in model.checkpoints()]
    if bare or not models:
        which = f"{len(bare)} of {len(models)} models have none of their last epoch"
        fail("logdir", logdir, f"must hold weights, kept by training with --keep_ckpt; {which}")
    if FLAGS.epoch is not None:
        common = sorted(set.intersection(*(set(model.checkpoints()) for model in models)))
        check(
            "epoch",
            FLAGS.epoch,
            FLAGS.epoch in common,
            f"must be one of which each model has weights: {listed(common)}",
        )
    # Weights answer alike, however privately they were trained.
    training = replace(TrainingConfig.from_dict(store.config()), privacy=None)
    dataset = store.dataset()
    check_images_fit(replace(training, queries=FLAGS.queries), dataset.images.shape[1:])

    from mia_tf.progress import Progress
    from mia_tf.training.engines import start_engine

    engine = start_engine(dataset, ExperimentConfig(training=training), FLAGS.threads or joblib.cpu_count(), 1)
    progress = Progress(len(models), epochs=1)
    for model in models:
        for epoch, path in unanswered(model, FLAGS.queries, FLAGS.epoch).items():
            engine.set_weights(read_weights(path, engine.weight_shapes))
            store.write_logits(model, epoch, engine.query(FLAGS.queries))
        progress.finished(model.index, f"model {model.index}: {FLAGS.queries} queries")
    progress.close()
    after = command_line.again("mia_tf.analyze", logdir=logdir)
    print(f"{len(models)} models answered {FLAGS.queries} queries. Next: {after}")
    return 0


if __name__ == "__main__":
    define_flags()
    command_line.run("mia_tf.inference", main)
