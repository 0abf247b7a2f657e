"""Runs commands in forks of one process that has imported what they share: a command that is refused takes 20 ms.

It reads requests from stdin, one JSON list per line: the module, its arguments, and the files for stdout and stderr.
It answers with the exit code, once the command and all processes that it started have ended.
"""

import importlib
import json
import os
import runpy
import signal
import sys
import time

_SHARED = {"mia_tf.analyze": "mia_tf.analysis.study", "experiments.figure4_dp": "mia_tf.analysis.study"}
"""Command -> what it imports that takes long; the others share what mia_tf.train imports."""
_SECONDS = 300
"""A command that takes longer is ended by SIGALRM."""


def _become(module, arguments, *files):
    """Makes this fork the command, as `python -m module` does."""
    os.setsid()
    for descriptor, path in enumerate((os.devnull, *files)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), descriptor)
    signal.alarm(_SECONDS)
    sys.argv = [module, *arguments]
    sys.modules.pop(module, None)
    sys.path.insert(0, os.getcwd())
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _alive(group):
    """Whether a process of the group is left, such as one that cleans up after the command."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def main():
    for line in sys.stdin:
        request = json.loads(line)
        importlib.import_module(_SHARED.get(request[0], "mia_tf.train"))
        command = os.fork()
        if not command:
            _become(*request)
            return
        _, status = os.waitpid(command, 0)
        while _alive(command):
            time.sleep(0.01)
        print(os.waitstatus_to_exitcode(status), flush=True)


main()
