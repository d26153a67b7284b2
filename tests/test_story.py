"""An event's story: everything that is known of it, as long as it is known."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import store_kit
from collector_kit import NOW, NOW_TEXT, entry, track, v1_event
from penstock.cli import _output
from penstock.cli.trace import trace_command
from penstock.collector import open_store
from penstock.collector.store import recent
from penstock.collector.trace.story import trace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.collector.trace.tellings import Telling


class Scene(store_kit.Scene):
    """And what is told of an event of it."""

    def seal(self, *, end_lane: bool = False) -> None:
        if end_lane:
            self.end_lane()
        for _ in range(2):
            self.pipeline.step(drain=True)

    def tellings(self, message_id: str) -> list[Telling]:
        return trace(self.layout, message_id).tellings


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


FORMS: dict[str, tuple[dict[str, str], Any, Any]] = {
    "batch": ({}, {"batch": [track(1)]}, track(1)),
    "single": ({"form": "single", "type": "track"}, track(1), track(1)),
    "posthog": (
        {"form": "posthog", "dialect": "posthog"},
        {"api_key": "phc_SECRETSECRET", "batch": [v1_event(1)]},
        v1_event(1),
    ),
    "posthog_v1": (
        {"form": "posthog_v1", "dialect": "posthog"},
        {"created_at": NOW_TEXT, "batch": [v1_event(1)]},
        v1_event(1),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_story_holds_the_item_as_it_came(scene: Scene, form: str) -> None:
    """Before and after it is sealed, in every form that the wires know."""
    head, body, item = FORMS[form]
    scene.append(entry(body, path="/there", agent="shop/7", **head))
    message_id = item.get("messageId") or item["uuid"]
    for stored_in in ("log", "fresh/events/"):
        (told,) = scene.tellings(message_id)
        assert told.verdict == "stored"
        assert json.loads(told.raw or "") == item
        assert told.stored_in.startswith(stored_in)
        assert told.request
        assert told.request.path == "/there"
        assert told.request.kept["User-Agent"] == "shop/7"
        assert told.neutral
        assert told.neutral["messageId"] == message_id
        assert told.neutral["event"] == "Order Completed"
        assert told.row
        assert told.row["properties"]["revenue"] == 49.5
        scene.seal()


def test_an_event_that_came_without_an_id_has_a_story_too(scene: Scene) -> None:
    """By the id it was given, which no request has in it."""
    message = {name: value for name, value in track(1).items() if name != "messageId"}
    scene.append(entry({"batch": [track(2), message]}))
    scene.seal()
    rows = open_store(scene.layout.root).events()
    (made,) = [row["message_id"] for row in rows if row["user_id"] == "u-1"]
    (told,) = scene.tellings(made)
    assert (told.verdict, told.reasons, told.position) == ("changed", ["id_made"], 1)
    assert json.loads(told.raw or "") == message


def test_every_time_that_it_came_is_told(scene: Scene) -> None:
    """From two sources, repeated in one, and once as no event."""
    bad = {**track(1), "type": "zoo"}
    scene.append(entry({"batch": [track(1), track(1)]}))
    scene.seal()
    scene.append(entry({"batch": [track(1), bad]}, received_at=int(NOW * 1000) + 5))
    scene.append(entry({"batch": [track(1)]}, source="app", received_at=int(NOW * 1000) + 9))
    scene.seal()
    told = [(t.source, t.verdict, t.position) for t in scene.tellings(track(1)["messageId"])]
    assert told[0] == ("app", "stored", 0)
    assert sorted(told) == [
        ("app", "stored", 0),
        ("web", "duplicate", 0),
        ("web", "duplicate", 1),
        ("web", "quarantined", 1),
        ("web", "stored", 0),
    ]


def test_a_story_goes_on_when_its_request_is_gone(scene: Scene) -> None:
    """The row and the quarantined item stay; without them, so does nothing but the request."""
    bad = {**track(2), "type": "zoo", "writeKey": "SECRETSECRET"}
    scene.append(entry({"batch": [track(1), bad]}))
    scene.seal()
    recent.keep(scene.layout)
    scene.seal(end_lane=True)
    (told,) = scene.tellings(track(1)["messageId"])
    assert told.request
    shutil.rmtree(scene.layout.recent)
    (told,) = scene.tellings(track(1)["messageId"])
    assert (told.verdict, told.request, told.raw) == ("stored", None, None)
    assert told.neutral
    (told,) = scene.tellings(track(2)["messageId"])
    assert (told.verdict, told.reasons, told.request) == ("quarantined", ["invalid_type"], None)
    assert '"zoo"' in (told.raw or "")
    assert "SECRET" not in repr(told)


def test_an_event_that_was_stored_and_is_not_any_more_is_gone(scene: Scene) -> None:
    """Its files were deleted; the request is kept for a while."""
    scene.append(entry({"batch": [track(1)]}))
    scene.seal()
    shutil.rmtree(scene.layout.root / "fresh")
    (told,) = scene.tellings(track(1)["messageId"])
    assert (told.verdict, told.row, told.stored_in) == ("gone", None, "")


@pytest.mark.parametrize(
    "unknown", ["", "nobody-knows", "'; DROP TABLE events; --", "\u2028\ud800"]
)
def test_nothing_is_told_of_what_nobody_knows(scene: Scene, unknown: str) -> None:
    """Whatever is asked."""
    scene.append(entry({"batch": [track(1)]}))
    story = trace(scene.layout, unknown)
    assert (story.tellings, story.deliveries) == ([], [])


def test_looking_ends_in_time(scene: Scene) -> None:
    """What is stored is told all the same, with its request; and that there may be more."""
    scene.append(entry({"batch": [track(1)]}))
    scene.seal()
    story = trace(scene.layout, track(1)["messageId"], patience_s=0)
    assert not story.whole
    (told,) = story.tellings
    assert told.request


def test_a_terminal_shows_a_story_and_obeys_none_of_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is in the event, in the item as it came, and in the client's name."""
    evil = "[bold]x[/bold]\x1b[31m\u202e"
    message = track(1, event=evil, userId=evil)
    body = json.dumps({"batch": [message]}, indent=1, ensure_ascii=False).encode()
    scene.append(entry(body, agent=evil))
    real = _output.Output.__init__

    def on_a_terminal(self: _output.Output, **options: bool) -> None:
        real(self, **options)
        self.human = True

    monkeypatch.setattr(_output.Output, "__init__", on_a_terminal)
    options = [message["messageId"], "--store", str(scene.layout.root)]
    result = CliRunner().invoke(trace_command, options)
    assert result.exit_code == 0, result.output
    for word in ("[bold]x[/bold]", "stored", "2026-", "Dialect: segment"):
        assert word in result.stdout
    assert "\x1b[31m" not in result.stdout
    assert "\u202e" not in result.stdout
