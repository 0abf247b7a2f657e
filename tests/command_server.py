"""Runs commands in forks of one process that has imported what they share: a command that is refused takes 20 ms.

It reads requests from stdin, one JSON list per line: the module and its arguments. It answers with one of the exit code
and what the command, and all processes that it started, wrote to stdout and stderr.
"""

import importlib
import json
import os
import runpy
import selectors
import signal
import sys

_SHARED = {"mia_tf.analyze": "mia_tf.analysis.study", "experiments.figure4_dp": "mia_tf.analysis.study"}
"""Command -> what it imports that takes long; the others share what mia_tf.train imports."""
_SECONDS = 300
"""A command that takes longer is ended by SIGALRM."""


def _become(module, arguments, outputs):
    """Makes this fork the command, as `python -m module` does."""
    for descriptor, other in enumerate((os.open(os.devnull, os.O_RDONLY), *outputs)):
        os.dup2(other, descriptor)
    # A stream of the server's may have been on a file, where it could seek.
    sys.stdout, sys.stderr = (os.fdopen(k, "w", buffering, closefd=False) for k, buffering in ((1, -1), (2, 1)))
    signal.alarm(_SECONDS)
    sys.argv = [module, *arguments]
    sys.modules.pop(module, None)
    sys.path.insert(0, os.getcwd())
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _read(pipes):
    """All that is written to pipes until no process holds them any more."""
    written = dict.fromkeys(pipes, b"")
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                part = os.read(key.fd, 1 << 16)
                written[key.fd] += part
                if not part:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    return [part.decode() for part in written.values()]


def main():
    for line in sys.stdin:
        module, arguments = json.loads(line)
        importlib.import_module(_SHARED.get(module, "mia_tf.train"))
        ours, theirs = zip(os.pipe(), os.pipe(), strict=True)
        command = os.fork()
        if not command:
            _become(module, arguments, theirs)
            return
        for pipe in theirs:
            os.close(pipe)
        outputs = _read(ours)
        _, status = os.waitpid(command, 0)
        print(json.dumps([os.waitstatus_to_exitcode(status), *outputs]), flush=True)


main()
