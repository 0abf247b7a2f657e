"""Writes a report of a LOGDIR that `python -m mia_tf.analyze` has analyzed: one HTML page, and its numbers as JSON.

    python -m mia_tf.report --logdir=runs/mine
    python -m mia_tf.report --logdir=runs/plain --compare=runs/dp --fail_above=tpr@0.01:0.05

Writes and names LOGDIR/analysis/report.html, with report.json beside it; --out takes another path. The page needs no
other file and no network. --analysis names the folder that mia_tf.analyze wrote to with --out, as of a LOGDIR that is
read-only.

--compare names a run of the same examples and subsets with differential privacy (or, if LOGDIR has it, the run
without). Both are attacked again, for differences that are paired. It may be given several times.

--fail_above=METRIC:LIMIT makes the command end with exit code 3 if the headline's attack exceeds a limit of your own:
tpr@FPR:LIMIT for the true positive rate at a false positive rate, or auroc:LIMIT. A limit is exceeded if the whole 95%
interval lies above it. A rate that the audit does not resolve is an error (exit code 2). It may be given several times.
"""

import datetime
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from mia_tf import command_line
from mia_tf.analyze import analysis_folder
from mia_tf.files import expanded
from mia_tf.progress import show_steps
from mia_tf.validation import InputError, check, listed

LIMIT_EXCEEDED = 3
"""The exit code if a limit of --fail_above is exceeded."""


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the command's flags in `values`."""
    flags.DEFINE_string(
        "logdir", None, "Folder of the results, as given to mia_tf.train and mia_tf.analyze.", flag_values=values
    )
    flags.DEFINE_string(
        "shadow_logdir",
        None,
        "Report the attack with the models of this folder, as mia_tf.analyze.",
        flag_values=values,
    )
    flags.DEFINE_multi_string(
        "compare", [], "Folder of a run with DP (or without) on the same examples and subsets.", flag_values=values
    )
    flags.DEFINE_string(
        "analysis", None, "Folder of the analysis of this LOGDIR, if mia_tf.analyze had --out.", flag_values=values
    )
    flags.DEFINE_string(
        "out", None, "Path of the page; default report.html in the folder of the analysis.", flag_values=values
    )
    flags.DEFINE_multi_string(
        "fail_above", [], "tpr@FPR:LIMIT or auroc:LIMIT: exit with 3 if the leak exceeds it.", flag_values=values
    )


def main() -> int:
    """Writes the report, and prints its path and the verdict on each limit."""
    logdir = command_line.required_path_flag("logdir")
    compare = [str(expanded(other, "compare")) for other in flags.FLAGS.compare]
    out, shadow_logdir = command_line.path_flag("out"), command_line.path_flag("shadow_logdir")
    analysis = command_line.path_flag("analysis")
    path, limits = report_logdir(logdir, compare, out, flags.FLAGS.fail_above, shadow_logdir, analysis)
    for limit in limits:
        print(limit["verdict"])
    print(path)
    return LIMIT_EXCEEDED if any(limit["exceeded"] for limit in limits) else 0


def report_logdir(
    logdir: Path,
    compare: Sequence[str] = (),
    out: Path | None = None,
    fail_above: Sequence[str] = (),
    shadow_logdir: Path | None = None,
    analysis: Path | None = None,
) -> tuple[Path, list[dict]]:
    """Writes the report of a LOGDIR.

    Args:
        logdir: an analyzed LOGDIR.
        compare: LOGDIRs to compare it with.
        out: path of the page; None for report.html in the folder of the analysis.
        fail_above: limits, as `limits.parse_limits` takes them.
        shadow_logdir: the LOGDIR whose models it was attacked with; None for its own.
        analysis: the folder of the analysis; None for the one in the LOGDIR.

    Returns:
        The path of the page, and `limits.checked`.

    Raises:
        InputError: the LOGDIR is not analyzed, or was analyzed by an earlier version; a limit is not resolved; the runs
            cannot be compared; or the page cannot be written.
    """
    # Imported here because --help must not wait for SciPy, pandas and matplotlib.
    from mia_tf.analysis.result import FACTS, load_audit
    from mia_tf.data.logdir_pictures import read_logdir_pictures
    from mia_tf.report import comparison, logdir_source
    from mia_tf.report.limits import checked, parse_limits
    from mia_tf.report.page import write_report
    from mia_tf.shadow.shadow_models import ShadowModels
    from mia_tf.store import Store

    parsed = parse_limits(fail_above)
    store = Store.open(logdir)
    options = f"--logdir={logdir}" + (f" --shadow_logdir={shadow_logdir}" if shadow_logdir else "")
    elsewhere = f" --out={analysis}" if analysis else ""
    remedy = f"; make it with `python -m mia_tf.analyze {options}{elsewhere}`"
    folder = analysis or analysis_folder(logdir, shadow_logdir)
    others = sorted(path.parent.name for path in folder.glob(f"shadow_*/{FACTS}"))
    if not (analysis or shadow_logdir or (folder / FACTS).exists()) and others:
        line = (
            f"{folder} has only analyses with other shadow models ({listed(others, 3)}): name theirs, --shadow_logdir"
        )
        raise InputError(line, "logdir", logdir)
    argument = "analysis" if analysis else "logdir"
    audit = load_audit(folder, remedy, argument=argument)
    if analysis:
        same = ShadowModels.open(logdir).ids.tolist() == audit.records["id"].astype(str).tolist()
        check("analysis", analysis, same, f"must be an analysis of {logdir}; its examples are others")
    if "headline" not in audit.about:
        path = folder / "audit.json"
        raise InputError(f"{path} has no headline: it is of an earlier version{remedy}", argument, path)
    verdicts = checked(parsed, audit.about["headline"])
    images = read_logdir_pictures(store)
    rows = audit.records["row"]
    if images is not None and (rows.min() < 0 or rows.max() >= len(images)):
        path = folder / "examples.csv"
        raise InputError(f"{path} is of another data set than {logdir / 'x_train.npy'}", argument, path)
    beside = None
    if compare:
        attacks = audit.attacks["attack"].unique().tolist()
        others = [Path(other) for other in compare]
        beside = comparison.compared(logdir, others, audit.about["seed"], attacks, show_steps)
    command = " ".join(
        [f"python -m mia_tf.report {options}", *([f"--analysis={analysis}"] if analysis else [])]
        + [f"--compare={other}" for other in compare]
        + [f"--fail_above={limit}" for limit in fail_above]
    )
    today = datetime.date.today().isoformat()
    source = logdir_source.source(audit, store, folder, options + elsewhere, command, today)
    path = out or folder / "report.html"
    page = write_report(audit, path, source=source, images=images, comparison=beside, limits=verdicts, argument="out")
    return page, verdicts


if __name__ == "__main__":
    define_flags()
    command_line.run("mia_tf.report", main)
