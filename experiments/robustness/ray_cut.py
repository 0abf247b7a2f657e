"""Trains on a Ray cluster of two hosts whose link is cut: for a minute, and forever.

    python -m experiments.robustness.ray_cut [--seconds=60,0] [--head=near] [--out=FOLDER]

The hosts are network namespaces of this machine (`two_hosts`). The driver runs on the near one. The far one has a
worker of its own, whose link is lost while it trains. The link comes back after --seconds, or never if these are 0. The
command must end by itself with exit code 0, or with 1 and a line for each model that is missing. All models that are
present must be those of a local run, bit for bit. With --head=far the head of the cluster is on the far host, so that
the driver loses the whole cluster.

Writes ray_cut.csv to --out. Cost: about ten minutes on two cores; needs root and iproute2.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from experiments import commands
from experiments.robustness import job as jobs
from experiments.robustness import two_hosts
from experiments.robustness.job import Job, write_table
from experiments.robustness.two_hosts import FAR, NEAR, Hosts

PORT = 6390
_PATIENCE = 900.0
_QUIET = {"RAY_BACKEND_LOG_LEVEL": "fatal", "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
COLUMNS = ("head", "link_back_after", "exit_code", "models", "equal", "seconds_after_the_cut", "last_line")


def job_to_cut() -> Job:
    """Models that train long enough for a link to be cut in the middle."""
    return jobs.network_job(num_models=8, epochs=150)


def start_cluster(hosts: Hosts, head: str) -> str:
    """Starts Ray on both hosts, with one processor each; returns the cluster's address."""
    address = f"{head}:{PORT}"
    (other,) = {NEAR, FAR} - {head}
    common = ["--num-cpus=1", "--object-store-memory=100000000", "--disable-usage-stats"]
    at_head = ["--head", f"--port={PORT}", "--include-dashboard=false", f"--temp-dir={hosts.private}"]
    for host, given in ((head, at_head), (other, [f"--address={address}"])):
        ray = [sys.executable, "-m", "ray.scripts.scripts", "start", f"--node-ip-address={host}", *given, *common]
        done = subprocess.run(
            hosts.command(host, ray), env={**os.environ, **_QUIET}, capture_output=True, text=True, timeout=_PATIENCE
        )
        if done.returncode:
            raise AssertionError(done.stdout + done.stderr)
    return address


def trains(hosts: Hosts, host: str) -> bool:
    """Whether a worker is at work on a host, by the name that Ray gives its process."""
    return any("Trainer.events" in command for command in hosts.processes(host).values())


def cut(job: Job, head: str, seconds: float, reference: dict[int, bytes], folder: Path) -> dict:
    """Trains once, and cuts the link while both hosts train; returns a row of the table."""
    with two_hosts.joined() as hosts:
        address = start_cluster(hosts, head)
        logdir, log = folder / f"run-{seconds:g}", folder / f"run-{seconds:g}.log"
        command = [sys.executable, "-m", "mia_tf.train", *job.arguments, "--executor=ray", f"--logdir={logdir}"]
        with open(log, "w") as file:
            driver = subprocess.Popen(
                hosts.command(NEAR, command), stdout=file, stderr=file,
                env={**os.environ, **_QUIET, **job.environment, "RAY_ADDRESS": address},
            )  # fmt: skip
        end = time.monotonic() + _PATIENCE
        while not (trains(hosts, FAR) and jobs.contents(logdir)):
            if driver.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"the far host never trained:\n{log.read_text()[-3000:]}")
            time.sleep(0.1)
        hosts.cut()
        started = time.monotonic()
        if seconds:
            try:
                driver.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                hosts.mend()
        code = driver.wait(timeout=_PATIENCE)
        taken = time.monotonic() - started
    print(log.read_text(), flush=True)
    jobs.check_log(log)
    present = jobs.check_kept(logdir, set(), reference)
    if code not in (0, 1) or (code == 0) != (len(present) == len(reference)):
        raise AssertionError(f"exit code {code} with {len(present)} of {len(reference)} models")
    if code == 0:
        jobs.check_ended_well(logdir, reference)
    last = [line for line in log.read_text().splitlines() if line][-1].replace(str(logdir), "LOGDIR")
    back = f"{seconds:g} s" if seconds else "never"
    values = ("near" if head == NEAR else "far", back, code, len(present), len(present), f"{taken:.0f}", last)
    return dict(zip(COLUMNS, values, strict=True))


def main() -> None:
    """Cuts, and prints and writes the outcome."""
    parser = commands.Parser(__doc__)
    parser.add_argument("--seconds", default="60,0")
    parser.add_argument("--head", choices=("near", "far"), default="near")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if reason := two_hosts.why_not():
        print(f"Not measured: {reason}")
        return
    job = job_to_cut()
    table = []
    with tempfile.TemporaryDirectory() as scratch:
        reference, _ = jobs.undisturbed(job, Path(scratch))
        for seconds in map(float, options.seconds.split(",")):
            head = NEAR if options.head == "near" else FAR
            table.append(cut(job, head, seconds, reference, Path(scratch)))
            print(", ".join(f"{name} {value}" for name, value in table[-1].items()), flush=True)
    if options.out:
        write_table(options.out / "ray_cut.csv", COLUMNS, table)


if __name__ == "__main__":
    commands.run(main)
