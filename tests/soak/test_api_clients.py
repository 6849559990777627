"""Clients that are no part of a development environment, fetched from where they are published: Compose 2, testcontainers, dockerode."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.integration.api.conftest import machine_of, nothing_is_left, served
from tests.integration.engine.conftest import rootfs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.api.served import Served

__all__ = ["nothing_is_left", "rootfs", "served"]

LOOP = """["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]"""


def run(served: Served, *command: str | Path, **environment: str) -> str:
    """Run a client on the machine of the server; what it printed."""
    done = subprocess.run(
        ["nsenter", f"--net=/proc/{machine_of(served)}/ns/net", *command],
        env={**served.environment(), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def fetch(*command: str | Path, directory: Path | None = None) -> None:
    """Get a client from its registry."""
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        pytest.skip(f"cannot be fetched: {done.stderr[-300:]}")


COMPOSE = f"""
services:
  db:
    image: plain
    command: {LOOP}
    volumes: [data:/data]
    networks: {{back: {{aliases: [database]}}}}
    healthcheck: {{test: ["CMD", "true"], interval: 1s}}
  web:
    build: {{context: ., args: {{X: "1"}}}}
    command: {LOOP}
    depends_on: {{db: {{condition: service_healthy}}}}
    networks: [back]
    ports: [80]
    deploy: {{replicas: 2}}
    configs: [{{source: words, target: /etc/words}}]
    stop_grace_period: 2s
volumes: {{data: {{}}}}
networks: {{back: {{}}}}
configs: {{words: {{file: ./words}}}}
"""


def test_compose_2_brings_a_project_up_and_down(served: Served, tmp_path: Path) -> None:
    """That of Debian's next release, which is one program."""
    sources = tmp_path / "sources"
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    sources.write_text(f"deb [signed-by={keyring}] http://deb.debian.org/debian trixie main\n")
    (tmp_path / "lists/partial").mkdir(parents=True)
    (tmp_path / "cache/archives/partial").mkdir(parents=True)
    said = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": tmp_path / "lists",
        "Dir::Cache": tmp_path / "cache",
        "APT::Sandbox::User": "root",
    }
    options = [word for key, value in said.items() for word in ("-o", f"{key}={value}")]
    fetch("apt-get", *options, "update")
    fetch("apt-get", *options, "download", "docker-compose", directory=tmp_path)
    fetch("dpkg", "-x", next(tmp_path.glob("docker-compose*.deb")), tmp_path / "compose")
    (tmp_path / "project").mkdir()
    (tmp_path / "project/compose.yaml").write_text(COMPOSE)
    (tmp_path / "project/words").write_text("said\n")
    (tmp_path / "project/Dockerfile").write_text("FROM plain\nARG X\nRUN --network=none echo $X > /x\n")
    program = tmp_path / "compose/usr/libexec/docker/cli-plugins/docker-compose"

    def compose(*words: str) -> str:
        return run(served, program, "--ansi", "never", "--project-directory", tmp_path / "project", *words)

    compose("up", "-d", "--build")
    assert compose("exec", "-T", "web", "cat", "/etc/words", "/x") == "said\n1\n"
    assert "1 packets received" in compose("exec", "-T", "web", "busybox", "ping", "-c1", "database")
    assert len(compose("ps", "-q", "web").split()) == 2
    assert compose("port", "web", "80").startswith("0.0.0.0:")
    for words in (("pause", "db"), ("unpause", "db"), ("restart", "-t", "1", "web"), ("kill", "web"), ("top",)):
        compose(*words)
    compose("up", "-d", "--scale", "web=1", "--force-recreate")
    assert compose("run", "--rm", "-T", "web", "echo", "here").splitlines()[-1] == "here"
    compose("down", "-v", "--rmi", "local")
    assert served.engine.names() == []


TESTCONTAINERS = """
import socket, sys
sys.path.insert(0, sys.argv[1])
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.waiting_utils import wait_for_logs
program = "echo ready; exec busybox nc -ll -p 9000 -e echo hi"
with Network() as network, DockerContainer("plain").with_command(["sh", "-c", program]).with_exposed_ports(9000).with_env(
    "A", "b"
).with_network(network).with_network_aliases("one") as container:
    wait_for_logs(container, "ready", timeout=20)
    with socket.create_connection((container.get_container_host_ip(), int(container.get_exposed_port(9000))), 10) as client:
        assert client.recv(10) == b"hi\\n"
    assert tuple(container.exec(["sh", "-c", "echo $A; exit 2"]))[:2] == (2, b"b\\n")
"""
#: What stands for testcontainers' reaper, whose image is on Docker Hub: it is told what to clear away, and says yes.
REAPER = 'FROM plain\nENTRYPOINT ["busybox", "nc", "-ll", "-p", "8080", "-e", "sh", "-c", "while read line; do echo ACK; done"]\n'


def test_testcontainers_runs_with_its_reaper_and_without(served: Served, tmp_path: Path) -> None:
    fetch(sys.executable, "-m", "pip", "install", "--quiet", "--target", tmp_path / "packages", "testcontainers")
    config = (tmp_path / "packages/testcontainers/core/config.py").read_text()
    reaper = next(word for word in config.replace('"', " ").split() if word.startswith("testcontainers/ryuk:"))
    served.ok("build", "-q", "-t", reaper, "-", given=REAPER.encode())
    (tmp_path / "program.py").write_text(TESTCONTAINERS)
    for is_off in ("true", "false"):
        run(
            served,
            sys.executable,
            "-W",
            "ignore",
            tmp_path / "program.py",
            tmp_path / "packages",
            TESTCONTAINERS_RYUK_DISABLED=is_off,
            TESTCONTAINERS_HOST_OVERRIDE="127.0.0.1",
            TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE=served.path,
        )
    served.ok("rmi", "-f", reaper)


DOCKERODE = """
const Docker = require('dockerode');
const { PassThrough } = require('stream');
const assert = require('assert');
const docker = new Docker({ socketPath: process.env.DOCKER_HOST.slice('unix://'.length) });
const none = { NetworkMode: 'none' };
const read = async (stream) => { let data = ''; for await (const each of stream) data += each.toString('latin1'); return data; };
(async () => {
  const output = new PassThrough();
  let said = '';
  output.on('data', (each) => { said += each; });
  const [ended, ran] = await docker.run('plain', ['sh', '-c', 'echo hi; exit 3'], [output, output], { Tty: false, HostConfig: none });
  assert.deepStrictEqual([ended.StatusCode, said], [3, 'hi\\n']);
  await ran.remove();
  const cat = await docker.createContainer({ Image: 'plain', Cmd: ['cat'], OpenStdin: true, StdinOnce: true, HostConfig: none });
  const attached = await cat.attach({ stream: true, stdin: true, stdout: true, hijack: true });
  await cat.start();
  attached.end('abc\\n');
  assert.strictEqual((await read(attached)).slice(8), 'abc\\n');
  assert.strictEqual((await cat.wait()).StatusCode, 0);
  await cat.remove();
  const loop = await docker.createContainer({ Image: 'plain', Cmd: ['sh', '-c', 'while :; do sleep 0.1; done'], HostConfig: none });
  await loop.start();
  const command = await loop.exec({ Cmd: ['sh', '-c', 'read x; echo got $x; exit 4'], AttachStdin: true, AttachStdout: true });
  const stream = await command.start({ hijack: true, stdin: true });
  stream.write('it\\n');
  assert.strictEqual((await read(stream)).slice(8), 'got it\\n');
  assert.strictEqual((await command.inspect()).ExitCode, 4);
  assert((await read(await loop.getArchive({ path: '/bin/busybox' }))).length > 1000);
  assert((await loop.stats({ stream: false })).cpu_stats);
  await loop.kill();
  await loop.remove();
  await assert.rejects(docker.getImage('nosuch').inspect(), { statusCode: 404 });
})().catch((error) => { console.error(error); process.exit(1); });
"""


def test_dockerode_lives_with_containers(served: Served, tmp_path: Path) -> None:
    fetch("npm", "install", "--no-audit", "--no-fund", "dockerode", directory=tmp_path)
    (tmp_path / "program.js").write_text(DOCKERODE)
    run(served, "node", tmp_path / "program.js", NODE_PATH=os.fspath(tmp_path / "node_modules"))
