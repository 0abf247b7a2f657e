"""The commands in processes of their own, at a size of seconds."""

import atexit
import functools
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
TINY = ["--arch=cnn2-1-max", "--epochs=6", "--batch=8", "--augment=none", "--workers=1", "--threads_per_worker=1"]
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "MIA_TF_DATA"}
AWKWARD = "a $x^2 \u00fc \u00e9"
"""Name of a folder that a shell, an ASCII terminal and matplotlib's mathematics would each read otherwise."""


def command(*arguments, module="mia_tf.train"):
    """The command line of a module."""
    return [sys.executable, "-m", module, *map(str, arguments)]


@functools.cache
def _server():
    """The process whose forks become the commands; it ends with this one."""
    script = REPOSITORY / "tests" / "command_server.py"
    environment = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    server = subprocess.Popen([sys.executable, str(script)], cwd=REPOSITORY, env=environment, **pipes)
    atexit.register(server.communicate)
    return server


def run(*arguments, module="mia_tf.train", largest_file=resource.RLIM_INFINITY, **environment):
    """Runs a command to its end, with what it prints; with another backend, in a new interpreter.

    Files do not grow beyond `largest_file` bytes, as if the disk were full; not with another backend.
    """
    environment = {name: str(value) for name, value in environment.items()}
    if "KERAS_BACKEND" in environment:
        return subprocess.run(
            command(*arguments, module=module), cwd=REPOSITORY, env=ENVIRONMENT | environment,
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
    server, arguments = _server(), list(map(str, arguments))
    # Forks have the server's limits.
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))
    print(json.dumps([module, arguments, environment]), file=server.stdin, flush=True)
    return subprocess.CompletedProcess([module, *arguments], *json.loads(server.stdout.readline()))


def escaped(path):
    """A path as a terminal shows it that has ASCII alone."""
    return str(path).encode("ascii", "backslashreplace").decode()
