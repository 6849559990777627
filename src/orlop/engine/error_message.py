"""An error as JSON, for a process that did something on behalf of another one."""

from __future__ import annotations

from orlop import errors
from orlop.errors import ImageNotFound, RegistryError
from orlop.runtime import channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def describe(error: BaseException) -> dict[str, Any]:
    """An error as JSON, from which `revive` makes the same one."""
    body = channel.describe(error)
    for kind in type(error).__mro__:
        if getattr(errors, kind.__name__, None) is kind:
            body["class"] = kind.__name__  # the one that the caller knows, too
            break
    if isinstance(error, RegistryError):
        body.update(status=error.status, code=error.code)
    if isinstance(error, ImageNotFound):
        body["image"] = error.image
    return body


def revive(body: dict[str, Any]) -> Exception:
    """The error that `describe` described."""
    if "errno" in body and body["class"] != "StepFailed":
        return OSError(body["errno"], body["reason"], body["path"] or None)
    error = channel.revive(body)
    if isinstance(error, RegistryError):
        error.status, error.code = body["status"], body["code"]
    if isinstance(error, ImageNotFound):
        error.image = body["image"]
    return error
