"""
The wire as data: one golden request per dialect and message, in ``tests/wire``.

A case holds the neutral ``record``, its ``kind`` and ``flags``, the dialect's ``options`` if it
has any, the ``attempt``, and the ``request`` that must come out. ``<version>`` stands for ours.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from penstock._version import __version__
from penstock.dialects import Attempt
from penstock.dialects.dreamdata import DreamdataDialect
from penstock.dialects.posthog import PostHogDialect
from penstock.dialects.rudderstack import RudderStackDialect
from penstock.dialects.segment import SegmentDialect
from penstock.journal.record import Record
from penstock.kinds import BY_WIRE

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.dialects import Dialect

WIRE = Path(__file__).parent / "wire"
CASES = sorted(WIRE.glob("*/*.json"))

#: A folder's dialect, its address and a key.
DIALECTS: dict[str, tuple[Callable[..., Dialect], str, str]] = {
    "segment": (SegmentDialect, "https://api.segment.io", "WK_demo"),
    "dreamdata": (DreamdataDialect, "https://api.dreamdata.cloud", "WK_demo"),
    "rudderstack": (RudderStackDialect, "https://hosted.rudderlabs.com", "WK_demo"),
    "posthog_legacy": (PostHogDialect, "https://us.i.posthog.com", "phc_demo"),
    "posthog_v1": (PostHogDialect, "https://us.i.posthog.com", "phc_demo"),
}


def case_at(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8").replace("<version>", __version__))


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_request_is_the_golden_one(path: Path) -> None:
    """Method, URL, headers and body, and its length is the one that was foretold."""
    case = case_at(path)
    make, endpoint, key = DIALECTS[path.parent.name]
    dialect = make(endpoint, key, **case.get("options", {}))
    payload = json.dumps(case["record"], separators=(",", ":"), ensure_ascii=False).encode()
    record = Record(1, BY_WIRE[case["kind"]], case["flags"], 1_772_360_431, payload)
    encoded = dialect.encode(record)
    request = dialect.request([encoded], Attempt(**case["attempt"]))
    found = {
        "method": request.method,
        "url": request.url,
        "headers": dict(request.headers),
        "body": json.loads(request.body),
    }
    assert found == case["request"]
    assert len(request.body) <= dialect.body_bytes(1, len(encoded.wire))


@pytest.mark.parametrize("folder", DIALECTS)
def test_every_kind_has_a_golden_request(folder: str) -> None:
    """A new kind cannot be forgotten, nor a folder of another name left unread."""
    kinds = {case_at(path)["kind"] for path in CASES if path.parent.name == folder}
    assert kinds == set(BY_WIRE)
    assert {path.parent.name for path in CASES} == set(DIALECTS)
