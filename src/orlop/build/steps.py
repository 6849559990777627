"""What is to be done to a stage's files, with everything known that the Dockerfile knows: values that can be compared."""

from __future__ import annotations

from orlop.build.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.build.dockerfile.problem import Span
    from orlop.build.dockerfile.run_devices import Device
    from orlop.build.dockerfile.run_mounts import RunMount


class Origin(Value):
    """Where files come from: the ``stage`` of a number, an ``image`` by name, or a ``context`` by name (empty: the build's own)."""

    stage: int = -1
    image: str = ""
    context: str = ""

    @property
    def is_context(self) -> bool:
        """Whether it is a context."""
        return self.stage < 0 and not self.image


class Document(Value):
    """A here-document that is copied: its file's name and content."""

    name: str
    content: str


class Mounted(Value):
    """A mount of a step, and where it comes from (None: from nowhere)."""

    mount: RunMount
    origin: Origin | None


class Step(Value, kw_only=True):
    """What all steps have: the ``text`` for people, and where it stands."""

    text: str
    span: Span


class Run(Step, kw_only=True):
    """A program is run, with ``environment`` (``NAME=value``) and as ``user``; ``proxies`` are more of it that does not count.

    ``script`` is a file that is run by its ``#!``, and then the last of the ``arguments``' stand-in.
    """

    arguments: tuple[str, ...]
    environment: tuple[str, ...]
    proxies: tuple[str, ...] = ()
    user: str = ""
    workdir: str = "/"
    mounts: tuple[Mounted, ...] = ()
    network: str = "default"
    insecure: bool = False
    script: str = ""
    devices: tuple[Device, ...] = ()


class Copy(Step, kw_only=True):
    """Files are put at ``target``, an absolute path that ends with a slash if it is to be a directory.

    ``mode`` is octal or symbolic text or empty. ``adds`` if archives are unpacked and addresses fetched; ``unpack``
    overrides that.
    """

    origin: Origin
    sources: tuple[str, ...]
    target: str
    documents: tuple[Document, ...] = ()
    owner: str = ""
    mode: str = ""
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()
    adds: bool = False
    unpack: bool | None = None
    checksum: str = ""
    keep_git_dir: bool = False


class MakeDirectory(Step, kw_only=True):
    """A working directory is made, if it is not there; it belongs to ``user``."""

    path: str
    user: str = ""
