"""What all command lines share: bad input is one line on stderr and exit code 2."""

import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from absl import app, flags

from mia_tf.files import expanded
from mia_tf.locks import check_platform
from mia_tf.quiet import print_all_text
from mia_tf.validation import InputError, check_given


def run(name: str, main: Callable[[], int | None]) -> None:
    """Parses the flags, runs `main` and exits with what it returns.

    Exit codes: 0 all done; 1 some of the work failed; 2 bad input or a file that cannot be read or written; 3 a limit
    of `mia_tf.report --fail_above` is exceeded; 130 interrupted; 141 nobody reads what it prints; 143 ended by SIGTERM.

    Args:
        name: the command's, as in `python -m name`.
        main: reads absl's FLAGS and does the work; returns an exit code or None for 0.
    """

    def parse(argv: list[str]) -> list[str]:
        flags.DEFINE_flag(_Help())
        try:
            rest = flags.FLAGS(_with_shipped_flagfiles(argv))[1:]
        except (flags.Error, UnicodeDecodeError) as error:
            _end(name, str(error).splitlines()[0])
        except SystemExit:  # absl has shown the help that was asked for, and calls that a failure
            sys.exit(0)
        if rest:
            _end(name, f"Unexpected argument {rest[0]!r}: settings are given as --name=value")
        return argv

    def guarded(_argv: list[str]) -> int | None:
        ended_by = signal.SIGINT

        def terminate(*_) -> None:
            nonlocal ended_by
            ended_by = signal.SIGTERM
            raise KeyboardInterrupt

        signal.signal(signal.SIGTERM, terminate)  # batch systems and containers send it: it is answered as Ctrl-C is
        try:
            check_platform()
            return main()
        except KeyboardInterrupt:
            print(f"{name}: interrupted; what is complete is kept, and the same command goes on", file=sys.stderr)
            return 128 + ended_by

    with one_line(name):
        app.run(guarded, flags_parser=parse)


def _with_shipped_flagfiles(arguments: list[str]) -> list[str]:
    """Returns a command's arguments with --flagfile=flags/NAME as the package's own file, if this folder has none."""
    shipped = Path(__file__).parent / "flags"
    paths = {f"--flagfile=flags/{path.name}": path for path in shipped.glob("*.flags")}
    return [
        f"--flagfile={paths[argument]}"
        if argument in paths and not Path("flags", paths[argument].name).exists()
        else argument
        for argument in arguments
    ]


class _Help(flags.BooleanFlag):
    """--help: the command's docstring, and its flags under their headings, in the order of their definition."""

    def __init__(self):
        super().__init__("help", False, "Show this help.", short_name="?", allow_override=True)

    def parse(self, argument: bool | str) -> None:
        """Prints the help and ends the process, unless the argument is false."""
        if self.parser.parse(argument):
            print(sys.modules["__main__"].__doc__)
            for heading, defined in flags.FLAGS.flags_by_module_dict().items():
                if heading not in sys.modules:  # the modules are those of libraries, which have flags of their own
                    print("Flags" if heading == sys.argv[0] else heading, *map(_described, defined), "", sep="\n")
            sys.exit(0)


def _described(flag: flags.Flag) -> str:
    """Returns a flag's paragraph for the terminal."""
    name = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"
    default = "" if flag.default in (None, "", []) else f"\n(default: {flag.default})"
    return flags.text_wrap(f"{name}: {flag.help}{default}", indent="      ", firstline_indent="  ")


@contextlib.contextmanager
def one_line(name: str) -> Iterator[None]:
    """Ends the process `name` with one line and exit code 2 for bad input, or a file that cannot be read or written.

    Ends it with exit code 141, as SIGPIPE does, if nobody reads what it prints any more (`| head`).
    """
    print_all_text()
    try:
        with _printed_at_the_end():
            yield
    except InputError as error:
        _end(name, str(error))
    except BrokenPipeError:
        for descriptor in (1, 2):  # Python prints at its end what is left to print
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:  # a path that is too long, or not ours to read; a disk that is full
        _end(name, f"{error.strerror or error}: {error.filename or 'a file of the LOGDIR'}")


@contextlib.contextmanager
def _printed_at_the_end() -> Iterator[None]:
    """Prints what is held back, however the block ends."""
    try:
        yield
    finally:
        print(end="", flush=True)


def path_flag(name: str) -> Path | None:
    """Returns the path that a flag gives, with `~` expanded; None if it is not given."""
    value = flags.FLAGS[name].value
    return expanded(value, name) if value else None


def required_path_flag(name: str) -> Path:
    """Returns the path that a flag gives, with `~` expanded.

    Raises:
        InputError: it is not given.
    """
    value = flags.FLAGS[name].value
    check_given(name, value, "FOLDER")
    return expanded(value, name)


def again(module: str, **paths: Path | None) -> str:
    """Returns a command line for the user to copy: `python -m MODULE --name=path ...`, quoted for a shell."""
    flags_given = [shlex.quote(f"--{name}={path}") for name, path in paths.items() if path is not None]
    return " ".join(["python -m", module, *flags_given])


def _end(name: str, line: str) -> None:
    print(f"{name}: {line}", file=sys.stderr)
    sys.exit(2)
