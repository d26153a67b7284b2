"""
Deleting a user on request, and the record of it that holds nothing of the user.

What is deleted: every row of ``events`` whose user id, anonymous id or previous id it is, and every
row of ``quarantine`` whose item has it as a JSON value; in files, by rewriting them without the
rows, and in the log, by overwriting the requests that are sealed already. The request files are
sealed first, so that nothing is left in between. What outboxes hold of the user, waiting or dead,
goes last (`penstock.collector.store.unsent`).

What is kept, in ``deletions/``:

    <UUID>.json     when it was asked and done, how much it was, and a salted hash of the id, with
                    which one can show later that this very id was deleted
    <UUID>.ids      digests of the deleted events' message ids, until deduplication has forgotten
                    them: a client that sends one of the events again does not bring it back
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from penstock.collector.layout import EVENTS, QUARANTINE, TABLES
from penstock.collector.log.lane import make_directory
from penstock.collector.store.digests import digest_of
from penstock.collector.store.ledger import replace
from penstock.collector.store.tables import Writer, groups
from penstock.collector.store.unsent import erase, unlent
from penstock.collector.store.wiping import wipe_log
from penstock.dialects._receiving import scalar_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.collector.layout import Layout, SealedFile
    from penstock.collector.store.catalog import Catalog, Made
    from penstock.collector.store.unsent import Lend
    from penstock.collector.store.wishes import Wish

_ID_COLUMNS = ("user_id", "anonymous_id", "previous_id")
_MS = 1000


class Deletion(msgspec.Struct):
    """The record of a deletion; times are seconds since 1970."""

    id: str
    asked_at: float
    done_at: float
    #: Hexadecimal; `user_hash` is the SHA-256 of these bytes and the id.
    salt: str
    user_hash: str
    events: int = 0
    quarantined: int = 0
    files: int = 0
    #: Events in outboxes, delivered ones that were still there included; and dead letters.
    waiting: int = 0
    letters: int = 0

    def is_of(self, user: str) -> bool:
        """Whether it was this user."""
        return self.user_hash == _hashed(self.salt, user)


class Forgotten(msgspec.Struct):
    """Digests of deleted events' message ids, by source."""

    at: float
    digests: dict[str, list[bytes]]


_RECORD = msgspec.json.Decoder(Deletion)
_FORGOTTEN = msgspec.msgpack.Decoder(Forgotten)


def delete_user(
    layout: Layout,
    catalog: Catalog,
    wish: Wish,
    lend: Lend = unlent,
) -> Deletion:
    """
    Delete a user's data; the log must be sealed up to when it was asked.

    May be interrupted and done again.

    Args:
        layout: The store.
        catalog: Its catalog; nobody else may replace files meanwhile.
        wish: Who.
        lend: See `Lend`.

    Raises:
        OSError: The disk is full or failing, or an outbox is in use: what is deleted by then
            stays deleted.
    """
    make_directory(layout.deletions)
    hits = {table: list(_hits(catalog, table, wish.user)) for table in TABLES}
    _remember(layout, wish, hits[EVENTS])
    salt = secrets.token_hex(16)
    record = Deletion(wish.id, wish.asked_at, 0.0, salt, _hashed(salt, wish.user))
    for table, found in hits.items():
        for file in found:
            removed = _rewrite(catalog, file, wish.user)
            record.files += 1
            record.events += removed if table == EVENTS else 0
            record.quarantined += removed if table == QUARANTINE else 0
    catalog.sweep(grace_s=0.0)
    wipe_log(layout, catalog.sealed.lanes)
    record.waiting, record.letters = erase(layout.outbox, wish.user, lend)
    record.done_at = time.time()
    replace(layout.deletions / f"{wish.id}.json", msgspec.json.encode(record))
    return record


def deletion(layout: Layout, wish_id: str) -> Deletion | None:
    """The record of a deletion that was done."""
    try:
        return _RECORD.decode((layout.deletions / f"{wish_id}.json").read_bytes())
    except FileNotFoundError:
        return None


def deletions(layout: Layout) -> list[Deletion]:
    """All records, the oldest first."""
    found = [_RECORD.decode(path.read_bytes()) for path in layout.deletions.glob("*.json")]
    return sorted(found, key=lambda record: record.done_at)


def forgotten(layout: Layout, since_ms: float) -> Iterator[Forgotten]:
    """Ids of events that were deleted since then (milliseconds since 1970)."""
    for path in layout.deletions.glob("*.ids"):
        try:
            found = _FORGOTTEN.decode(path.read_bytes())
        except FileNotFoundError:
            continue
        if found.at * _MS >= since_ms:
            yield found


def forget(layout: Layout, before_ms: float) -> None:
    """Let go of ids that deduplication would have forgotten by now."""
    for path in list(layout.deletions.glob("*.ids")):
        if _FORGOTTEN.decode(path.read_bytes()).at * _MS < before_ms:
            path.unlink()


def _hashed(salt: str, user: str) -> str:
    return hashlib.sha256(bytes.fromhex(salt) + user.encode()).hexdigest()


def _hits(catalog: Catalog, table: str, user: str) -> Iterator[SealedFile]:
    columns = list(_ID_COLUMNS) if table == EVENTS else ["raw"]
    for file in catalog.files(table):
        if any(pc.any(_is_of(rows, user)).as_py() for rows in groups(file.path, columns)):
            yield file


def _is_of(rows: Any, user: str) -> Any:
    """For each row, whether it is the user's."""
    if "raw" in rows.schema.names:
        return pa.array([mentions(raw, user) for raw in rows.column("raw").to_pylist()], pa.bool_())
    found = [pc.fill_null(pc.equal(rows.column(name), user), False) for name in _ID_COLUMNS]  # noqa: FBT003 - Arrow's signature
    return pc.or_(pc.or_(found[0], found[1]), found[2])


def mentions(raw: str, user: str) -> bool:
    """
    Whether JSON text has an id as one of its values, as text or as a number.

    Of text that is no JSON (it may have been cut), any mention of the id counts.
    """
    if user not in raw and "\\" not in raw:
        return False
    try:
        return _is_in(user, orjson.loads(raw))
    except orjson.JSONDecodeError:
        return user in raw or json.dumps(user)[1:-1] in raw


def _is_in(user: str, value: object) -> bool:
    left = [value]  # not by recursion: items may be nested very deeply
    while left:
        inner = left.pop()
        if isinstance(inner, dict):
            left += inner.values()
        elif isinstance(inner, list):
            left += inner
        elif scalar_text(inner) == user:
            return True
    return False


def _remember(layout: Layout, wish: Wish, files: list[SealedFile]) -> None:
    """Keep the digests before the events go, beside those of an attempt that was interrupted."""
    path = layout.deletions / f"{wish.id}.ids"
    kept: dict[str, list[bytes]] = {}
    if path.exists():
        kept = _FORGOTTEN.decode(path.read_bytes()).digests
    for file in files:
        for rows in groups(file.path):
            own = rows.filter(_is_of(rows, wish.user))
            ids = own.column("message_id").to_pylist()
            sources = (
                own.column("source").to_pylist() if file.is_fresh else [file.source] * len(ids)
            )
            for source, message_id in zip(sources, ids, strict=True):
                kept.setdefault(source, []).append(digest_of(message_id))
    replace(path, msgspec.msgpack.encode(Forgotten(time.time(), kept)))


def _rewrite(catalog: Catalog, file: SealedFile, user: str) -> int:
    """Replace a file by one without the user's rows; how many they were."""
    made, removed = _without(file, user)
    catalog.commit(made, replaced=[file])
    return removed


def _without(file: SealedFile, user: str) -> tuple[list[Made], int]:
    writer: Writer | None = None
    removed = 0
    try:
        for rows in groups(file.path):
            kept = rows.filter(pc.invert(_is_of(rows, user)))
            removed += len(rows) - len(kept)
            if len(kept):
                writer = writer or Writer(file.path.parent, rows.schema)
                writer.write(kept)
        return ([writer.close()] if writer else []), removed
    except BaseException:
        if writer:
            writer.discard()
        raise
