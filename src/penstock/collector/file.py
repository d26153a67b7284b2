"""
The configuration file: sources and destinations in one TOML document.

    [sources.web]
    key = "env:WEB_KEY"
    dialect = "segment"
    destinations = ["product"]

    [destinations.product]
    type = "posthog"
    key = "env:POSTHOG_KEY"
    only = { types = ["track"], events = ["Order *"] }

Everything wrong with a file is found at once, each with its table, its key and what to do.
"""

from __future__ import annotations

import inspect
import os
import tomllib
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.collector.routing.shaping import Matcher, Renaming, Shape
from penstock.collector.sources import DIALECTS, NAME, Source, Sources
from penstock.config import DAY_S, MAX_CONCURRENCY, MIB
from penstock.destinations.urls import VENDORS
from penstock.errors import ConfigError, PenstockError
from penstock.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from penstock.destinations import Destination

_ENV = "env:"
_SOURCE_KEYS = ("key", "keys", "dialect", "enabled", "destinations")
_MATCHER_KEYS = ("types", "events", "sources")
_RENAME_KEYS = ("events", "properties")
#: Of a destination, besides what its class takes.
_OUTLET_KEYS = (
    "type", "key", "endpoint", "name", "only", "except", "rename", "backlog_mb", "max_age_days",
    "concurrency",
)  # fmt: skip
_LIMITS = (
    "batch_size", "interval", "max_message_bytes", "max_batch_bytes", "compression", "timeout",
)  # fmt: skip
#: What a stored event can be; PostHog's own calls are among them by then.
_TYPES = {kind.wire: kind for kind in Kind if kind <= Kind.ALIAS}
#: Stands for a key that is missing, so that the rest of its table is looked at, too.
_NO_KEY = "missing"
#: Smallest backlog in MiB: what a journal needs for its first segments.
_LEAST_BACKLOG = 16


class Finding(NamedTuple):
    """Something wrong with a file."""

    #: ``destinations.product``; empty for the document itself.
    table: str
    key: str
    problem: str
    fix: str

    def __str__(self) -> str:
        """One line."""
        place = f"[{self.table}] " if self.table else ""
        return f"{place}{self.key + ': ' if self.key else ''}{self.problem}; {self.fix}"


class BrokenFileError(PenstockError):
    """
    A configuration file that cannot be used.

    Args:
        path: The file.
        findings: All that is wrong with it.
    """

    def __init__(self, path: Path, findings: Sequence[Finding]) -> None:
        super().__init__(f"{path}: " + " | ".join(map(str, findings)))
        self.findings = tuple(findings)


class Outlet(NamedTuple):
    """A destination of the collector."""

    #: Its table.
    name: str
    destination: Destination
    shape: Shape
    backlog_bytes: int
    #: Seconds.
    max_age: float
    concurrency: int


class Settings(NamedTuple):
    """A file that can be used."""

    sources: Sources
    #: ``{source: names of its outlets}``; a source that is not there has them all.
    routes: dict[str, tuple[str, ...]]
    outlets: dict[str, Outlet]
    #: In the order of the file.
    source_names: tuple[str, ...]
    #: Those of them that are switched off.
    disabled: tuple[str, ...] = ()

    def outlets_of(self, source: str) -> tuple[str, ...]:
        """Where a source's events go."""
        return self.routes.get(source, tuple(self.outlets))


def read(path: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """
    Read a configuration file.

    Args:
        path: The file.
        environ: Where ``env:NAME`` looks.

    Raises:
        BrokenFileError: Something in it cannot be used.
        OSError: It cannot be read.
    """
    return parse(path, path.read_bytes(), environ)


def parse(path: Path, content: bytes, environ: Mapping[str, str] = os.environ) -> Settings:
    """The same for content that was read already; *path* is for messages."""
    try:
        document = tomllib.loads(content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BrokenFileError(path, [Finding("", "", str(error), "write TOML")]) from None
    reader = _Reader(document, environ)
    settings = reader.settings()
    if reader.findings:
        raise BrokenFileError(path, reader.findings)
    return settings


class _Reader:
    """Reads one document, and notes what is wrong with it."""

    def __init__(self, document: dict[str, Any], environ: Mapping[str, str]) -> None:
        self._document = document
        self._environ = environ
        self.findings: list[Finding] = []

    def settings(self) -> Settings:
        """Everything that could be read."""
        self._known("", self._document, ("sources", "destinations"))
        sources = self._named("sources")
        outlets = self._named("destinations")
        made = [self._outlet(name, table) for name, table in outlets.items()]
        found = {outlet.name: outlet for outlet in made if outlet}
        self._names_differ(found)
        keys: dict[str, Source] = {}
        routes: dict[str, tuple[str, ...]] = {}
        for name, table in sources.items():
            self._source(name, table, keys)
            if "destinations" in table:
                routes[name] = self._choices(f"sources.{name}", table, "destinations", outlets)
        disabled = tuple(name for name in sources if sources[name].get("enabled") is False)
        return Settings(Sources(keys), routes, found, tuple(sources), disabled)

    def _note(self, table: str, key: str, problem: str, fix: str) -> None:
        self.findings.append(Finding(table, key, problem, fix))

    # -- tables ----------------------------------------------------------------------------

    def _named(self, kind: str) -> dict[str, dict[str, Any]]:
        """``[kind.NAME]`` tables with usable names."""
        tables = self._table("", self._document, kind)
        found = {}
        for name, table in tables.items():
            if not isinstance(table, dict):
                self._note(kind, name, "is no table", f"write [{kind}.NAME] above its keys")
            elif not NAME.fullmatch(name):
                fix = "use letters, digits, '.', '_' and '-', at most 64"
                self._note(f"{kind}.{name}", "", "the name cannot be used", fix)
            else:
                found[name] = table
        return found

    def _table(self, place: str, table: dict[str, Any], key: str) -> dict[str, Any]:
        value = table.get(key, {})
        if isinstance(value, dict):
            return value
        self._note(place, key, "is no table", f"write [{place + '.' if place else ''}{key}]")
        return {}

    def _known(self, place: str, table: dict[str, Any], keys: Sequence[str]) -> None:
        for key in table:
            if key not in keys:
                near = get_close_matches(key, keys, 1)
                fix = f"did you mean {near[0]}?" if near else f"there is {', '.join(keys)}"
                self._note(place, key, "is not known here", fix)

    # -- values ----------------------------------------------------------------------------

    def _text(self, place: str, table: dict[str, Any], key: str) -> str:
        value = table.get(key, "")
        if isinstance(value, str) and (value or key not in table):
            return value
        self._note(place, key, "is no text", f'write {key} = "..."')
        return ""

    def _texts(self, place: str, table: dict[str, Any], key: str) -> tuple[str, ...]:
        value = table.get(key, [])
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return tuple(value)
        self._note(place, key, "is no list of texts", f'write {key} = ["...", "..."]')
        return ()

    def _choices(
        self, place: str, table: dict[str, Any], key: str, choices: Mapping[str, Any]
    ) -> tuple[str, ...]:
        values = self._texts(place, table, key)
        for value in values:
            if value not in choices:
                there = ", ".join(choices) or "none"
                self._note(place, key, f"{value!r} is not there", f"there is {there}")
        return values

    def _number(self, place: str, table: dict[str, Any], key: str, default: float) -> float:
        value = table.get(key, default)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1 << 40:
            return float(value)
        self._note(place, key, "is no number above 0", f"write {key} = {default:g}")
        return default

    def _secret(self, place: str, key: str, value: str) -> str:
        """The value itself, or that of the variable it names."""
        if not value.startswith(_ENV):
            return value
        name = value.removeprefix(_ENV)
        found = self._environ.get(name, "").strip()
        if not found:
            problem = f"the environment variable {name} is not set"
            self._note(place, key, problem, f"set {name} where the collector starts")
        return found

    # -- sources ---------------------------------------------------------------------------

    def _source(self, name: str, table: dict[str, Any], keys: dict[str, Source]) -> None:
        place = f"sources.{name}"
        self._known(place, table, _SOURCE_KEYS)
        dialect = self._text(place, table, "dialect")
        if dialect and dialect not in DIALECTS:
            self._note(place, "dialect", f"{dialect!r} is none", f"use {', '.join(DIALECTS)}")
        enabled = table.get("enabled", True)
        if not isinstance(enabled, bool):
            self._note(place, "enabled", "is neither true nor false", "write enabled = false")
        written = [("key", self._text(place, table, "key"))]
        written += [("keys", value) for value in self._texts(place, table, "keys")]
        if not any(value for _, value in written):
            self._note(place, "key", "is missing", 'write key = "env:NAME"')
        for field, value in written:
            key = self._secret(place, field, value) if value else ""
            source = Source(name, dialect, enabled is not False)
            if key and keys.setdefault(key, source).name != name:
                problem = f"belongs to [sources.{keys[key].name}] already"
                self._note(place, field, problem, "give each source a key of its own")

    # -- destinations ----------------------------------------------------------------------

    def _outlet(self, name: str, table: dict[str, Any]) -> Outlet | None:
        place = f"destinations.{name}"
        kind = self._text(place, table, "type")
        if kind not in VENDORS:
            problem = f"{kind!r} is none" if kind else "is missing"
            self._note(place, "type", problem, f"use {', '.join(VENDORS)}")
            return None
        own = _options(VENDORS[kind])
        self._known(place, table, (*_OUTLET_KEYS, *own))
        destination = self._destination(place, kind, table, own)
        shape = Shape(
            only=self._matcher(place, table, "only"),
            without=self._matcher(place, table, "except"),
            rename=self._renaming(place, table),
        )
        backlog = self._number(place, table, "backlog_mb", 512)
        if backlog < _LEAST_BACKLOG:
            fix = f"write {_LEAST_BACKLOG} or more"
            self._note(place, "backlog_mb", "is too small", fix)
        concurrency = int(self._number(place, table, "concurrency", 4))
        if concurrency > MAX_CONCURRENCY:
            self._note(place, "concurrency", "is too many", f"write at most {MAX_CONCURRENCY}")
        age = self._number(place, table, "max_age_days", 7) * DAY_S
        if destination is None:
            return None
        return Outlet(name, destination, shape, int(backlog * MIB), age, max(1, concurrency))

    def _destination(
        self, place: str, kind: str, table: dict[str, Any], own: Sequence[str]
    ) -> Destination | None:
        key = self._secret(place, "key", self._text(place, table, "key"))
        if "key" not in table:
            self._note(place, "key", "is missing", 'write key = "env:NAME"')
        elif not key and not self.findings:
            self._note(place, "key", "is empty", 'write key = "env:NAME"')
        if kind == "webhook" and "endpoint" not in table:
            self._note(place, "endpoint", "is missing", 'write endpoint = "https://..."')
        if kind == "webhook" and "endpoint" not in table:
            return None
        names = ("endpoint", "name", *own)
        options = {name: table[name] for name in names if name in table}
        make: Callable[..., Destination] = VENDORS[kind]
        try:
            return make(key or _NO_KEY, **options).known_as(f"outbox\0{place}")
        except ConfigError as error:
            field = "key" if error.field == VENDORS[kind].key_field else error.field
            self._note(place, field, "cannot be used", f"it {error.reason}")
            return None

    def _names_differ(self, outlets: dict[str, Outlet]) -> None:
        """As in a client: ``integrations`` must tell them apart."""
        seen: dict[str, str] = {}
        for outlet in outlets.values():
            other = seen.setdefault(outlet.destination.name, outlet.name)
            if other != outlet.name:
                problem = f"is {outlet.destination.name!r}, as of [destinations.{other}]"
                fix = 'write name = "..."; it is what integrations calls it'
                self._note(f"destinations.{outlet.name}", "name", problem, fix)

    def _matcher(self, place: str, table: dict[str, Any], key: str) -> Matcher:
        inner = self._table(place, table, key)
        below = f"{place}.{key}"
        self._known(below, inner, _MATCHER_KEYS)
        return Matcher(
            types=self._choices(below, inner, "types", _TYPES),
            events=self._texts(below, inner, "events"),
            sources=self._choices(below, inner, "sources", self._sources_there()),
        )

    def _sources_there(self) -> dict[str, Any]:
        """An open collector names sources by dialect."""
        sources = self._document.get("sources")
        return sources if sources and isinstance(sources, dict) else dict.fromkeys(DIALECTS)

    def _renaming(self, place: str, table: dict[str, Any]) -> Renaming:
        inner = self._table(place, table, "rename")
        below = f"{place}.rename"
        self._known(below, inner, _RENAME_KEYS)
        names = {}
        for key in _RENAME_KEYS:
            names[key] = self._table(below, inner, key)
            for old, new in names[key].items():
                if not isinstance(new, str) or not new:
                    self._note(f"{below}.{key}", old, "is no name", f'write {old!r} = "..."')
        return Renaming(**names)


def _options(kind: type[Destination]) -> tuple[str, ...]:
    """What the class takes besides key, address and name."""
    known = ("self", kind.key_field, "endpoint", "name", "settings")
    own = [name for name in inspect.signature(kind.__init__).parameters if name not in known]
    return (*own, *_LIMITS)
