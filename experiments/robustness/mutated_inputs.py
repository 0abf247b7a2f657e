"""Runs the commands on files that are truncated, of other types, NaN, huge, pickled, links, folders or of zero length.

    python -m experiments.robustness.mutated_inputs [--inputs=100] [--seed=0] [--out=FOLDER]

Each input is a LOGDIR or an archive of a user's in which one file is wrong in one way (`mutations`); train, analyze or
plot is run on it. Allowed are the exit codes 0, 1 and 2, with exactly one line on stderr for 2, and never a traceback.
No command may unpickle anything, or change files of the LOGDIR that are not its own output. None may take more than a
minute of processor time or 8 GB.

Each command runs in a process that is forked from this one, by `python -m`'s own way through `command_line.run`; models
are not trained but made up. Writes mutated_inputs.csv, one row per command and kind of file, to --out. Cost: about a
second per input.
"""

import contextlib
import os
import re
import resource
import runpy
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments import commands
from experiments.robustness import mutations
from experiments.robustness.job import write_table
from mia_tf import subsets
from mia_tf.analysis import evaluation, study  # noqa: F401  imported once, before the commands are forked
from mia_tf.figures import pages, style  # noqa: F401
from mia_tf.records import ModelRecord
from mia_tf.training import executors

NUM_MODELS = 4
_SECONDS, _BYTES = 60, 8 << 30
_PROGRESS = re.compile(r"[a-z ]+: \d+ of \d+")
_OF_EACH_MODEL = ("keep.npy", "hparams.json", "metrics.json", "logits/0000000003.npy")
_OF_DATA = ("config.json", "dataset.json", "y_train.npy", "group.npy", "example_id.npy")
_OF_PICTURES = ("x_train.npy", "x_test.npy", "y_test.npy", "group_test.npy")
_OF_ANALYSIS = ("attacks", "examples", "accuracy", "curves", "correlations", "comparisons", "sweep", "epsilon")
COLUMNS = ("command", "file", "inputs", "exit_0", "exit_1", "exit_2", "tracebacks", "unpickled")
_TASK = """
import numpy as np
import mia_tf
labels = np.array(["cat", "dog", "cow"])[np.arange(40) % 3]
task = mia_tf.Task(lambda rows, seed: None, labels=labels, groups=np.array(["a", "b"])[np.arange(40) // 30])
"""


@dataclass(frozen=True)
class Case:
    """One input: a command, and the file that is wrong."""

    command: str
    base: str  # the folder that is copied: "pictures" or "task"
    file: str


def cases() -> list[Case]:
    """Every command with every file that it reads."""
    chosen = []
    for base, data in (("pictures", (*_OF_DATA, *_OF_PICTURES)), ("task", _OF_DATA)):
        files = (*data, *(f"experiment-1_{NUM_MODELS}/{name}" for name in _OF_EACH_MODEL))
        chosen += [Case(command, base, f"run/{file}") for command in ("train", "analyze") for file in files]
        plotted = (*data, "analysis/audit.json", *(f"analysis/{name}.csv" for name in _OF_ANALYSIS))
        chosen += [Case("plot", base, f"run/{file}") for file in plotted]
    return [*chosen, *[Case("new", "pictures", "own.npz")] * 20]


def arguments(case: Case, folder: Path) -> tuple[str, list[str]]:
    """The module of a case's command and its arguments, in a copy of the case's base."""
    run = f"--logdir={folder / 'run'}"
    if case.command in ("train", "new"):
        what = f"--dataset=npz:{folder / 'own.npz'}" if case.base == "pictures" else f"--task={folder / 'own.py'}:task"
        run = f"--logdir={folder / 'new'}" if case.command == "new" else run
        return "mia_tf.train", [what, f"--num_experiments={NUM_MODELS}", run]
    if case.command == "analyze":
        return "mia_tf.analyze", [run, "--attacks=yeom,lira_online_fixed,shokri", "--num_shadow=1", "--delta=1e-5"]
    return "mia_tf.plot", [run]


class MakesUp:
    """An executor that stores made-up answers for all models."""

    def train_models(self, store, config, indices) -> dict[int, str]:
        """See `mia_tf.training.executors`."""
        pool = store.pool()
        plan = subsets.membership(config, len(pool.labels))
        for index in indices:
            rng = np.random.default_rng(index)
            logits = rng.normal(size=(len(pool.labels), 1, 1, pool.num_classes)).astype(np.float32)
            logits[np.arange(len(logits)), 0, 0, pool.labels] += 2 * plan[index]
            metrics = {"train_accuracy_all": 0.9, "test_accuracy_over": 0.5, "train_seconds": 1.0, "at_chance": False}
            record = ModelRecord(index, plan[index], logits, 3, {**config.to_dict(), "expid": index}, metrics)
            store.write(record)
        return {}


def run_forked(module: str, command: list[str], out: Path, err: Path) -> int:
    """Runs a command in a process forked from this one; returns its exit code, negative if a limit ended it."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _become(module, command, out, err)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _become(module: str, command: list[str], out: Path, err: Path) -> None:
    """Turns this process into a command."""
    code = 1
    try:
        for path, number in ((out, 1), (err, 2)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
        style._KINDS = {"png": {"dpi": 30}}  # drawing takes most of the time
        executors.opened = lambda *_: contextlib.nullcontext(MakesUp())
        sys.argv = [module, *command]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # what Python itself would print and end with
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def make_bases(folder: Path, commands: list[str]) -> None:
    """Makes what these commands then read, and the cases spoil: folder/pictures and folder/task."""
    rng = np.random.default_rng(0)
    for base in ("pictures", "task"):
        (folder / base).mkdir()
    (folder / "task" / "own.py").write_text(_TASK)
    pictures = {name: rng.integers(0, 256, (count, 8, 8), np.uint8) for name, count in (("train", 40), ("test", 12))}
    np.savez(
        folder / "pictures" / "own.npz",
        x_train=pictures["train"], y_train=np.arange(40) % 3, group_train=np.arange(40) // 30,
        x_test=pictures["test"], y_test=np.arange(12) % 3, group_test=np.arange(12) // 9,
        ids=[f"picture {row}" for row in range(40)], classes=["cat", "dog", "cow"],
    )  # fmt: skip
    for base in ("pictures", "task"):
        for command in ("train", "analyze") if "plot" in commands else ("train",):
            case = Case(command, base, "")
            module, given = arguments(case, folder / base)
            if run_forked(module, given, folder / "out", folder / "err") != 0:
                raise AssertionError((folder / "err").read_text())


def files(folder: Path) -> dict[str, bytes]:
    """The files that no command may change, and their bytes."""
    contents = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if "/analysis" not in name and "/.work" not in name and not name.startswith("new"):
            contents[name] = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
    return contents


def check(case: Case, folder: Path, rng: np.random.Generator) -> tuple[str, int]:
    """Spoils the file of a case in a copy of its base, and runs its command; returns the mutation and the exit code.

    Raises:
        AssertionError: the command does not answer as the head of this file says.
    """
    copy, trap = Path(shutil.copytree(folder / case.base, folder / "copy")), folder / "trap"
    try:
        mutation = mutations.mutate(copy / case.file, rng, trap)
        before = files(copy)
        module, given = arguments(case, copy)
        code = run_forked(module, given, folder / "out", folder / "err")
        printed = (folder / "err").read_text(errors="replace")
        lines = [line for line in printed.splitlines() if not _PROGRESS.fullmatch(line)]
        problems = {
            f"exit code {code}": code not in (0, 1, 2),
            "a traceback": "Traceback" in printed,
            "more than one line": code == 2 and len(lines) != 1,
            "a line that does not name the command": code == 2 and not lines[-1].startswith(f"{module}: "),
            "a warning of a library": code == 0 and "Warning" in printed,
            "unpickled": trap.exists(),
            "changed files": files(copy) != before,
        }
        wrong = [name for name, holds in problems.items() if holds]
        if wrong:
            raise AssertionError(f"{case}, {mutation}: {', '.join(wrong)}\n{printed[-3000:]}")
        return mutation, code
    finally:
        shutil.rmtree(copy)


def draw(inputs: int, commands: list[str], rng: np.random.Generator) -> Iterator[Case]:
    """That many cases of these commands: all of them in a random order, again and again."""
    order, chosen = [], [case for case in cases() if case.command in commands]
    for _ in range(inputs):
        order = order or [chosen[k] for k in rng.permutation(len(chosen))]
        yield order.pop()


def main() -> None:
    """Runs the commands on wrong inputs, and prints and writes the counts."""
    parser = commands.Parser(__doc__)
    parser.add_argument("--inputs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--commands", default="new,train,analyze,plot", help="Which commands get them.")
    parser.add_argument("--keep_going", action="store_true", help="Print what is wrong, and go on.")
    options = parser.parse_args()
    names = options.commands.split(",")
    rng, counts, wrong = np.random.default_rng(options.seed), Counter(), 0
    with tempfile.TemporaryDirectory() as scratch:
        make_bases(Path(scratch), names)
        for case in draw(options.inputs, names, rng):
            try:
                _, code = check(case, Path(scratch), rng)
            except AssertionError as error:
                wrong += 1
                print(f"WRONG: {error}", flush=True)
                if not options.keep_going:
                    sys.exit(1)
                continue
            counts[case.command, Path(case.file).suffix[1:], code] += 1
    keys = sorted({key[:2] for key in counts})
    table = []
    for command, suffix in keys:
        codes = [counts[command, suffix, code] for code in (0, 1, 2)]
        table.append(dict(zip(COLUMNS, (command, suffix, sum(codes), *codes, 0, 0), strict=True)))
        print(", ".join(f"{name} {value}" for name, value in table[-1].items()), flush=True)
    if options.out:
        write_table(options.out / "mutated_inputs.csv", COLUMNS, table)
    sys.exit(int(wrong > 0))


if __name__ == "__main__":
    commands.run(main)
