"""The options that say how to find out whether a container works, for every command that makes one."""

from __future__ import annotations

from orlop.errors import InvalidArgument
from orlop.options import Option, duration, natural

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.options import Parsed

_SHORTEST = 1_000_000  # nanoseconds, as Docker has it


def _interval(text: str) -> int:
    """Nanoseconds; 0 is what the image says, or the default."""
    length = duration(text)
    if 0 < length < _SHORTEST:
        raise ValueError("must be 0, or 1ms or longer")
    return length


_COMMAND = "health-cmd"
_NONE = "no-healthcheck"

#: The options with a value: the key in Docker's ``Healthcheck``, and the option.
_VALUES = (
    ("Interval", Option("--health-interval", "Time between running the check", value="duration", read=_interval)),
    ("Retries", Option("--health-retries", "Consecutive failures needed to report unhealthy", value="int", read=natural)),
    ("StartInterval", Option("--health-start-interval", "Time between running the check during the start period",
                             value="duration", read=_interval)),
    ("StartPeriod", Option("--health-start-period", "Start period for the container to initialize before starting "
                           "health-retries countdown", value="duration", read=_interval)),
    ("Timeout", Option("--health-timeout", "Maximum time to allow one check to run", value="duration", read=_interval)),
)  # fmt: skip

OPTIONS = (
    Option("--health-cmd", "Command to run to check health", value="string", default=""),
    *(option for _, option in _VALUES),
    Option("--no-healthcheck", "Disable any container-specified HEALTHCHECK"),
)


def read(said: Parsed) -> dict[str, Any] | None:
    """What the user said of health checks, as Docker's ``Healthcheck``; None if nothing.

    Raises:
        InvalidArgument: it contradicts itself.
    """
    found: dict[str, Any] = {"Test": ["CMD-SHELL", said[_COMMAND]]} if said[_COMMAND] else {}
    found.update({key: said[option.key] for key, option in _VALUES if said[option.key]})
    if said[_NONE]:
        if found:
            raise InvalidArgument("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    return found or None
