"""The train command in a process of its own, at a size of seconds."""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
TINY = ["--arch=cnn2-1-max", "--epochs=6", "--batch=8", "--augment=none", "--workers=2", "--threads_per_worker=1"]
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "MIA_TF_DATA"}


def command(*arguments, module="mia_tf.train"):
    """The command line of a module."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def run(*arguments, module="mia_tf.train"):
    """Runs it to its end, with what it prints."""
    return subprocess.run(
        command(*arguments, module=module), cwd=REPOSITORY, env=ENVIRONMENT, capture_output=True, text=True, timeout=300
    )
