"""``orlop serve``: Docker's Engine API on this engine."""

from __future__ import annotations

import sys

from orlop.errors import InvalidArgument
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.api.audit import AuditLog
    from orlop.api.authorization import Authorization
    from orlop.api.listening import Certificates, Listener
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop serve",
    "",
    "Serve Docker's Engine API, for the docker command and every other client of it",
    (
        Option(
            "-H, --host",
            "Listen here: unix:///path, tcp://host:port, fd:// (default: docker.sock in the engine's run directory)",
            value="list",
            many=True,
        ),
        Option("--docker-socket", "Listen on /var/run/docker.sock, where clients look first"),
        Option("-G, --group", "Group whose members may use the sockets", value="string", default="docker"),
        Option("--tlscert", "Certificate to show to clients over TCP", value="path", default=""),
        Option("--tlskey", "Its key", value="path", default=""),
        Option("--tlscacert", "CA of the certificates that clients over TCP must have", value="path", default=""),
        Option("--tlsverify", "Ask clients over TCP for certificates, which --tlscacert does, too"),
        Option("--insecure-tcp", "Listen on TCP without certificates: whoever reaches it is root on this machine"),
        Option(
            "--authorization-plugin",
            "Have this plugin permit each request: its name, or the path of its socket; all have to (as with dockerd)",
            value="list",
            many=True,
        ),
        Option(
            "--audit-log", "Write a line of JSON for each request that changes something into this file", value="path"
        ),
        Option("--audit-reads", "Write one for requests that only look, too"),
        Option("--print-unit", "Print a unit file for systemd, and a socket's, and end"),
    ),
    at_most=0,
)

_DOCKER_SOCKET = "/var/run/docker.sock"

_UNITS = """\
# /etc/systemd/system/orlop.service
[Unit]
Description=orlop: Docker's Engine API
Documentation=https://docs.docker.com/reference/api/engine/
Requires=orlop.socket
After=network-online.target orlop.socket

[Service]
Type=notify
ExecStart={program} serve -H fd://
ExecReload=/bin/kill -HUP $MAINPID
KillMode=process
Restart=on-failure
LimitNOFILE=1048576
TasksMax=infinity
Delegate=yes

[Install]
WantedBy=multi-user.target

# /etc/systemd/system/orlop.socket
[Unit]
Description=orlop: Docker's Engine API

[Socket]
ListenStream={socket}
SocketMode=0660
SocketUser=root
SocketGroup=docker

[Install]
WantedBy=sockets.target
"""


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    if said["print-unit"]:
        sys.stdout.write(_UNITS.format(program=sys.argv[0], socket=_DOCKER_SOCKET))
        return 0
    from orlop.api import server

    location.prepare()
    places = [*said["host"], *([f"unix://{_DOCKER_SOCKET}"] if said["docker-socket"] else [])]
    certificates = _certificates(said)
    group = _group(said["group"], asked=said.given("group"))
    listeners: list[Listener] = []
    audit: AuditLog | None = None
    try:
        for place in places or [f"unix://{location.run_root}/docker.sock"]:
            listeners += _listen(place, group, certificates, insecure=said["insecure-tcp"])
        audit = _audit(said)
        server.Server(location, _authorization(said), audit).run(listeners)
    finally:
        for each in listeners:
            each.close()
        if audit is not None:
            audit.close()
    return 0


def _listen(place: str, group: int, certificates: Certificates | None, *, insecure: bool) -> list[Listener]:
    from orlop.api import listening

    kind, separator, address = place.partition("://")
    if kind == "unix" and address.startswith("/"):
        return [listening.unix(address, group)]
    if kind == "tcp":
        return [listening.tcp(address, certificates, insecure=insecure)]
    if kind == "fd" and separator:
        return listening.passed()
    raise InvalidArgument(f"cannot listen on {place}: it must be unix:///path, tcp://host:port or fd://")


def _authorization(said: Parsed) -> Authorization | None:
    if not said["authorization-plugin"]:
        return None
    from orlop.api.authorization import Authorization

    for each in said["authorization-plugin"]:
        if not each or ("/" in each and not each.startswith("/")):
            raise InvalidArgument(f"the plugin {each!r} must be a name, or the absolute path of a socket")
    return Authorization(said["authorization-plugin"])


def _audit(said: Parsed) -> AuditLog | None:
    if not said["audit-log"]:
        if said["audit-reads"]:
            raise InvalidArgument("--audit-reads needs the file to write to: --audit-log")
        return None
    from orlop.api.audit import AuditLog

    return AuditLog(said["audit-log"], everything=said["audit-reads"])


def _certificates(said: Parsed) -> Certificates | None:
    from orlop.api.listening import Certificates

    if not said["tlscert"] and not said["tlskey"]:
        if said["tlscacert"] or said["tlsverify"]:
            raise InvalidArgument("clients can be asked for certificates only with --tlscert and --tlskey")
        return None
    if not said["tlscert"] or not said["tlskey"]:
        raise InvalidArgument("--tlscert and --tlskey belong together")
    if said["tlsverify"] and not said["tlscacert"]:
        raise InvalidArgument("--tlsverify needs the CA of the clients' certificates: --tlscacert")
    return Certificates(said["tlscert"], said["tlskey"], said["tlscacert"])


def _group(name: str, *, asked: bool) -> int:
    """A group's number; -1, which is nobody's, if there is none of that name and nobody asked for it."""
    import grp

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        if asked:
            raise InvalidArgument(f"there is no group {name}: make it, or give another one with --group") from None
        return -1
