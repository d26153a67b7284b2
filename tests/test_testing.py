"""What `penstock.testing` and the pytest plugin promise to other people's test suites."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import ClosedError, Config, FieldError, PostHog, SerializationError
from penstock.testing import CountingIds, FakeClock, MemoryClient, captured_client
from penstock.transport import TransportError, gate

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["pytester"]

ORDER = {"revenue": 99.99, "coupon": "SPRING", "products": [{"sku": "A-1", "price": 60}]}


@pytest.fixture
def client() -> Iterator[MemoryClient]:
    with MemoryClient() as client:
        yield client


# -- the client ----------------------------------------------------------------------------


def test_it_works_where_clients_are_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    """`PENSTOCK_DISABLED` in a CI environment keeps real clients quiet, not this one."""
    monkeypatch.setenv("PENSTOCK_DISABLED", "1")
    with MemoryClient() as client:
        client.track("u1", "A")
    client.assert_tracked("A")


def test_delivery_is_real_and_synchronous() -> None:
    """A flush puts the vendor's own JSON into the transport and calls the callback, here."""
    told = []

    class Callback:
        def success(self, message: dict[str, Any]) -> None:
            told.append((message["event"], threading.current_thread()))

        def failure(self, message: dict[str, Any], error: Exception) -> None:
            raise AssertionError(message, error)

    with MemoryClient(PostHog("phc_key"), callback=Callback()) as client:
        client.track("u1", "A")
        client.flush()
        (body,) = client.transport.bodies
    assert (body["api_key"], body["batch"][0]["distinct_id"]) == ("phc_key", "u1")
    assert told == [("A", threading.current_thread())]


def test_events_are_there_as_soon_as_the_call_returns(client: MemoryClient) -> None:
    """No flush, no wait."""
    client.track("u1", "Signed Up", {"plan": "pro"})
    client.page("u1", "Pricing")
    assert [(event.type, event.event, event.name) for event in client.events] == [
        ("track", "Signed Up", None),
        ("page", None, "Pricing"),
    ]
    assert client.events[0].properties == {"plan": "pro"}


def test_every_kind_of_call_is_captured(client: MemoryClient) -> None:
    """What a real client takes, this one takes."""
    client.identify("u1", {"plan": "pro"})
    client.track("u1", "A")
    client.page("u1", "B")
    client.screen("u1", "C")
    client.group("u1", "g1", {"name": "Acme"})
    client.alias(user_id="u1", previous_id="a1")
    client.alias(distinct_id="d1", alias="d2")
    client.capture("D", "u1", groups={"company": "c1"})
    client.group_identify("company", "c1", {"name": "Acme"})
    assert [event.type for event in client.events] == [
        "identify",
        "track",
        "page",
        "screen",
        "group",
        "alias",
        "create_alias",
        "capture",
        "group_identify",
    ]


def test_a_whole_message_can_be_compared(client: MemoryClient) -> None:
    """Ids count and the clock stands still."""
    client.track("u1", "Signed Up")
    assert client.events[0].raw == {
        "type": "track",
        "messageId": "00000000-0000-7000-8000-000000000001",
        "timestamp": "2026-01-01T00:00:00.000Z",
        "userId": "u1",
        "event": "Signed Up",
    }


def test_the_clock_is_the_tests(client: MemoryClient) -> None:
    """Timestamps follow `clock.advance`."""
    client.track("u1", "A")
    client.clock.advance(90)
    client.track("u1", "B")
    assert [event.timestamp[11:19] for event in client.events] == ["00:00:00", "00:01:30"]


def test_no_thread_and_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A thousand events leave the process and the disk as they were."""
    monkeypatch.setenv("PENSTOCK_JOURNAL", str(tmp_path / "journal"))
    before = threading.active_count()
    with MemoryClient() as client:
        for number in range(1000):
            client.track("u1", f"Event {number}")
        assert threading.active_count() == before
        assert len(client.events) == 1000
    assert list(tmp_path.iterdir()) == []


def test_misuse_raises_as_in_a_real_client(client: MemoryClient) -> None:
    """A test finds what production would."""
    with pytest.raises(FieldError):
        client.track("u1", "")
    client.close()
    with pytest.raises(ClosedError):
        client.track("u1", "A")


def test_settings_and_hooks_work_as_in_a_real_client() -> None:
    """Hooks run, the default context is there, strict is strict."""
    with captured_client(
        default_context={"app": {"name": "shop"}},
        before_send=lambda message: None if message.get("event") == "Noise" else message,
        strict=True,
    ) as client:
        client.track("u1", "Noise")
        client.track("u1", "Signal")
        with pytest.raises(SerializationError):
            client.track("u1", "Bad", {"x": float("nan")})
    (event,) = client.events
    assert (event.event, event.context) == ("Signal", {"app": {"name": "shop"}})


def test_events_are_a_snapshot(client: MemoryClient) -> None:
    """What the caller changes afterwards does not change what was captured."""
    properties: dict[str, Any] = {"cart": [1]}
    client.track("u1", "A", properties)
    properties["cart"].append(2)
    assert client.events[0].properties == {"cart": [1]}


def test_clear_forgets(client: MemoryClient) -> None:
    """And later events start a new list."""
    client.track("u1", "A")
    client.clear()
    client.assert_nothing_sent()
    client.track("u1", "B")
    assert [event.event for event in client.events] == ["B"]


def test_flush_and_close_return_at_once_with_everything_delivered(client: MemoryClient) -> None:
    """Code under test that flushes is not held up, and finds a ledger that balances."""
    client.track("u1", "A")
    ledger = client.flush(timeout=5)
    assert (ledger.accepted, ledger.delivered, ledger.pending) == (1, 1, 0)
    assert ledger.balanced
    assert client.close().balanced


def test_events_can_be_read_after_close() -> None:
    """The natural order of a test: act inside `with`, assert behind it."""
    with MemoryClient() as client:
        client.track("u1", "A")
    client.assert_tracked("A")


# -- assertions ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expected",
    [
        {},
        {"user_id": "u1"},
        {"properties": {"coupon": "SPRING"}},
        {"properties": {"products": [{"sku": "A-1", "price": 60}]}},
        {"coupon": "SPRING", "revenue": 99.99},
        {"revenue__gte": 99.99, "revenue__lt": 100},
        {"revenue__gt": 99, "revenue__lte": 99.99},
        {"coupon__in": ["SPRING", "SUMMER"]},
        {"coupon__ne": "SUMMER"},
        {"discount__ne": 5},
        {"coupon__contains": "RIN", "coupon__startswith": "SP", "coupon__endswith": "NG"},
        {"coupon__matches": "^S.*G$"},
        {"coupon__exists": True, "discount__exists": False},
        {"products__0__sku": "A-1", "products__0__price__gte": 60},
        {"products__contains": {"sku": "A-1", "price": 60}},
        {"revenue": pytest.approx(100, abs=0.1)},
        {"coupon": ANY},
        {"context": {"page": {"path": "/"}}},
        {"times": 1},
    ],
    ids=str,
)
def test_what_holds_is_asserted(client: MemoryClient, expected: dict[str, Any]) -> None:
    """Each form of question docs/testing.md lists, answered by yes; the event comes back."""
    client.track("u1", "Order", ORDER, context={"page": {"path": "/", "title": "Shop"}})
    assert client.assert_tracked("Order", **expected) is client.events[0]
    with pytest.raises(AssertionError):
        client.assert_not_tracked("Order", **{k: v for k, v in expected.items() if k != "times"})


@pytest.mark.parametrize(
    "expected",
    [
        {"user_id": "u2"},
        {"properties": {"coupon": "SUMMER"}},
        {"properties": {"absent": 1}},
        {"revenue__gt": 99.99},
        {"revenue__gt": "a lot"},
        {"coupon__contains": 5},
        {"coupon__ne": "SPRING"},
        {"coupon__exists": False},
        {"products__1__sku": "A-1"},
        {"coupon__deeper": 1},
        {"gift": 1},
        {"context": {"page": {"path": "/shop"}}},
        {"times": 2},
    ],
    ids=str,
)
def test_what_does_not_hold_fails(client: MemoryClient, expected: dict[str, Any]) -> None:
    """A question is never answered by yes because it could not be asked."""
    client.track("u1", "Order", {**ORDER, "gift": True}, context={"page": {"path": "/"}})
    with pytest.raises(AssertionError):
        client.assert_tracked("Order", **expected)


def test_expected_values_may_be_what_was_passed_in(client: MemoryClient) -> None:
    """A Decimal, a UUID or a datetime is compared as it is sent."""
    values = {
        "price": Decimal("12.30"),
        "id": UUID(int=7),
        "at": datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC),
        "took": timedelta(seconds=1.5),
        "tags": {"a"},
    }
    client.track("u1", "Order", values)
    client.assert_tracked("Order", properties=values)
    client.assert_tracked("Order", price=Decimal("12.3"), at=values["at"])
    client.assert_tracked("Order", at__gte=datetime(2026, 5, 6, tzinfo=UTC))


def test_traits_are_asked_of_identify_and_group(client: MemoryClient) -> None:
    """The same keywords, where the facts are traits."""
    client.identify("u1", {"plan": "pro", "seats": 3})
    client.group("u1", "g1", {"name": "Acme"})
    client.assert_identified("u1", plan="pro", seats__gte=3, traits={"plan": "pro"})
    client.assert_sent("group", group_id="g1", name="Acme")


def test_name_and_category_belong_to_pages_and_are_properties_elsewhere(
    client: MemoryClient,
) -> None:
    """A keyword means the field where the type has one, and a fact where it has not."""
    client.page("u1", "Pricing", category="Shop")
    client.track("u1", "Product Viewed", {"name": "Monopoly", "category": "Games"})
    client.assert_sent("page", name="Pricing", category="Shop")
    client.assert_tracked("Product Viewed", name="Monopoly", category="Games")
    client.capture("viewed", "d1")
    client.assert_tracked("viewed", distinct_id="d1")


def test_capture_counts_as_tracked(client: MemoryClient) -> None:
    """PostHog's own call is a named event like any other."""
    client.capture("user signed up", "u1")
    client.assert_tracked("user signed up", user_id="u1")


def test_nothing_tracked_is_said_of_nothing_tracked(client: MemoryClient) -> None:
    """Without a name, `assert_not_tracked` means any event."""
    client.identify("u1")
    client.assert_not_tracked()
    client.track("u1", "A")
    with pytest.raises(AssertionError, match="track 'A' of 'u1'"):
        client.assert_not_tracked()
    with pytest.raises(AssertionError):
        client.assert_nothing_sent()


def test_a_failure_names_what_came_closest_and_why(client: MemoryClient) -> None:
    """The reader of a failed test sees the mistake, not a dump."""
    client.track("u1", "Order Started")
    client.track("u1", "Order Completed", {"revenue": 99.99})
    client.identify("u1")
    with pytest.raises(AssertionError) as failure:
        client.assert_tracked("Order Completed", revenue__gte=100)
    assert str(failure.value) == (
        "nothing matches track or capture with event 'Order Completed', properties.revenue >= 100\n"
        "closest of 3 captured events:\n"
        "  [1] track 'Order Completed' of 'u1'\n"
        "      properties.revenue: expected >= 100, got 99.99\n"
        "  [0] track 'Order Started' of 'u1'\n"
        "      event: expected 'Order Completed', got 'Order Started'\n"
        "      properties.revenue: expected >= 100, is not there\n"
        "  [2] identify of 'u1'\n"
        "      type: expected capture or track, got identify\n"
        "      event: expected 'Order Completed', is not there\n"
        "      properties.revenue: expected >= 100, is not there"
    )


def test_a_misspelt_name_finds_the_event_meant(client: MemoryClient) -> None:
    """Among equals the most alike name is shown first."""
    for name in ("Cart Viewed", "Order Complete", "Checkout"):
        client.track("u1", name)
    with pytest.raises(AssertionError, match=r"\n  \[1\] track 'Order Complete'"):
        client.assert_tracked("Order Completed")


def test_the_wrong_number_of_events_is_listed(client: MemoryClient) -> None:
    """`times` names those that were found."""
    client.track("u1", "A")
    client.track("u2", "A")
    with pytest.raises(AssertionError, match=r"2 instead of 1(.|\n)*'u1'(.|\n)*'u2'"):
        client.assert_tracked("A", times=1)


def test_nothing_captured_is_said(client: MemoryClient) -> None:
    """An empty list needs no near misses."""
    with pytest.raises(AssertionError, match="nothing was captured"):
        client.assert_tracked("A")


@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii", categories=["L"]), min_size=1),
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.floats(0, 1e9),
    )
)
def test_an_event_matches_what_it_was_made_of(properties: dict[str, Any]) -> None:
    """For any plain properties: what goes in can be asked for."""
    with MemoryClient() as client:
        client.track("u1", "A", properties)
        client.assert_tracked("A", properties=properties)


# -- clock and ids -------------------------------------------------------------------------


def test_a_fake_clock_moves_only_when_told() -> None:
    """Wall and monotonic time pass together; the wall clock alone can be set."""
    clock = FakeClock(datetime(2026, 3, 1, tzinfo=UTC))
    start = clock.time()
    clock.advance(2.5)
    assert (clock.time() - start, clock.monotonic()) == (2.5, 2.5)
    clock.set_to(datetime(2026, 2, 1, tzinfo=UTC))
    assert (clock.time() < start, clock.monotonic()) == (True, 2.5)
    with pytest.raises(ValueError, match="-1"):
        clock.advance(-1)


def test_ids_count_in_the_form_of_a_uuid() -> None:
    """So that dialects which need a UUID keep them."""
    new_id = CountingIds()
    ids = [new_id() for _ in range(20)]
    assert len(set(ids)) == 20
    assert [UUID(i).int & 0xFFFF for i in ids] == list(range(1, 21))
    assert {UUID(i).version for i in ids} == {7}


def test_clock_and_ids_fit_any_client() -> None:
    """They are what `Config` asks for."""
    config = Config(clock=FakeClock(), new_id=CountingIds())
    assert config.new_id is not None
    assert config.new_id().endswith("1")


# -- the plugin ----------------------------------------------------------------------------


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Another project's test suite, in an environment without our own settings."""
    for name in ("PENSTOCK_NETWORK", "PENSTOCK_JOURNAL"):
        monkeypatch.delenv(name, raising=False)
    pytester.makeini("[pytest]")
    return pytester


def outcomes(project: pytest.Pytester, *args: str) -> pytest.RunResult:
    return project.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error", *args)


MODE = """
    import os, pytest
    def test_mode():
        assert os.environ["PENSTOCK_NETWORK"] == "{mode}"
"""


def test_the_network_is_denied_by_default(project: pytest.Pytester) -> None:
    """Without a word of configuration."""
    project.makepyfile(MODE.format(mode="deny"))
    outcomes(project).assert_outcomes(passed=1)


def test_the_ini_option_opens_loopback(project: pytest.Pytester) -> None:
    """For suites that run a server of their own."""
    project.makeini("[pytest]\npenstock_network = loopback")
    project.makepyfile(MODE.format(mode="loopback"))
    outcomes(project).assert_outcomes(passed=1)


def test_the_environment_beats_the_ini_option(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that one CI job may talk to a staging project."""
    monkeypatch.setenv("PENSTOCK_NETWORK", "allow")
    project.makeini("[pytest]\npenstock_network = loopback")
    project.makepyfile(MODE.format(mode="allow"))
    outcomes(project).assert_outcomes(passed=1)


def test_a_marker_opens_one_test_with_its_fixtures(project: pytest.Pytester) -> None:
    """And the next test is as closed as before."""
    project.makepyfile(
        """
        import os, pytest
        @pytest.fixture
        def mode():
            yield os.environ["PENSTOCK_NETWORK"]
            assert os.environ["PENSTOCK_NETWORK"] in ("allow", "loopback")
        @pytest.mark.penstock_network
        def test_all(mode):
            assert mode == "allow"
        @pytest.mark.penstock_network("loopback")
        def test_some(mode):
            assert mode == "loopback"
        def test_none():
            assert os.environ["PENSTOCK_NETWORK"] == "deny"
        """
    )
    outcomes(project, "--strict-markers").assert_outcomes(passed=3)


def test_a_misspelt_mode_is_an_error(project: pytest.Pytester) -> None:
    """Neither open nor silently closed."""
    project.makeini("[pytest]\npenstock_network = yes")
    project.makepyfile("def test_nothing(): pass")
    result = outcomes(project)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*penstock_network: 'yes' is none of allow, loopback, deny*"])


def test_a_client_in_a_test_reaches_nobody_and_says_why(project: pytest.Pytester) -> None:
    """Its events die at once with a reason, no connection is made, and pytest names the host."""
    project.makepyfile(
        """
        from penstock import Client, Segment
        class Told:
            errors = []
            def success(self, message): raise AssertionError("sent")
            def failure(self, message, error): self.errors.append(error)
        def test_checkout(tmp_path):
            from penstock import Config
            client = Client(Segment("WRITE_KEY"), config=Config(callback=Told()))
            client.track("u1", "Order Completed")
            ledger = client.close(timeout=10)
            assert ledger.dead == {"denied": 1}
            assert "penstock_network" in Told.errors[0].detail
        """
    )
    result = outcomes(project)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["penstock: * request(s) to api.segment.io refused, *"])


def test_child_processes_are_held_to_it_too(project: pytest.Pytester) -> None:
    """The mode and the journal travel in the environment."""
    project.makepyfile(
        """
        import subprocess, sys
        PROGRAM = '''
        from penstock import Client, Segment
        client = Client(Segment("WRITE_KEY"))
        client.track("u1", "A")
        print(client.close(timeout=10).dead)
        '''
        def test_child():
            run = [sys.executable, "-c", PROGRAM.replace("\\n        ", "\\n")]
            assert subprocess.check_output(run, text=True).strip() == "{'denied': 1}"
        """
    )
    outcomes(project).assert_outcomes(passed=1)


def test_the_users_own_journal_is_left_alone(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events of tests lie in a directory of the run, which is gone afterwards."""
    monkeypatch.setenv("XDG_STATE_HOME", str(project.path / "state"))
    project.makepyfile(
        """
        import os, pathlib
        from penstock import Client, Segment
        def test_checkout():
            client = Client(Segment("WRITE_KEY", endpoint="http://127.0.0.1:9"))
            client.track("u1", "A")
            client.close(timeout=0)
            here = pathlib.Path(os.environ["PENSTOCK_JOURNAL"])
            assert list(here.rglob("*.seg"))
            pathlib.Path("where").write_text(str(here))
        """
    )
    outcomes(project).assert_outcomes(passed=1)
    assert not (project.path / "state").exists()
    assert not Path((project.path / "where").read_text()).exists()


def test_the_fixture_is_a_captured_client(project: pytest.Pytester) -> None:
    """One for each test, with the assertions."""
    project.makepyfile(
        """
        def test_one(penstock):
            penstock.track("u1", "A")
            penstock.assert_tracked("A", user_id="u1", times=1)
        def test_two(penstock):
            penstock.assert_nothing_sent()
        """
    )
    outcomes(project).assert_outcomes(passed=2)


def test_a_suite_that_never_uses_penstock_does_not_load_it(project: pytest.Pytester) -> None:
    """The plugin is one small module."""
    project.makepyfile(
        """
        import sys
        def test_nothing():
            ours = {name for name in sys.modules if name.startswith("penstock")}
            assert ours == {"penstock", "penstock._version", "penstock.pytest_plugin"}
            assert not {"msgspec", "orjson", "urllib3"} & set(sys.modules)
        """
    )
    outcomes(project).assert_outcomes(passed=1)


def test_the_environment_is_put_back() -> None:
    """A program that runs pytest and goes on finds what it had."""
    program = (
        "import os, pytest; pytest.main(['-q', '--collect-only', '-p', 'no:cacheprovider', '.'])\n"
        "assert not {'PENSTOCK_NETWORK', 'PENSTOCK_JOURNAL'} & set(os.environ)"
    )
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")}
    subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        env=clean,
        cwd=Path(__file__).parent / "typing",
        capture_output=True,
        timeout=60,
    )


# -- the gate ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "url", "passes"),
    [
        (None, "https://api.segment.io/v1/batch", True),
        ("allow", "https://api.segment.io/v1/batch", True),
        ("loopback", "https://api.segment.io/v1/batch", False),
        ("loopback", "http://127.0.0.1:8765/v1/batch", True),
        ("loopback", "http://127.8.9.1/", True),
        ("loopback", "http://[::1]:8765/", True),
        ("loopback", "http://localhost:8765/", True),
        ("loopback", "http://localhost.example.com/", False),
        ("loopback", "http://127.0.0.1.example.com/", False),
        ("deny", "http://127.0.0.1:8765/", False),
        ("dney", "http://127.0.0.1:8765/", False),
    ],
)
def test_the_gate(
    monkeypatch: pytest.MonkeyPatch, mode: str | None, url: str, *, passes: bool
) -> None:
    """Open unless told otherwise; a misspelt word closes it."""
    monkeypatch.delenv("PENSTOCK_NETWORK", raising=False)
    if mode is not None:
        monkeypatch.setenv("PENSTOCK_NETWORK", mode)
    if passes:
        gate.check(url)
        return
    with pytest.raises(TransportError) as refusal:
        gate.check(url)
    assert refusal.value.kind == "denied"
    gate.refused.pop()
