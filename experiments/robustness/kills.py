"""Kills a training run with kill -9 at random moments, alone and while two processes share its LOGDIR.

    python -m experiments.robustness.kills [--kills=200] [--network_kills=6] [--shared_kills=30] [--seed=0]
                                           [--out=FOLDER]

The run is a user's task on NumPy; the --network_kills are of the smallest built-in network on TensorFlow. A quarter of
the kills falls anywhere in the time that a run takes. The others wait until the LOGDIR is being set up, a model is
being written or has taken its place, and fall some milliseconds later. The whole process group is killed, and the same
command goes on. After each kill no earlier model may be lost, and each model that is present must be that of an
undisturbed run, byte by byte. After some kills the run is left to end: exit code 0, all models equal, and nothing
temporary left in the LOGDIR. With two processes one of them is killed each time and started again at once.

Writes kills.csv, one row per kind of kill, to --out. Cost: about 4 seconds per kill on two cores.
"""

import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from experiments import commands
from experiments.robustness import job as jobs
from experiments.robustness.job import Job

MOMENTS = ("anywhere", "set-up", "writing", "renamed")
_MILLISECONDS = 20.0  # after what a kill waits for, at most
_KILLS_OF_A_LOGDIR = 8
COLUMNS = ("job", "processes", "moment", "kills", "runs_that_ended_well", "models_compared", "lost", "left_behind")


def wait_for(moment: str, logdir: Path, process: subprocess.Popen, seconds: float, rng: np.random.Generator) -> None:
    """Waits for the moment of a kill, or until the process has ended."""
    end = time.monotonic() + rng.uniform(0, seconds)
    before = _trace(moment, logdir)
    while process.poll() is None:
        if moment == "anywhere":
            if time.monotonic() > end:
                return
        elif _trace(moment, logdir) - before:
            time.sleep(rng.uniform(0, _MILLISECONDS) / 1000)
            return
        time.sleep(0.0005)


def _trace(moment: str, logdir: Path) -> set[str]:
    """The names in a LOGDIR of which a new one says that the moment has come."""
    patterns = {"anywhere": (), "set-up": ("*", ".*.npy.*", ".work/*"), "writing": (".work/model-*-*",)}
    return {str(path) for pattern in patterns.get(moment, ("experiment-*",)) for path in logdir.glob(pattern)}


def kill_processes(process: subprocess.Popen) -> bool:
    """Kills a process group; returns whether the process was still running. None of the group may survive."""
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    end = time.monotonic() + 10
    while survivors := list(_members(process.pid)):
        if time.monotonic() > end:
            raise AssertionError(f"processes {survivors} outlive the kill of their group")
        time.sleep(0.01)
    return alive


def _members(session: int) -> Iterator[int]:
    """The processes of a session that have not ended."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of = path.read_text().rsplit(")", 1)[1].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(of) == session and state != "Z":
            yield int(path.parent.name)


def killed_alone(
    job: Job, reference: dict[int, bytes], seconds: float, kills: int, folder: Path, rng: np.random.Generator
) -> Counter:
    """Kills a job that many times.

    Args:
        job: what to start.
        reference, seconds: of its undisturbed run.
        kills: how many.
        folder: takes the LOGDIRs.
        rng: draws the moments.

    Returns:
        (moment, "kills" | "models compared" | "ended well") -> how many.

    Raises:
        AssertionError: a run differs from the undisturbed one, or does not end as it should.
    """
    counts, logdirs = Counter(), 0
    while sum(counts[moment, "kills"] for moment in MOMENTS) < kills:
        logdirs += 1
        logdir, log = folder / f"killed-{logdirs}", folder / f"killed-{logdirs}.log"
        present, last = set(), MOMENTS[0]
        for _ in range(_KILLS_OF_A_LOGDIR):
            if sum(counts[moment, "kills"] for moment in MOMENTS) == kills:
                break
            last = MOMENTS[rng.integers(len(MOMENTS))]
            process = job.start(logdir, log)
            wait_for(last, logdir, process, seconds, rng)
            counts[last, "kills"] += kill_processes(process)
            jobs.check_log(log)
            present = jobs.check_kept(logdir, present, reference)
            counts[last, "models compared"] += len(present)
            if len(present) == len(reference):
                break
        if jobs.finish(job.start(logdir, log), log) != 0:
            raise AssertionError(log.read_text()[-2000:])
        jobs.check_ended_well(logdir, reference)
        counts[last, "models compared"] += len(reference)
        counts[last, "ended well"] += 1
    return counts


def killed_shared(
    job: Job, reference: dict[int, bytes], seconds: float, kills: int, folder: Path, rng: np.random.Generator
) -> Counter:
    """Runs a job in two processes that share a LOGDIR, and kills one of them that many times; as `killed_alone`."""
    counts, logdirs = Counter(), 0
    while sum(counts[moment, "kills"] for moment in MOMENTS) < kills:
        logdirs += 1
        logdir, last = folder / f"shared-{logdirs}", MOMENTS[0]
        logs = [folder / f"shared-{logdirs}-{name}.log" for name in "ab"]
        processes = [job.start(logdir, log) for log in logs]
        present = set()
        while len(present) < len(reference) and sum(counts[moment, "kills"] for moment in MOMENTS) < kills:
            last, chosen = MOMENTS[rng.integers(len(MOMENTS))], rng.integers(2)
            wait_for(last, logdir, processes[chosen], seconds, rng)
            if kill_processes(processes[chosen]):
                counts[last, "kills"] += 1
            elif processes[chosen].returncode != 0:
                raise AssertionError(logs[chosen].read_text()[-2000:])
            processes[chosen] = job.start(logdir, logs[chosen])
            present = jobs.check_kept(logdir, present, reference)
            counts[last, "models compared"] += len(present)
        codes = [jobs.finish(process, log) for process, log in zip(processes, logs, strict=True)]
        if codes != [0, 0]:
            raise AssertionError("\n".join(log.read_text()[-2000:] for log in logs))
        jobs.check_ended_well(logdir, reference)
        counts[last, "models compared"] += len(reference)
        counts[last, "ended well"] += 1
    return counts


def rows(name: str, processes: int, counts: Counter) -> Iterator[dict]:
    """Rows of the table. Lost and left behind are 0: a check ends the script otherwise."""
    for moment in MOMENTS:
        measured = [counts[moment, what] for what in ("kills", "ended well", "models compared")]
        yield dict(zip(COLUMNS, (name, processes, moment, *measured, 0, 0), strict=True))


def main() -> None:
    """Kills, and prints and writes the counts."""
    parser = commands.Parser(__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--network_kills", type=int, default=6)
    parser.add_argument("--shared_kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rng, table = np.random.default_rng(options.seed), []
    with tempfile.TemporaryDirectory() as scratch:
        folders = [Path(scratch) / name for name in ("task", "network", "shared")]
        for folder in folders:
            folder.mkdir()
        task = jobs.task_job(folders[0])
        network = jobs.network_job()
        parts = [
            ("task", 1, killed_alone, task, options.kills, folders[0]),
            ("network", 1, killed_alone, network, options.network_kills, folders[1]),
            ("task", 2, killed_shared, task, options.shared_kills, folders[2]),
        ]
        for name, processes, kill, job, kills, folder in parts:
            if not kills:
                continue
            for row in rows(name, processes, kill(job, *jobs.undisturbed(job, folder), kills, folder, rng)):
                table.append(row)
                print(", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if options.out:
        jobs.write_table(options.out / "kills.csv", COLUMNS, table)


if __name__ == "__main__":
    commands.run(main)
