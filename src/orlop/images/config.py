"""Image configurations: what an image's layers are made of and how a container of it starts (OCI config.md).

Docker's fields that the specification does not have (``Healthcheck``, ``Shell``, ``OnBuild``, ``StopTimeout``) are
read and written too, and fields that nobody here knows are kept.
"""

from __future__ import annotations

from orlop import json_text
from orlop.errors import InvalidArgument, InvalidImage
from orlop.images import document as fields
from orlop.images import media_types
from orlop.images.manifest import Descriptor
from orlop.images.platform import Platform
from orlop.storage import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

#: The largest configuration that is read. Real ones have some kilobytes.
LARGEST = 4 << 20


class Healthcheck:
    """How to find out whether a container works. Durations are in nanoseconds; 0 is the engine's default.

    ``test`` is empty (as below), ``["NONE"]``, ``["CMD", …]`` or ``["CMD-SHELL", command]``.
    """

    __slots__ = ("interval", "retries", "start_interval", "start_period", "test", "timeout")

    def __init__(
        self,
        test: Sequence[str] = (),
        *,
        interval: int = 0,
        timeout: int = 0,
        start_period: int = 0,
        start_interval: int = 0,
        retries: int = 0,
    ) -> None:
        self.test = list(test)
        self.interval = interval
        self.timeout = timeout
        self.start_period = start_period
        self.start_interval = start_interval
        self.retries = retries

    def as_json(self) -> dict[str, Any]:
        """Docker's object."""
        made: dict[str, Any] = {
            "Test": self.test,
            "Interval": self.interval,
            "Timeout": self.timeout,
            "StartPeriod": self.start_period,
            "StartInterval": self.start_interval,
            "Retries": self.retries,
        }
        return {name: value for name, value in made.items() if value}


class Execution:
    """How a container of the image starts: the configuration's ``config``.

    The attributes are its fields in this project's spelling. ``stop_timeout`` is in seconds or None. ``others`` are
    fields of the document that have no attribute.
    """

    __slots__ = (
        "cmd",
        "entrypoint",
        "env",
        "exposed_ports",
        "healthcheck",
        "labels",
        "on_build",
        "others",
        "shell",
        "stop_signal",
        "stop_timeout",
        "user",
        "volumes",
        "working_dir",
    )

    def __init__(self) -> None:
        self.user = ""
        self.exposed_ports: list[str] = []
        self.env: list[str] = []
        self.entrypoint: list[str] = []
        self.cmd: list[str] = []
        self.volumes: list[str] = []
        self.working_dir = ""
        self.labels: dict[str, str] = {}
        self.stop_signal = ""
        self.stop_timeout: int | None = None
        self.healthcheck: Healthcheck | None = None
        self.shell: list[str] = []
        self.on_build: list[str] = []
        self.others: dict[str, Any] = {}

    def as_json(self) -> dict[str, Any]:
        """The object of the specification, in Docker's order; what is empty is left out."""
        made: dict[str, Any] = {
            "User": self.user,
            "ExposedPorts": {port: {} for port in sorted(self.exposed_ports)},
            "Env": self.env,
            "Entrypoint": self.entrypoint,
            "Cmd": self.cmd,
            "Healthcheck": self.healthcheck.as_json() if self.healthcheck is not None else None,
            "Volumes": {volume: {} for volume in sorted(self.volumes)},
            "WorkingDir": self.working_dir,
            "OnBuild": self.on_build,
            "Labels": dict(sorted(self.labels.items())),
            "StopSignal": self.stop_signal,
            "Shell": self.shell,
        }
        made = {name: value for name, value in made.items() if value}
        if self.stop_timeout is not None:
            made["StopTimeout"] = self.stop_timeout
        return made | self.others


class History:
    """What one step of making the image did; ``empty_layer`` says that it added no layer."""

    __slots__ = ("author", "comment", "created", "created_by", "empty_layer")

    def __init__(
        self, created: str = "", created_by: str = "", *, author: str = "", comment: str = "", empty_layer: bool = False
    ) -> None:
        self.created = created
        self.created_by = created_by
        self.author = author
        self.comment = comment
        self.empty_layer = empty_layer

    def as_json(self) -> dict[str, Any]:
        """The object of the specification."""
        made: dict[str, Any] = {
            "created": self.created,
            "created_by": self.created_by,
            "author": self.author,
            "comment": self.comment,
            "empty_layer": self.empty_layer,
        }
        return {name: value for name, value in made.items() if value}


class ImageConfig:
    """An image's configuration. ``created`` is RFC 3339 text or empty; ``others`` are fields without an attribute."""

    __slots__ = ("author", "config", "created", "diff_ids", "history", "others", "platform")

    def __init__(self, platform: Platform, diff_ids: Sequence[str] = ()) -> None:
        self.platform = platform
        self.created = ""
        self.author = ""
        self.config = Execution()
        #: The digests of the uncompressed layers, the lowest first.
        self.diff_ids = list(diff_ids)
        self.history: list[History] = []
        self.others: dict[str, Any] = {}

    @staticmethod
    def parse(data: bytes, what: str = "the image's configuration") -> ImageConfig:
        """Read a configuration; ``what`` it is begins the error's sentence.

        Raises:
            InvalidImage: it breaks the specification.
        """
        document = fields.parse(data, what, LARGEST)
        root = fields.mapping(document, "rootfs", what)
        if root is None:
            raise InvalidImage(f"{what} has no rootfs, so it is not that of a container image")
        kind = fields.text(root, "type", f"rootfs of {what}")
        if kind not in ("layers", ""):
            raise InvalidImage(f'{what} has a rootfs of the unknown type "{kind[:160]}"')
        diff_ids = fields.strings(root, "diff_ids", f"rootfs of {what}")
        for diff_id in diff_ids:
            try:
                digests.check(diff_id)
            except InvalidArgument as error:
                raise InvalidImage(f"{what} has an {error}") from None
        made = ImageConfig(_platform(document, what), diff_ids)
        made.created = fields.text(document, "created", what)
        made.author = fields.text(document, "author", what)
        config = fields.mapping(document, "config", what)
        if config is not None:
            _read_execution(made.config, config, f"config of {what}")
        made.history = [_history(step, f"history of {what}") for step in fields.mappings(document, "history", what)]
        made.others = {name: value for name, value in document.items() if name not in _FIELDS}
        return made

    @property
    def chain_ids(self) -> list[str]:
        """The names of the file trees that the layers make, one upon the other."""
        return chain_ids(self.diff_ids)

    def as_json(self) -> dict[str, Any]:
        """The document of the specification."""
        made: dict[str, Any] = {}
        if self.created:
            made["created"] = self.created
        if self.author:
            made["author"] = self.author
        made |= self.platform.as_json()
        made["config"] = self.config.as_json()
        made["rootfs"] = {"type": "layers", "diff_ids": self.diff_ids}
        if self.history:
            made["history"] = [step.as_json() for step in self.history]
        return made | self.others

    def to_bytes(self) -> bytes:
        """The document as it is stored; the same value always gives the same bytes."""
        return json_text.dumps(self.as_json()).encode()


def describe(data: bytes, media_type: str = media_types.OCI_CONFIG) -> Descriptor:
    """The descriptor of a configuration's bytes."""
    return Descriptor(media_type, digests.of(data), len(data))


def chain_ids(diff_ids: Sequence[str]) -> list[str]:
    """The chain ID of every layer: the digest of the one below and its own DIFF ID (OCI config.md, "Layer ChainID")."""
    made: list[str] = []
    for diff_id in diff_ids:
        made.append(digests.of(f"{made[-1]} {diff_id}".encode()) if made else diff_id)
    return made


_FIELDS = frozenset(
    ["architecture", "author", "config", "created", "history", "os", "os.features", "os.version", "rootfs", "variant"]
)
_EXECUTION_FIELDS = frozenset(
    [
        "User",
        "ExposedPorts",
        "Env",
        "Entrypoint",
        "Cmd",
        "Volumes",
        "WorkingDir",
        "Labels",
        "StopSignal",
        "StopTimeout",
        "Healthcheck",
        "Shell",
        "OnBuild",
    ]
)


def _platform(document: dict[str, Any], what: str) -> Platform:
    # Old tools left these out where they were their own machine's.
    return Platform(
        fields.text(document, "os", what) or "linux",
        fields.text(document, "architecture", what) or "amd64",
        fields.text(document, "variant", what),
        fields.text(document, "os.version", what),
        fields.strings(document, "os.features", what),
    )


def _read_execution(made: Execution, value: dict[str, Any], what: str) -> None:
    made.user = fields.text(value, "User", what)
    made.exposed_ports = fields.names(value, "ExposedPorts", what)
    made.env = fields.strings(value, "Env", what)
    made.entrypoint = _command(value, "Entrypoint", what)
    made.cmd = _command(value, "Cmd", what)
    made.volumes = fields.names(value, "Volumes", what)
    made.working_dir = fields.text(value, "WorkingDir", what)
    made.labels = fields.string_map(value, "Labels", what)
    made.stop_signal = fields.text(value, "StopSignal", what)
    made.stop_timeout = fields.integer(value, "StopTimeout", what)
    made.shell = fields.strings(value, "Shell", what)
    made.on_build = fields.strings(value, "OnBuild", what)
    health = fields.mapping(value, "Healthcheck", what)
    made.healthcheck = _healthcheck(health, f"Healthcheck in {what}") if health is not None else None
    made.others = {name: item for name, item in value.items() if name not in _EXECUTION_FIELDS and item is not None}


def _command(value: dict[str, Any], key: str, what: str) -> list[str]:
    # Images of before 2015 may have a text here, which Docker still takes.
    return [value[key]] if type(value.get(key)) is str else fields.strings(value, key, what)


def _healthcheck(value: dict[str, Any], what: str) -> Healthcheck:
    return Healthcheck(
        fields.strings(value, "Test", what),
        interval=fields.integer(value, "Interval", what) or 0,
        timeout=fields.integer(value, "Timeout", what) or 0,
        start_period=fields.integer(value, "StartPeriod", what) or 0,
        start_interval=fields.integer(value, "StartInterval", what) or 0,
        retries=fields.integer(value, "Retries", what) or 0,
    )


def _history(value: dict[str, Any], what: str) -> History:
    return History(
        fields.text(value, "created", what),
        fields.text(value, "created_by", what),
        author=fields.text(value, "author", what),
        comment=fields.text(value, "comment", what),
        empty_layer=fields.boolean(value, "empty_layer", what),
    )
