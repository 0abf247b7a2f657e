"""Measures memorization and membership inference on the shadow models of a LOGDIR.

    python -m mia_tf.analyze --logdir=runs/mnist_svhn

Reads what `mia_tf.train`, or LiRA's published code, wrote; writes LOGDIR/analysis/*.csv and prints a summary.
"""

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from absl import flags

from mia_tf import command_line
from mia_tf.validation import check_integer, fail

FLAGS = flags.FLAGS
_SECONDS_BETWEEN_LINES = 10


def define_flags() -> None:
    """Defines the command's flags."""
    flags.DEFINE_string("logdir", None, "Folder of the results, as given to mia_tf.train.")
    flags.DEFINE_list("attacks", None, "Attacks to run, by the names of attacks.csv; default all.")
    flags.DEFINE_integer("num_targets", None, "Attack only the first so many models; default every model in turn.")
    flags.DEFINE_integer("seed", 0, "Draws the bootstrap's samples.")


def main() -> int:
    """Runs the command."""
    if not FLAGS.logdir:
        fail("must be given", logdir=FLAGS.logdir)
    check_integer(1, optional=True, num_targets=FLAGS.num_targets)
    check_integer(0, seed=FLAGS.seed)
    analyze(Path(FLAGS.logdir), FLAGS.attacks, FLAGS.num_targets, FLAGS.seed)
    return 0


def analyze(logdir: Path, attacks: list[str] | None = None, num_targets: int | None = None, seed: int = 0) -> None:
    """Writes LOGDIR/analysis/*.csv, and prints the summary and the paths.

    Raises:
        InputError: the LOGDIR cannot be analyzed or written, or there is no such attack.
    """
    # Imported here because --help must not wait for SciPy.
    from mia_tf.analysis import study, tables
    from mia_tf.store import Store

    attacks = study.check_attacks(attacks)
    store = Store.open(logdir)
    examples = store.examples()
    folder = logdir / "analysis"
    try:
        folder.mkdir(exist_ok=True)
        findings = study.study(store.models(), examples, attacks, num_targets, seed, folder, _progress)
        rows = {
            "attacks": tables.attack_rows(findings.evaluations),
            "examples": tables.example_rows(examples, findings.columns),
            "accuracy": findings.accuracy,
            "curves": tables.curve_rows(findings.evaluations),
            "correlations": findings.correlations,
        }
        paths = [tables.write_table(folder, name, rows[name]) for name in rows]
    except OSError as error:
        fail(f"must be a folder that can be written ({error.strerror or error})", logdir=logdir)
    print("\n".join(tables.summary_lines(findings.evaluations)))
    print("In percent, with 95% intervals; - where it cannot be resolved.")
    print(f"With {findings.num_models} models the LiRA variant to trust is {findings.recommended}.")
    if examples.stand_in:
        print(examples.stand_in)
    print("\n".join(map(str, paths)))


def _progress(doing: str, steps: Iterable, total: int) -> Iterator:
    """The same steps, with a bar on a terminal and a line now and then elsewhere."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(steps, desc=doing, total=total, leave=False)
        return
    said = time.monotonic()
    for done, step in enumerate(steps, 1):
        yield step
        if time.monotonic() > said + _SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            print(f"{doing}: {done} of {total}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    define_flags()
    command_line.run("mia_tf.analyze", main)
