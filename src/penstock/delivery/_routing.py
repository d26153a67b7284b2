"""
Which destinations an event goes to: the ``integrations`` object, decided as values.

Names are case sensitive. A name beats ``All``; ``All`` is true when absent. Anything but
``False`` enables (an object carries options). A customer data platform (Segment, RudderStack,
Dreamdata, a collector) routes further itself, so it gets every event with the flags unless it
is named ``False``.

Source: segmentio/segment-docs, spec/common, "Integrations"; lower-case ``all`` is what the old
Go clients write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def selects(integrations: Mapping[str, Any], name: str, *, is_cdp: bool) -> bool:
    """Whether an event with these *integrations* goes to destination *name*."""
    named = integrations.get(name)
    if named is not None:
        return named is not False
    if is_cdp:
        return True
    everything = integrations.get("All", integrations.get("all", True))
    return everything is not False
