"""
What servers and the networks before them do wrong: a catalogue, by the field's names.

Each trouble is what happens to the first requests; afterwards the server is well. `TRANSIENT` ones
must cost nothing but time, whatever the dialect; `FINAL` ones end as ``dead(rejected)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from faults.rules import (
    BLACK_HOLE,
    LOST_ANSWER,
    RESET_MID_BODY,
    Answer,
    http_date,
    status,
)

if TYPE_CHECKING:
    from collections.abc import Callable

PORTAL = b"<!DOCTYPE html><html><title>Welcome to our hotel</title></html>"

#: An answer of which half is more than the headers.
LONG = b'{"success":true' + b" " * 500 + b"}"


def elsewhere(code: int, location: str) -> Answer:
    """A redirect."""
    return status(code, location=location)


#: ``{name: the answers to the first requests}``; made anew, since dates are relative to now.
TRANSIENT: dict[str, Callable[[], list[Answer]]] = {
    "latency": lambda: [Answer(wait_s=0.2)] * 3,
    "429 in seconds": lambda: [status(429, retry_after="1")],
    "429 until a date": lambda: [status(429, retry_after=http_date(2))],
    "a run of 5xx": lambda: [status(code) for code in (500, 502, 503, 504, 500, 503)],
    "408": lambda: [status(408)] * 2,
    "reset in the request": lambda: [RESET_MID_BODY] * 2,
    "reset in the answer": lambda: [Answer(ending="reset_mid_answer")] * 2,
    "answer lost": lambda: [LOST_ANSWER],
    "answer cut in the headers": lambda: [Answer(ending="cut")] * 2,
    "answer cut in the body": lambda: [Answer(body=LONG, ending="cut")] * 2,
    "a byte now and then": lambda: [Answer(pace_s=0.1)],
    "a byte now and then, in time": lambda: [Answer(pace_s=0.002)] * 3,
    "more announced than sent": lambda: [Answer(length=1000, ending="close")] * 2,
    "more announced, then silence": lambda: [Answer(length=1000)],
    "more sent than announced": lambda: [Answer(503, length=3)] * 2,
    "headers without end": lambda: [Answer(body=b"", ending="endless", stored=False)] * 2,
    "a web page with 503": lambda: [Answer(503, body=PORTAL)] * 2,
    "redirect on the same server": lambda: [elsewhere(308, "/v1/elsewhere")] * 2,
    "accepts and hangs": lambda: [BLACK_HOLE],
}
#: Answers that are some server's last word.
FINAL: dict[str, Callable[[], list[Answer]]] = {
    "redirect to another server": lambda: [elsewhere(302, "http://portal.invalid/login")],
    "redirects in a circle": lambda: [elsewhere(307, "/again")] * 4,
    "see other": lambda: [elsewhere(303, "/thanks")],
    "401": lambda: [status(401)],
    "404": lambda: [status(404)],
}
