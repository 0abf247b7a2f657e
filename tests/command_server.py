"""Runs commands in forks of one process that has imported what they share: a command that is refused takes 20 ms.

Their worker processes are forks as well, and need not import the framework that they train with. They fail if a command
itself has built a network: TensorFlow does not survive a fork then.

It reads requests from stdin, one JSON list per line: the module, its arguments and its environment variables. It
answers with one of the exit code and what the command, and all processes that it started, wrote to stdout and stderr.
"""

import atexit
import contextlib
import gc
import importlib
import json
import multiprocessing.context
import os
import pickle
import runpy
import selectors
import signal
import sys
import traceback
from multiprocessing import popen_spawn_posix, reduction, util

_SHARED = {"mia_tf.analyze": "mia_tf.analysis.study", "experiments.figure4_dp": "mia_tf.analysis.study"}
"""Command -> what it imports that takes long."""
_SECONDS = 300
"""A command that takes longer is ended by SIGALRM."""


def _import_shared(module):
    """Imports what the forks would otherwise import one by one."""
    shared = _SHARED.get(module, "mia_tf.train")
    importlib.import_module(shared)
    if shared == "mia_tf.train":
        importlib.import_module("keras")  # with its backend, which takes all of a small worker's time


class _ForkedPopen(popen_spawn_posix.Popen):
    """Starts a process as spawn does, from its pickle and with no other files open, but not in a new interpreter."""

    def _launch(self, process_obj):
        multiprocessing.context.set_spawning_popen(self)
        try:
            pickled = reduction.ForkingPickler.dumps(process_obj)
        finally:
            multiprocessing.context.set_spawning_popen(None)
        self.sentinel, held = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            code = 1
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the command's own handler is not its workers'
            try:
                for number in {int(name) for name in os.listdir("/proc/self/fd")} - {0, 1, 2, held, *self._fds}:
                    with contextlib.suppress(OSError):  # the listing's own is closed already
                        os.close(number)
                code = pickle.loads(pickled)._bootstrap()
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(held)
        self.finalizer = util.Finalize(self, util.close_fds, (self.sentinel,))


def _become(module, arguments, environment, outputs):
    """Makes this fork the command, as `python -m module` does, and ends it."""
    for descriptor, other in enumerate((os.open(os.devnull, os.O_RDONLY), *outputs)):
        os.dup2(other, descriptor)
    os.environ.update(environment)
    encoding = environment.get("PYTHONIOENCODING")
    # A stream of the server's may have been on a file, where it could seek.
    sys.stdout, sys.stderr = (
        os.fdopen(descriptor, "w", buffering, encoding=encoding, errors=errors, closefd=False)
        for descriptor, buffering, errors in ((1, -1, "strict"), (2, 1, "backslashreplace"))
    )
    signal.alarm(_SECONDS)
    multiprocessing.context.SpawnProcess._Popen = _ForkedPopen
    sys.argv = [module, *arguments]
    sys.modules.pop(module, None)
    sys.path.insert(0, os.getcwd())
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code or 0
        if not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    # At its end the interpreter takes apart all that was imported, which takes a hundred times longer than to refuse.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


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
        module, arguments, environment = json.loads(line)
        _import_shared(module)
        gc.freeze()  # what is shared is no garbage, and to look at it would copy it
        ours, theirs = zip(os.pipe(), os.pipe(), strict=True)
        command = os.fork()
        if not command:
            _become(module, arguments, environment, theirs)
        for pipe in theirs:
            os.close(pipe)
        outputs = _read(ours)
        _, status = os.waitpid(command, 0)
        print(json.dumps([os.waitstatus_to_exitcode(status), *outputs]), flush=True)


main()
