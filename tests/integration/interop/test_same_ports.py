"""What -p and --expose leave in a container's record is what docker's client and daemon make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orlop.cli import create, settings_options
from orlop.errors import InvalidArgument
from tests.integration.interop.docker import IMAGE

if TYPE_CHECKING:
    from tests.integration.interop.docker import Docker

GOOD = (
    "80", "8080:80", "8081:80", ":81", "0:82", "080:83", "90/udp", "91/UDP", "53:53/tcp", "53:53/udp", "9000:9000/sctp",
    "127.0.0.1:8080:84", "127.0.0.1::85", "0.0.0.0:86:86", "[::1]:8080:87", "::1:8080:88", "[::]::89", "8000-8002:100-102",
    "8000-8005:103", "8000-8002:104-104", "65535-65535:105", "110-112", "127.0.0.1:8000-8002:120-122/udp", "8080:130/",
    "published=8080,target=140", "published=8080,target=141,protocol=udp", "target=142", "2001:DB8::0:1:8080:143",
)  # fmt: skip
BAD = (
    "", "80:", "a:80", "80:a", "1.2.3:80:80", "1.2.3.4:80", "localhost:80:80", "8000-8001:80-82", "80/foo", "70000:80",
    "80:70000", "90-80:80", "80-79", "8080/udp:80", "[::1:8080:80", "-1:80", "+80:80", " 80:80", "fe80::1%lo:80:80", "8000-:80",
    "80:-80",
)  # fmt: skip
EXPOSED = ("200", "201-203/udp", "204/", "80")


def ours(*options: str) -> dict[str, Any]:
    return settings_options.read(create.PARSER.parse([*options, "image"])).record()


def many(option: str, values: tuple[str, ...]) -> list[str]:
    return [word for value in values for word in (option, value)]


def test_every_form_leaves_the_same(docker: Docker) -> None:
    options = [*many("-p", GOOD), *many("--expose", EXPOSED), "-P"]
    made = docker("create", "--name", "ports", "--network=none", *options, IMAGE, "true")
    assert made.code == 0, made.err
    theirs = docker.inspect("ports")
    assert docker("rm", "ports").code == 0
    record = ours(*options)
    assert record["HostConfig"]["PortBindings"] == theirs["HostConfig"]["PortBindings"]
    assert record["Config"]["ExposedPorts"] == theirs["Config"]["ExposedPorts"]
    assert record["HostConfig"]["PublishAllPorts"] is theirs["HostConfig"]["PublishAllPorts"] is True


@pytest.mark.parametrize("text", BAD)
def test_what_docker_refuses_is_refused_for_the_same_reason(docker: Docker, text: str) -> None:
    refused = docker("create", "-p", text, IMAGE, "true")
    assert refused.code == 125
    theirs = refused.err.partition("docker: ")[2].splitlines()[0]
    with pytest.raises(InvalidArgument) as error:
        ours("-p", text)
    assert theirs.partition(": address")[0] in str(error.value)
