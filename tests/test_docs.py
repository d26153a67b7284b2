"""The documents say what is there, all of it, and their snippets run."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import pytest

import penstock
import proving
from penstock import (
    Collector,
    Config,
    Dreamdata,
    ErrorTracking,
    FlagSettings,
    PostHog,
    Retry,
    RudderStack,
    Segment,
    Webhook,
    errors,
)
from penstock._facts import _PLACES
from penstock.cli import main as command
from penstock.identity import AnonymousCookie
from penstock.values import Reason
from penstock.web import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

ROOT = Path(__file__).parent.parent
SOURCE = Path(penstock.__file__).parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
PUBLIC = """
    Address Alias App Block Callback Campaign Capture Client Clock ClosedError Collector Company
    Config ConfigError Context CreateAlias DeliveryError Destination DestinationLedger Device
    Dreamdata Ecommerce ErrorTracking Evaluation ExceptionEvent FieldError Flags FlagSettings
    FlagSnapshot Group GroupIdentify Identify Integrations JournalError Ledger Location Message
    MessageTooLargeError MissingExtraError Network OperatingSystem Page PageInfo PenstockError
    PostHog Product Properties QueueFullError Referrer Request Response Retry RudderStack Scope
    scoped Screen ScreenInfo Segment SerializationError ShutdownError Tls Track Traits Transport
    TransportError ValidationError __version__ Webhook
"""
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^ *```$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\[[^\]]*\]\((?!\w+:)(?P<target>[^)\s]+)\)")


class Collecting(NamedTuple):
    """A running collector."""

    url: str
    store: Path


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, *languages: str) -> list[str]:
    """Bodies of the fenced blocks of these languages, without their indentation."""
    found = FENCE.finditer(page.read_text("utf-8"))
    return [textwrap.dedent(m["body"]) for m in found if m["language"] in languages]


def documented(page: str) -> str:
    return (ROOT / "docs" / page).read_text("utf-8")


def first_column(text: str) -> set[str]:
    """Names in the first cell of each row of the tables in a page."""
    rows = re.findall(r"(?m)^\| (`[^|]*?) \|", text)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


# -- names ---------------------------------------------------------------------------------


def test_the_public_names_are_pinned() -> None:
    """A public name comes and goes on purpose, never with a refactoring."""
    assert set(penstock.__all__) == set(PUBLIC.split())


def test_every_public_name_resolves() -> None:
    """What `__all__` promises can be imported, and `dir` tells it."""
    for name in penstock.__all__:
        assert getattr(penstock, name) is not None
    assert set(penstock.__all__) <= set(dir(penstock))


def test_every_public_name_has_a_docstring() -> None:
    """`help()` says something about each."""
    things = {name: getattr(penstock, name) for name in penstock.__all__}
    assert [n for n, thing in things.items() if callable(thing) and not thing.__doc__] == []


# -- nothing undocumented, nothing documented that is not there -------------------------------


def test_every_setting_is_documented() -> None:
    """docs/configuration.md names exactly the fields of Config and of the settings in it."""
    fields = {field.name for field in dataclasses.fields(Config)}
    fields |= {f"flags.{field.name}" for field in dataclasses.fields(FlagSettings)}
    fields |= {f"retry.{field.name}" for field in dataclasses.fields(Retry)}
    fields |= {f"error_tracking.{field.name}" for field in dataclasses.fields(ErrorTracking)}
    settings = documented("configuration.md").partition("## Hooks")[0]
    assert {name for name in first_column(settings) if name.islower()} == fields


def test_every_option_of_the_middleware_is_documented() -> None:
    """docs/web.md names exactly the options of its Settings, docs/identity.md the cookie's."""
    options = {field.name for field in dataclasses.fields(Settings) if field.init}
    assert first_column(documented("web.md").partition("## Options")[2]) == options
    cookie = documented("identity.md").partition("## Login")[0]
    assert first_column(cookie) == {field.name for field in dataclasses.fields(AnonymousCookie)}


def test_every_fact_of_a_request_is_documented() -> None:
    """docs/context.md says where each arrives."""
    fields = documented("context.md").partition("## Fields")[2]
    assert first_column(fields) == {*_PLACES, "user_id", "anonymous_id", "tags"}


def test_every_coercion_is_documented() -> None:
    """docs/dialects.md names each way in which a value can be changed."""
    text = documented("dialects.md")
    assert [reason for reason in get_args(Reason) if f"`{reason}`" not in text] == []


def test_the_limits_are_what_the_destinations_say() -> None:
    """The table of docs/dialects.md, number by number."""
    makes = (Segment, Dreamdata, RudderStack, PostHog)
    for field in ("batch_size", "interval", "max_message_bytes", "max_batch_bytes", "compression"):
        (row,) = re.findall(rf"(?m)^\| `{field}` \|(.+)\|$", documented("dialects.md"))
        shown = [cell.strip().replace(",", "").removesuffix(" s") for cell in row.split("|")]
        there = [getattr(make("KEY"), field) for make in makes]
        assert shown == [
            f"{value:g}" if field == "interval" else str(value or "none") for value in there
        ], field


def test_every_argument_of_a_destination_is_documented() -> None:
    """docs/configuration.md names each that a constructor takes."""
    makes = (Segment, Dreamdata, RudderStack, PostHog, Collector, Webhook)
    arguments = {name for make in makes for name in inspect.signature(make).parameters}
    arguments -= {"write_key", "api_key", "secret", "settings"}
    text = documented("configuration.md").partition("## Destinations")[2]
    assert {name for name in arguments if f"`{name}`" not in text} == set()


def test_every_environment_variable_is_documented() -> None:
    """A variable the code looks at is in the documents."""
    code = "\n".join(path.read_text("utf-8") for path in SOURCE.rglob("*.py"))
    used = set(re.findall(r"\bPENSTOCK_[A-Z_]+\b", code))
    assert used == {
        name for name in first_column(documented("configuration.md")) if name.isupper()
    } - {"DEBUG"}


def test_every_drop_reason_is_documented() -> None:
    """docs/delivery.md names each reason an event can be dead for."""
    code = "\n".join(path.read_text("utf-8") for path in SOURCE.rglob("*.py"))
    used = set(re.findall(r'\b(?:Death|_?refuse|_bury|Unencodable)\(\s*"(\w+)"', code))
    assert used >= {"too_large", "queue_full", "rejected", "expired", "corrupt"}
    table = documented("delivery.md").partition("## Reasons")[2].partition("\n## ")[0]
    assert used <= first_column(table)


def test_every_error_is_documented() -> None:
    """docs/errors.md names exactly the exceptions there are."""
    there = {
        name
        for name, thing in vars(errors).items()
        if isinstance(thing, type) and issubclass(thing, Exception) and not name.startswith("_")
    }
    assert {
        name for name in first_column(documented("errors.md")) if name.endswith("Error")
    } == there


def commands(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    """Every command below *group* with the words that call it."""
    for name, found in group.commands.items():
        yield name, found
        if hasattr(found, "commands"):
            yield from ((f"{name} {below}", it) for below, it in commands(found))  # type: ignore[arg-type]


COMMANDS = dict(commands(command))  # type: ignore[arg-type]


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_and_option_is_documented(words: str) -> None:
    """docs/cli.md names each command and each of its options."""
    text = documented("cli.md")
    assert f"penstock {words}" in text
    options = [opt for param in COMMANDS[words].params for opt in param.opts if opt[:2] == "--"]
    assert [option for option in options if option not in text] == []


# -- proofs ------------------------------------------------------------------------------------

PROOF = re.compile(r"^\$ make proof ARGS='--proves \"(.+)\"'$", re.MULTILINE)
#: Prints the marks of every test that `make proof` would run with the given arguments.
COLLECT = """
import sys, pytest

class Marks:
    def pytest_collection_finish(self, session):
        for item in session.items:
            for mark in item.iter_markers("proves"):
                print("@", *mark.args, sep="|")

sys.exit(pytest.main(["--collect-only", "-qq", "-m", "proves", *sys.argv[1:]], plugins=[Marks()]))
"""


def proofs(*arguments: str) -> list[tuple[str, str]]:
    """Promise and case of each test that `make proof` would run."""
    collect = [sys.executable, "-c", COLLECT, "-p", "no:cacheprovider", *arguments]
    listed = subprocess.check_output(collect, cwd=ROOT, text=True, env=environment(ROOT))
    marks = [line.split("|") for line in listed.splitlines() if line.startswith("@|")]
    return [(promise, case) for _, promise, case in marks]


@pytest.fixture(scope="module")
def all_proofs() -> list[tuple[str, str]]:
    return proofs()


@pytest.mark.parametrize("wanted", sorted(set(PROOF.findall(documented("delivery.md")))))
def test_every_command_of_the_guarantee_page_tries_something(
    wanted: str, all_proofs: list[tuple[str, str]]
) -> None:
    """Each promise and case it names is tried by at least one test."""
    marks = [pytest.mark.proves(*proof).mark for proof in all_proofs]
    assert any(proving.is_wanted(wanted, [mark]) for mark in marks)


def test_every_promise_that_is_tried_is_on_the_guarantee_page(
    all_proofs: list[tuple[str, str]],
) -> None:
    """And with the command that tries it."""
    assert {promise for promise, _ in all_proofs} <= set(PROOF.findall(documented("delivery.md")))


def test_a_proof_can_be_asked_for() -> None:
    """``--proves`` leaves out what does not try the promise."""
    assert set(proofs("tests/soak", "--proves", "time: fast clock")) == {
        ("time", "hours at a fast clock")
    }
    assert proving.is_wanted("time", [pytest.mark.proves("time", "a day").mark])
    assert not proving.is_wanted("time: hour", [pytest.mark.proves("time", "a day").mark])
    assert not proving.is_wanted("time", [pytest.mark.proves("values", "time").mark])


# -- links and snippets --------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The fragments a forge gives the page's headings."""
    text = FENCE.sub("", page.read_text("utf-8"))
    titles = (
        re.sub(r"[^\w\- ]", "", t.lower()) for t in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    )
    return {title.replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A relative link names a file, and a heading of it, that exist."""
    for match in LINK.finditer(FENCE.sub("", page.read_text("utf-8"))):
        target, _, fragment = match["target"].partition("#")
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), match["target"]
        assert not fragment or fragment in anchors(found), match["target"]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_console_line_calls_a_command_that_exists(page: Path) -> None:
    """``$ penstock ...`` in a page names a command, with options that it has."""
    for block in blocks(page, "console", "sh"):
        for line in re.findall(r"^(?:\$ )?penstock (.+)$", block, re.MULTILINE):
            words = [word for word in line.split() if not word.startswith(("-", "'", '"'))]
            found = max((c for c in COMMANDS if line.startswith(c)), key=len, default=None)
            assert found, f"penstock {words[0]}"
            known = {opt for param in COMMANDS[found].params for opt in param.opts} | {"--help"}
            used = re.findall(r"(?<=\s)--[\w-]+", line.split(" | ")[0])
            assert set(used) <= known, line


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collecting]:
    """A real collector, as ``penstock serve`` starts it."""
    store = tmp_path_factory.mktemp("collector")
    serve = [sys.executable, "-m", "penstock", "serve", "--port", "0", "--store", str(store)]
    with subprocess.Popen(
        serve, stdout=subprocess.PIPE, text=True, env=environment(store)
    ) as process:
        assert process.stdout
        yield Collecting(json.loads(process.stdout.readline())["url"], store)
        process.terminate()


def run_snippets(page: Path, place: Path, url: str) -> str:
    """Run the Python of *page* in *place* with the collector at *url*; what it printed."""
    code = "\n".join(blocks(page, "python"))
    code = code.replace('Collector("demo")', f'Collector("demo", endpoint="{url}")')
    is_test = "def test_" in code
    script = place / ("test_page.py" if is_test else "page.py")
    script.write_text(code, "utf-8")
    runner = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if is_test else ["-W", "error"]
    run = subprocess.run(
        [sys.executable, *runner, str(script)],
        cwd=place,
        env=environment(place),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name_of)
def test_every_snippet_runs(page: Path, collector: Collecting, tmp_path: Path) -> None:
    """The Python of a page, read from top to bottom, is a program or tests that pass."""
    run_snippets(page, tmp_path, collector.url)


def test_the_first_program_of_the_readme_delivers(collector: Collecting, tmp_path: Path) -> None:
    """It prints that everything is delivered, and the collector has it."""
    printed = run_snippets(ROOT / "README.md", tmp_path, collector.url)
    assert printed == "3 delivered, 0 pending\n"
    show = [sys.executable, "-m", "penstock", "events", "--store", str(collector.store)]
    stored = subprocess.check_output(show, text=True, env=environment(tmp_path), timeout=60)
    assert "Order Completed" in [json.loads(line).get("event") for line in stored.splitlines()]


def environment(home: Path) -> dict[str, Any]:
    """A user with nothing set, whose programs reach this machine only."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    return {
        **kept,
        "PYTHONPATH": str(SOURCE.parent),
        "PENSTOCK_JOURNAL": str(home / "journal"),
        "PENSTOCK_NETWORK": "loopback",
    }
