"""What ``--security-opt`` asks for."""

from __future__ import annotations

from orlop.errors import InvalidArgument, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: The profile's name for "no filter".
UNCONFINED = "unconfined"
#: An SELinux context's parts as a user may name them, with what they are for a container otherwise.
_CONTEXT = {
    "user": "system_u",
    "role": "system_r",
    "type": "container_t",
    "level": "s0",
    "filetype": "container_file_t",
}


class SecurityOptions:
    """The options read: ``seccomp`` is empty for the default profile, `UNCONFINED`, or a file's path.

    Attributes:
        unmask: whether the paths that are masked and read-only by default stay open.
        writable_cgroups: whether the container's own control groups can be written to.
        apparmor: the name of a profile that is loaded, or empty.
        process_label, mount_label: SELinux contexts, or empty.
    """

    __slots__ = (
        "_context",
        "apparmor",
        "mount_label",
        "no_new_privileges",
        "process_label",
        "seccomp",
        "unmask",
        "writable_cgroups",
    )

    def __init__(self, texts: Iterable[str]) -> None:
        self.no_new_privileges = False
        self.seccomp = ""
        self.unmask = False
        self.writable_cgroups = False
        self.apparmor = ""
        self.process_label = ""
        self.mount_label = ""
        self._context: dict[str, str] = {}
        for text in texts:
            self._read(text)
        if self._context:
            chosen = {**_CONTEXT, **self._context}
            self.process_label = ":".join(chosen[part] for part in ("user", "role", "type", "level"))
            self.mount_label = f"{chosen['user']}:object_r:{chosen['filetype']}:{chosen['level']}"

    def _read(self, text: str) -> None:
        separator = "=" if "=" in text else ":"
        key, given, value = text.partition(separator)
        if key in ("no-new-privileges", "writable-cgroups"):
            if value not in ("", "true", "false"):
                raise InvalidArgument(f'invalid --security-opt "{text}": the value must be true or false')
            if key == "no-new-privileges":
                self.no_new_privileges = value != "false"
            else:
                self.writable_cgroups = value != "false"
        elif not given or not value:
            raise InvalidArgument(f'invalid --security-opt "{text}": use name=value')
        elif key == "seccomp":
            self.seccomp = "" if value == "builtin" else value
        elif key == "systempaths" and value == UNCONFINED:
            self.unmask = True
        elif key == "apparmor":
            self._read_profile(text, value)
        elif key == "label":
            self._read_label(text, value)
        else:
            raise InvalidArgument(f'invalid --security-opt "{text}": unknown option "{key}"')

    def _read_profile(self, text: str, profile: str) -> None:
        if profile == UNCONFINED:
            return
        from orlop.runtime.spec import machine

        if not machine.has_apparmor():
            raise Unsupported(f'--security-opt "{text}": this kernel has no AppArmor')
        self.apparmor = profile

    def _read_label(self, text: str, value: str) -> None:
        if value == "disable":
            self._context = {}
            return
        part, colon, context = value.partition(":")
        if part not in _CONTEXT or not colon or not context:
            known = ", ".join(f"{each}:…" for each in _CONTEXT)
            raise InvalidArgument(f'invalid --security-opt "{text}": a label is disable, {known}')
        from orlop.runtime.spec import machine

        if not machine.has_selinux():
            raise Unsupported(f'--security-opt "{text}": this kernel has no SELinux; only label=disable can be said')
        self._context[part] = context
