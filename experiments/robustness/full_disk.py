"""Runs train, analyze and plot on a disk that fills up, and again after making room.

    python -m experiments.robustness.full_disk [--seed=0] [--draws=6] [--out=FOLDER]

The disk is a file system in memory (tmpfs), which needs root or CAP_SYS_ADMIN. A ballast leaves no byte free, or a
number drawn below what the command needs. Each command must end with exit code 1 or 2 and a line that says so, or with
0 if there was room after all. What was complete before must be as it was, and nothing temporary may stay. With the
ballast gone the same command must end with 0, and with the logits, tables and figures of an undisturbed run, byte by
byte.

Writes full_disk.csv to --out. Cost: about 10 seconds per draw and command on two cores.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from experiments import commands
from experiments.robustness import job as jobs
from experiments.robustness.job import write_table

_DISK_BYTES = 64 << 20
COLUMNS = ("command", "free_kb", "exit_code", "models_present", "files_complete", "exit_code_with_room", "equal")


class Disk:
    """A small disk, mounted at a folder.

    Args:
        folder: where it is mounted.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._ballast = folder / "ballast"

    def leave(self, num_bytes: int) -> None:
        """Fills the disk until only that many bytes are free."""
        disk = os.statvfs(self.folder)
        with open(self._ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, disk.f_bavail * disk.f_frsize - num_bytes))

    def make_room(self) -> None:
        """Takes the ballast away."""
        self._ballast.unlink()


@contextlib.contextmanager
def mounted(folder: Path) -> Iterator[Disk]:
    """A disk for as long as the block lasts.

    Raises:
        PermissionError: this process may not mount one; the message is one line.
    """
    folder.mkdir()
    size = f"size={_DISK_BYTES}"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], capture_output=True, text=True)
    if done.returncode:
        raise PermissionError(f"A file system in memory cannot be mounted here: {done.stderr.strip().splitlines()[-1]}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def used_bytes(folder: Path) -> int:
    """What the files of a folder take on the disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def bytes_of(folder: Path) -> dict[str, bytes]:
    """The files of an analysis and their bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(module: str, arguments: tuple[str, ...], log: Path) -> int:
    """Runs a command to its end; if it ends with 2 it must have said why in one line."""
    log.unlink(missing_ok=True)
    code = jobs.finish(jobs.start(module, arguments, log), log)
    reasons = [line for line in log.read_text().splitlines() if line.startswith(f"{module}: ")]
    if (code == 2 and len(reasons) != 1) or (code == 1 and not reasons):
        raise AssertionError(f"{module} ended with {code} and said:\n{log.read_text()[-2000:]}")
    return code


def train(disk: Disk, job: jobs.Job, free: int, reference: dict[int, bytes], log: Path) -> dict:
    """Trains with that many bytes free on the disk, and again with room; returns a row of the table."""
    logdir = disk.folder / "run"
    arguments = (*job.arguments, f"--logdir={logdir}")
    disk.leave(free)
    code = run("mia_tf.train", arguments, log)
    present = jobs.check_kept(logdir, set(), reference)
    if left := [name for name in jobs.left_behind(logdir) if name != ".work/setting-up"]:
        raise AssertionError(f"left behind: {left}")
    disk.make_room()
    again = run("mia_tf.train", arguments, log)
    jobs.check_ended_well(logdir, reference)
    subprocess.run(["rm", "-r", str(logdir)], check=True)
    return _row("train", free, code, len(present), "", again)


def analysis(disk: Disk, module: str, arguments: tuple, free: int, before: dict, after: dict, log: Path) -> dict:
    """Runs analyze or plot with that many bytes free on the disk, and again with room; returns a row of the table.

    Args:
        disk: holds the LOGDIR, run.
        module, arguments: the command.
        free: bytes.
        before, after: `bytes_of` the analysis before the command and after it, on a disk with room.
        log: takes what is printed.
    """
    folder = disk.folder / "run" / "analysis"
    disk.leave(free)
    code = run(module, arguments, log)
    held = bytes_of(folder)
    whole = {name for name, content in held.items() if content in (before.get(name), after.get(name))}
    if whole != held.keys() or not before.keys() <= held.keys():
        raise AssertionError(f"not complete: {held.keys() - whole}; lost: {before.keys() - held.keys()}")
    disk.make_room()
    again = run(module, arguments, log)
    if bytes_of(folder) != after:
        raise AssertionError(f"{module} differs from an undisturbed run")
    return _row(module.removeprefix("mia_tf."), free, code, "", len(whole - before.keys()), again)


def _row(*values) -> dict:
    command, free, code, present, complete, again = values
    if again != 0:
        raise AssertionError(f"{command} with room ended with {again}")
    return dict(zip(COLUMNS, (command, free // 1000, code, present, complete, again, "yes"), strict=True))


def rows(disk: Disk, draws: int, folder: Path, rng: np.random.Generator) -> Iterator[dict]:
    """Rows of the table, as they are measured."""
    job, log = jobs.task_job(folder), folder / "log"
    reference, _ = jobs.undisturbed(job, folder)
    needed = used_bytes(folder / "undisturbed")
    for free in amounts(needed, draws, rng):
        yield train(disk, job, free, reference, log)
    logdir = disk.folder / "run"
    for module in ("mia_tf.analyze", "mia_tf.plot"):
        other = ("--attacks=yeom,lira_online_fixed", "--seed=1") if module == "mia_tf.analyze" else ()
        arguments = (f"--logdir={logdir}", *other)
        prepare = [("mia_tf.train", (*job.arguments, arguments[0])), ("mia_tf.analyze", (arguments[0], *_FIRST))]
        for command in prepare if module == "mia_tf.analyze" else ():
            run(*command, log)
        before = bytes_of(logdir / "analysis")
        if run(module, arguments, log) != 0:
            raise AssertionError(log.read_text())
        after = bytes_of(logdir / "analysis")
        needed = sum(map(len, after.values())) - sum(map(len, before.values())) * (module == "mia_tf.plot")
        for free in amounts(needed, draws, rng):
            restore(logdir / "analysis", before)
            yield analysis(disk, module, arguments, free, before, after, log)


_FIRST = ("--attacks=yeom,lira_online_fixed", "--seed=0")
"""Of the analysis that exists before the disk is full."""


def amounts(needed: int, draws: int, rng: np.random.Generator) -> list[int]:
    """Bytes that are free: none, and some that are drawn below what is needed."""
    return [0, *np.sort(rng.integers(0, needed, draws - 1)).tolist()]


def restore(folder: Path, content: dict[str, bytes]) -> None:
    """Makes a folder hold these files alone."""
    for name in bytes_of(folder).keys() - content.keys():
        (folder / name).unlink()
    for name, text in content.items():
        (folder / name).write_bytes(text)


def main() -> None:
    """Fills the disk, and prints and writes the outcome."""
    parser = commands.Parser(__doc__)
    parser.add_argument("--draws", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rng, table = np.random.default_rng(options.seed), []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the disk is unmounted also then
    with tempfile.TemporaryDirectory() as scratch:
        try:
            with mounted(Path(scratch) / "disk") as disk:
                for row in rows(disk, options.draws, Path(scratch), rng):
                    table.append(row)
                    print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
        except PermissionError as error:
            print(f"Not measured: {error}")
            sys.exit(0)
    if options.out:
        write_table(options.out / "full_disk.csv", COLUMNS, table)


if __name__ == "__main__":
    commands.run(main)
