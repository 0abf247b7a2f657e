"""What reaches the terminal: all text, whatever the terminal's encoding, but not TensorFlow's start-up messages."""

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator


def print_all_text() -> None:
    """Lets this process print any text: what the terminal's encoding lacks becomes an escape, such as \\xfc.

    Paths and names are the user's, and no run of hours should end with an error when it prints them.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # notebooks have streams of their own, which take all text
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def native_messages_held_back() -> Iterator[None]:
    """Holds back what native code writes to stderr; shows it after all if the block raises.

    TensorFlow writes several lines before any of its log levels takes effect. Python's own
    stderr is not touched.
    """
    sys.stderr.flush()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    kept = os.dup(2)
    python_stderr = sys.stderr
    with tempfile.TemporaryFile() as held:
        sys.stderr = os.fdopen(os.dup(kept), "w", 1, python_stderr.encoding, "backslashreplace")
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            sys.stderr.close()
            sys.stderr = python_stderr
            os.dup2(kept, 2)
            os.close(kept)
