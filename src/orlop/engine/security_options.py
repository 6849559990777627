"""What ``--security-opt`` asks for."""

from __future__ import annotations

import os

from orlop.errors import InvalidArgument, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: The profile's name for "no filter".
UNCONFINED = "unconfined"


class SecurityOptions:
    """The options read: ``seccomp`` is empty for the default profile, `UNCONFINED`, or a file's path."""

    __slots__ = ("no_new_privileges", "seccomp", "unmask")

    def __init__(self, texts: Iterable[str]) -> None:
        self.no_new_privileges = False
        self.seccomp = ""
        #: Whether the paths that are masked and read-only by default stay open.
        self.unmask = False
        for text in texts:
            self._read(text)

    def _read(self, text: str) -> None:
        separator = "=" if "=" in text else ":"
        key, given, value = text.partition(separator)
        if key == "no-new-privileges":
            if value not in ("", "true", "false"):
                raise InvalidArgument(f'invalid --security-opt "{text}": the value must be true or false')
            self.no_new_privileges = value != "false"
        elif not given or not value:
            raise InvalidArgument(f'invalid --security-opt "{text}": use name=value')
        elif key == "seccomp":
            self.seccomp = "" if value == "builtin" else value
        elif key == "systempaths" and value == UNCONFINED:
            self.unmask = True
        elif key == "apparmor":
            if value != UNCONFINED and not os.path.isdir("/sys/kernel/security/apparmor"):
                raise Unsupported(f'--security-opt "{text}": this kernel has no AppArmor')
            if value != UNCONFINED:
                raise Unsupported(f'--security-opt "{text}": only apparmor=unconfined is supported')
        elif key == "label":
            if value != "disable":
                raise Unsupported(
                    f'--security-opt "{text}": this kernel has no SELinux; only label=disable is supported'
                )
        else:
            raise InvalidArgument(f'invalid --security-opt "{text}": unknown option "{key}"')
