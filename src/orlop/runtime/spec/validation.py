"""A whole ``config.json`` against the rules of the runtime specification 1.3."""

from __future__ import annotations

from orlop.errors import InvalidConfig
from orlop.runtime.spec import process as _process
from orlop.runtime.spec import shapes, structure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The newest version of the specification whose rules are followed, and the first that can be run.
NEWEST_VERSION = "1.3.0"
OLDEST_VERSION = "1.0.0"
HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def validate(spec: dict[str, Any], *, rootless: bool = False) -> list[str]:
    """Check a configuration completely before anything is done with it.

    It touches nothing but ``spec``, from which fields that are ``null`` are removed. What only the machine can
    answer is not asked here: see `orlop.runtime.spec.machine`. Unknown fields and other platforms' sections are
    ignored, as the specification says; a section that is there has the right type all the way down, so that the
    code that uses it can index without asking again (``linux.seccomp`` excepted).

    Args:
        spec: the parsed ``config.json``.
        rootless: the runtime has no privileges, so the container needs a user namespace.

    Returns:
        warnings: what is accepted and should be said.

    Raises:
        InvalidConfig: one sentence that names the field, such as ``process.args must be an array of strings``.
    """
    # Not at the top: `exec` checks a process and `update` resources, and neither needs the other sections' rules.
    from orlop.runtime.spec import linux as linux_rules
    from orlop.runtime.spec import mounts as mount_rules
    from orlop.runtime.spec import namespaces as namespace_rules

    if type(spec) is not dict:
        raise InvalidConfig("the configuration must be an object")
    if type(spec.get("ociVersion")) is str:
        _check_version(spec["ociVersion"])  # before the types: they may be another version's
    structure.check(spec, shapes.CONFIG, "")
    if not spec["root"]["path"]:
        raise InvalidConfig("root.path must not be empty")
    # Needed only when the container is started (config.md, "Process").
    warnings = _process.check(spec["process"]) if "process" in spec else []
    linux = spec.get("linux", {})
    namespaces = namespace_rules.collect(linux)
    warnings += namespace_rules.check(spec, linux, namespaces, rootless)
    if "mounts" in spec:
        warnings += mount_rules.check(spec["mounts"], linux, namespaces)
    if linux:
        mount_rules.check_propagation(linux)
        linux_rules.check(linux)
        if namespaces.get("user") == "":
            namespace_rules.check_user_is_mapped(spec.get("process", {}).get("user", {}), linux)
    if "hooks" in spec:
        _check_hooks(spec["hooks"])
    if "" in spec.get("annotations", ()):
        raise InvalidConfig("annotations must not have an empty key")
    return warnings


def validate_process(process: dict[str, Any]) -> list[str]:
    """Check a process that is to join a container (``exec --process``); as `validate` for its section.

    Raises:
        InvalidConfig: one sentence that names the field.
    """
    structure.check(process, shapes.PROCESS, "process")
    return _process.check(process)


def validate_resources(resources: dict[str, Any]) -> None:
    """Check resources that are to change (``update --resources``); as `validate` for ``linux.resources``.

    Raises:
        InvalidConfig: one sentence that names the field.
    """
    from orlop.runtime.spec import linux as linux_rules

    structure.check(resources, shapes.RESOURCES, "linux.resources")
    linux_rules.check_resources(resources)


def _check_version(version: str) -> None:
    """Every 1.x is accepted: a later minor version only adds fields, which are ignored like any unknown one."""
    release, plus, build = version.partition("+")
    core, dash, before = release.partition("-")
    numbers = core.split(".")
    valid = len(numbers) == 3 and all(_is_number(number) for number in numbers)
    if dash:
        valid = valid and all(
            _is_label(label) and (not label.isdigit() or _is_number(label)) for label in before.split(".")
        )
    if plus:
        valid = valid and all(_is_label(label) for label in build.split("."))
    if not valid:
        raise InvalidConfig(f"ociVersion {version!r} is no semantic version like {NEWEST_VERSION}")
    if numbers[0] == "0":
        raise InvalidConfig(f"ociVersion {version} is a draft from before {OLDEST_VERSION}, the oldest that can be run")
    if numbers[0] != "1":
        raise InvalidConfig(f"ociVersion {version} is not supported: only 1.x is")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and (text == "0" or text[0] != "0")


def _is_label(text: str) -> bool:
    return text.isascii() and text.replace("-", "0").isalnum()


def _check_hooks(hooks: dict[str, list[dict[str, Any]]]) -> None:
    for kind in HOOKS:
        for index, hook in enumerate(hooks.get(kind, ())):
            path = hook["path"]
            if not path or path[0] != "/":
                raise InvalidConfig(f"hooks.{kind}[{index}].path {path!r} must be an absolute path")
            if hook.get("timeout", 1) <= 0:
                raise InvalidConfig(f"hooks.{kind}[{index}].timeout must be greater than zero, not {hook['timeout']}")
