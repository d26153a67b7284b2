"""What deduplication must know after a restart: the ids of the window, read from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.collector.layout import EVENTS
from penstock.collector.store.deletions import forgotten
from penstock.collector.store.tables import groups

if TYPE_CHECKING:
    from penstock.collector.layout import Layout, SealedFile
    from penstock.collector.store.catalog import Catalog
    from penstock.collector.store.dedupe import Seen


def restore(seen: Seen, layout: Layout, catalog: Catalog, since_ms: int) -> None:
    """
    Remember the ids stored since then, those of events that were deleted on request included.

    Args:
        seen: What is to know them.
        layout: The store.
        catalog: Its catalog.
        since_ms: Milliseconds since 1970.
    """
    for deletion in forgotten(layout, since_ms):
        for source, digests in deletion.digests.items():
            seen.restore_digests(source, digests, since_ms)
    recent = [file for file in catalog.files(EVENTS) if file.extent.last >= since_ms]
    for file in sorted(recent, key=lambda file: file.extent.first):
        _restore_file(seen, file)


def _restore_file(seen: Seen, file: SealedFile) -> None:
    columns = ["message_id", "source"] if file.is_fresh else ["message_id"]
    for rows in groups(file.path, columns):
        ids = rows.column("message_id").to_pylist()
        if not file.is_fresh:
            seen.restore(file.source, ids, file.extent.last)
            continue
        by_source: dict[str, list[str]] = {}
        for source, message_id in zip(rows.column("source").to_pylist(), ids, strict=True):
            by_source.setdefault(source, []).append(message_id)
        for source, own in by_source.items():
            seen.restore(source, own, file.extent.last)
