"""What is to happen when a container has ended: Docker's restart policies."""

from __future__ import annotations

from orlop.options import natural

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NEVER = "no"
ON_FAILURE = "on-failure"
_NAMES = (NEVER, ON_FAILURE, "always", "unless-stopped")


def read(text: str) -> dict[str, Any]:
    """Docker's ``RestartPolicy`` from ``no``, ``on-failure[:most]``, ``always`` or ``unless-stopped``.

    Raises:
        ValueError: it is none of them.
    """
    name, colon, most = text.partition(":")
    if name not in _NAMES:
        raise ValueError(f"must be one of {', '.join(_NAMES)}, or on-failure:MAXIMUM")
    if colon and name != ON_FAILURE:
        raise ValueError(f"a maximum of retries is for on-failure, not for {name}")
    return {"Name": name, "MaximumRetryCount": natural(most) if colon else 0}
