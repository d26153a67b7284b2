"""What all events of one request share while they are decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import orjson

from penstock.collector.decoding.changes import TEXT, changes_of
from penstock.collector.decoding.clock import corrected_time, read_time
from penstock.collector.decoding.rows import Decoded, Event, Quarantined, made_up_id
from penstock.collector.decoding.surrogates import REPLACEMENT, mended
from penstock.dialects._receiving import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from penstock.collector.log.entry import Head

    Receive = Callable[[int, Any, tuple[str, ...]], None]

#: Longest item kept in quarantine, in bytes.
MOST_RAW = 64 * 1024


class Unreadable(Exception):  # noqa: N818 - an outcome: the item is quarantined
    """
    An item's JSON cannot be read, or not be written again.

    Args:
        reason: ``invalid_json`` or ``too_deep``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Times(NamedTuple):
    """An event's times in microseconds since 1970."""

    timestamp: int
    original: int | None
    sent: int | None


class Frame:
    """
    One request being decoded; `decoded` is what it has become so far.

    Args:
        head: What ingest wrote about it.
        lane: The log lane it lies in.
        request: Its ordinal there.
    """

    __slots__ = (
        "_refused",
        "decoded",
        "head",
        "ip",
        "lane",
        "mended",
        "received",
        "request",
        "sent",
    )

    def __init__(self, head: Head, lane: str, request: int) -> None:
        self.head = head
        self.lane = lane
        self.request = request
        self.ip = head.ip or None
        #: The body had to be mended as a whole to be cut into its items.
        self.mended = False
        self._refused = dict(head.refused)
        #: Microseconds since 1970.
        self.received = head.received_at * 1000
        #: When the request left, if its envelope or a header says so.
        self.sent = read_time(head.sent_at)
        self.decoded = Decoded(head.source, head.received_at, [], [])

    def take(self, position: int, raw: bytes, receive: Receive, id_member: str) -> None:
        """
        Have *receive* keep the row of one item; what is no event is quarantined.

        Args:
            position: Place in the request.
            raw: The item as it came.
            receive: Called with the position, the parsed item, and the words for what was changed
                of it so far.
            id_member: Where this dialect's items have their message id.
        """
        item = None
        try:
            item = parsed(raw)
            self._check_refused(position)
            receive(position, item, self._mending_of(raw))
        except Unreadable as unreadable:
            self.quarantine(position, raw, unreadable.reason)
        except Refused as refused:
            message_id = item.get(id_member) if isinstance(item, dict) else None
            self.quarantine(position, raw, refused.code, refused.detail, message_id)
        except Exception as error:  # noqa: BLE001 - the border: our fault costs one event, not all
            self.quarantine(position, raw, "undecodable", type(error).__name__)

    def _mending_of(self, raw: bytes) -> tuple[str, ...]:
        """The word for an item whose text had to be mended, if it had to."""
        here = REPLACEMENT in raw if self.mended else mended(raw) != raw
        return (TEXT,) if here else ()

    def _check_refused(self, position: int) -> None:
        """
        Make sure that ingest has not refused the item at *position*.

        Raises:
            Refused: It has; with the code it has answered.
        """
        if self._refused and (code := self._refused.get(position)):
            raise Refused(code)

    def id_at(self, position: int) -> str:
        """An id for an event that came without."""
        return made_up_id(self.lane, self.request, position)

    def corrected(self, original: int | None, sent: int | None) -> Times:
        """The times of an event that happened at *original* and left at *sent*, both theirs."""
        return Times(corrected_time(original, sent, self.received), original, sent)

    def keep(
        self,
        position: int,
        neutral: Mapping[str, Any],
        times: Times,
        rest: Mapping[str, Any],
        changes: Iterable[str] = (),
    ) -> None:
        """
        Add the row of a neutral message.

        Args:
            position: Place in the request.
            neutral: See docs/journal.md, "Neutral JSON".
            times: Its times.
            rest: What the neutral form has no member for.
            changes: Words for what was changed, see `penstock.collector.decoding.changes`.

        Raises:
            Unreadable: It is nested too deeply to be written.
        """
        get = neutral.get
        context = get("context")
        self.decoded.events.append(
            Event(
                get("messageId") or self.id_at(position),
                neutral["type"],
                get("event"),
                get("userId"),
                get("anonymousId"),
                get("groupId"),
                get("previousId"),
                get("name"),
                get("category"),
                times.timestamp,
                times.original,
                times.sent,
                self.received,
                self.head.dialect,
                library_of(context.get("library")) if context else None,
                written(get("properties")),
                written(get("traits")),
                written(context),
                written(get("integrations")),
                written(rest or None),
                self.request,
                position,
                self.ip,
                changes_of(get("messageId"), times, self.received, *changes),
            )
        )

    def quarantine(
        self, position: int, raw: bytes, reason: str, detail: str = "", message_id: object = None
    ) -> None:
        """Keep an item that is no event, and why."""
        self.decoded.quarantined.append(
            Quarantined(
                reason,
                detail,
                message_id if isinstance(message_id, str) else None,
                self.received,
                self.head.dialect,
                raw[:MOST_RAW].decode("utf-8", "backslashreplace"),
                self.request,
                position,
            )
        )


def library_of(library: object) -> str | None:
    """``name/version`` of a ``context.library``, as far as it is one."""
    if not isinstance(library, dict):
        return None
    parts = (library.get("name"), library.get("version"))
    return "/".join(part for part in parts if isinstance(part, str) and part) or None


def parsed(raw: bytes) -> Any:
    """
    Parse an item to plain objects.

    Raises:
        Unreadable: It is no JSON (most often: no UTF-8), or nested too deeply.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        fixed = mended(raw)
        if fixed != raw:
            return parsed(fixed)
        reason = "too_deep" if "recursion" in str(error).lower() else "invalid_json"
        raise Unreadable(reason) from None


def written(value: object) -> bytes | None:
    """
    An object as JSON text; None for None.

    Raises:
        Unreadable: It is nested too deeply.
    """
    if value is None:
        return None
    try:
        return msgspec.json.encode(value)
    except RecursionError:
        raise Unreadable("too_deep") from None
