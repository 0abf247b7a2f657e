"""The earlier name of `python -m experiments all`, with the same flags."""

import sys

from experiments import __main__ as command
from experiments import commands

if __name__ == "__main__":
    commands.run(lambda: command.main(["all", *sys.argv[1:]]))
