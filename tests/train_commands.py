"""The train command in a process of its own, at a size of seconds."""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
TINY = ["--arch=cnn2-1-max", "--epochs=6", "--batch=8", "--augment=none", "--workers=2", "--threads_per_worker=1"]
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "MIA_TF_DATA"}
AWKWARD = "a $x^2 \u00fc \u00e9"
"""Name of a folder that a shell, an ASCII terminal and matplotlib's mathematics would each read otherwise."""


def command(*arguments, module="mia_tf.train"):
    """The command line of a module."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def run(*arguments, module="mia_tf.train", **environment):
    """Runs it to its end, with what it prints; `environment` is set besides."""
    environment = ENVIRONMENT | {name: str(value) for name, value in environment.items()}
    return subprocess.run(
        command(*arguments, module=module), cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300
    )


def escaped(path):
    """A path as a terminal shows it that has ASCII alone."""
    return str(path).encode("ascii", "backslashreplace").decode()
