"""The command group: commands are imported when they are called."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from errno import EPIPE
from importlib import import_module
from typing import Any, NamedTuple

import click

from penstock._version import __version__
from penstock.cli._exit import Exit, epilog, fail
from penstock.errors import ConfigError, MissingExtraError, PenstockError, ValidationError


class Place(NamedTuple):
    """Where a command is, and what the overview says about it."""

    module: str
    attribute: str
    summary: str


PLACES = {
    "send": Place("send", "send_command", "Send one event and wait until it is delivered."),
    "import": Place("import_", "import_command", "Import a CSV, JSON-lines or Parquet file."),
    "drain": Place("drain", "drain_command", "Deliver what dead processes left in a journal."),
    "ledger": Place("ledger", "ledger_command", "Show where every accepted event is."),
    "dead": Place("dead", "dead_command", "List, show and replay dead letters."),
    "doctor": Place("doctor", "doctor_command", "Send a canary and say which hop fails."),
    "serve": Place("serve", "serve_command", "Run a collector on this machine."),
    "check-config": Place(
        "check_config", "check_config_command", "Check a collector's configuration file."
    ),
    "flags": Place("flags", "flags_command", "Evaluate a feature flag and say why."),
    "events": Place("events", "events_command", "Show what a collector has stored."),
    "trace": Place("trace", "trace_command", "Tell the whole story of one event."),
    "query": Place("query", "query_command", "Ask what a collector has stored, in SQL."),
    "compact": Place("compact", "compact_command", "Merge a collector's files."),
    "delete-user": Place("delete_user", "delete_user_command", "Delete all events of a user."),
}


class Commands(MutableMapping[str, click.Command]):
    """``{name: command}``; looking one up imports its module."""

    def __init__(self) -> None:
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            place = PLACES[name]
            module = import_module(f"penstock.cli.{place.module}")
            self._loaded[name] = getattr(module, place.attribute)
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(PLACES)

    def __len__(self) -> int:
        return len(PLACES)


class Group(click.Group):
    """A group that says what went wrong in one line, with an exit code of its own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of `PLACES`."""
        del ctx
        return list(PLACES)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The overview, without importing a single command."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.summary) for name, place in PLACES.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """``penstock --type track ...`` is ``penstock send --type track ...``."""
        if args[:1] != ["send"] and any(arg.split("=")[0] == "--type" for arg in args):
            args = args if args[0] in PLACES else ["send", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what it raises becomes a line and an exit code."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            fail("interrupted", Exit.INTERRUPTED)
        except (ConfigError, ValidationError) as error:
            fail(str(error), Exit.USAGE)
        except MissingExtraError as error:
            fail(str(error), Exit.MISSING)
        except ModuleNotFoundError as error:
            package = (error.name or "a package").partition(".")[0]
            extra = "cli" if package == "rich" else "collector"
            fail(str(MissingExtraError(package, extra)), Exit.MISSING)
        except PenstockError as error:
            fail(str(error), Exit.FAILED)
        except OSError as error:
            if error.errno == EPIPE:  # the reader of our output is gone: click ends quietly
                raise
            fail(f"{error.filename or 'system'}: {error.strerror}", Exit.FAILED)


penstock = Group(
    "penstock",
    commands=Commands(),
    help="Product-analytics events that survive.\n\nEvery command prints JSON when it is piped.",
    epilog=epilog(*Exit),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
penstock = click.version_option(__version__, prog_name="penstock", message="%(prog)s %(version)s")(
    penstock
)
