"""What steps may have beyond the default isolation, because whoever builds has allowed it (``--allow``)."""

from __future__ import annotations

from orlop.build.dockerfile.problem import suggestion
from orlop.build.worker import Devices
from orlop.engine import cdi
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from orlop.build.dockerfile.run_devices import Device
    from orlop.build.steps import Run

INSECURE, HOST_NETWORK, DEVICE = "security.insecure", "network.host", "device"
_KNOWN = (INSECURE, HOST_NETWORK, DEVICE)


def read(texts: Iterable[str]) -> list[str]:
    """The entitlements that ``--allow`` names: `INSECURE`, `HOST_NETWORK`, `DEVICE`, or ``device=NAME``.

    Raises:
        InvalidArgument: one is none.
    """
    found = []
    for each in (word for text in texts for word in text.split(",")):
        kind, _, name = each.partition("=")
        if kind not in _KNOWN or (name and kind != DEVICE):
            near = suggestion(kind, _KNOWN)
            raise InvalidArgument(
                f"invalid entitlement '{each}'{near}: expected {INSECURE}, {HOST_NETWORK} or {DEVICE}[=NAME]"
            )
        found.append(each)
    return found


def check(step: Run, allowed: Collection[str], root: str) -> None:
    """See whether a step may have what it asks for; ``root`` is the engine's.

    Raises:
        InvalidArgument: it may not; says how to allow it.
    """
    if step.insecure and INSECURE not in allowed:
        raise InvalidArgument(f"RUN --security=insecure is not allowed: add --allow {INSECURE}")
    if step.network == "host" and HOST_NETWORK not in allowed:
        raise InvalidArgument(f"RUN --network=host is not allowed: add --allow {HOST_NETWORK}")
    devices(step.devices, allowed, root)


def devices(wanted: Sequence[Device], allowed: Collection[str], root: str) -> Devices:
    """The devices that a step gets; ``root`` is the engine's, where it has descriptions of its own.

    Raises:
        InvalidArgument: one is not allowed, or is required and not there.
    """
    names: list[str] = []
    for each in wanted:
        found = cdi.meant(each.name, root)
        if not found and each.required:
            raise InvalidArgument(
                f"the device {each.name} that RUN --device needs is not there: no file of CDI describes it"
            )
        for name in found:
            kind = name.partition("=")[0]
            if not {DEVICE, f"{DEVICE}={name}", f"{DEVICE}={kind}", f"{DEVICE}={each.name}"} & set(allowed):
                raise InvalidArgument(f"RUN --device={each.name} is not allowed: add --allow {DEVICE}={name}")
            if name not in names:
                names.append(name)
    return Devices(tuple(names), tuple(cdi.mount_places(names, root)))
