"""Under which key a step's result is found again: what it does, and the content of everything that it does it with.

Two keys stand for one result. The *quick* one names the stages that a step reads by their snapshots, which costs nothing; the
*content* one by the digest of the very files that it copies, so that a stage which was built anew and came to the same
files is as good as the old one. Times are in neither, nor are secrets, agents and proxies.
"""

from __future__ import annotations

from orlop import json_text
from orlop.build import steps
from orlop.storage import digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from orlop.build.steps import Origin, Step

_VERSION = 1


def of(
    step: Step, below: str, contents: Mapping[Origin, str], *, clamp: int | None = None, more: Sequence[str] = ()
) -> str:
    """The key of a step upon the snapshot ``below`` (empty: upon nothing), in hexadecimal digits.

    ``contents`` says what there is at each origin that the step reads: any text that is another one if the files are.
    ``clamp`` is SOURCE_DATE_EPOCH; ``more`` are further things that a result depends on.
    """
    described = {
        steps.Run: _run,
        steps.Copy: _copy,
        steps.MakeDirectory: _directory,
    }[type(step)](step)
    is_free = isinstance(step, steps.Copy) and step.link
    read = sorted([_origin(origin), text] for origin, text in contents.items())
    parts = [_VERSION, "" if is_free else below, described, read, clamp, list(more)]
    return digest.of(json_text.dumps(parts).encode()).partition(":")[2]


def _origin(origin: Origin) -> str:
    # A stage's number and an image's name do not matter, what is in it does; a context's name tells two of them apart.
    return f"context {origin.context}" if origin.is_context else "files"


def _run(step: Any) -> list[Any]:
    mounts = [
        [
            mounted.mount.type,
            mounted.mount.target,
            mounted.mount.source if mounted.mount.type == "bind" else "",
            mounted.mount.id if mounted.mount.type in {"cache", "secret", "ssh"} else "",
            mounted.mount.readonly,
            mounted.mount.env,
        ]
        for mounted in step.mounts
    ]
    return [
        "run",
        list(step.arguments),
        list(step.environment),
        step.user,
        step.workdir,
        mounts,
        step.network,
        step.insecure,
        step.script,
        # What was there before keeps its key.
        *([[[each.name, each.required] for each in step.devices]] if step.devices else []),
    ]


def _copy(step: Any) -> list[Any]:
    return [
        "add" if step.adds else "copy",
        list(step.sources),
        step.target,
        [[each.name, each.content] for each in step.documents],
        step.owner,
        step.mode,
        step.parents,
        list(step.exclude),
        step.unpack,
        step.checksum,
        step.keep_git_dir,
        not step.origin.is_context,
    ]


def _directory(step: Any) -> list[Any]:
    return ["directory", step.path, step.user]
