"""What DP-SGD does to memorization, to the attacks and to accuracy, on any LOGDIRs.

    python -m experiments.figure4_dp --plain=LOGDIR --dp=LOGDIR --out=OUT [--dp=ANOTHER --dp_label=DP --dp_label=TUNED]

Choi et al., section 8 and Figure 4 (`python -m experiments figure4` trains too). The LOGDIRs hold the same examples and
subsets, trained without and with differential privacy. Each has a recipe that suits it, such as
flags/dp_mnist_svhn_cpu_plain.flags and flags/dp_mnist_svhn_cpu.flags. The models that all of them have are compared.
--dp may be given again, for instance for another learning rate.

About 10 s per LOGDIR on one core for 16 models of 5,250 examples. Writes to --out the figures, memorization.csv (by
group, with intervals), memorization_bins.csv (the histograms), attacks.csv, accuracy.csv, epsilon.csv and runs.csv
(what was run). epsilon.csv has each attack's lower bound beside the accountant's upper bounds, at one delta.

Expected, by the paper: "samples that belong to the under-represented population also have low memorization scores".
It calls its DP models "low utility" and gives no number. With 16 models single examples cannot be told apart, as
the memorization of one has a standard error of 0.15 to 0.2; groups can.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from absl import flags
from tqdm import tqdm

from mia_tf import command_line
from mia_tf.analysis import tables
from mia_tf.analysis.dp_comparison import PLAIN, Comparison, compare
from mia_tf.figures import dp_pages, style
from mia_tf.figures.dp_runs import MAX_RUNS
from mia_tf.files import folder_to_fill, replacing
from mia_tf.validation import check, check_given, check_integer, fail


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
        check_given(name, given[name].value or None, "FOLDER")
    check_integer("seed", given.seed, 0)
    check("dp", ", ".join(given.dp), len(given.dp) < MAX_RUNS, f"must be given at most {MAX_RUNS - 1} times")
    labels = [PLAIN, *given.dp_label] if given.dp_label else None
    fitting = labels is None or len(labels) == 1 + len(given.dp) == len(set(labels))
    check("dp_label", ", ".join(given.dp_label), fitting, "must be given once for each --dp, and differ")
    out = command_line.path_flag("out")
    try:
        with folder_to_fill(out):
            chosen = {"labels": labels, "attacks": given.attacks, "seed": given.seed}
            comparison = compare(given.plain, given.dp, **chosen, progress=_progress, scratch=out)
            print(comparison)
            write(comparison, out)
    except OSError as error:
        fail("out", out, f"must be a folder that can be written ({error.strerror or error})")


def write(comparison: Comparison, out: Path) -> None:
    """Writes every table and figure, and prints their paths."""
    comparison.save(out)
    path = out / "memorization_bins.csv"
    with replacing(path) as temporary:
        temporary.write_text(tables.csv_text(path.stem, bins(comparison)), encoding="utf-8", newline="")
    print(*(out / f"{name}.csv" for name in comparison.tables), path, sep="\n")
    with matplotlib.rc_context(style.RC):
        for name, figure in dp_pages.pages(comparison):
            for path in style.save(figure, out, "figure4" if name == "memorization" else name):
                print(path)


def bins(comparison: Comparison) -> pd.DataFrame:
    """How many examples of each run and group lie in which bin of the histograms."""
    edges = dp_pages.histogram_edges(comparison)
    frames = []
    for label, audit in comparison.audits.items():
        for group in ("all", *audit.groups):
            chosen = audit.records if group == "all" else audit.records.query("group == @group")
            counts, _ = np.histogram(chosen["memorization"].dropna(), edges)
            cells = {"low": edges[:-1], "high": edges[1:], "examples": counts}
            frames.append(pd.DataFrame({"run": label, "group": group, **cells}))
    return pd.concat(frames, ignore_index=True)


def _progress(doing: str, steps: Iterable, total: int) -> Iterable:
    """A bar on a terminal."""
    return tqdm(steps, desc=doing, total=total, leave=False, disable=None)


if __name__ == "__main__":
    define_flags()
    command_line.run("experiments.figure4_dp", main)
