"""What DP-SGD does to memorization, to the attacks and to accuracy, on any LOGDIRs.

    python -m experiments.figure4_dp --plain=LOGDIR --dp=LOGDIR --out=OUT [--dp=ANOTHER --dp_label=DP --dp_label=TUNED]

Choi et al., section 8 and Figure 4, for which `experiments.figure4` makes LOGDIRs of its own. They hold the same
examples and subsets, trained without and with differential privacy, each by a recipe that suits it, such as
flags/dp_mnist_svhn_cpu_plain.flags and flags/dp_mnist_svhn_cpu.flags. The models that all of them have are compared.
--dp may be given again, for instance for another learning rate.

About 10 s a LOGDIR on one core for 16 models of 5,250 examples. Writes to --out: memorization.csv (by group, with
intervals), memorization_bins.csv (the histograms), attacks.csv, accuracy.csv, epsilon.csv (each attack's lower bound
beside the accountant's upper bounds, at one delta), runs.csv (what was run), and the figures.

Expected, by the paper: "samples that belong to the under-represented population also have low memorization scores".
It calls its DP models "low utility" and gives no number. With 16 models single examples cannot be told apart, as
the memorization of one has a standard error of 0.15 to 0.2; groups can.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

import matplotlib
import numpy as np
from absl import flags
from tqdm import tqdm

from mia_tf import command_line
from mia_tf.analysis import private_tables, tables
from mia_tf.analysis.private_runs import Run, read_runs
from mia_tf.analysis.study import check_attacks
from mia_tf.figures import private_pages, style
from mia_tf.figures.memorization import histogram_edges
from mia_tf.figures.private_runs import MAX_RUNS
from mia_tf.validation import check, check_integer, fail

PLAIN = "without DP"


def define_flags() -> None:
    """Defines the command's flags."""
    flags.DEFINE_string("plain", None, "LOGDIR trained without differential privacy.")
    flags.DEFINE_multi_string("dp", [], "LOGDIR trained with it; may be given again.")
    flags.DEFINE_multi_string("dp_label", [], "What a --dp is called, in the same order; default by learning rate.")
    flags.DEFINE_string("out", None, "Folder of the tables and figures.")
    flags.DEFINE_list("attacks", None, "Attacks to run, by the names of attacks.csv; default all.")
    flags.DEFINE_integer("seed", 0, "Draws the bootstrap's samples, and all else that is drawn.")


def main() -> None:
    """Runs the command."""
    # absl turns on everybody's notes; these are on every glyph that goes into a PDF.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    given = flags.FLAGS
    for name in ("plain", "dp", "out"):
        check(bool(given[name].value), "must be given", **{name: given[name].value})
    check_integer(0, seed=given.seed)
    attacks = check_attacks(given.attacks)
    check(len(given.dp) < MAX_RUNS, f"must be given at most {MAX_RUNS - 1} times", dp=", ".join(given.dp))
    runs = read_runs(Path(given.plain), [Path(logdir) for logdir in given.dp])
    labels = [PLAIN, *(given.dp_label or [f"DP, lr {run.hparams.get('lr')}" for run in runs[1:]])]
    fitting = len(labels) == len(runs) == len(set(labels))
    check(fitting, "must be given once for each --dp, and differ", dp_label=", ".join(labels[1:]))
    out = Path(given.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        compare(dict(zip(labels, runs, strict=True)), attacks, given.seed, out)
    except OSError as error:
        fail(f"must be a folder that can be written ({error.strerror or error})", out=out)


def compare(runs: dict[str, Run], attacks: list[str], seed: int, out: Path) -> None:
    """Writes every table and figure of runs by label, the one without privacy first, and prints short tables."""
    found, rows, edges = measure(runs, attacks, seed, out)
    stand_in = runs[PLAIN].examples.stand_in
    print("\n".join(filter(None, (*private_tables.lines(found, rows), stand_in))))
    for name, columns in private_tables.COLUMNS.items():
        print(tables.write_rows(out / f"{name}.csv", columns, rows[name], "stand-in data" if stand_in else ""))
    with matplotlib.rc_context(style.RC):
        for name, figure in private_pages.pages(found, rows, edges):
            for path in style.save(figure, out, name):
                print(path)


def measure(runs: dict[str, Run], attacks: list[str], seed: int, folder: Path):
    """The comparison, the rows of its tables and the edges of its histograms; `folder` is for scratch files."""
    found = private_tables.measure(runs, attacks, seed, folder, _progress)
    edges = histogram_edges(np.concatenate(list(found.memorization.values())), found.models_per_side)
    return found, private_tables.rows(found, edges), edges


def _progress(doing: str, steps: Iterable, total: int) -> Iterable:
    """A bar on a terminal."""
    return tqdm(steps, desc=doing, total=total, leave=False, disable=None)


if __name__ == "__main__":
    define_flags()
    command_line.run("experiments.figure4_dp", main)
