"""Every error that orlop raises on purpose.

::

    OrlopError
    ├── InvalidArgument       a name or value that cannot be right
    │   ├── InvalidFlag       a command line's flag that is not known or has a wrong value   (exit 125)
    │   └── InvalidDockerfile an instruction that is none or cannot be right; says in which line
    ├── InvalidConfig         a config.json that breaks the runtime specification
    ├── NotFound              no such container, file or object
    │   └── ImageNotFound     no such image here; a registry may have it
    ├── Conflict              the name is taken, or the state does not allow it
    ├── Unsupported           this kernel or machine lacks something; says what
    ├── InvalidReference      an image's name that breaks the rules for names
    ├── InvalidImage          a manifest, index or image configuration that breaks its specification
    ├── InvalidArchive        a layer or an archive that is damaged, hostile or of an unknown kind
    ├── DigestMismatch        data that is not what its digest or size says
    ├── InsufficientSpace     a file system has no room for what was to be written
    ├── RegistryError         a registry's refusal, with its status and code
    │   └── Unauthorized      it wants other credentials, or none help
    ├── StepFailed            a step of a container's set-up failed; says which
    ├── HookFailed            a hook of the configuration failed
    ├── CommandNotFound       the program to run is not there        (exit 127)
    └── CommandNotExecutable  it is there and cannot be run          (exit 126)

One sentence for a person is the message: lower case, no full stop, it names what is wrong and where.
"""

from __future__ import annotations

import os


class OrlopError(Exception):
    """The base of all errors with a known cause; its text is meant for the user."""

    exit_code = 1
    http_status = 500


class InvalidArgument(OrlopError):
    """A name or a value is wrong before anything was tried."""

    http_status = 400


class InvalidFlag(InvalidArgument):
    """A command line has a flag that is not known, or with a value that cannot be right."""

    exit_code = 125


class InvalidDockerfile(InvalidArgument):
    """A Dockerfile breaks the rules of its language.

    ``line`` is where, counted from 1; ``excerpt`` shows that place, underlined, in several lines.
    """

    def __init__(self, message: str, *, line: int = 0, excerpt: str = "") -> None:
        super().__init__(message)
        self.line = line
        self.excerpt = excerpt


class InvalidConfig(OrlopError):
    """A ``config.json`` breaks the OCI runtime specification."""

    http_status = 400


class NotFound(OrlopError):
    """The container or object that was named does not exist."""

    http_status = 404


class ImageNotFound(NotFound):
    """The image that a container was to be made of is not here. Whoever asked may pull it and ask again.

    ``image`` is its name as it was given, where that is known.
    """

    image = ""


class Conflict(OrlopError):
    """The name is in use, or the container's state does not allow the operation."""

    http_status = 409


class Unsupported(OrlopError):
    """The kernel or the machine lacks something that was asked for."""

    http_status = 501


class InvalidReference(OrlopError):
    """An image's name cannot be one: a wrong character, an upper-case repository, something that is too long."""

    http_status = 400


class InvalidImage(OrlopError):
    """A manifest, an index or an image's configuration breaks its specification, or contradicts itself."""

    http_status = 400


class InvalidArchive(OrlopError):
    """A layer or an archive is truncated, damaged, hostile, or of a kind that is not known."""

    http_status = 400


class DigestMismatch(OrlopError):
    """Data is not what its digest or its size says it is."""


class InsufficientSpace(OrlopError):
    """A file system has no space, inodes or quota left for what is to be written there."""

    http_status = 507


class RegistryError(OrlopError):
    """A registry refused or could not be talked to.

    ``status`` is the HTTP status or 0 where there was no answer, ``code`` the distribution specification's error
    code (``MANIFEST_UNKNOWN``, ``TOOMANYREQUESTS``, …) or empty.
    """

    http_status = 502

    def __init__(self, message: str, *, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Unauthorized(RegistryError):
    """A registry wants credentials that it was not given, or does not accept those that it was given."""

    http_status = 401


class StepFailed(OrlopError):
    """A step of setting a container up failed.

    ``step`` says what was being done, ``path`` to what (may be empty), ``errno`` is the kernel's
    answer or 0.
    """

    def __init__(self, step: str, path: str, reason: str, errno: int = 0) -> None:
        if errno:
            meaning = os.strerror(errno)
            reason = reason.replace(meaning, meaning[:1].lower() + meaning[1:])
        super().__init__(f"{step} {path}: {reason}" if path else f"{step}: {reason}")
        self.step = step
        self.path = path
        self.reason = reason
        self.errno = errno


class HookFailed(OrlopError):
    """A hook could not be run, ended with a status other than 0, or took too long."""


class CommandNotFound(OrlopError):
    """The container has no such program."""

    exit_code = 127
    http_status = 400


class CommandNotExecutable(OrlopError):
    """The program is there but the kernel cannot or may not run it."""

    exit_code = 126
    http_status = 400


def told(error: OrlopError) -> str:
    """The message as users of the command line get it: with the capital that scripts look for in "No such container"."""
    text = str(error)
    return f"N{text[1:]}" if text.startswith(("no such container", "no such image", "no such object")) else text
