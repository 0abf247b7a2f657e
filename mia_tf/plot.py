"""Draws the figures of a LOGDIR that `python -m mia_tf.analyze` has analyzed, as PNG and PDF.

`python -m mia_tf.plot --logdir=runs/mnist_svhn` writes and names runs/mnist_svhn/analysis/figures/*. With --out=FOLDER
it draws the analysis that `mia_tf.analyze --out=FOLDER` wrote, into FOLDER/figures; LOGDIR may then be read-only.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

from absl import flags

from mia_tf import command_line
from mia_tf.store import Store
from mia_tf.validation import InputError, fail


def plot_logdir(logdir: Path, out: Path | None = None, all_attacks: bool = False) -> Iterator[Path]:
    """Draws every figure of every analysis of a LOGDIR; yields each path once its file is complete.

    Figures of an earlier analysis alone are removed. Without the pictures of the examples the others are drawn.

    Args:
        logdir: the folder of the models.
        out: the folder of the analysis, which gets the figures too; None for LOGDIR/analysis.
        all_attacks: draw roc_all too, the ROC of every variant of every attack.

    Raises:
        InputError: the LOGDIR, or a CSV of its analysis, is missing or unreadable.
    """
    store = Store.open(logdir)
    import matplotlib  # here, because --help must not wait for it

    from mia_tf.analysis.result import FACTS, load_audit
    from mia_tf.data.logdir_pictures import read_logdir_pictures
    from mia_tf.figures import pages, style

    argument = "logdir" if out is None else "out"
    remedy = f"; make it with `{command_line.again('mia_tf.analyze', logdir=logdir, out=out)}`"
    own = out or logdir / "analysis"
    others = sorted(path.parent for path in own.glob(f"shadow_*/{FACTS}"))
    # One model that was attacked with another LOGDIR's has no analysis of its own.
    folders = others if others and not (own / FACTS).exists() else [own, *others]
    audits = [load_audit(folder, remedy, argument=argument) for folder in folders]
    images = read_logdir_pictures(store)
    for folder, audit in zip(folders, audits, strict=True):
        rows = audit.records["row"]
        if images is not None and (rows.min() < 0 or rows.max() >= len(images)):
            line = f"{folder / 'examples.csv'} is of another data set than {logdir / 'x_train.npy'}"
            raise InputError(line, argument, folder)
    try:
        with matplotlib.rc_context(style.RC):
            for folder, audit in zip(folders, audits, strict=True):
                target = folder / "figures"
                target.mkdir(exist_ok=True)
                drawn = set()
                names = (*pages.NAMES, *pages.ON_REQUEST) if all_attacks else pages.NAMES
                for name, figure in pages.pages(audit, images, names):
                    yield from style.save(figure, target, name)
                    drawn.add(name)
                for name in {*pages.NAMES, *pages.ON_REQUEST} - drawn:
                    style.remove(target, name)
    except OSError as error:
        fail(argument, own, f"must be a folder that can be written ({error.strerror})")


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the command's flags in `values`."""
    flags.DEFINE_string(
        "logdir", None, "Folder of the results, as given to mia_tf.train and mia_tf.analyze.", flag_values=values
    )
    flags.DEFINE_string(
        "out", None, "Folder of the analysis and the figures, as given to mia_tf.analyze.", flag_values=values
    )
    flags.DEFINE_bool(
        "all_attacks", False, "Draw roc_all too: the ROC of every variant of every attack.", flag_values=values
    )


def main() -> None:
    """Draws, and prints each path."""
    # absl turns on everybody's notes; these are on every glyph that goes into a PDF.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    logdir, out = command_line.required_path_flag("logdir"), command_line.path_flag("out")
    for path in plot_logdir(logdir, out, flags.FLAGS.all_attacks):
        print(path, flush=True)


if __name__ == "__main__":
    define_flags()
    command_line.run("mia_tf.plot", main)
