"""The configuration file: what it says, what is wrong with it, and reading it again."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from cli_host import CliHost
from clock import Clock
from penstock import Collector, Dreamdata, PostHog, RudderStack, Segment, Webhook
from penstock.collector import file
from penstock.collector.file import BrokenFileError, Settings, parse
from penstock.collector.routing.shaping import Matcher, Renaming, Routed, Shape
from penstock.collector.watching import LOOK_S, READ_S, Watched

ENVIRON = {"WEB_KEY": "WK_web", "HOOK": "whsec_hidden"}
GOOD = """
[sources.web]
key = "env:WEB_KEY"
dialect = "segment"
destinations = ["product", "hook"]

[sources.app]
keys = ["WK_app_1", "WK_app_2"]

[sources.quiet]
key = "WK_quiet"
enabled = false
destinations = []

[destinations.product]
type = "posthog"
key = "phc_1"
endpoint = "https://eu.i.posthog.com"
capture_mode = "v1"
batch_size = 50
only = { types = ["track"], events = ["Order *"], sources = ["web"] }
except = { events = ["Order Draft*"] }

[destinations.product.rename.events]
"Order Completed" = "purchase"

[destinations.hook]
type = "webhook"
key = "env:HOOK"
endpoint = "https://hooks.example/p/"
name = "Warehouse"
backlog_mb = 64
max_age_days = 1
concurrency = 2
"""


def settings_of(text: str, **environ: str) -> Settings:
    return parse(Path("c.toml"), text.encode(), {**ENVIRON, **environ})


def findings_of(text: str) -> list[tuple[str, str]]:
    with pytest.raises(BrokenFileError) as caught:
        settings_of(text)
    assert all(finding.fix and finding.problem for finding in caught.value.findings)
    return [(finding.table, finding.key) for finding in caught.value.findings]


# -- what it says --------------------------------------------------------------------------


def test_a_file_says_who_sends_and_where_to() -> None:
    """Keys by source, outlets by source, and what each outlet takes."""
    settings = settings_of(GOOD)
    web = settings.sources.find("WK_web", "segment")
    assert (web and web.name, web and web.dialect) == ("web", "segment")
    assert settings.sources.find("WK_app_2", "segment") == settings.sources.find("WK_app_1", "x")
    assert settings.sources.find("WEB_KEY", "segment") is None
    assert settings.outlets_of("web") == ("product", "hook")
    assert settings.outlets_of("app") == ("product", "hook")
    assert settings.outlets_of("quiet") == ()
    product, hook = settings.outlets.values()
    assert product.destination.batch_size == 50
    assert product.shape.rename.events == {"Order Completed": "purchase"}
    assert hook.destination.name == "Warehouse"
    assert (hook.backlog_bytes, hook.max_age, hook.concurrency) == (64 << 20, 86_400.0, 2)


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("segment", Segment("K")),
        ("rudderstack", RudderStack("K")),
        ("dreamdata", Dreamdata("K")),
        ("posthog", PostHog("K")),
        ("collector", Collector("K")),
        ("webhook", Webhook("K", "https://h.example")),
    ],
)
def test_every_vendor_is_a_destination(kind: str, made: Any) -> None:
    """As its class makes it, but with an identity that a new key does not change."""
    text = f'[destinations.d]\ntype = "{kind}"\nkey = "K"\n'
    text += 'endpoint = "https://h.example"\n' if kind == "webhook" else ""
    outlet = settings_of(text).outlets["d"]
    assert outlet.destination == made
    assert outlet.destination.id != made.id
    other = settings_of(text.replace('"K"', '"K2"')).outlets["d"]
    assert other.destination.id == outlet.destination.id


def test_no_secret_is_shown() -> None:
    """Not by the settings, and not by an error about the secret itself."""
    settings = settings_of(GOOD)
    assert "hidden" not in repr(settings.outlets)
    with pytest.raises(BrokenFileError) as caught:
        settings_of(GOOD, HOOK="whsec hidden")
    assert "hidden" not in str(caught.value)


def test_the_file_in_the_documents_is_a_good_one() -> None:
    """It can be used as it stands there, and uses what the page says."""
    page = (Path(__file__).parents[1] / "docs" / "collector.md").read_text("utf-8")
    (text,) = re.findall(r"(?ms)^```toml\n(.*?)^```$", page)
    names = re.findall(r"env:(\w+)", text)
    settings = settings_of(text, **{name: f"key_{name}" for name in names})
    assert settings.source_names == ("web", "shop", "legacy")
    assert settings.outlets_of("web") == settings.outlets_of("shop") == ("product", "warehouse")
    assert settings.disabled == ("legacy",)


def test_every_key_of_a_file_is_documented() -> None:
    """docs/collector.md names each that a table may have."""
    page = (Path(__file__).parents[1] / "docs" / "collector.md").read_text("utf-8")
    text = re.sub(r"(?ms)^```.*?^```$", "", page)
    words = set(re.findall(r"[\w.]+", " ".join(re.findall(r"`([^`]+)`", text))))
    keys = {*file._SOURCE_KEYS, *file._OUTLET_KEYS, *file._MATCHER_KEYS}
    assert keys - {"rename"} | {"rename.events", "rename.properties"} <= words


# -- what is wrong with it -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[sources.web]\n", ("sources.web", "key")),
        ('[sources.web]\nkey = "env:NOBODY"\n', ("sources.web", "key")),
        ('[sources.web]\nkey = "K"\ndialect = "amplitude"\n', ("sources.web", "dialect")),
        ('[sources.web]\nkey = "K"\ndestinations = ["x"]\n', ("sources.web", "destinations")),
        ('[sources.web]\nkey = "K"\nenabled = "no"\n', ("sources.web", "enabled")),
        ('[sources.a]\nkey = "K"\n[sources.b]\nkey = "K"\n', ("sources.b", "key")),
        ('[sources."a/b"]\nkey = "K"\n', ("sources.a/b", "")),
        ('[source.web]\nkey = "K"\n', ("", "source")),
        ("sources = 3\n", ("", "sources")),
        ('[destinations.d]\nkey = "K"\n', ("destinations.d", "type")),
        ('[destinations.d]\ntype = "segment"\n', ("destinations.d", "key")),
        ('[destinations.d]\ntype = "segment"\nkey = ""\n', ("destinations.d", "key")),
        ('[destinations.d]\ntype = "webhook"\nkey = "K"\n', ("destinations.d", "endpoint")),
        (
            '[destinations.d]\ntype = "segment"\nkey = "K"\nbatch_size = -1\n',
            ("destinations.d", "batch_size"),
        ),
        (
            '[destinations.d]\ntype = "posthog"\nkey = "phx_personal"\n',
            ("destinations.d", "key"),
        ),
        (
            '[destinations.d]\ntype = "segment"\nkey = "K"\ncapture_mode = "v1"\n',
            ("destinations.d", "capture_mode"),
        ),
        (
            '[destinations.d]\ntype = "segment"\nkey = "K"\nbacklog_mb = 1\n',
            ("destinations.d", "backlog_mb"),
        ),
        (
            '[destinations.d]\ntype = "segment"\nkey = "K"\nonly = { types = ["trak"] }\n',
            ("destinations.d.only", "types"),
        ),
        (
            '[destinations.d]\ntype = "segment"\nkey = "K"\nexcept = { event = ["E"] }\n',
            ("destinations.d.except", "event"),
        ),
        (
            (
                '[destinations.d]\ntype = "segment"\nkey = "K"\n'
                "[destinations.d.rename.events]\nA = 1\n"
            ),
            ("destinations.d.rename.events", "A"),
        ),
        (
            (
                '[destinations.a]\ntype = "segment"\nkey = "K"\n'
                '[destinations.b]\ntype = "segment"\nkey = "L"\n'
            ),
            ("destinations.b", "name"),
        ),
        ("[sources.web\n", ("", "")),
        ('key = "\xff"', ("", "key")),
    ],
)
def test_what_is_wrong_is_named_by_table_and_key(text: str, place: tuple[str, str]) -> None:
    """With what to write instead."""
    assert place in findings_of(text)


def test_everything_wrong_is_told_at_once() -> None:
    """Also in a table whose key is missing."""
    text = '[sources.w]\n[destinations.d]\ntype = "segment"\nkey = "env:NO"\ntimeout = -1\nx = 1\n'
    assert set(findings_of(text)) == {
        ("sources.w", "key"),
        ("destinations.d", "key"),
        ("destinations.d", "timeout"),
        ("destinations.d", "x"),
    }


def test_check_config_tells_what_goes_where(tmp_path: Path) -> None:
    """Exit code 0, and no key in sight."""
    cli = CliHost(tmp_path)
    (tmp_path / "c.toml").write_text(GOOD)
    ended = cli.run("check-config", "c.toml", **ENVIRON)
    assert ended.code == 0, ended.err
    assert ended.data["valid"]
    assert ended.data["sources"] == {
        "web": ["product", "hook"],
        "app": ["product", "hook"],
        "quiet": [],
    }
    assert ended.data["disabled"] == ["quiet"]
    assert "WK_" not in ended.out
    assert "whsec" not in ended.out


def test_check_config_ends_with_a_code_of_its_own(tmp_path: Path) -> None:
    """10 for a file that cannot be used, with the findings; 2 for one that is not there."""
    cli = CliHost(tmp_path)
    (tmp_path / "c.toml").write_text('[sources.web]\nkei = "K"\n')
    ended = cli.run("check-config", "c.toml")
    assert ended.code == 10
    assert {error["key"] for error in ended.data["errors"]} == {"kei", "key"}
    assert "did you mean key" in ended.out
    assert cli.run("check-config", "none.toml").code == 2


# -- reading it again ----------------------------------------------------------------------


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    """By date, or by content when an editor kept the date; not on every look."""
    path, clock = tmp_path / "c.toml", Clock()
    path.write_text('[sources.a]\nkey = "K"\n')
    watched = Watched(path, tmp_path / "kept.toml", clock=clock)
    clock.now += LOOK_S
    assert not watched.changed()
    path.write_text('[sources.bb]\nkey = "K"\n')
    assert not watched.changed(), "looked again at once"
    clock.now += LOOK_S
    assert watched.changed()
    assert watched.settings.source_names == ("bb",)
    date = path.stat().st_mtime_ns
    path.write_text('[sources.cc]\nkey = "K"\n')
    os.utime(path, ns=(date, date))
    clock.now += READ_S
    assert watched.changed()
    assert watched.settings.source_names == ("cc",)


def test_a_broken_file_changes_nothing_and_says_so(tmp_path: Path, caplog: Any) -> None:
    """Once; the mended one counts again. One that opens the collector to anybody is broken."""
    path, clock = tmp_path / "c.toml", Clock()
    path.write_text('[sources.a]\nkey = "K"\n')
    watched = Watched(path, tmp_path / "kept.toml", clock=clock)
    for broken in ("[sources.b]\n", "# nobody\n"):
        path.write_text(broken)
        caplog.clear()
        for _ in range(3):
            clock.now += READ_S
            assert not watched.changed()
        assert len(caplog.messages) == 1
        assert "sources" in caplog.text
        assert watched.settings.source_names == ("a",)
    path.unlink()
    clock.now += READ_S
    assert not watched.changed()
    path.write_text('[sources.c]\nkey = "K"\n')
    clock.now += READ_S
    assert watched.changed()


def test_a_process_that_starts_while_the_file_is_broken_goes_by_the_last_good_one(
    tmp_path: Path,
) -> None:
    """A restart of a killed process must not need a person; without any, it is an error."""
    path, kept = tmp_path / "c.toml", tmp_path / "kept.toml"
    path.write_text("[")
    with pytest.raises(BrokenFileError):
        Watched(path, kept)
    path.write_text('[sources.a]\nkey = "K"\n')
    Watched(path, kept)
    assert kept.stat().st_mode & 0o777 == 0o600
    path.write_text("[")
    assert Watched(path, kept).settings.source_names == ("a",)


# -- filters and names ---------------------------------------------------------------------

EVENT = Routed(
    "web", "track", "Order Completed", selective=False,
    payload=b'{"type":"track","event":"Order Completed","properties":{"revenue":1,"a\\"b":2}}',
)  # fmt: skip
PAGE = Routed("app", "page", "Home", selective=False, payload=b'{"type":"page","name":"Home"}')


@pytest.mark.parametrize(
    ("shape", "taken"),
    [
        (Shape(), (True, True)),
        (Shape(only=Matcher(types=("track",))), (True, False)),
        (Shape(only=Matcher(events=("Order *",))), (True, False)),
        (Shape(only=Matcher(events=("order *",))), (False, False)),
        (Shape(only=Matcher(sources=("app",))), (False, True)),
        (Shape(only=Matcher(types=("track",), sources=("app",))), (False, False)),
        (Shape(without=Matcher(events=("Home",))), (True, False)),
        (
            Shape(only=Matcher(types=("track",)), without=Matcher(events=("*Completed",))),
            (False, False),
        ),
    ],
)
def test_a_filter_lets_pass_what_it_names(shape: Shape, taken: tuple[bool, bool]) -> None:
    """By type, name and source together; ``except`` wins over ``only``."""
    assert (shape.takes(EVENT), shape.takes(PAGE)) == taken


@pytest.mark.parametrize(
    ("rename", "expected"),
    [
        (Renaming(), EVENT.payload),
        (
            Renaming(events={"Order Completed": "purchase"}),
            b'{"type":"track","event":"purchase","properties":{"revenue":1,"a\\"b":2}}',
        ),
        (
            Renaming(properties={"revenue": "value", "none": "x"}),
            b'{"type":"track","event":"Order Completed","properties":{"a\\"b":2,"value":1}}',
        ),
        (
            Renaming(properties={'a"b': "c"}),
            b'{"type":"track","event":"Order Completed","properties":{"revenue":1,"c":2}}',
        ),
    ],
)
def test_names_are_changed_and_nothing_else(rename: Renaming, expected: bytes) -> None:
    """Event names and names of properties at the top level; the rest is byte for byte the same."""
    assert Shape(rename=rename).shaped(EVENT) == expected
    assert Shape(rename=Renaming(events={"Home": "Start"})).shaped(PAGE) == (
        b'{"type":"page","name":"Start"}'
    )
