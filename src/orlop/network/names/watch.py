"""Keeping the book of names: every endpoint's file is read when it appears, and what it says is forgotten when it goes.

A program that has just been started may be asked for at once. Its file is there by then, and the kernel has told of it
by inotify(7); so whoever answers a question only has to `look` first.
"""

from __future__ import annotations

import os

from orlop.linux.inotify import NameWatch
from orlop.network import endpoint, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.network.names.book import Book
    from orlop.network.place import Place


class Watcher:
    """Writes down in a book what is on an engine's networks, which are at a `Place`."""

    __slots__ = ("_book", "_place", "_watch")

    def __init__(self, place: Place, book: Book) -> None:
        self._place = place
        self._book = book
        self._watch = NameWatch()
        self._watch.add(place.run_directory)
        for network in endpoint.networks(place):
            self._look_at_network(network)

    @property
    def descriptor(self) -> int:
        """What poll(2) finds readable when there is something to `look` at."""
        return self._watch.descriptor

    def look(self) -> None:
        """Bring the book up to date."""
        for directory, name in self._watch.changed():
            if directory == self._place.run_directory:
                for network in [name] if name else endpoint.networks(self._place):
                    self._look_at_network(network)
                continue
            network = os.path.relpath(directory, self._place.run_directory).partition("/")[0]
            if name and directory == self._place.endpoints(network):
                self._look_at_endpoint(network, name)
            else:
                self._look_at_network(network)

    def close(self) -> None:
        """Watch no more."""
        self._watch.close()

    def _look_at_network(self, network: str) -> None:
        """Read all of a network, and be told of what changes from now on."""
        if network[:1] == "." or not os.path.isdir(self._place.running(network)):
            self._book.close(network)
            return
        there: set[str] = set()
        try:
            self._watch.add(self._place.running(network))
            self._watch.add(self._place.endpoints(network))
            there.update(endpoint.containers(self._place, network))
        except OSError:
            pass  # it goes, or its endpoints are about to come, of which we hear
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
