"""Measures memorization and membership inference on the shadow models of a LOGDIR.

    python -m mia_tf.analyze --logdir=runs/mnist_svhn

Reads what `mia_tf.train`, or LiRA's published code, wrote; writes LOGDIR/analysis/*.csv and prints a summary.
While training still goes on, it takes the models that are complete. With --num_shadow=1,2,4,8,16 the attacks are
also measured with only that many shadow models per side (sweep.csv), and with --delta=1e-5 they bound epsilon from
below (epsilon.csv); these two tables of an earlier analysis go, so that all tables are always of the same models.

A model's last epoch counts; --epoch=20 takes another one of all models. --epoch=all takes the last one that all models
have, and attacks also the trajectory of all epochs that they have (train --save_steps, then mia_tf.inference). Where
the files of logits hold what the models return after a softmax, or one output of two classes, --outputs=probabilities
or --outputs=sigmoid says so.

A run of one model (train --num_experiments=1) is attacked by the attacks that need no shadow models.

With --shadow_logdir=SHADOWS the models of LOGDIR are attacked with those of SHADOWS, such as another architecture's,
which saw the same examples; the tables go to LOGDIR/analysis/shadow_SHADOWS/, by the path from LOGDIR's folder.

With --out=FOLDER all files go to FOLDER instead, and LOGDIR may be read-only.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from mia_tf import command_line
from mia_tf.files import folder_to_fill
from mia_tf.progress import show_steps
from mia_tf.validation import check, check_integer, fail, listed

FLAGS = flags.FLAGS


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the command's flags in `values`."""
    flags.DEFINE_string("logdir", None, "Folder of the results, as given to mia_tf.train.", flag_values=values)
    flags.DEFINE_string(
        "shadow_logdir", None, "Attack with the models of this folder; default with LOGDIR's own.", flag_values=values
    )
    flags.DEFINE_list("attacks", None, "Attacks to run, by the names of attacks.csv; default all.", flag_values=values)
    flags.DEFINE_integer(
        "num_targets", None, "Number of models to attack (the first N); default: all.", flag_values=values
    )
    flags.DEFINE_list(
        "num_shadow",
        [],
        "Numbers N of shadow models per side, such as 1,2,4,8,16: also attack with only N IN and N OUT models.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "fpr", None, "False positive rates that attacks may have; default 0.1,0.01,0.001,0.0001.", flag_values=values
    )
    what = (
        "What the models' files of logits hold: logits, probabilities or sigmoid; default what LOGDIR says, or logits."
    )
    flags.DEFINE_string("outputs", None, what, flag_values=values)
    what = "Take the logits of this epoch, or of all; default the last one of each model."
    flags.DEFINE_string("epoch", None, what, flag_values=values)
    flags.DEFINE_float(
        "delta", None, "Bound epsilon from below at this delta, such as 1e-5; default not.", flag_values=values
    )
    flags.DEFINE_string("out", None, "Write to this folder instead of LOGDIR/analysis.", flag_values=values)
    what = "Draws the bootstrap's samples, the headline's two halves, and what attacks draw."
    flags.DEFINE_integer("seed", 0, what, flag_values=values)


def main() -> int:
    """Runs the command."""
    logdir = command_line.required_path_flag("logdir")
    check_integer("num_targets", FLAGS.num_targets, 1, optional=True)
    check_integer("seed", FLAGS.seed, 0)
    check("delta", FLAGS.delta, FLAGS.delta is None or 0 <= FLAGS.delta < 1, "must be in [0, 1)")
    analyze(
        logdir,
        FLAGS.attacks,
        FLAGS.num_targets,
        FLAGS.seed,
        _whole_numbers(FLAGS.num_shadow),
        FLAGS.delta,
        command_line.path_flag("shadow_logdir"),
        _rates(FLAGS.fpr),
        FLAGS.outputs,
        _epoch(FLAGS.epoch),
        command_line.path_flag("out"),
    )
    return 0


def _whole_numbers(cells: list[str]) -> list[int]:
    """The numbers of --num_shadow. Raises InputError for what is no whole number above 0."""
    for cell in cells:
        check(
            "num_shadow", cell, cell.isdecimal() and int(cell) > 0, "must be whole numbers above 0, with commas between"
        )
    return [int(cell) for cell in cells]


def _epoch(cell: str | None) -> int | str | None:
    """The epoch of --epoch. Raises InputError if it is neither a whole number nor "all"."""
    if cell in (None, "all"):
        return cell
    check("epoch", cell, cell.isdecimal(), "must be a whole number from 0, or all")
    return int(cell)


def _rates(cells: list[str] | None) -> list[float] | None:
    """The numbers of --fpr. Raises InputError for what is no number."""
    if cells is None:
        return None
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        fail("fpr", ",".join(cells), "must be numbers in (0, 1), with commas between")


def analyze(
    logdir: Path,
    attacks: list[str] | None = None,
    num_targets: int | None = None,
    seed: int = 0,
    num_shadow: Sequence[int] = (),
    delta: float | None = None,
    shadow_logdir: Path | None = None,
    fpr: Sequence[float] | None = None,
    outputs: str | None = None,
    epoch: int | str | None = None,
    out: Path | None = None,
) -> None:
    """Writes LOGDIR/analysis/*.csv, or OUT/*.csv, and prints the summary and the paths.

    The arguments are those of `study.audit`, and `outputs` and `epoch` those of `ShadowModels.open`, for both LOGDIRs.

    With a `shadow_logdir` its models are the shadow models, and the tables go to a folder in LOGDIR/analysis. With
    `out` all files go to that folder, those of large analyses that are removed at the end too.

    Raises:
        InputError: a LOGDIR cannot be analyzed or written, they are not of the same examples, there is no such attack,
            or none that can be limited.
    """
    # Imported here because --help must not wait for SciPy and pandas.
    from mia_tf.analysis import evaluation, study
    from mia_tf.shadow.same_examples import check_same_examples
    from mia_tf.shadow.shadow_models import ShadowModels

    study.check_attacks(attacks)
    levels = evaluation.FPR_LEVELS if fpr is None else study.check_levels(fpr)
    targets = ShadowModels.open(logdir, outputs, epoch)
    folder = out or analysis_folder(logdir, shadow_logdir)
    shadows, target = targets, None
    if shadow_logdir is not None:
        shadows, target = ShadowModels.open(shadow_logdir, outputs, epoch, argument="shadow_logdir"), targets
        check_same_examples("shadow_logdir", shadow_logdir, targets, shadows, "--logdir")
        _check_same_epochs(targets, shadows, shadow_logdir)
    try:
        with folder_to_fill(folder):
            audited = study.audit(
                shadows,
                target,
                attacks=attacks,
                fpr=levels,
                num_targets=num_targets,
                num_shadow=num_shadow,
                delta=delta,
                seed=seed,
                progress=show_steps,
                scratch=folder,
            )
            # Instead of the variable that the targets were in: what the LOGDIRs were opened with.
            arguments = audited.about["arguments"] | {"target": None, "outputs": outputs, "epoch": epoch}
            audited.about["arguments"] = {name: value for name, value in arguments.items() if value is not None}
            paths = audited.write(folder)
    except OSError as error:
        allowed = f"must be a folder that can be written ({error.strerror or error})"
        if out is not None:
            fail("out", out, allowed)
        fail("logdir", logdir, f"{allowed}, unless --out names another folder")
    print(audited)
    print("\n".join(map(str, paths)))


def analysis_folder(logdir: Path, shadow_logdir: Path | None = None) -> Path:
    """Where the tables of a LOGDIR are, attacked with its own models or with those of another."""
    if shadow_logdir is None:
        return logdir / "analysis"
    way = os.path.relpath(shadow_logdir.resolve(), logdir.resolve().parent)
    return logdir / "analysis" / ("shadow_" + way.replace(os.sep, "+"))


def _check_same_epochs(targets, shadows, shadow_logdir: Path) -> None:
    """Raises InputError if two LOGDIRs were opened with epochs of their own."""
    epochs, others = ([one.models[0].epoch for one in record.earlier] for record in (targets, shadows))
    allowed = f"must have the epochs of --logdir, {listed(epochs)} and the last, for --epoch=all, not {listed(others)}"
    check("shadow_logdir", shadow_logdir, epochs == others, allowed)


if __name__ == "__main__":
    define_flags()
    command_line.run("mia_tf.analyze", main)
