"""What all command lines share: bad input is one line on stderr and exit code 2."""

import sys
from collections.abc import Callable

from absl import app, flags

from mia_tf.validation import InputError


def run(name: str, main: Callable[[], int | None]) -> None:
    """Parses the flags, runs `main` and exits with what it returns.

    Exit codes: 0 all done, 1 some of the work failed, 2 bad input or a file that cannot be read or
    written, 3 a limit of `mia_tf.report --fail_above` is exceeded, 130 interrupted.

    Args:
        name: the command's, as in `python -m name`.
        main: reads absl's FLAGS and does the work; returns an exit code or None for 0.
    """

    def parse(argv: list[str]) -> list[str]:
        try:
            rest = flags.FLAGS(argv)[1:]
        except (flags.Error, UnicodeDecodeError) as error:
            _end(name, str(error).splitlines()[0])
        except SystemExit:  # absl has shown the help that was asked for, and calls that a failure
            sys.exit(0)
        if rest:
            _end(name, f"Unexpected argument {rest[0]!r}: settings are given as --name=value")
        return argv

    def guarded(_argv: list[str]) -> int | None:
        try:
            return main()
        except InputError as error:
            _end(name, str(error))
        except OSError as error:  # a path that is too long, or not ours to read; a disk that is full
            _end(name, f"{error.strerror or error}: {error.filename or 'a file of the LOGDIR'}")
        except KeyboardInterrupt:
            print(f"{name}: interrupted; what is complete is kept, and the same command goes on", file=sys.stderr)
            return 130

    app.run(guarded, flags_parser=parse)


def _end(name: str, line: str) -> None:
    print(f"{name}: {line}", file=sys.stderr)
    sys.exit(2)
