"""Keeping the book of names: every endpoint's file is read when it appears, and what it says is forgotten when it goes.

A program that has just been started may be asked for at once. Its file is there by then, and the kernel has told of it
by inotify(7); so whoever answers a question only has to `look` first. Where the kernel tells of nothing, because the user
has as many watches as there may be (``fs.inotify``), all files are looked at instead, some times a second.
"""

from __future__ import annotations

import os
import time

from orlop.linux.inotify import NameWatch
from orlop.network import endpoint, store

_PAUSE = 0.1  # seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.network.names.book import Book
    from orlop.network.place import Place


class Watcher:
    """Writes down in a book what is on an engine's networks, which are at a `Place`."""

    __slots__ = ("_book", "_next_look", "_place", "_watch")

    def __init__(self, place: Place, book: Book) -> None:
        self._place = place
        self._book = book
        self._next_look = 0.0
        self._watch: NameWatch | None = None
        try:
            self._watch = NameWatch()
            self._watch.add(place.run_directory)
        except OSError:
            self._give_up_watching()
        self._look_at_everything()

    @property
    def descriptor(self) -> int:
        """What poll(2) finds readable when there is something to `look` at; -1 if there is no such thing."""
        return self._watch.descriptor if self._watch is not None else -1

    def look(self) -> None:
        """Bring the book up to date."""
        if self._watch is None:
            now = time.monotonic()
            if now >= self._next_look:
                self._next_look = now + _PAUSE
                self._look_at_everything()
            return
        for directory, name in self._watch.changed():
            if directory == self._place.run_directory:
                if name:
                    self._look_at_network(name)
                else:
                    self._look_at_everything()
                continue
            network = os.path.relpath(directory, self._place.run_directory).partition("/")[0]
            if name and directory == self._place.endpoints(network):
                self._look_at_endpoint(network, name)
            else:
                self._look_at_network(network)

    def _give_up_watching(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()

    def _look_at_everything(self) -> None:
        for network in {*self._book.networks(), *endpoint.networks(self._place)}:
            self._look_at_network(network)

    def _look_at_network(self, network: str) -> None:
        """Read all of a network, and be told of what changes from now on."""
        if network[:1] == "." or not os.path.isdir(self._place.running(network)):
            self._book.close(network)
            return
        if self._watch is not None:
            try:
                self._watch.add(self._place.running(network))
                self._watch.add(self._place.endpoints(network))
            except FileNotFoundError:
                pass  # it goes, or its endpoints are about to come, of which we hear
            except OSError:
                self._give_up_watching()
        there = set(endpoint.containers(self._place, network))
        for container in self._book.containers(network) - there:
            self._book.remove(network, container)
        for container in there:
            self._look_at_endpoint(network, container)

    def _look_at_endpoint(self, network: str, container: str) -> None:
        if container[:1] == ".":
            return  # being written
        found = endpoint.read(self._place, network, container)
        if found is None:
            self._book.remove(network, container)
            return
        if not self._book.has(network):
            about = store.read(self._place, network)
            if about is None:
                return  # removed by hand
            self._book.open(network, about.name, is_internal=about.internal)
        self._book.add(found)
