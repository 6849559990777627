"""An engine in an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orlop.aio.containers import Containers
from orlop.aio.streams import ready_to
from orlop.aio.threads import Threads, awaited
from orlop.library import engine as sync
from orlop.library import images as sync_images
from orlop.library import networks as sync_networks
from orlop.library import quantities
from orlop.library import volumes as sync_volumes

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator
    from datetime import datetime

    from orlop.engine.location import Location


class Images:
    """What ``engine.images`` is; see `orlop.library.images.Images`."""

    __slots__ = ("sync", "threads")

    def __init__(self, images: sync_images.Images, threads: Threads) -> None:
        self.sync = images
        self.threads = threads

    get = awaited(sync_images.Images.get)
    list = awaited(sync_images.Images.list)
    pull = awaited(sync_images.Images.pull)
    push = awaited(sync_images.Images.push)
    search = awaited(sync_images.Images.search)
    tag = awaited(sync_images.Images.tag)
    remove = awaited(sync_images.Images.remove)
    prune = awaited(sync_images.Images.prune)
    load = awaited(sync_images.Images.load)
    save = awaited(sync_images.Images.save)
    import_ = awaited(sync_images.Images.import_)


class Networks:
    """What ``engine.networks`` is; see `orlop.library.networks.Networks`."""

    __slots__ = ("sync", "threads")

    def __init__(self, networks: sync_networks.Networks, threads: Threads) -> None:
        self.sync = networks
        self.threads = threads

    create = awaited(sync_networks.Networks.create)
    get = awaited(sync_networks.Networks.get)
    list = awaited(sync_networks.Networks.list)
    connect = awaited(sync_networks.Networks.connect)
    disconnect = awaited(sync_networks.Networks.disconnect)
    remove = awaited(sync_networks.Networks.remove)
    prune = awaited(sync_networks.Networks.prune)


class Volumes:
    """What ``engine.volumes`` is; see `orlop.library.volumes.Volumes`."""

    __slots__ = ("sync", "threads")

    def __init__(self, volumes: sync_volumes.Volumes, threads: Threads) -> None:
        self.sync = volumes
        self.threads = threads

    create = awaited(sync_volumes.Volumes.create)
    get = awaited(sync_volumes.Volumes.get)
    list = awaited(sync_volumes.Volumes.list)
    remove = awaited(sync_volumes.Volumes.remove)
    prune = awaited(sync_volumes.Volumes.prune)


class Engine:
    """Containers, images, volumes and networks below one directory; see `orlop.library.engine.Engine`.

    ``async with`` waits at its end until what its programs left is cleared away.
    """

    __slots__ = ("containers", "images", "networks", "sync", "threads", "volumes")

    def __init__(
        self, root: str | os.PathLike[str] | None = None, run_root: str | os.PathLike[str] | None = None
    ) -> None:
        self.sync = sync.Engine(root, run_root)
        self.threads = Threads()
        self.containers = Containers(self.sync.containers, self.threads)
        self.images = Images(self.sync.images, self.threads)
        self.networks = Networks(self.sync.networks, self.threads)
        self.volumes = Volumes(self.sync.volumes, self.threads)

    async def __aenter__(self) -> Engine:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return repr(self.sync)

    @property
    def location(self) -> Location:
        """The engine's directories."""
        return self.sync.location

    info = awaited(sync.Engine.info)
    df = awaited(sync.Engine.df)
    check = awaited(sync.Engine.check)
    login = awaited(sync.Engine.login)
    logout = awaited(sync.Engine.logout)
    prune = awaited(sync.Engine.prune)

    async def close(self) -> None:
        """Wait until what its programs left is cleared away, and end the threads."""
        await self.threads.call(self.sync.close)
        self.threads.close()

    async def events(
        self, *, since: float | datetime | None = None, until: float | datetime | None = None
    ) -> AsyncIterator[sync.Event]:
        """What happens, as it happens; with ``since`` what happened from then on first, with ``until`` until then."""
        import asyncio
        import time

        from orlop.engine import events

        begin = time.time_ns() if since is None else quantities.moment("since", since)
        end = None if until is None else quantities.moment("until", until)
        stream = events.Stream(self.location)
        try:
            while True:
                now = time.time_ns()
                for told in stream.read():
                    if begin <= told["timeNano"] and (end is None or told["timeNano"] <= end):
                        yield sync.Event(told)
                if end is not None and now >= end:
                    return
                left = None if end is None else max(0.0, (end - time.time_ns()) / 1e9)
                try:
                    await asyncio.wait_for(ready_to(stream.descriptor), left)
                except TimeoutError:
                    continue
                stream.wait(0)
        finally:
            stream.close()
