"""Memory that loading a user's own archive takes, `--dataset=npz:PATH`.

    python -m experiments.benchmarks.archive_memory [--out=FOLDER]      about 2 minutes, 1 GB of disk

Random pictures of 28x28 with ten labels, as uint8 and as float32, in a plain and in a compressed archive. A process of
its own loads each of them (`load`), or loads it and writes it to a new LOGDIR, as training does first (`create`). Its
memory is the most that it held, less what it held before. Expected: 2.3 times the pictures in uint8, whatever the
archive: the pictures to choose from, the chosen pictures, and their ids.

Writes archive_memory.csv to --out.
"""

import argparse
import csv
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from experiments import commands
from mia_tf.config import DataConfig
from mia_tf.data import load
from mia_tf.store import Store

SHAPE = (28, 28)
COLUMNS = ("dtype", "compressed", "archive_mb", "uint8_mb", "stage", "memory_mb", "times_uint8", "seconds")
STAGES = ("load", "create")


def write_archive(path: Path, dtype: str, compressed: bool, count: int) -> None:
    """Writes an archive of random pictures; floats are in [0, 1]."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (count, *SHAPE), np.uint8)
    if dtype != "uint8":
        pictures = pictures / np.array(255, dtype)
    save = np.savez_compressed if compressed else np.savez
    save(path, x_train=pictures, y_train=np.arange(count) % 10)


def memory_bytes(field: str) -> int:
    """What /proc/self/status says of this process' memory: VmRSS is held now, VmHWM is the most it has held."""
    return 1024 * int(re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])


def measure_here(path: Path, stage: str) -> None:
    """Prints the bytes that this process takes for an archive, and the seconds."""
    before, started = memory_bytes("VmRSS"), time.perf_counter()
    config = DataConfig(dataset=f"npz:{path}")
    if stage == "create":
        Store.create(path.parent / f"{path.stem}-logdir", {}, lambda: load(config))
    else:
        load(config)
    print(memory_bytes("VmHWM") - before, time.perf_counter() - started)


def run_stage(path: Path, stage: str) -> tuple[int, float]:
    """Bytes and seconds of a process of its own."""
    command = [sys.executable, "-m", "experiments.benchmarks.archive_memory", f"--archive={path}", f"--stage={stage}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    taken, seconds = done.stdout.split()
    return int(taken), float(seconds)


def rows(count: int, folder: Path):
    """Rows of the table, as they are measured."""
    pictures = count * np.prod(SHAPE)
    for dtype in ("uint8", "float32"):
        for compressed in (False, True):
            path = folder / f"{dtype}-{compressed}.npz"
            write_archive(path, dtype, compressed, count)
            for stage in STAGES:
                taken, seconds = run_stage(path, stage)
                sizes = [f"{size / 1e6:.0f}" for size in (path.stat().st_size, pictures)]
                measured = (f"{taken / 1e6:.0f}", f"{taken / pictures:.2f}", f"{seconds:.1f}")
                yield dict(zip(COLUMNS, (dtype, compressed, *sizes, stage, *measured), strict=True))
            path.unlink()


def main() -> None:
    """Measures one archive in this process, or all in processes of their own."""
    parser = commands.Parser(__doc__)
    parser.add_argument("--examples", type=int, default=157_000)
    parser.add_argument("--out", type=commands.folder_to_write)
    parser.add_argument("--archive", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.archive:
        measure_here(options.archive, options.stage)
        return
    table = []
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(options.examples, Path(folder)):
            table.append(row)
            print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        with open(options.out / "archive_memory.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(table)


if __name__ == "__main__":
    commands.run(main)
