"""
What type checkers know of the public API; read by mypy and pyright in `make check`, never run.

Each `assert_type` is a promise to users with strict settings. Lines that must be refused carry
an ignore: a checker that no longer refuses them reports the ignore as unused.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_type

import penstock
from penstock import (
    Block,
    Client,
    Collector,
    Config,
    Context,
    DeliveryError,
    DestinationLedger,
    Dreamdata,
    ErrorTracking,
    Evaluation,
    ExceptionEvent,
    FieldError,
    Flags,
    FlagSettings,
    FlagSnapshot,
    Identify,
    Ledger,
    PostHog,
    Product,
    Properties,
    Retry,
    RudderStack,
    Scope,
    Segment,
    Track,
    Traits,
    Webhook,
)
from penstock.error_tracking.logging_handler import ExceptionLogHandler
from penstock.flags.openfeature import PenstockProvider
from penstock.identity import AnonymousCookie, CrossDomainLinker, DailySaltId, Placeholder
from penstock.testing import CapturedEvent, CountingIds, FakeClock, MemoryClient, captured_client
from penstock.transport import Request, Response, Transport
from penstock.web import Settings
from penstock.web.aws_lambda import handler
from penstock.web.wsgi import AnalyticsMiddleware as WsgiMiddleware

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.error_tracking import Hint


class Callback:
    def success(self, message: dict[str, Any]) -> None: ...

    def failure(self, message: dict[str, Any], error: DeliveryError) -> None:
        assert_type(error.reason, str)
        assert_type(error.status, int | None)


class MyTransport:
    def send(self, request: Request, timeout: float) -> Response:
        assert_type(request.body, bytes)
        return Response(200, {}, b"")

    def close(self) -> None: ...


def hook(message: dict[str, Any]) -> dict[str, Any] | None:
    return message


def clients() -> None:
    assert_type(Client(Segment("key")), Client)
    Client(Segment("key"), RudderStack("key", "https://example.com"), Dreamdata("key"))
    Client(PostHog("key", capture_mode="v1", historical_migration=True), Collector("key"))
    assert_type(Client.from_env(), Client)
    Client("segment://key")  # type: ignore[arg-type]
    Client(Webhook("secret", "https://example.com/hook", format="ndjson"))
    PostHog("key", capture_mode="v2")  # type: ignore[arg-type]


def settings() -> None:
    transport: Transport = MyTransport()
    Config(
        interval=0.5,
        retry=Retry(attempts=3),
        overflow=Block(0.1),
        journal=Path("journal"),
        fsync="interval",
        callback=Callback(),
        logger=logging.getLogger("shop"),
        transport=transport,
        default_context={"app": {"name": "shop"}},
        before_send=[hook, hook],
        clock=FakeClock(),
        new_id=CountingIds(),
    )
    Config(journal=None, overflow="drop_oldest", before_send=hook)
    Config(overflow="drop_everything")  # type: ignore[arg-type]
    Config(fsync="sometimes")  # type: ignore[arg-type]
    Config(0.5)  # type: ignore[call-arg]


def calls(client: Client) -> None:
    assert_type(client.identify("u1", {"plan": "pro"}), str)
    assert_type(client.track("u1", "Signed Up", {"plan": "pro"}, timestamp=datetime.now(UTC)), str)
    assert_type(client.page("u1", "Pricing", category="Shop"), str)
    assert_type(client.screen("u1", "Settings", anonymous_id="a1"), str)
    assert_type(client.group("u1", "g1", Traits(name="Acme"), group_type="company"), str)
    assert_type(client.alias(user_id="u1", previous_id="a1"), str)
    assert_type(client.alias(distinct_id="d1", alias="d2"), str)
    assert_type(client.capture("signed up", "u1", groups={"company": "c1"}), str)
    assert_type(client.group_identify("company", "c1", {"name": "Acme"}), str)
    assert_type(client.track("u1", "A", context=Context(ip="203.0.113.9"), historical=True), str)
    client.track("u1", "A", integrations={"All": False, "PostHog": True})
    client.track(1.5, "A")  # type: ignore[arg-type]
    client.track("u1", "A", timestamp=1.0)  # type: ignore[arg-type]
    client.track("u1", "A", revenue=1)  # type: ignore[call-arg]
    client.alias("u1", "a1")  # type: ignore[call-arg]


def redact(event: dict[str, Any], hint: Hint) -> dict[str, Any] | None:
    return None if "log_record" in hint else event


def errors_told(client: Client) -> None:
    tracking = ErrorTracking(
        project_root=Path("/srv/app"),
        ignore_exceptions=[KeyError, "shop.errors.Expected"],
        sample_rate=lambda hint: 1.0 if hint.get("request") else 0.5,
        before_send=redact,
    )
    Config(error_tracking=tracking)
    ErrorTracking(source_lines=7)  # type: ignore[call-arg]
    assert_type(client.capture_exception(), str | None)
    assert_type(client.capture_exception(ValueError("x"), user_id="u1", level="fatal"), str | None)
    client.capture_exception(ValueError("x"), users="u1")  # type: ignore[call-arg]
    client.install_exception_hooks(threading=False, unraisable=True)
    assert_type(client.install_logging("shop", level="WARNING"), ExceptionLogHandler)
    client.add_step("cart loaded", items=3)
    assert_type(client.enqueue(ExceptionEvent(exceptions=[{"type": "KeyError"}])), str)
    assert_type(client.ledger().exceptions, dict[str, int])


def messages(client: Client) -> None:
    properties = Properties(revenue=9.99, products=[Product(sku="A-1", price=60.0)])
    assert_type(properties.set("gift", value=True), Properties)
    assert_type(client.enqueue(Track(user_id="u1", event="A", properties=properties)), str)
    client.enqueue(Identify(user_id="u1", traits={"plan": "pro"}))
    client.enqueue({"type": "track"})  # type: ignore[arg-type]


def accounts(client: Client) -> None:
    ledger = client.flush(timeout=5)
    assert_type(ledger, Ledger)
    assert_type(client.close(), Ledger)
    assert_type(client.ledger(), Ledger)
    assert_type(ledger.balanced, bool)
    assert_type(ledger.pending, int)
    assert_type(ledger.dead, dict[str, int])
    assert_type(ledger.destinations, dict[str, DestinationLedger])


async def waiting(client: Client) -> None:
    assert_type(await client.aflush(timeout=5), Ledger)
    assert_type(await client.aclose(), Ledger)
    async with client as same:
        assert_type(same, Client)


class SyncCache:
    def should_fetch_flag_definitions(self) -> bool:
        return True

    def get_flag_definitions(self) -> dict[str, Any] | None:
        return None

    def on_flag_definitions_received(self, data: Mapping[str, Any]) -> None: ...

    def shutdown(self) -> None: ...


class AsyncCache:
    async def should_fetch_flag_definitions(self) -> bool:
        return True

    async def get_flag_definitions(self) -> dict[str, Any] | None:
        return None

    async def on_flag_definitions_received(self, data: Mapping[str, Any]) -> None: ...

    async def shutdown(self) -> None: ...


def flags(client: Client) -> None:
    FlagSettings(definitions_cache=SyncCache())
    FlagSettings(definitions_cache=AsyncCache())
    FlagSettings(definitions_cache=object())  # type: ignore[arg-type]
    Config(flags=FlagSettings(secret_key="phs_x", poll_interval=None, bootstrap={"f": "wide"}))
    FlagSettings(api_version=3)  # type: ignore[arg-type]
    Config(flags={"timeout": 1.0})  # type: ignore[arg-type]
    assert_type(client.flags, Flags)
    found = client.flags.get("f", "u1", groups={"company": 3}, person_properties={"tier": "gold"})
    assert_type(found, Evaluation)
    assert_type(found.value, bool | str | None)
    assert_type(found.variant, str | None)
    assert_type(found.error, str | None)
    assert_type(client.flags.enabled("f", "u1", timeout=0.5), bool)
    assert_type(client.flags.all("u1", keys=["f"]), dict[str, bool | str])
    snapshot = client.flags.evaluate("u1", disable_geoip=False)
    assert_type(snapshot, FlagSnapshot)
    assert_type(snapshot.only_accessed().value("f"), bool | str | None)
    assert_type(client.capture("bought", "u1", flags=snapshot), str)
    client.capture("bought", "u1", send_feature_flags={"only_evaluate_locally": True})
    client.capture("bought", "u1", send_feature_flags="yes")  # type: ignore[arg-type]
    client.flags.get("f", 1.5)  # type: ignore[arg-type]
    client.flags.all("u1", group={"company": "c1"})  # type: ignore[call-arg]
    assert_type(client.get_feature_flag("f", "u1"), bool | str | None)
    assert_type(client.is_feature_enabled("f", "u1"), bool | None)
    PenstockProvider(client, default_distinct_id="everybody")


async def async_flags(client: Client) -> None:
    assert_type(await client.flags.aget("f", "u1"), Evaluation)
    assert_type(await client.flags.aenabled("f", "u1"), bool)
    assert_type(await client.flags.aevaluate("u1"), FlagSnapshot)
    assert_type(await client.flags.areload(), bool)
    assert_type(await client.acapture("bought", "u1", send_feature_flags=True), str)
    await client.acapture(
        "bought", "u1", message_id="m1", set={"plan": "gold"}, groups={"company": "c1"}
    )
    await client.acapture("bought", "u1", send_feature_flags=1)  # type: ignore[arg-type]


def scopes(client: Client) -> None:
    with client as same:
        assert_type(same, Client)
    with penstock.scoped(user_id="u1", context={"ip": "203.0.113.9"}):
        client.track(event="Signed Up")


def requests(client: Client) -> None:
    with client.request_context(user_id=lambda: 7, ip="203.0.113.9", consent="anonymous") as scope:
        assert_type(scope, Scope)
        client.set_user("u1")
        client.set_session(1772360431)
        client.tag("plan", "pro")
        assert_type(client.anonymous_id(create=True), str | None)
        assert_type(client.login("u1", Traits(plan="pro")), str)
        client.logout()
    with client.context(fresh=True, user_id="u2"), client.job("nightly", flush=2.0):
        client.track(event="A")
    client.context(user_agnet="x")  # type: ignore[call-arg]
    client.request_context(consent="perhaps")  # type: ignore[arg-type]
    with client.use_context(client.current_context()):
        client.track(event="A")


def wrapped(client: Client) -> None:
    def double(number: int) -> float:
        return number * 2.0

    assert_type(client.wrap(double)(2), float)
    scoped = client.scoped(user_id="u1")(double)
    assert_type(scoped(2), float)


def identities() -> None:
    cookie = AnonymousCookie(domain=".example.com")
    assert_type(cookie.read("anonymous_id=x"), str | None)
    assert_type(AnonymousCookie.dreamdata(), AnonymousCookie)
    linker = CrossDomainLinker(["k" * 16], ["other.example"], on_conflict="alias")
    assert_type(linker.decorate_url("https://other.example/"), str)
    Settings(cookie=cookie, linker=linker, trusted_proxies=["10.0.0.0/8"], gpc="off")
    Settings(cookieless=DailySaltId(secret="s"))
    Settings(cookieless=Placeholder(), query="none")
    Settings(query="some")  # type: ignore[arg-type]


def middleware(client: Client) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        return [b"ok"]

    WsgiMiddleware(app, client, anonymize_ip=True)

    @handler(client)
    def main(event: Any, context: Any) -> int:
        return 1

    assert_type(main({}, None), int)


def errors(client: Client) -> None:
    try:
        client.track("u1", "")
    except FieldError as error:
        assert_type(error.field, str)


def in_tests(penstock: MemoryClient) -> None:
    assert_type(penstock.assert_tracked("A", user_id="u1", revenue__gte=99), CapturedEvent)
    assert_type(penstock.events[0].user_id, str | None)
    assert_type(penstock.events[0].properties, dict[str, Any])
    penstock.clock.advance(60)
    with captured_client(strict=True) as client:
        assert_type(client, MemoryClient)
