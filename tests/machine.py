"""Network namespaces that stand for machines: a host, its neighbours, and what runs on them.

Nothing of the real machine's network is touched. A machine ends with everything that was started on it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from orlop.linux import namespace as namespaces
from orlop.linux.netlink import NETLINK_NETFILTER, Netlink

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

Result = TypeVar("Result")

_SERVER = """
import select, socket, sys
name, port = sys.argv[1].encode(), int(sys.argv[2])
sockets = {}
for family in (socket.AF_INET, socket.AF_INET6):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        made = socket.socket(family, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(("::" if family == socket.AF_INET6 else "", port))
        if kind == socket.SOCK_STREAM:
            made.listen(100)
        sockets[made] = kind
print("there", flush=True)
while True:
    for ready in select.select(list(sockets), [], [])[0]:
        if sockets[ready] == socket.SOCK_DGRAM:
            _, client = ready.recvfrom(1000)
            ready.sendto(name + b" " + client[0].encode(), client)
        else:
            connection, client = ready.accept()
            connection.sendall(name + b" " + client[0].encode())
            connection.close()
"""

#: Nothing that a test waits for takes this many seconds.
LONG = 60


class Machine:
    """A network namespace of its own, held by a process.

    Attributes:
        pid: the process.
        namespace: a descriptor of the namespace.
        netlink: a conversation about its devices.
        netfilter: one about its rules.
    """

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            # It ends with us however we end. A mount namespace too, so that /sys is the machine's own.
            [
                "setpriv",
                "--pdeathsig",
                "KILL",
                "unshare",
                "--net",
                "--mount",
                "sh",
                "-c",
                "mount -t sysfs sysfs /sys && echo there && exec sleep 10000",
            ],
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout
        assert self._holder.stdout.readline() == b"there\n"
        self.pid = self._holder.pid
        self.namespace = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.netlink = Netlink(self.namespace)
        self.netfilter = Netlink(self.namespace, NETLINK_NETFILTER)
        self._started: list[subprocess.Popen[bytes]] = []
        self.run("ip", "link", "set", "lo", "up")

    def command(self, *words: str) -> list[str]:
        """The command line that runs ``words`` on this machine."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", f"--mount=/proc/{self.pid}/ns/mnt", *words]

    def run(self, *words: str, check: bool = True, text: str = "") -> str:
        """Run a program to its end; returns what it wrote."""
        result = subprocess.run(
            self.command(*words), capture_output=True, text=True, input=text, check=False, timeout=LONG
        )
        if check:
            assert result.returncode == 0, f"{' '.join(words)}: {result.stdout}{result.stderr}"
        return result.stdout

    def ok(self, *words: str) -> bool:
        """Whether a program succeeds."""
        result = subprocess.run(self.command(*words), capture_output=True, check=False, timeout=LONG)
        return result.returncode == 0

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a program that runs until the machine ends; its standard output is a pipe."""
        started = subprocess.Popen(self.command(*words), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._started.append(started)
        return started

    def inside(self, function: Callable[[], Result]) -> Result:
        """Call a function while the calling thread is on this machine; sockets that it makes stay there."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            namespaces.join(self.namespace, namespaces.CLONE_NEWNET)
            try:
                return function()
            finally:
                namespaces.join(own, namespaces.CLONE_NEWNET)
        finally:
            os.close(own)

    def ask(self, address: str, port: int, *, protocol: str = "tcp", patience: float = 15) -> str:
        """What a `serve`d port answers to a client on this machine; "" if nobody does."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
        with self.inside(lambda: socket.socket(family, kind)) as client:
            client.settimeout(patience)
            try:
                client.connect((address, port))
                if protocol == "udp":
                    client.send(b"?")
                return client.recv(1000).decode()
            except OSError:
                return ""

    def reaches(self, address: str, port: int, *, protocol: str = "tcp") -> bool:
        """Whether a client on this machine gets an answer within what is long for a machine next to it."""
        return bool(self.ask(address, port, protocol=protocol, patience=0.4))

    def reached(self, *targets: tuple[str, int], protocol: str = "tcp") -> list[tuple[str, int]]:
        """Which of several addresses and ports answer a client on this machine, asked at the same time."""
        with ThreadPoolExecutor(len(targets)) as pool:
            answers = list(pool.map(lambda target: self.reaches(*target, protocol=protocol), targets))
        return [target for target, answered in zip(targets, answers, strict=True) if answered]

    def serve(self, name: str, port: int) -> None:
        """Answer at a port, by TCP and UDP of both families, with ``name``, a space and the client's address."""
        server = self.start(sys.executable, "-I", "-S", "-c", _SERVER, name, str(port))
        assert server.stdout
        assert server.stdout.readline() == b"there\n"

    def ip(self, *words: str) -> Any:
        """What ip(8) says, in detail."""
        return json.loads(self.run("ip", "-j", "-d", *words) or "[]")

    def rules(self) -> str:
        """All rules, as nft(8) lists them."""
        return self.run("nft", "list", "ruleset")

    def write(self, path: str, text: str) -> None:
        """Write a file of /proc/sys."""
        self.run("sh", "-c", f"echo {text} >{path}")

    def end(self) -> None:
        """End everything that runs on the machine, and it."""
        for started in self._started:
            started.send_signal(signal.SIGKILL)
            started.wait()
            for stream in (started.stdin, started.stdout):
                if stream:
                    stream.close()
        self.netlink.close()
        self.netfilter.close()
        os.close(self.namespace)
        assert self._holder.stdout
        self._holder.stdout.close()
        self._holder.send_signal(signal.SIGKILL)
        self._holder.wait()

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def cable(one: Machine, name: str, address: str, other: Machine, other_name: str, other_address: str) -> None:
    """Connect two machines; addresses are given with their prefix."""
    one.run("ip", "link", "add", name, "type", "veth", "peer", "name", other_name, "netns", str(other.pid))
    for machine, device, its in ((one, name, address), (other, other_name, other_address)):
        machine.run("ip", "link", "set", device, "up")
        if its:
            machine.run("ip", "addr", "add", its, "dev", device, *(["nodad"] if ":" in its else []))
