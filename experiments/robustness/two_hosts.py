"""Two hosts in network namespaces of this machine, joined by a switch whose cable to one of them can be pulled.

Needs root, or CAP_NET_ADMIN and CAP_SYS_ADMIN, and iproute2.
"""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

NEAR, FAR = "10.77.0.1", "10.77.0.2"
_SWITCH = "switch"


def why_not() -> str:
    """Why this machine can have no such hosts, in one sentence; "" if it can."""
    if shutil.which("ip") is None:
        return "iproute2 is not installed."
    name = f"mia-try-{os.getpid()}"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if tried.returncode:
        return f"A network namespace cannot be made here: {tried.stderr.strip().splitlines()[-1]}"
    subprocess.run(["ip", "netns", "delete", name], check=True)
    return ""


class Hosts:
    """The two hosts, called by their addresses NEAR and FAR.

    Args:
        folder: an empty folder.

    Attributes:
        private: a folder that has other content on each host, as /tmp has on two machines.
    """

    def __init__(self, folder: Path):
        self._name = f"mia{os.getpid()}"
        self._folder, self.private = folder, folder / "private"

    def _of(self, host: str) -> str:
        return f"{self._name}-{host}"

    def command(self, host: str, command: Sequence[str]) -> list[str]:
        """A command to be run on a host."""
        # `ip netns exec` gives it mounts of its own.
        own = f'mount --bind {shlex.quote(str(self._folder / host))} {shlex.quote(str(self.private))} && exec "$@"'
        return ["ip", "netns", "exec", self._of(host), "sh", "-c", own, "sh", *command]

    def _ip(self, host: str, *words: str) -> None:
        subprocess.run(self.command(host, ["ip", *words]), check=True)

    def join(self) -> None:
        """Makes the hosts and the switch."""
        self.private.mkdir()
        for host in (NEAR, FAR, _SWITCH):
            (self._folder / host).mkdir()
            subprocess.run(["ip", "netns", "add", self._of(host)], check=True)
            self._ip(host, "link", "set", "lo", "up")
        self._ip(_SWITCH, "link", "add", "bridge", "type", "bridge")
        self._ip(_SWITCH, "link", "set", "bridge", "up")
        for host in (NEAR, FAR):
            port = self._port(host)
            self._ip(_SWITCH, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", self._of(host))
            self._ip(_SWITCH, "link", "set", port, "master", "bridge", "up")
            self._ip(host, "address", "add", f"{host}/24", "dev", "eth0")
            self._ip(host, "link", "set", "eth0", "up")
            self._ip(host, "route", "add", "default", "dev", "eth0")  # by which Ray learns its own address

    def _port(self, host: str) -> str:
        return f"port{host.rpartition('.')[2]}"

    def cut(self) -> None:
        """Loses all that is sent between the hosts from now on; neither is told."""
        self._ip(_SWITCH, "link", "set", self._port(FAR), "nomaster")

    def mend(self) -> None:
        """Joins the hosts again."""
        self._ip(_SWITCH, "link", "set", self._port(FAR), "master", "bridge")

    def processes(self, host: str) -> dict[int, str]:
        """The processes on a host, and their command lines."""
        listed = subprocess.run(["ip", "netns", "pids", self._of(host)], capture_output=True, text=True)
        processes = {}
        for number in map(int, listed.stdout.split()):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                processes[number] = Path(f"/proc/{number}/cmdline").read_text().replace("\0", " ")
        return processes

    def remove(self) -> None:
        """Ends all processes on the hosts, and removes these."""
        for host in (NEAR, FAR, _SWITCH):
            while processes := self.processes(host):
                for number in processes:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(number, signal.SIGKILL)
                time.sleep(0.1)
            subprocess.run(["ip", "netns", "delete", self._of(host)], capture_output=True)


@contextlib.contextmanager
def joined() -> Iterator[Hosts]:
    """Two hosts for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="hosts-", ignore_cleanup_errors=True) as folder:
        hosts = Hosts(Path(folder))
        try:
            hosts.join()
            yield hosts
        finally:
            hosts.remove()
