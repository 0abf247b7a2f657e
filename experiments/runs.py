"""The training runs that the tables and figures share, each made once: trained where it is not, then analyzed.

    python -m experiments.runs --scale=cpu --list                     # which there are, and what the others cost
    python -m experiments.runs --scale=cpu --data_dir=DATA [NAME...]  # makes these runs, by default all

A run is NAME = MIXTURE_SELECTION, such as mnist_svhn_singletons, in RUNS/SCALE/NAME: a LOGDIR of `mia_tf.train` and
`mia_tf.analyze`, which this command only calls. Whatever is interrupted goes on with the same command.
Scales: smoke, a minute a run, tells that everything works; cpu, at most an hour a run on two cores; paper, for a GPU.

Selections of the under-represented group D_U (Choi et al., section 6): random; subpopulation; singletons, memorized
by the models of another run; and without the examples that those memorize most (onion), or random ones (control). That
other run is MIXTURE_candidates where the random run has too few examples to choose from. Every run draws its subsets
and models from a seed of its own: none is attacked with the models it was chosen by.
"""

import argparse
import csv
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from experiments.reproduction import removal
from mia_tf.store import Store

FLAGS = Path(__file__).parent.parent / "flags"
MNIST = ("mnist_augmnist", "mnist_svhn", "mnist_cifar10")
"""V1, V2 and V3 of section 4."""
CIFAR10 = ("cifar10_augcifar10", "cifar10_cifar100")
SHIFTS = ("cifar10_cinic10", "cifar10_cifar100_random", "cifar10_mislabeled")
"""D_U of the LiRA excerpt's Figure 13, ever further from CIFAR-10."""
REMOVALS = ("onion", "control")
"""Selections that leave examples out (section 8): the most memorized, or as many at random."""
_PKEEP = 0.8334  # LiRA's 50,000 of 60,000
_SEEDS = {"random": 0, "candidates": 1, "subpopulation": 2, "singletons": 3, "onion": 4, "control": 5}


@dataclass(frozen=True)
class Scale:
    """What one scale has of everything.

    Attributes:
        flags: first word of a mixture -> flagfile.
        minutes: first word of a mixture -> estimated cost of a run, None where nobody has measured it.
        machine: what `minutes` are measured on.
        num_under: examples of D_U in a random run; None for as many as the paper has.
        candidates: examples of D_U to choose from; None where the random run itself offers them.
        features: architecture whose features make the subpopulations.
        architectures: of the LiRA excerpt's Figure 12.
        one_group: the data set that they are trained on, alone.
        one_group_flags: further flags of these runs.
        num_shadow: numbers of shadow models a side that the attacks are also measured with.
        more: mixture -> further flags.
    """

    flags: dict[str, str]
    minutes: dict[str, float | None]
    machine: str
    num_under: int | None
    candidates: int | None
    features: str
    architectures: tuple[str, ...]
    one_group: str
    num_shadow: tuple[int, ...]
    one_group_flags: tuple[str, ...] = ()
    more: dict[str, tuple[str, ...]] = field(default_factory=dict)


SCALES = {
    "smoke": Scale(
        flags={"mnist": "smoke", "cifar10": "smoke"},
        minutes={"mnist": 1, "cifar10": 1},
        machine="two cores",
        num_under=60,
        candidates=120,
        features="cnn8-2-max",
        architectures=("cnn8-2-max", "cnn8-2-mean"),
        one_group="mnist",
        num_shadow=(1, 2),
    ),
    "cpu": Scale(
        flags={"mnist": "mnist_svhn_cpu", "cifar10": "cifar10_cpu"},
        minutes={"mnist": 11, "cifar10": 45},
        machine="two cores",
        num_under=250,
        candidates=1000,
        features="cnn8-3-max",
        architectures=("cnn8-3-max", "cnn16-2-max", "cnn16-3-max"),
        one_group="cifar10",
        num_shadow=(1, 2, 4, 8, 16),
    ),
    "paper": Scale(
        flags={"mnist": "mnist_paper", "cifar10": "cifar10_paper"},
        minutes={"mnist": None, "cifar10": None},
        machine="a GPU",
        num_under=None,
        candidates=None,
        features="efficientnetb0",
        architectures=("resnet18", "resnet34", "resnet50", "mobilenetv2", "densenet121", "vgg16"),
        one_group="cifar10",
        num_shadow=(1, 2, 5, 10, 20, 50, 100, 200, 500),
        one_group_flags=("--pool_test", "--num_experiments=256"),
        more={"mnist_cifar10": ("--arch=cnn64-3-max",), "cifar10_augcifar10": ("--arch=resnet18",)},
    ),
}
SINGLETON_THRESHOLDS = {"mnist": 0.8, "cifar10": 0.5}
"""First word of a mixture -> the memorization above which an example is a singleton (section 6)."""


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
    """Every run of a scale by its name, those that others are chosen by first."""
    size = SCALES[scale]
    found = [_run(size, "mnist", "none"), _run(size, "cifar10", "none")]
    for mixture in (*MNIST, *CIFAR10):
        pool = "candidates" if size.candidates else "random"
        found.append(_run(size, mixture, "random"))
        if size.candidates:
            found.append(_run(size, mixture, "candidates", num_under=size.candidates))
        found.append(_run(size, mixture, "subpopulation", num_under=size.candidates, features=size.features))
        threshold = SINGLETON_THRESHOLDS[mixture.split("_")[0]]
        found.append(_run(size, mixture, "singletons", f"{mixture}_{pool}", size.candidates, threshold=threshold))
        if mixture == "mnist_svhn":
            found += [_run(size, mixture, kind, f"{mixture}_{pool}", size.candidates) for kind in REMOVALS]
    found += [_run(size, mixture, "random") for mixture in SHIFTS]
    for seed, arch in enumerate(size.architectures, len(_SEEDS)):
        run = _run(size, size.one_group, arch, arch=arch, pkeep=_PKEEP, seed=seed)
        found.append(replace(run, flags=(*run.flags, *size.one_group_flags)))
    return {run.name: run for run in found}


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
    flags += [f"--{name}={value}" for name, value in settings.items()]
    name = mixture if selection == "none" else f"{mixture}_{selection}"
    return Run(name, mixture, selection, tuple(flags), scores_from, size.minutes[base])


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that this command and those of the tables and figures share."""
    parser.add_argument("--scale", choices=tuple(SCALES), default="smoke")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs (default: runs)")
    parser.add_argument("--data_dir", help="folder of mnist.npz, svhn.npz, ...; default $MIA_TF_DATA")
    parser.add_argument("--workers", type=int, help="processes that train at the same time; default by a measurement")
    parser.add_argument("--threads_per_worker", type=int, help="threads of each; default by a measurement")


def logdir(options: argparse.Namespace, name: str) -> Path:
    """Where a run is."""
    return options.runs / options.scale / name


def present(folder: Path) -> int:
    """How many models of a run are complete."""
    return len(Store(folder).completed()) if folder.is_dir() else 0


def analyzed(folder: Path) -> int:
    """How many models the analysis of a run is of; 0 where there is none, or one without the sweep."""
    tables = [folder / "analysis" / name for name in ("attacks.csv", "sweep.csv", "examples.csv")]
    if not all(table.exists() for table in tables):
        return 0
    with open(tables[0], newline="") as file:
        return int(next(csv.DictReader(file))["num_targets"])


def make(options: argparse.Namespace, names: list[str]) -> None:
    """Trains and analyzes the runs, with those they are chosen by; what is whole is passed over.

    Raises:
        SystemExit: with the exit code of the command that failed, which has said why.
    """
    known = runs(options.scale)
    for name in names:
        run, folder = known[name], logdir(options, name)
        if run.scores_from:
            make(options, [run.scores_from])
        command = ["mia_tf.train", *run.flags, f"--logdir={folder}"]
        if run.selection in REMOVALS:
            ids = folder.with_suffix(".ids")
            removal.write_ids(logdir(options, run.scores_from), run.selection, ids)
            command.append(f"--without={ids}")
        elif run.scores_from:
            command.append(f"--scores_from={logdir(options, run.scores_from)}")
        if options.data_dir:
            command.append(f"--data_dir={options.data_dir}")
        if options.scale == "smoke" and (options.data_dir or os.environ.get("MIA_TF_DATA")):
            command.append("--data_source=auto")
        for flag in ("workers", "threads_per_worker"):
            if getattr(options, flag):
                command.append(f"--{flag}={getattr(options, flag)}")
        _call(command)
        if analyzed(folder) != present(folder):
            sizes = ",".join(map(str, SCALES[options.scale].num_shadow))
            _call(["mia_tf.analyze", f"--logdir={folder}", f"--num_shadow={sizes}"])
        if run.selection in SCALES[options.scale].architectures:
            _cross(options, name)


def architectures(scale: str) -> list[str]:
    """The runs of one architecture each, whose models attack one another."""
    size = SCALES[scale]
    return [f"{size.one_group}_{arch}" for arch in size.architectures]


def crossed(target: Path, shadow: Path) -> Path:
    """Where the analysis of a run attacked with the models of another is."""
    return target / "analysis" / f"shadow_{shadow.name}"


def _cross(options: argparse.Namespace, name: str) -> None:
    """Attacks a run with the models of the other architectures that are there, and those with its own."""
    mine = logdir(options, name)
    for other in (logdir(options, other) for other in architectures(options.scale) if other != name):
        for target, shadow in ((mine, other), (other, mine)):
            if present(other) and not (crossed(target, shadow) / "attacks.csv").exists():
                _call(["mia_tf.analyze", f"--logdir={target}", f"--shadow_logdir={shadow}"])


def _call(command: list[str]) -> None:
    """Runs a command line of mia_tf to its end, also where Ctrl-C asks it to stop."""
    process = subprocess.Popen([sys.executable, "-m", *command])
    try:
        code = process.wait()
    except KeyboardInterrupt:
        code = process.wait()  # it was asked too, and keeps what is complete
    if code:
        raise SystemExit(code)


def state_lines(options: argparse.Namespace) -> list[str]:
    """What there is of every run, and its cost: measured where models are, else estimated."""
    size = SCALES[options.scale]
    lines = []
    for run in runs(options.scale).values():
        folder = logdir(options, run.name)
        count = present(folder)
        estimate = "not measured" if run.minutes is None else f"about {run.minutes:g} minutes on {size.machine}"
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="runs to make; default all")
    parser.add_argument("--list", action="store_true", help="tell which there are, and make none")
    add_flags(parser)
    options = parser.parse_args()
    known = runs(options.scale)
    for name in options.names:
        if name not in known:
            parser.error(f"Argument `name` must be one of {', '.join(known)}. Received: name={name}")
    if options.list:
        print("\n".join(state_lines(options)))
    else:
        make(options, options.names or list(known))


if __name__ == "__main__":
    main()
