"""The training runs that the tables and figures share, each made once: trained if it does not exist, then analyzed.

    python -m experiments.runs --scale=cpu --list                     # which exist, and what the others cost
    python -m experiments.runs --scale=cpu --data_dir=DATA [NAME...]  # makes these runs, by default all

A run is NAME = MIXTURE_SELECTION, such as mnist_svhn_singletons, in RUNS/SCALE/NAME: a LOGDIR of `mia_tf.train` and
`mia_tf.analyze`, which this command only calls. The same command resumes whatever was interrupted. Scales: smoke, a
minute per run, shows that everything works, and needs no data for MNIST alone, with augMNIST or SVHN; cpu, about an
hour per run at most on two cores; full, all of the papers' data with small networks, and many, hundreds of models of
the cpu scale's size, for a GPU or a night; paper, for many GPUs.

Selections of the under-represented group D_U (Choi et al., section 6): random; subpopulation; singletons, memorized
by the models of another run; without the examples that those memorize most (onion), or random ones (control); and, on
random ones of a size of their own, with DP-SGD (private) and without (plain). That other run is MIXTURE_candidates
if the random run has too few examples to choose from. Of a data set alone, mnist_again has the examples of mnist and
other models, which are attacked on what the first ones memorize (`experiments.memorized_alone`).

Every run draws its subsets and models from a seed of its own: none is attacked with the models it was chosen by. Only
private and plain share subsets, to be compared.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments import commands
from experiments.reproduction import removal
from experiments.reproduction.scales import (
    ALONE,
    ALONE_THRESHOLDS,
    MIXED,
    REMOVALS,
    SCALES,
    SHIFTS,
    SINGLETON_THRESHOLDS,
    Scale,
)
from mia_tf.analysis.result import FACTS
from mia_tf.files import load_json
from mia_tf.shadow.shadow_models import ShadowModels
from mia_tf.shadow.sweep import most_shadow_models
from mia_tf.store import Store

FLAGS = Path(__file__).parent.parent / "flags"
_PKEEP = 0.8334  # LiRA's 50,000 of 60,000
_SEEDS = {"random": 0, "candidates": 1, "subpopulation": 2, "singletons": 3, "onion": 4, "control": 5, "again": 12}
_FIRST_ARCHITECTURE = 6
"""Seed of the first of `Scale.architectures`, of which there are up to six."""


@dataclass(frozen=True)
class Run:
    """One LOGDIR.

    Attributes:
        name: of its folder.
        mixture, selection: what it is a run of.
        flags: of `mia_tf.train`, but for folders.
        scores_from: the run whose memorization chooses the examples; None for none.
        minutes: estimated cost.
    """

    name: str
    mixture: str
    selection: str
    flags: tuple[str, ...]
    scores_from: str | None
    minutes: float | None


def runs(scale: str) -> dict[str, Run]:
    """Every run of a scale by its name; runs that choose the examples of others come first."""
    size = SCALES[scale]
    all_runs = [_run(size, mixture, "none") for mixture in ALONE]
    all_runs += [_run(size, mixture, "again", mixture) for mixture in ALONE]
    for mixture in MIXED:
        pool = "candidates" if size.candidates else "random"
        all_runs.append(_run(size, mixture, "random"))
        if size.candidates:
            chooser = _run(size, mixture, "candidates", num_under=size.candidates)
            all_runs.append(replace(chooser, flags=(*chooser.flags, *size.choosers)))
        how = {"features": size.features, "clustered": size.clustered}
        all_runs.append(_run(size, mixture, "subpopulation", num_under=size.candidates, **how))
        threshold = size.threshold or SINGLETON_THRESHOLDS[mixture.split("_")[0]]
        all_runs.append(_run(size, mixture, "singletons", f"{mixture}_{pool}", size.candidates, threshold=threshold))
        if mixture == "mnist_svhn":
            all_runs += [_run(size, mixture, kind, f"{mixture}_{pool}", size.candidates) for kind in REMOVALS]
    all_runs += [_run(size, mixture, "random") for mixture in SHIFTS]
    for kind, (flagfile, *more) in size.defence.items():
        minutes = size.minutes.get(f"mnist_{kind}", size.minutes["mnist"])
        flags = (f"--flagfile={FLAGS / flagfile}.flags", *more)
        all_runs.append(Run(f"mnist_svhn_{kind}", "mnist_svhn", kind, flags, None, minutes))
    for seed, arch in enumerate(size.architectures, _FIRST_ARCHITECTURE):
        run = _run(size, size.one_group, arch, arch=arch, pkeep=_PKEEP, seed=seed)
        all_runs.append(replace(run, flags=(*run.flags, *size.one_group_flags)))
    return {run.name: run for run in all_runs}


def _run(
    size: Scale, mixture: str, selection: str, scores_from: str | None = None, num_under: int | None = None, **settings
) -> Run:
    """One run: its scale's flagfile, and what sets it apart."""
    base = mixture.split("_")[0]
    flags = [f"--flagfile={FLAGS / size.flags[base]}.flags", f"--dataset={mixture}", *size.more.get(mixture, ())]
    settings = {"seed": _SEEDS.get(selection, 0), **settings}
    num_under = num_under or size.num_under
    if num_under:  # which the flagfile gives too; a data set alone has no such group
        flags.append(f"--num_under={num_under if '_' in mixture else 0}")
    if selection in ("subpopulation", "singletons"):
        flags.append(f"--under={selection}")
    if selection == "singletons":
        flags += size.singletons
    flags += [f"--{name}={value}" for name, value in settings.items()]
    name = mixture if selection == "none" else f"{mixture}_{selection}"
    minutes = size.minutes.get(f"{base}_{selection}", size.minutes[base])
    return Run(name, mixture, selection, tuple(flags), scores_from, minutes)


def defence(scale: str) -> list[str]:
    """The run of MNIST with SVHN without DP-SGD, and that with it on the same subsets."""
    plain = "plain" if "plain" in SCALES[scale].defence else "random"
    return [f"mnist_svhn_{plain}", "mnist_svhn_private"]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that this command and those of the tables and figures share."""
    parser.add_argument("--scale", choices=tuple(SCALES), default="smoke")
    parser.add_argument(
        "--runs", type=commands.folder_to_write, default=Path("runs"), help="folder of the runs (default: runs)"
    )
    parser.add_argument(
        "--data_dir", type=commands.folder, help="folder of mnist.npz, svhn.npz, ...; default $MIA_TF_DATA"
    )
    parser.add_argument("--workers", type=int, help="processes that train at the same time; default by a measurement")
    parser.add_argument("--threads_per_worker", type=int, help="threads of each; default by a measurement")


def logdir(options: argparse.Namespace, name: str) -> Path:
    """Where a run is."""
    return options.runs / options.scale / name


def present(folder: Path) -> int:
    """How many models of a run are complete."""
    return len(Store(folder).completed()) if folder.is_dir() else 0


def analyzed(folder: Path) -> int:
    """Number of models that the analysis of a run is of; 0 if there is none, or one without all that tables need."""
    facts = folder / "analysis" / FACTS  # written last
    return load_json(facts)["num_targets"] if facts.exists() and facts.with_name("sweep.csv").exists() else 0


def make(options: argparse.Namespace, names: Sequence[str]) -> dict[str, int]:
    """Trains and analyzes the runs, each with the one it is chosen by; skips what is complete.

    Returns:
        name -> exit code of the command that failed and printed why. For instance 2 if a data set is missing, or 1 if
        single models failed; the analysis then has the rest. The other runs are made.

    Raises:
        SystemExit: with code 130, interrupted, or 143, ended by SIGTERM.
    """
    failed = {}
    for name in names:
        if code := _make(options, runs(options.scale)[name]):
            if code in (130, 143):
                raise SystemExit(code)
            whole = "lacks models" if analyzed(logdir(options, name)) else "could not be made"
            print(f"{name} {whole} (exit code {code})", file=sys.stderr)
            failed[name] = code
    return failed


def _make(options: argparse.Namespace, run: Run) -> int:
    """Makes one run; returns the exit code of the first command that fails."""
    folder = logdir(options, run.name)
    command = ["mia_tf.train", *run.flags, f"--logdir={folder}"]
    if run.scores_from:
        chooser = logdir(options, run.scores_from)
        code = _make(options, runs(options.scale)[run.scores_from])
        if code and not analyzed(chooser):
            return code
        if run.selection in REMOVALS:
            ids = folder.with_suffix(".ids")
            removal.write_ids(chooser, run.selection, ids)
            command.append(f"--without={ids}")
        elif run.selection == "singletons":
            command.append(f"--scores_from={chooser}")
    if options.data_dir:
        command.append(f"--data_dir={options.data_dir}")
    if options.scale == "smoke" and (options.data_dir or os.environ.get("MIA_TF_DATA")):
        command.append("--data_source=auto")
    for flag in ("workers", "threads_per_worker"):
        if getattr(options, flag):
            command.append(f"--{flag}={getattr(options, flag)}")
    code = _call(command)
    # 1: some models failed, such as diverged, and would again; the others stand for the run.
    lost = code if code == 1 and present(folder) > 1 else 0
    code = 0 if lost else code
    if not code and (analyzed(folder) != present(folder) or _is_chosen_anew(options, run)):
        sizes = ",".join(map(str, _sizes(folder, SCALES[options.scale].num_shadow)))
        arguments = [f"--logdir={folder}", f"--num_shadow={sizes}"]
        if run.selection == "again":
            threshold = SCALES[options.scale].threshold or ALONE_THRESHOLDS[run.mixture]
            chooser = logdir(options, run.scores_from)
            code = _call(
                ["experiments.memorized_alone", *arguments, f"--chosen_by={chooser}", f"--threshold={threshold}"]
            )
        else:
            code = _call(["mia_tf.analyze", *arguments])
    if not code and run.selection in SCALES[options.scale].architectures:
        code = _cross(options, run.name)
    return code or lost


def _is_chosen_anew(options: argparse.Namespace, run: Run) -> bool:
    """Whether the run that chooses the examples of a data set alone was analyzed after this one."""
    if run.selection != "again":
        return False
    own, chooser = (logdir(options, name) / "analysis" / FACTS for name in (run.name, run.scores_from))
    return own.exists() and chooser.exists() and chooser.stat().st_mtime > own.stat().st_mtime


def _sizes(folder: Path, wanted: Sequence[int]) -> list[int]:
    """Those numbers of shadow models per side that the models of a run allow."""
    most = most_shadow_models(ShadowModels.open(folder).members.T)
    return [size for size in wanted if size <= most]


def architectures(scale: str) -> list[str]:
    """The runs of one architecture each, whose models attack one another."""
    size = SCALES[scale]
    return [f"{size.one_group}_{arch}" for arch in size.architectures]


def crossed(target: Path, shadow: Path) -> Path:
    """Where the analysis of a run attacked with the models of another is."""
    return target / "analysis" / f"shadow_{shadow.name}"


def _cross(options: argparse.Namespace, name: str) -> int:
    """Attacks a run with the models of the other existing architectures, and those with its own."""
    own = logdir(options, name)
    others = [logdir(options, other) for other in architectures(options.scale) if other != name]
    pairs = [pair for other in others if analyzed(other) for pair in ((own, other), (other, own))]
    commands = [
        ["mia_tf.analyze", f"--logdir={target}", f"--shadow_logdir={shadow}"]
        for target, shadow in pairs
        if not _is_crossed(target, shadow)
    ]
    return next((code for code in map(_call, commands) if code), 0)


def _is_crossed(target: Path, shadow: Path) -> bool:
    """Whether a run has been attacked with another's models since either was last analyzed, maybe with more models."""
    made = crossed(target, shadow) / "attacks.csv"
    own = [folder / "analysis" / "attacks.csv" for folder in (target, shadow)]
    return made.exists() and all(not each.exists() or each.stat().st_mtime <= made.stat().st_mtime for each in own)


def _call(command: list[str]) -> int:
    """Runs a command line of mia_tf to its end, also if Ctrl-C asks it to stop; returns its exit code."""
    process = subprocess.Popen([sys.executable, "-m", *command])
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()  # it was asked too, and keeps what is complete
        return 130


def state_lines(options: argparse.Namespace) -> list[str]:
    """What exists of every run, and its cost: measured if models exist, else estimated."""
    size = SCALES[options.scale]
    lines = []
    for run in runs(options.scale).values():
        folder = logdir(options, run.name)
        count = present(folder)
        estimate = "not measured" if run.minutes is None else f"about {run.minutes:g} min on {size.machine}"
        state, cost = "missing", estimate
        if count:
            store = Store(folder)
            planned = store.config().get("num_experiments", count)
            analysis = "" if analyzed(folder) == count else ", not analyzed"
            seconds = sum(model.metrics().get("train_seconds", 0) for model in store.models())
            state = f"{count:,} of {planned:,} models{analysis}"
            cost = f"{seconds / 60:.0f} minutes of training, summed over models"
        lines.append(f"{run.name:32}  {state:32}  {cost}")
    return lines


def main() -> None:
    parser = commands.Parser(__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="runs to make; default all")
    parser.add_argument("--list", action="store_true", help="print the runs, and make none")
    add_flags(parser)
    options = parser.parse_args()
    known = runs(options.scale)
    for name in options.names:
        if name not in known:
            parser.error(f"Argument `name` must be one of {', '.join(known)}. Received: name={name}")
    if options.list:
        print("\n".join(state_lines(options)))
    elif failed := make(options, options.names or list(known)):
        raise SystemExit(max(failed.values()))


if __name__ == "__main__":
    commands.run(main)
