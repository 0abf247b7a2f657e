"""How training and analysis grow in models, examples, classes and queries: time, memory and disk.

    python -m experiments.benchmarks.growth --out=FOLDER                   about 18 minutes on two cores
    python -m experiments.benchmarks.growth --out=FOLDER --only=analyze    one of the two programs

Each size is a run of `mia_tf.train` or `mia_tf.analyze` in processes of its own. One of the four sizes changes at a
time, the others stay at `BASE`. Training is that of a small network on 14x14 pictures of noise by one worker of one
thread; analysis has every attack, on random logits, with all large arrays in files as at the papers' size.
Measured are the processor time of all processes, the most memory of the largest one, and the most disk beside the
data. Memory is looked at 20 times a second, without the pages of mapped files, which the system can drop. What a run of
the smallest size takes, mostly imports, is subtracted (`start`). A slope is that of least squares through the
logarithms: 1 is proportional.

Writes growth.csv (every run), growth_slopes.csv, and growth_predicted.csv: each quantity at `PREDICTED` sizes, from the
slopes. A prediction far beyond what is measured is a guess of the order of magnitude.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from experiments import commands
from experiments.benchmarks.leave_one_out import fabricate
from mia_tf.analysis.tables import write_rows


@dataclass(frozen=True)
class Size:
    """Of a LOGDIR."""

    models: int
    examples: int
    classes: int
    queries: int


BASE = {"train": Size(8, 4000, 10, 2), "analyze": Size(128, 16_000, 10, 1)}
GROWN = {
    "train": {
        "models": (8, 16, 32),
        "examples": (4000, 8000, 16_000),
        "classes": (10, 32, 100),
        "queries": (2, 18, 50),
    },
    "analyze": {
        "models": (128, 256, 512),
        "examples": (16_000, 32_000, 64_000),
        "classes": (10, 32, 100),
        "queries": (1, 2, 4),
    },
}
SMALLEST = {"train": Size(2, 600, 10, 1), "analyze": Size(4, 200, 10, 1)}
PREDICTED = (Size(2000, 61_000, 10, 1), Size(2000, 61_000, 100, 1), Size(10_000, 1_000_000, 10, 1))
MEASURED = ("cpu_seconds", "memory_mib", "disk_mib")
_SHAPE = (14, 14, 1)
_TRAINING = (
    "--arch=cnn8-2-max",
    "--epochs=10",
    "--batch=256",
    "--augment=weak",
    "--workers=1",
    "--threads_per_worker=1",
)


def run(command: list[str], folder: Path) -> dict[str, float]:
    """What a command takes, and how much the files of a folder grow at most meanwhile.

    Raises:
        CalledProcessError: it fails; what it wrote is in `stderr`.
    """
    before = most = _folder_bytes(folder)
    started = os.times()
    held = 0
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.DEVNULL, stderr=errors)
        while child.poll() is None:
            most = max(most, _folder_bytes(folder))
            held = max([held, *map(_own_bytes, _family(child.pid))])
            time.sleep(0.05)
        errors.seek(0)
        if child.returncode:
            raise subprocess.CalledProcessError(child.returncode, command, stderr=errors.read())
    ended = os.times()
    seconds = ended.children_user + ended.children_system - started.children_user - started.children_system
    most = max(most, _folder_bytes(folder))
    taken = seconds, held / 2**20, (most - before) / 2**20
    return dict(zip(MEASURED, (round(value, 2) for value in taken), strict=True))


def _folder_bytes(folder: Path) -> int:
    """Bytes of all files in a folder."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_size
            except FileNotFoundError:  # removed since it was listed
                continue
    return total


def _family(pid: int) -> Iterable[int]:
    """A process and all that it started."""
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return
    for child in children:
        yield from _family(int(child))


def _own_bytes(pid: int) -> int:
    """Memory of a process that no file holds as well (pages of mapped files can go at any time); 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


def measure(command: str, size: Size) -> dict[str, float]:
    """What `mia_tf.train` or `mia_tf.analyze` takes at a size."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        logdir = folder / "logdir"
        if command == "analyze":
            fabricate(logdir, size.models, size.examples, size.queries, size.classes)
            return run(["experiments.benchmarks.leave_one_out", f"--analyze={logdir}"], logdir)
        rng = np.random.default_rng(0)
        pictures = rng.integers(0, 256, (size.examples, *_SHAPE), np.uint8)
        np.savez(folder / "noise.npz", x_train=pictures, y_train=np.arange(size.examples) % size.classes)
        logdir.mkdir()
        flags = [f"--dataset=npz:{folder / 'noise.npz'}", f"--logdir={logdir}", *_TRAINING]
        return run(["mia_tf.train", *flags, f"--num_experiments={size.models}", f"--queries={size.queries}"], logdir)


def sizes(command: str) -> list[tuple[str, Size]]:
    """What grows, and the size, of every run: that of the start, the base, and two larger ones for each of four."""
    grown = [
        (axis, replace(BASE[command], **{axis: value}))
        for axis, values in GROWN[command].items()
        for value in values
        if value != getattr(BASE[command], axis)
    ]
    return [("start", SMALLEST[command]), ("base", BASE[command]), *grown]


def slopes(rows: list[dict]) -> list[dict]:
    """Log-log slopes over each of the four sizes, of the rows of one command, beyond what its start takes."""
    start, base = (next(row for row in rows if row["grown"] == name) for name in ("start", "base"))
    lines = []
    for axis in GROWN[base["command"]]:
        of_axis = [base, *(row for row in rows if row["grown"] == axis)]
        line = {"command": base["command"], "grown": axis}
        for name in MEASURED:
            beyond = np.array([row[name] - start[name] for row in of_axis])
            logs = np.log([row[axis] for row in of_axis]), np.log(np.maximum(beyond, 1e-3))
            line[name] = round(float(np.polyfit(*logs, 1)[0]), 2)
        lines.append(line)
    return lines


def predicted(rows: list[dict], lines: list[dict]) -> list[dict]:
    """What a command takes at the sizes of `PREDICTED`, from its base and its slopes."""
    start, base = (next(row for row in rows if row["grown"] == name) for name in ("start", "base"))
    table = []
    for size in PREDICTED:
        row = {"command": base["command"], **asdict(size)}
        for name in MEASURED:
            factors = [(getattr(size, line["grown"]) / base[line["grown"]]) ** line[name] for line in lines]
            row[name] = round(start[name] + (base[name] - start[name]) * float(np.prod(factors)))
        table.append(row)
    return table


def main() -> None:
    parser = commands.Parser(__doc__)
    parser.add_argument("--only", choices=tuple(BASE), action="append", help="measure this command alone")
    parser.add_argument("--out", type=commands.folder_to_write, required=True, help="folder of the CSVs")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows, lines, table = [], [], []
    for command in options.only or BASE:
        own = []
        for grown, size in sizes(command):
            own.append({"command": command, "grown": grown, **asdict(size), **measure(command, size)})
            print(", ".join(f"{name} {value}" for name, value in own[-1].items()), flush=True)
        rows += own
        lines += slopes(own)
        table += predicted(own, slopes(own))
    for name, written in (("growth", rows), ("growth_slopes", lines), ("growth_predicted", table)):
        write_rows(options.out / f"{name}.csv", tuple(written[0]), [tuple(row.values()) for row in written])


if __name__ == "__main__":
    commands.run(main)
