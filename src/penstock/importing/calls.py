"""From a row to the client call that captures it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.importing._messages import WHOLE_TYPES, whole_message
from penstock.importing.cells import TYPES, automatic, identifier
from penstock.importing.plan import BAGS
from penstock.importing.rows import BadValue
from penstock.importing.timestamps import timestamp_parser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.importing.ids import MessageIds
    from penstock.importing.plan import Plan
    from penstock.importing.rows import Row


class Call(NamedTuple):
    """A method of the client and its keyword arguments."""

    method: str
    arguments: dict[str, Any]

    def on(self, client: Any) -> str:
        """Make the call; the event is in the journal when this returns its id."""
        message_id: str = getattr(client, self.method)(**self.arguments)
        return message_id


class _Part(NamedTuple):
    """One value to take from a row."""

    target: str
    column: str
    convert: Callable[[Any], Any]


class Calls:
    """
    A plan, made ready to be applied to many rows.

    Args:
        plan: What the user asked for.
        ids: Ids for this file.
        typed: Whether the rows' values carry their type; CSV cells do not.
    """

    def __init__(self, plan: Plan, ids: MessageIds, *, typed: bool) -> None:
        self._plan = plan
        self._ids = ids
        self._typed = typed
        self._kind = plan.flat_type
        self._moment = timestamp_parser(plan.timestamp_format, plan.timezone)
        self._fields = [_Part(name, column, self._reader(name)) for name, column in _plain(plan)]
        self._context = [
            _Part(name.removeprefix("context."), column, TYPES["auto"] if not typed else _as_is)
            for name, column in plan.fields.items()
            if name.startswith("context.")
        ]
        self._properties = [
            _Part(wanted.name, wanted.column, self._converter(wanted.type))
            for wanted in plan.properties
        ]
        self._used = frozenset(plan.fields.values())
        self._bag = BAGS.get(self._kind)

    def of(self, row: Row) -> Call:
        """
        The call for *row*.

        Raises:
            BadValue: A cell is not what the plan says; the reason names the column.
        """
        if self._plan.type is None and self._typed and row.values.get("type") in WHOLE_TYPES:
            method, arguments = whole_message(row.values, self._moment)
            if "message_id" not in arguments:
                event = arguments.get("event", "")
                arguments["message_id"] = self._ids.of(row.number, row.values["type"], event)
            arguments["historical"] = self._plan.historical
            return Call(method, arguments)
        return Call(self._kind, self._flat(row))

    def _flat(self, row: Row) -> dict[str, Any]:
        arguments = self._take(row.values, self._fields)
        if self._plan.event is not None:
            arguments["event"] = self._plan.event
        if "message_id" not in arguments:
            event = arguments.get("event", "")
            arguments["message_id"] = self._ids.of(row.number, self._kind, event)
        if self._bag is not None:
            arguments[self._bag] = self._bagged(row.values)
        if self._context:
            arguments["context"] = _nested(self._take(row.values, self._context))
        if self._kind == "capture" and "user_id" in arguments:
            arguments["distinct_id"] = arguments.pop("user_id")
        arguments["historical"] = self._plan.historical
        return arguments

    def _bagged(self, values: dict[str, Any]) -> dict[str, Any]:
        if self._properties:
            return {**self._plan.constants, **self._take(values, self._properties)}
        bag = dict(self._plan.constants)
        for column, value in values.items():
            if column not in self._used and value is not None:
                bag[column] = value if self._typed else automatic(value)
        return bag

    def _take(self, values: dict[str, Any], parts: list[_Part]) -> dict[str, Any]:
        taken = {}
        for target, column, convert in parts:
            cell = values.get(column)
            if cell is None and self._typed:
                cell = _at_path(values, column)
            if cell is None:
                continue
            try:
                taken[target] = convert(cell)
            except BadValue as error:
                raise BadValue(f"{column}: {error}") from None
        return taken

    def _reader(self, name: str) -> Callable[[Any], Any]:
        return self._moment if name == "timestamp" else identifier

    def _converter(self, kind: str) -> Callable[[Any], Any]:
        return _as_is if kind == "auto" and self._typed else TYPES[kind]


def _plain(plan: Plan) -> Iterator[tuple[str, str]]:
    """The fields outside context."""
    for name, column in plan.fields.items():
        if not name.startswith("context."):
            yield name, column


def _as_is(value: Any) -> Any:
    return value


def _at_path(values: dict[str, Any], path: str) -> Any:
    """The value at ``user.id``, or None."""
    found: Any = values
    for step in path.split("."):
        if not isinstance(found, dict):
            return None
        found = found.get(step)
    return found


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    """``{"page.url": x}`` as ``{"page": {"url": x}}``."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        inner = nested
        for step in path:
            inner = inner.setdefault(step, {})
        inner[last] = value
    return nested
