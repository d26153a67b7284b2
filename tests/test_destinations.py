"""Destinations: defaults, what they refuse, and what they are as values."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neutral import ATTEMPT, neutral, record_of
from penstock.destinations import (
    Collector,
    Destination,
    Dreamdata,
    PostHog,
    RudderStack,
    Segment,
    Webhook,
    destination_from_url,
    destinations_from_urls,
)
from penstock.errors import ConfigError
from penstock.transport import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Destination]

KEY = "WK_secret_key"
HOOK = "https://hooks.example/penstock"


def webhook(secret: Any, endpoint: str = HOOK, **settings: Any) -> Webhook:
    """A webhook has no address of its own."""
    return Webhook(secret, endpoint, **settings)


ALL: list[Make] = [Segment, RudderStack, Dreamdata, PostHog, Collector, webhook]
FAMILY: list[Make] = [Segment, RudderStack, Dreamdata, Collector]

every = pytest.mark.parametrize("make", ALL)
family = pytest.mark.parametrize("make", FAMILY)


def request_of(destination: Destination) -> Any:
    encoded = destination.dialect.encode(record_of(neutral("track", userId="u", event="E")))
    return destination.dialect.request([encoded], ATTEMPT)


# -- defaults


@pytest.mark.parametrize(
    ("make", "limits", "compression", "is_cdp"),
    [
        (Segment, (250, 5.0, 32_768, 500_000), None, True),
        (Dreamdata, (250, 5.0, 32_768, 500_000), None, True),
        (RudderStack, (250, 5.0, 32_768, 512_000), "gzip", True),
        (PostHog, (100, 5.0, 500_000, 500_000), None, False),
        (Collector, (250, 5.0, 32_768, 500_000), "gzip", True),
        (webhook, (100, 5.0, 500_000, 1_000_000), None, False),
    ],
)
def test_each_vendor_brings_its_own_defaults(
    make: Make, limits: tuple[float, ...], compression: str | None, *, is_cdp: bool
) -> None:
    """The vendors' own figures, where they agree with their servers."""
    one = make(KEY)
    found = (one.batch_size, one.interval, one.max_message_bytes, one.max_batch_bytes)
    assert found == limits
    assert (one.compression, one.is_cdp, one.timeout) == (compression, is_cdp, 10.0)
    assert one.name == type(one).__name__


@pytest.mark.parametrize(
    ("destination", "url"),
    [
        (Segment(KEY), "https://api.segment.io/v1/batch"),
        (Dreamdata(KEY), "https://api.dreamdata.cloud/v1/batch"),
        (RudderStack(KEY), "https://hosted.rudderlabs.com/v1/batch"),
        (PostHog(KEY), "https://us.i.posthog.com/batch/"),
        (PostHog(KEY, capture_mode="v1"), "https://us.i.posthog.com/i/v1/analytics/events"),
        (Collector(KEY), "http://127.0.0.1:8765/v1/batch"),
        (Webhook(KEY, HOOK), HOOK),
        (Webhook(KEY, HOOK + "/"), HOOK + "/"),
    ],
)
def test_each_destination_speaks_its_dialect(destination: Destination, url: str) -> None:
    """At its own address; the dialect is made once."""
    assert request_of(destination).url == url
    assert destination.dialect is destination.dialect


@pytest.mark.parametrize("field", ["batch_size", "interval", "max_message_bytes", "timeout"])
@pytest.mark.parametrize("nothing", [0, None])
@every
def test_zero_and_none_mean_the_default(make: Make, field: str, nothing: None) -> None:
    """As in the vendors' own settings."""
    assert getattr(make(KEY, **{field: nothing}), field) == getattr(make(KEY), field)


def test_what_is_given_is_taken() -> None:
    """Every setting, on every side of its default."""
    settings: dict[str, Any] = {
        "batch_size": 20,
        "interval": 0.5,
        "max_message_bytes": 100_000,
        "max_batch_bytes": 4_194_304,
        "compression": "gzip",
        "timeout": 3,
    }
    one = Segment(KEY, name="Segment EU", **settings)
    assert {field: getattr(one, field) for field in settings} == settings
    assert one.name == "Segment EU"


def test_compression_can_be_switched_off() -> None:
    """Where it is on by default, None and its words mean off."""
    for off in (None, "none", "identity", ""):
        assert RudderStack(KEY, compression=off).compression is None


def test_a_clients_settings_fill_what_a_destination_left_open() -> None:
    """What was said at the destination itself stays; the original does not change."""
    own = RudderStack(KEY, batch_size=20, compression=None, no_proxy_support=True)
    other = own.with_defaults(batch_size=99, interval=1.0, timeout=None, compression="gzip")
    assert (other.batch_size, other.interval, other.timeout) == (20, 1.0, 10.0)
    assert other.compression is None
    assert own.interval == 5.0
    assert (other.id, other.name, other.endpoint) == (own.id, own.name, own.endpoint)
    assert "RS-nodeCount" not in request_of(other).headers
    with pytest.raises(ConfigError, match="batch_size"):
        Segment(KEY).with_defaults(batch_size=-1)


def test_a_small_batch_makes_messages_small() -> None:
    """A default gives way; two figures that contradict each other do not."""
    assert Segment(KEY, max_batch_bytes=10_000).max_message_bytes == 10_000
    with pytest.raises(ConfigError, match="max_message_bytes"):
        Segment(KEY, max_batch_bytes=10_000, max_message_bytes=20_000)
    with pytest.raises(ConfigError, match="max_message_bytes"):
        Segment(KEY, max_message_bytes=600_000)


# -- what cannot work


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("batch_size", value) for value in (-1, True, 2.5, "20", 2501)],
        *[("interval", value) for value in (-0.1, False, "5", 1e12)],
        *[("timeout", value) for value in (-1, float("nan"), float("inf"), True)],
        *[("max_message_bytes", value) for value in (-1, 4_194_305, 1.0)],
        *[("max_batch_bytes", value) for value in (-1, 4_194_305, True)],
        *[("compression", value) for value in ("lzma", "GZIP", True, 1)],
        *[("name", value) for value in ("", "  ", 1)],
    ],
)
@family
def test_an_impossible_setting_is_refused_by_name(make: Make, field: str, value: object) -> None:
    """When it is written, not when the first batch is sent."""
    with pytest.raises(ConfigError) as caught:
        make(KEY, **{field: value})
    assert caught.value.field == field
    assert caught.value.value is value


@every
def test_the_hard_limit_itself_is_allowed(make: Make) -> None:
    """Equal is not more."""
    assert make(KEY, max_batch_bytes=4_194_304).max_batch_bytes == 4_194_304


@pytest.mark.parametrize("codec", ["deflate", "zstd", "br"])
def test_codecs_the_server_cannot_read_are_refused(codec: str) -> None:
    """Segment and RudderStack read gzip, PostHog's legacy protocol too."""
    for make in (Segment, RudderStack, Dreamdata):
        with pytest.raises(ConfigError, match="compression"):
            make(KEY, compression=codec)
    with pytest.raises(ConfigError, match="requires capture_mode 'v1'"):
        PostHog(KEY, compression=codec)
    assert PostHog(KEY, compression="gzip").compression == "gzip"
    assert PostHog(KEY, capture_mode="v1", compression="deflate").compression == "deflate"


def test_a_codec_without_its_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the package's name."""
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ConfigError, match="pip install zstandard"):
        PostHog(KEY, capture_mode="v1", compression="zstd")


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "api.segment.io",
        "ftp://host",
        "https://",
        "https:///path",
        "https://host:0",
        "https://host:65536",
        "https://host:port",
        "https://host:²",
        "https://:443",
        "https://a:b:c",
        "https://[::1",
        "https://[]",
        "https://host?x=1",
        "https://host#x",
        "https://ho st",
        "https://höst",
        "https://host\\path",
        "https://host/\npath",
        None,
        7,
    ],
)
@every
def test_an_impossible_endpoint_is_refused(make: Make, endpoint: Any) -> None:
    """Before anything is queued for it."""
    with pytest.raises(ConfigError) as caught:
        make(KEY, endpoint=endpoint)
    assert caught.value.field == "endpoint"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (" https://Host.Example/ ", "https://host.example"),
        ("HTTP://host:8080///", "http://host:8080"),
        ("https://host/Prefix/a//", "https://host/Prefix/a"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
    ],
)
@family
def test_blanks_and_slashes_around_an_endpoint_are_removed(
    make: Make, written: str, meant: str
) -> None:
    """All of them; case matters only in the path."""
    assert make(KEY, endpoint=written).endpoint == meant


def test_a_password_in_an_endpoint_is_refused_and_not_shown() -> None:
    """It would end up in logs."""
    with pytest.raises(ConfigError) as caught:
        Segment(KEY, endpoint="https://user:hunter2@host")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "key", ["secret key", "secret\nkey", "sécret-key", "secret\x7fkey", 7, None]
)
@every
def test_a_key_that_cannot_travel_is_refused_and_not_shown(make: Make, key: Any) -> None:
    """The error names the vendor's own word for it."""
    with pytest.raises(ConfigError) as caught:
        make(key)
    assert caught.value.field == {PostHog: "api_key", webhook: "secret"}.get(make, "write_key")
    assert "key" not in str(caught.value.value)


@family
def test_a_basic_user_name_has_no_colon(make: Make) -> None:
    """The server would cut the key there."""
    with pytest.raises(ConfigError, match="write_key"):
        make("WK:secret")


@every
def test_an_empty_key_is_allowed_and_told(make: Make) -> None:
    """The client then does nothing; blanks are nothing too."""
    assert not make("  ").has_key
    assert make(f" {KEY} ") == make(KEY)
    assert make(KEY).has_key


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("capture_mode", "v2"),
        ("alias_direction", "backwards"),
        ("group_type", ""),
        ("geoip", 1),
        ("is_server", "yes"),
        ("historical_migration", None),
        ("api_key", "phx_personal_key"),
    ],
)
def test_posthogs_own_settings_are_checked(field: str, value: Any) -> None:
    """A personal key is the commonest mistake, and must not be sent anywhere."""
    with pytest.raises(ConfigError) as caught:
        PostHog(**{"api_key": "phc_key", field: value})
    assert caught.value.field == field
    assert "personal" not in repr(caught.value.value)


def test_an_unknown_setting_is_a_type_error() -> None:
    """As for any call."""
    with pytest.raises(TypeError, match="flush_at"):
        Segment(KEY, flush_at=20)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("app", "ingestion"),
    [
        ("https://app.posthog.com", "https://us.i.posthog.com"),
        ("https://us.posthog.com/", "https://us.i.posthog.com"),
        ("https://EU.posthog.com", "https://eu.i.posthog.com"),
        ("https://ph.example", "https://ph.example"),
    ],
)
def test_the_address_of_posthogs_app_is_understood(app: str, ingestion: str) -> None:
    """People copy it from the browser; it takes no events."""
    assert PostHog(KEY, app).endpoint == ingestion


# -- values


@every
def test_no_repr_shows_a_key(make: Make) -> None:
    """Two characters of it, none of a short one."""
    one = make(KEY)
    assert KEY[:4] not in repr(one) + str(one)
    assert "'WK…'" in repr(one)
    assert "abc" not in repr(make("abcd"))


@every
def test_a_destination_is_frozen(make: Make) -> None:
    """Nothing changes under a running client."""
    one = make(KEY)
    with pytest.raises(AttributeError):
        one.batch_size = 7
    with pytest.raises(AttributeError):
        del one.name
    with pytest.raises(AttributeError):
        one.new = 1  # type: ignore[attr-defined]


@every
def test_a_destination_travels_to_another_process(make: Make) -> None:
    """By pickle, whether or not its dialect was made; equal, with the same id."""
    one = make(KEY, batch_size=7)
    assert one.dialect.name
    for other in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one)):
        assert other == one
        assert hash(other) == hash(one)
        assert (other.id, other.batch_size) == (one.id, 7)
        assert request_of(other).url == request_of(one).url
    assert one != make(KEY)


def test_an_id_tells_vendor_address_and_key_apart() -> None:
    """It names a cursor on disk, so it never changes for the same three."""
    ids = {
        make(key, endpoint=endpoint).id
        for make in ALL
        for key in ("a", "b")
        for endpoint in ("https://h1", "https://h2")
    }
    assert len(ids) == 24
    assert all(len(one) == 16 and int(one, 16) >= 0 for one in ids)
    assert Segment("a", endpoint="https://h1/", name="Other", batch_size=3).id in ids
    assert Segment("WK_demo").id == "f605dd999a601544"


def test_only_rudderstack_has_nodes() -> None:
    """The others have no way to learn a number of them."""
    answer = Response(200, {}, b'{"nodeCount":3}')
    assert Segment(KEY).node_count_request() is None
    assert Segment(KEY).parse_node_count(answer) is None
    rudder = RudderStack(KEY, "https://dp.example")
    assert rudder.node_count_request().url == "https://dp.example/cluster-info"
    assert rudder.parse_node_count(answer) == 3


def test_building_destinations_loads_nothing_of_the_network() -> None:
    """Neither the HTTP client, nor TLS, nor a dialect: a host program pays for none of it."""
    program = (
        "import sys, penstock; before = set(sys.modules)\n"
        "from penstock.destinations import *\n"
        "[make('key') for make in (Segment, RudderStack, Dreamdata, PostHog, Collector)]\n"
        "Webhook('key', 'https://h')\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    loaded = run.stdout.split()
    heavy = (
        "urllib3",
        "ssl",
        "http.client",
        "isal",
        "email",
        "penstock.dialects.",
        "penstock.transport.",
    )
    assert [name for name in loaded if name.startswith(heavy)] == []


# -- URLs


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("segment://KEY@", Segment("KEY")),
        ("segment://KEY@eu.example", Segment("KEY", endpoint="https://eu.example")),
        ("segment+http://KEY@h:80/p/", Segment("KEY", endpoint="http://h:80/p")),
        ("segment://KEY@h?gzip=1", Segment("KEY", endpoint="https://h", compression="gzip")),
        ("segment://KEY@?batch_size=20&interval=0.5", Segment("KEY", batch_size=20, interval=0.5)),
        ("rudderstack://KEY@dp?gzip=0", RudderStack("KEY", "https://dp", compression=None)),
        ("rudderstack://KEY@?no_proxy_support=yes", RudderStack("KEY", no_proxy_support=True)),
        ("dreamdata://KEY@?name=DD", Dreamdata("KEY", name="DD")),
        (
            "posthog://phc_K@?capture_mode=v1&geoip=true",
            PostHog("phc_K", capture_mode="v1", geoip=True),
        ),
        ("posthog://phc_K@eu.posthog.com", PostHog("phc_K", "https://eu.i.posthog.com")),
        ("collector://KEY@127.0.0.1:8765", Collector("KEY")),
        ("collector://KEY@localhost:1", Collector("KEY", "http://localhost:1")),
        ("collector://KEY@[::1]:1", Collector("KEY", "http://[::1]:1")),
        ("webhook://KEY@h/p/?format=ndjson", Webhook("KEY", "https://h/p/", format="ndjson")),
        ("webhook://KEY@127.0.0.1:1/p", Webhook("KEY", "http://127.0.0.1:1/p")),
        ("collector://KEY@127.example", Collector("KEY", "https://127.example")),
        ("collector://KEY@localhost.example", Collector("KEY", "https://localhost.example")),
        ("segment://K%2F1@", Segment("K/1")),
        ("segment://@", Segment("")),
        (" segment://KEY@ ", Segment("KEY")),
    ],
)
def test_a_url_describes_a_destination(url: str, meant: Destination) -> None:
    """Everything a constructor takes can be said in a URL."""
    assert destination_from_url(url) == meant


def test_several_urls_are_separated_by_blanks_or_commas() -> None:
    """As it fits the environment variable."""
    found = destinations_from_urls(" segment://A@,posthog://B@\n rudderstack://C@ ")
    assert found == (Segment("A"), PostHog("B"), RudderStack("C"))
    assert destinations_from_urls("  ") == ()


@pytest.mark.parametrize(
    ("url", "field"),
    [
        ("", "url"),
        ("https://KEY_secret@host", "url"),
        ("segment+ftp://KEY_secret@host", "url"),
        ("segment://KEY_secret@host#x", "url"),
        ("segment://KEY_secret@[::1", "url"),
        ("segment://KEY_secret@\u2100", "url"),
        ("segment://KEY_secret", "url"),
        ("segment://KEY_secret@host:0", "endpoint"),
        ("segment://KEY_secret@host?x=1", "x"),
        ("segment://KEY_secret@host?gzip=maybe", "gzip"),
        ("segment://KEY_secret@host?gzip=1&compression=gzip", "compression"),
        ("segment://KEY_secret@host?batch_size=many", "batch_size"),
        ("segment://KEY_secret@host?batch_size=-1", "batch_size"),
        ("segment://KEY_secret@host?interval=nan", "interval"),
        ("segment://KEY_secret@host?capture_mode=v1", "capture_mode"),
        ("posthog://KEY_secret@host?capture_mode=v3", "capture_mode"),
        ("segment://KEY%20secret@host", "write_key"),
    ],
)
def test_a_url_that_describes_none_is_refused(url: str, field: str) -> None:
    """The error names the part, and shows no key."""
    with pytest.raises(ConfigError) as caught:
        destination_from_url(url)
    assert caught.value.field == field
    assert "secret" not in str(caught.value)


@given(
    st.text(max_size=40), st.sampled_from(["", "segment://", "posthog://k@", "collector+http://"])
)
def test_any_text_is_a_destination_or_a_config_error(text: str, start: str) -> None:
    """Nothing else is raised, whatever is in the environment."""
    try:
        assert isinstance(destination_from_url(start + text), Destination)
    except ConfigError as error:
        assert error.field  # noqa: PT017 - either way is fine
