"""What the command lines of the experiments share: bad input is one line on stderr and exit code 2."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from mia_tf import command_line
from mia_tf.files import expanded
from mia_tf.validation import check


class Parser(argparse.ArgumentParser):
    """Shows a module's docstring with --help, and says in one line what is wrong with an argument."""

    def __init__(self, document: str):
        super().__init__(prog=_name(), description=document, formatter_class=argparse.RawDescriptionHelpFormatter)

    def error(self, message: str):
        """Ends the process."""
        self.exit(2, f"{self.prog}: {message}\n")


def folder(text: str) -> Path:
    """The type of an argument that is a folder to read. Raises ArgumentTypeError if there is no such folder."""
    path = expanded(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"must be a folder that exists. Received: {text}")
    return path


def folder_to_write(text: str) -> Path:
    """The type of an argument that is a folder to write. Raises ArgumentTypeError if it could not be made."""
    path = expanded(text)
    there = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise argparse.ArgumentTypeError(f"must be a folder that can be written. Received: {text}")
    return path


def check_files(data_dir: Path, *names: str) -> None:
    """Raises InputError if a folder lacks one of these files."""
    for name in names:
        check("data_dir", data_dir, (data_dir / name).is_file(), f"must be a folder with {name}")


def run(main: Callable[[], object]) -> None:
    """Runs a command to its end."""
    with command_line.one_line(_name()):
        main()


def _name() -> str:
    """What the running command is called: its file, or the package if that is a __main__.py."""
    path = Path(sys.argv[0])
    return path.parent.name if path.name == "__main__.py" else path.name
