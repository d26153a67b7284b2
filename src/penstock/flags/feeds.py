"""One feed per process and project, however many clients there are."""

from __future__ import annotations

from collections import deque
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from penstock import _fork
from penstock.delivery.engine import make_log
from penstock.flags.carrier import Carrier
from penstock.flags.feed import Feed
from penstock.flags.shelf import Shelf

if TYPE_CHECKING:
    from penstock.config import Config, FlagSettings
    from penstock.flags.source import Provider

#: What makes two clients share: the provider with its keys, and the way there.
_Key = tuple[object, ...]


class Feeds:
    """The feeds of this process, each with the number of its clients."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: dict[_Key, tuple[Feed, int]] = {}
        #: Given back by the garbage collector, which may run while this thread has the lock.
        self._dropped: deque[Feed] = deque()
        _fork.watch_too(self)

    def restart(self, *, forked: bool = False) -> None:
        """In a forked child: another thread of the parent may have held the lock."""
        if forked:
            self._lock = Lock()

    def take(self, provider: Provider, settings: FlagSettings, config: Config) -> Feed:
        """The feed of *provider*, to be given back with `give_back`."""
        self.settle()
        interval, cache = settings.poll_interval, settings.definitions_cache
        key = (provider[:3], config.proxy, config.tls, id(config.transport), id(cache))
        with self._lock:
            feed, clients = self._held.get(key, (None, 0))
            if feed is None:
                shelf = _shelf(provider, config)
                carrier = Carrier(config)
                new_log = partial(make_log, config)
                feed = Feed(
                    provider, interval, carrier, shelf, new_log, cache=cache, on_wake=self.settle
                )
            self._held[key] = (feed, clients + 1)
        if clients:
            feed.hurry(interval)
        return feed

    def drop(self, feed: Feed) -> None:
        """`give_back` for the garbage collector: takes no lock of ours, the feed's thread does."""
        self._dropped.append(feed)
        feed.wake()

    def settle(self) -> None:
        """Give back what was dropped."""
        while self._dropped:
            try:
                feed = self._dropped.popleft()
            except IndexError:  # another thread took it
                return
            self.give_back(feed)

    def give_back(self, feed: Feed) -> None:
        """One client less; the last one ends the feed."""
        with self._lock:
            key = next((key for key, held in self._held.items() if held[0] is feed), None)
            if key is None:
                return
            clients = self._held[key][1] - 1
            if clients:
                self._held[key] = (feed, clients)
            else:
                del self._held[key]
        if not clients:
            feed.stop()


def _shelf(provider: Provider, config: Config) -> Shelf | None:
    """Where its definitions are kept; nowhere for a client whose journal is in memory."""
    root = config.journal_root()
    return None if root is None else Shelf(root, provider.endpoint, provider.project_key)


FEEDS = Feeds()
