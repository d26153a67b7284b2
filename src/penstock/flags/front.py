"""
The front of feature flags: what `Client.flags` is.

A read is answered by the first of these that can: the definitions here, the provider, its last
answer, the bootstrap values of the settings. Misuse raises; trouble with the provider never does:
it is an `Evaluation` that says so.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from penstock import _fork
from penstock._waiting import in_thread
from penstock.config import FlagSettings
from penstock.errors import ClosedError
from penstock.flags.calls import Calls
from penstock.flags.carrier import Carrier
from penstock.flags.feeds import FEEDS
from penstock.flags.finder import Finder, Found
from penstock.flags.loading import Definitions
from penstock.flags.person import Person
from penstock.flags.question import (
    Question,
    asked,
    checked_key,
    checked_keys,
    question,
)
from penstock.flags.remote import Remote
from penstock.flags.result import DISABLED_CLIENT, STALE, Evaluation
from penstock.flags.snapshot import FlagSnapshot
from penstock.flags.source import provider_of
from penstock.scope import CURRENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Unpack

    from penstock.flags.capturing import SendOptions
    from penstock.flags.question import Options
    from penstock.intake import Intake
    from penstock.messages import Id

_PAGE = _fork.PAGE
_NOTHING: dict[str, Any] = {}


class Flags(Definitions):
    """
    Feature flags of one client; see docs/flag-client.md.

    With a key for it, definitions are loaded in the background and flags are evaluated here.
    Otherwise, and for what cannot be decided here, the provider is asked. No read raises for
    trouble with the provider, and none takes longer than its timeout.

    Every read takes the options of `penstock.flags.question.Options`, and has a twin for asyncio
    and trio that never blocks the event loop: `aget` of `get`, and so on.

    Args:
        client: Captures the events of reads, and says where the flags come from.

    Raises:
        ConfigError: Nothing says where flags come from.
        ClosedError: The client was closed.

    .. versionadded:: 0.1
    """

    def __init__(self, client: Intake) -> None:
        if client._closed:  # noqa: SLF001 - a closed client gets no new parts
            raise ClosedError
        config = client.config
        self._client = client
        self.settings = settings = config.flags or FlagSettings()
        self._enabled = bool(client.destinations)
        self._closed = False
        self._feed = None
        provider = provider_of(client.destinations, settings) if self._enabled else None
        self._provider = provider
        self._carrier = Carrier(config)
        self._quick = self._enabled and config.clock is None and not settings.evaluation_contexts
        remote = None if provider is None else Remote(provider, settings, self._carrier)
        loads = provider is not None and bool(provider.secret_key or settings.definitions_cache)
        if provider is not None and loads and settings.local:
            self._feed = FEEDS.take(provider, settings, config)
            self._finalizer = weakref.finalize(self, FEEDS.drop, self._feed)
            self._finalizer.atexit = False  # its thread ends with the interpreter
            self._feed.start()
        self._finder = Finder(settings, self._feed, remote, config.clock)
        self._calls = Calls(client, None if provider is None else provider.destination)
        _fork.watch_too(self)

    # -- one flag --------------------------------------------------------------------------

    def get(
        self,
        key: str,
        distinct_id: Id | None = None,
        *,
        groups: Mapping[str, Id] | None = None,
        person_properties: Mapping[str, Any] | None = None,
        group_properties: Mapping[str, Mapping[str, Any]] | None = None,
        device_id: str | None = None,
        only_evaluate_locally: bool = False,
        disable_geoip: bool | None = None,
        timeout: float | None = None,
        send_events: bool | None = None,
    ) -> Evaluation:
        """
        A flag for one person: its value, payload and reason.

        Captures ``$feature_flag_called`` the first time this person gets this value.

        Args:
            key: The flag's.
            distinct_id: Who; the scope's user or device otherwise.
            groups: ``{group type: group key}``.
            person_properties: Facts of the person that replace what the provider has stored, for
                this read only; ``$geoip_country_code`` and its kin among them.
            group_properties: ``{group type: facts of the group}``, of the types in *groups*.
            device_id: For flags that are bucketed by device; the scope's otherwise.
            only_evaluate_locally: Ask nobody.
            disable_geoip: Overrides `FlagSettings.disable_geoip`.
            timeout: Seconds this read may take in all; overrides `FlagSettings.timeout`.
            send_events: Whether to capture the event; overrides `FlagSettings.send_events`.

        Raises:
            FieldError: There is nobody to ask about, or an argument is of the wrong type.
            ClosedError: The client was closed.

        .. versionadded:: 0.1
        """
        if not _PAGE[0]:
            _fork.forked()
        if (
            groups is None
            and timeout is None
            and device_id is None
            and disable_geoip is None
            and group_properties is None
        ):
            found = self._get_quickly(key, distinct_id, person_properties, send_events)
            if found is not None:
                return found
        options = {
            "groups": groups,
            "person_properties": person_properties,
            "group_properties": group_properties,
            "device_id": device_id,
            "only_evaluate_locally": only_evaluate_locally,
            "disable_geoip": disable_geoip,
            "timeout": timeout,
        }
        key, question = checked_key(key), asked(distinct_id, options)
        found = self._at_once(key, question)
        if found is None:
            found = self._finder.find(key, question)
        return self._told(found, question, send_events=send_events)

    async def aget(
        self,
        key: str,
        distinct_id: Id | None = None,
        *,
        send_events: bool | None = None,
        **options: Unpack[Options],
    ) -> Evaluation:
        """
        `get` for asyncio and trio.

        .. versionadded:: 0.1
        """
        key, question = checked_key(key), asked(distinct_id, options)
        found = self._at_once(key, question)
        if found is None:
            found = await in_thread(self._finder.find, key, question)
        return self._told(found, question, send_events=send_events)

    def enabled(
        self,
        key: str,
        distinct_id: Id | None = None,
        default: bool = False,
        *,
        send_events: bool | None = None,
        **options: Unpack[Options],
    ) -> bool:
        """
        Whether a flag is enabled for one person; *default* when it has no value.

        .. versionadded:: 0.1
        """
        found = self.get(key, distinct_id, send_events=send_events, **options)
        return default if found.value is None else found.enabled

    async def aenabled(
        self,
        key: str,
        distinct_id: Id | None = None,
        default: bool = False,
        *,
        send_events: bool | None = None,
        **options: Unpack[Options],
    ) -> bool:
        """
        `enabled` for asyncio and trio.

        .. versionadded:: 0.1
        """
        found = await self.aget(key, distinct_id, send_events=send_events, **options)
        return default if found.value is None else found.enabled

    def payload(self, key: str, distinct_id: Id | None = None, **options: Unpack[Options]) -> Any:
        """
        What is attached to a flag's value for one person, decoded; None: nothing.

        Captures no event.

        .. versionadded:: 0.1
        """
        return self.get(key, distinct_id, send_events=False, **options).payload

    async def apayload(
        self, key: str, distinct_id: Id | None = None, **options: Unpack[Options]
    ) -> Any:
        """
        `payload` for asyncio and trio.

        .. versionadded:: 0.1
        """
        return (await self.aget(key, distinct_id, send_events=False, **options)).payload

    # -- all flags -------------------------------------------------------------------------

    def all(
        self,
        distinct_id: Id | None = None,
        *,
        keys: Iterable[str] | None = None,
        **options: Unpack[Options],
    ) -> dict[str, bool | str]:
        """
        ``{flag key: value}`` for one person, of the flags that have a value.

        Captures no event, and makes one request at most.

        Args:
            distinct_id: Who; the scope's user or device otherwise.
            keys: Only these flags.
            options: See `Options`.

        .. versionadded:: 0.1
        """
        wanted, question = checked_keys(keys), asked(distinct_id, options)
        values = self._values_at_once(wanted, question)
        return _values(self._find_all(wanted, question)) if values is None else values

    async def aall(
        self,
        distinct_id: Id | None = None,
        *,
        keys: Iterable[str] | None = None,
        **options: Unpack[Options],
    ) -> dict[str, bool | str]:
        """
        `all` for asyncio and trio.

        .. versionadded:: 0.1
        """
        wanted, question = checked_keys(keys), asked(distinct_id, options)
        values = self._values_at_once(wanted, question)
        return _values(await self._afind_all(wanted, question)) if values is None else values

    def evaluate(
        self,
        distinct_id: Id | None = None,
        *,
        keys: Iterable[str] | None = None,
        send_events: bool | None = None,
        **options: Unpack[Options],
    ) -> FlagSnapshot:
        """
        All flags of one person at this moment, to be read as often as you like.

        Makes one request at most; captures an event for a flag when that is read. Hand the
        snapshot to `Client.capture`, and the event tells of the flags.

        Args:
            distinct_id: Who; the scope's user or device otherwise.
            keys: Only these flags.
            send_events: Whether reads capture events; overrides `FlagSettings.send_events`.
            options: See `Options`.

        .. versionadded:: 0.1
        """
        wanted, question = checked_keys(keys), asked(distinct_id, options)
        found = self._find_all(wanted, question)
        return self._snapshot(found, question, send_events=send_events)

    async def aevaluate(
        self,
        distinct_id: Id | None = None,
        *,
        keys: Iterable[str] | None = None,
        send_events: bool | None = None,
        **options: Unpack[Options],
    ) -> FlagSnapshot:
        """
        `evaluate` for asyncio and trio.

        .. versionadded:: 0.1
        """
        wanted, question = checked_keys(keys), asked(distinct_id, options)
        found = await self._afind_all(wanted, question)
        return self._snapshot(found, question, send_events=send_events)

    def for_event(
        self, who: str, groups: Mapping[str, Any] | None, options: SendOptions
    ) -> FlagSnapshot:
        """
        The flags of an event that is about to be captured; see `Client.capture`.

        Reading the snapshot captures nothing.

        Raises:
            FieldError: An option is of the wrong type.
            ClosedError: The client was closed.
        """
        wanted = _for_event(who, groups, options)
        found = self._for_event_at_once(*wanted)
        if found is None:
            found = self._finder.find_for_event(*wanted)
        return FlagSnapshot(found.flags)

    async def afor_event(
        self, who: str, groups: Mapping[str, Any] | None, options: SendOptions
    ) -> FlagSnapshot:
        """`for_event` for asyncio and trio."""
        wanted = _for_event(who, groups, options)
        found = self._for_event_at_once(*wanted)
        if found is None:
            found = await in_thread(self._finder.find_for_event, *wanted)
        return FlagSnapshot(found.flags)

    # -- life ------------------------------------------------------------------------------

    def close(self) -> None:
        """Called by the client's `close`: no reads from here on."""
        if self._closed:
            return
        self._closed = True
        if self._feed is not None:
            self._finalizer.detach()
            FEEDS.give_back(self._feed)
            self._feed = None
        self._calls.clear()
        self._carrier.close()

    def restart(self, *, forked: bool = False) -> None:
        """In a forked child: locks may be held by threads that the child does not have."""
        if forked:
            self._finder.restart()
            self._calls.restart()

    def __repr__(self) -> str:
        """How many flags are here; no key."""
        found = self.definitions
        here = "no definitions" if found is None else f"{len(found)} flags"
        return f"<Flags: {'closed' if self._closed else here}>"

    # -- parts -----------------------------------------------------------------------------

    def _get_quickly(
        self,
        key: str,
        distinct_id: Id | None,
        properties: Mapping[str, Any] | None,
        send_events: bool | None,
    ) -> Evaluation | None:
        """A plain read that the definitions decide; None: take the long way."""
        feed = self._feed
        loaded = feed.loaded if feed is not None else None
        if (
            loaded is None
            or not self._quick
            or type(key) is not str
            or type(distinct_id) is not str
            or not (properties is None or type(properties) is dict)
            or not distinct_id
            or distinct_id.isspace()
            or CURRENT.get() is not None
        ):
            return None
        person = Person(distinct_id, None, properties or _NOTHING)
        decision = loaded.compiled.evaluate(key, person)
        if decision.value is None:
            return None
        reason = STALE if loaded.stale else decision.reason
        found = Evaluation(key, decision.value, reason, None, "local", decision)
        if self.settings.send_events if send_events is None else send_events:
            self._tell(found, Question(person))
        return found

    def _at_once(self, key: str, question: Question) -> Evaluation | None:
        """The answer, if nothing has to be waited for."""
        self._check_open()
        if not self._enabled:
            return Evaluation(key, None, DISABLED_CLIENT)
        return self._finder.at_once(key, question)

    def _find_all(self, keys: tuple[str, ...] | None, question: Question) -> Found:
        found = self._all_at_once(keys, question)
        return self._finder.find_all(keys, question) if found is None else found

    async def _afind_all(self, keys: tuple[str, ...] | None, question: Question) -> Found:
        found = self._all_at_once(keys, question)
        if found is None:
            found = await in_thread(self._finder.find_all, keys, question)
        return found

    def _values_at_once(
        self, keys: tuple[str, ...] | None, question: Question
    ) -> dict[str, bool | str] | None:
        """All values, where making an evaluation of each would be all that is left to do."""
        self._check_open()
        return self._finder.values_at_once(question) if keys is None else None

    def _all_at_once(self, keys: tuple[str, ...] | None, question: Question) -> Found | None:
        self._check_open()
        return self._finder.all_at_once(keys, question) if self._enabled else Found({})

    def _for_event_at_once(
        self, keys: tuple[str, ...] | None, question: Question, here: bool | None
    ) -> Found | None:
        self._check_open()
        return self._finder.for_event_at_once(keys, question, here) if self._enabled else Found({})

    def _snapshot(
        self, found: Found, question: Question, *, send_events: bool | None
    ) -> FlagSnapshot:
        sends = self.settings.send_events if send_events is None else send_events
        gate = self._gate()

        def tell(evaluation: Evaluation) -> None:
            if not self._closed:
                self._calls.tell(evaluation, question, gate=gate)

        told = tell if sends and self._enabled else None
        return FlagSnapshot(found.flags, trouble=found.trouble, tell=told, log=self._client._log)  # noqa: SLF001 - one voice

    def _told(
        self, found: Evaluation, question: Question, *, send_events: bool | None
    ) -> Evaluation:
        """*found*, and an event for it if one is due."""
        sends = self.settings.send_events if send_events is None else send_events
        if sends and self._enabled:
            self._tell(found, question)
        return found

    def _tell(self, found: Evaluation, question: Question) -> None:
        self._calls.tell(found, question, gate=self._gate())

    def _gate(self) -> bool:
        """Whether the definitions allow reduced events."""
        loaded = None if self._feed is None else self._feed.loaded
        return loaded is not None and loaded.compiled.definitions.minimal_flag_called_events


def _for_event(
    who: str, groups: Mapping[str, Any] | None, options: SendOptions
) -> tuple[tuple[str, ...] | None, Question, bool | None]:
    """What `Finder.find_for_event` takes."""
    named = ("person_properties", "group_properties", "device_id")
    given = {name: options[name] for name in named if name in options}  # type: ignore[literal-required]
    asked_for = question(who, {**given, "groups": groups})
    keys = checked_keys(options.get("flag_keys_filter"))
    return keys, asked_for, options.get("only_evaluate_locally")


def _values(found: Found) -> dict[str, bool | str]:
    return {key: one.value for key, one in found.flags.items() if one.value is not None}
