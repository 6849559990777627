"""Going through what a start decides before it does anything, so that all starters find it gone through.

The interpreter changes a function's code until it has settled on how to run it, and a starter that was forked before copies each
page on which that happens. The launcher does it once, for a container as most are. Nothing is made.
"""

from __future__ import annotations

import os

from orlop import json_text
from orlop.engine import bundle
from orlop.engine.settings import Settings
from orlop.engine.users import User
from orlop.linux import call_list
from orlop.network import rehearsal as network_rehearsal
from orlop.runtime import listed_init, namespaces
from orlop.runtime import mounts as mount_list
from orlop.runtime.spec import machine, validate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.seccomp.cache import Cache

#: As often as it takes the interpreter to settle on how to run a function.
_TIMES = 10
_ID = "0" * 64


def rehearse(filters: Cache) -> None:
    """Do it."""
    rootless = os.geteuid() != 0
    has_lists = call_list.prepare() and not rootless
    _connect()
    for _ in range(_TIMES):
        settings = Settings(command=["true"])
        made = bundle.configuration(settings, _ID, "/", "/", User(0, 0, [], "/"), rootless=rootless)
        spec = json_text.loads(json_text.dumps(made.config))
        validate(spec, rootless=rootless)
        machine.check(spec)
        linux = spec["linux"]
        if has_lists:
            program = filters.compile(linux["seccomp"])
            listed_init.rehearse(spec, namespaces.plan(linux), mount_list.read(spec["mounts"], "/"), program)


def _connect() -> None:
    for _ in range(_TIMES):
        try:
            network_rehearsal.connect()
        except OSError:
            return  # an ordinary user's containers are connected elsewhere, and here and there none can be
