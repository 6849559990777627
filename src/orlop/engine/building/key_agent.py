"""An ssh agent of a build's own, for ``--ssh`` with files of keys.

It is ssh-agent(1), which has the keys in its memory only, at a socket in a directory of the build's. It ends with the build, also
if that is killed: then what it waits for reads the end of its input.
"""

from __future__ import annotations

import os
import signal
import subprocess

from orlop.errors import InvalidArgument, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

#: What ssh-agent runs, and ends after: it says which process the agent is, and waits.
_WAITING = ("sh", "-c", 'echo "$SSH_AGENT_PID"; exec cat >/dev/null')
#: Seconds for an agent to take a key.
_PATIENCE = 20


class KeyAgent:
    """``with KeyAgent(directory, name, files) as socket:`` has an agent with the keys of these files.

    Raises:
        Unsupported: there is no ssh-agent on this machine.
        InvalidArgument: a file is not there, or no key without a passphrase.
    """

    __slots__ = ("_directory", "_files", "_name", "_process", "_program")

    def __init__(self, directory: str, name: str, files: Sequence[str]) -> None:
        self._directory = directory
        self._name = name
        self._files = files
        self._program = 0

    def __enter__(self) -> str:
        # The path is relative: a socket's may have no more than 107 characters.
        try:
            self._process = subprocess.Popen(  # noqa: S603 - a list of arguments, of which none is an option by accident
                ["ssh-agent", "-a", self._name, *_WAITING],  # noqa: S607 - wherever the user has it
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=self._directory,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise Unsupported(
                "--ssh with files of keys needs ssh-agent, which is not installed: install openssh-client,"
                " or name the socket of an agent"
            ) from None
        try:
            told = self._process.stdout.readline().strip() if self._process.stdout is not None else b""
            if not told.isdigit():
                raise Unsupported("ssh-agent does not start: name the socket of an agent in --ssh")
            self._program = int(told)
            for each in self._files:
                self._add(each)
        except BaseException:
            self.__exit__()
            raise
        return f"{self._directory}/{self._name}"

    def _add(self, path: str) -> None:
        try:
            with open(path, "rb") as file:
                added = subprocess.run(
                    ["ssh-add", "-q", "-"],  # noqa: S607 - as above
                    stdin=file,
                    capture_output=True,
                    cwd=self._directory,
                    env={**os.environ, "SSH_AUTH_SOCK": self._name, "SSH_ASKPASS_REQUIRE": "never"},
                    start_new_session=True,  # so that nobody is asked for a passphrase
                    timeout=_PATIENCE,
                    check=False,
                )
        except OSError as error:
            raise InvalidArgument(f"the ssh key {path} cannot be read: {error.strerror}") from None
        if added.returncode:
            raise InvalidArgument(
                f"the ssh key {path} cannot be used: it is no private key, or has a passphrase:"
                " give it to ssh-agent by ssh-add, and name that one's socket in --ssh"
            )

    def __exit__(self, *_exception: object) -> None:
        if self._program:
            os.kill(self._program, signal.SIGTERM)  # a child of what waits, so that it is no other process by now
        with self._process:  # closes what it waits for
            pass
