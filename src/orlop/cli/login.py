"""``orlop login``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop login",
    "[SERVER]",
    "Authenticate to a registry (default: docker.io)",
    (
        Option("-p, --password", "Password (other users can see it: --password-stdin is better)", value="string"),
        Option("--password-stdin", "Take the password from stdin"),
        Option("-u, --username", "Username", value="string"),
    ),
    at_most=1,
)


def run(_location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.errors import InvalidArgument
    from orlop.images.registry import login

    server = said.arguments[0] if said.arguments else "docker.io"
    username, password = said["username"], said["password"]
    if password is not None:
        if said["password-stdin"]:
            raise InvalidArgument("--password and --password-stdin are mutually exclusive")
        sys.stderr.write("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n")
    if said["password-stdin"]:
        if not username:
            raise InvalidArgument("must provide --username with --password-stdin")
        password = sys.stdin.read().rstrip("\r\n")
    if not username or password is None:
        username, password = _ask(username, password)
    kept = login.login(domain(server), username, password)
    if kept.is_plain:
        sys.stderr.write(f"WARNING! Your credentials are stored unencrypted in {kept.place}.\n")
    sys.stdout.write("Login Succeeded\n")
    return 0


def domain(server: str) -> str:
    """The registry that a user means by a host name or, as the Docker Hub is called in configurations, by a URL."""
    host = server.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return "docker.io" if host in ("index.docker.io", "registry-1.docker.io", "") else host


def _ask(username: str | None, password: str | None) -> tuple[str, str]:
    from orlop.errors import InvalidArgument

    if not sys.stdin.isatty():
        raise InvalidArgument("cannot ask for credentials without a terminal: use --username and --password-stdin")
    if not username:
        sys.stdout.write("Username: ")
        sys.stdout.flush()
        username = sys.stdin.readline().strip()
    if password is None:
        import getpass

        password = getpass.getpass("Password: ")
    return username, password
