"""The tree of an error: its causes, its context, the members of groups."""

from __future__ import annotations

import pickle
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import chained, raised

from penstock.error_tracking.chain import MAX_ENTRIES, MAX_MEMBERS, chain_of

if TYPE_CHECKING:
    from conftest import Errors


def told(errors: Errors, error: BaseException) -> list[tuple[str, Any, Any, Any]]:
    """Message, id, parent and source of each entry."""
    errors.capture(error)
    return [
        (
            entry["value"],
            entry["mechanism"]["exception_id"],
            entry["mechanism"].get("parent_id"),
            entry["mechanism"].get("source"),
        )
        for entry in errors.entries
    ]


def test_a_chain_is_told_from_the_error_to_its_root(errors: Errors) -> None:
    """Acceptance 1: ids count from 0, each cause names the exception it caused."""

    def fail() -> None:
        try:
            try:
                raise KeyError("sku")
            except KeyError:
                raise ValueError("bad cart")  # noqa: B904 - the context is the point
        except ValueError as error:
            raise RuntimeError("no order") from error

    assert told(errors, raised(fail)) == [
        ("no order", 0, None, None),
        ("bad cart", 1, 0, "cause"),
        ("'sku'", 2, 1, "context"),
    ]
    mechanisms = [entry["mechanism"] for entry in errors.entries]
    assert [one["type"] for one in mechanisms] == ["generic", "chained", "chained"]
    assert [one.get("handled") for one in mechanisms] == [True, None, None]
    assert all(one["synthetic"] is False for one in mechanisms)


def test_a_suppressed_context_ends_the_chain(errors: Errors) -> None:
    """``raise ... from None`` says that it is nobody's business."""

    def fail() -> None:
        try:
            raise KeyError("hidden")
        except KeyError:
            raise ValueError("shown") from None

    assert told(errors, raised(fail)) == [("shown", 0, None, None)]


def test_a_group_is_followed_by_its_members_in_order(errors: Errors) -> None:
    """Acceptance 1: depth first, each member's causes before the next member."""
    first = TimeoutError("gateway A")
    first.__context__ = OSError("refused")
    inner = ExceptionGroup("inner", [ValueError("one"), ValueError("two")])
    group = ExceptionGroup("outer", [first, inner, KeyError("last")])
    assert told(errors, group) == [
        ("outer (3 sub-exceptions)", 0, None, None),
        ("gateway A", 1, 0, "member"),
        ("refused", 2, 1, "context"),
        ("inner (2 sub-exceptions)", 3, 0, "member"),
        ("one", 4, 3, "member"),
        ("two", 5, 3, "member"),
        ("'last'", 6, 0, "member"),
    ]


def test_a_group_under_a_cause_is_expanded(errors: Errors) -> None:
    """Acceptance 1: a group's own cause comes before its members."""
    error = RuntimeError("charge")
    error.__cause__ = group = BaseExceptionGroup("both", [ValueError("a"), ValueError("b")])
    group.__cause__ = OSError("disk")
    assert told(errors, error) == [
        ("charge", 0, None, None),
        ("both (2 sub-exceptions)", 1, 0, "cause"),
        ("disk", 2, 1, "cause"),
        ("a", 3, 1, "member"),
        ("b", 4, 1, "member"),
    ]


def test_a_circle_is_walked_once(errors: Errors) -> None:
    """Acceptance 1: of causes, and through a group that is the context of its own member."""
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    group = ExceptionGroup("group", [one])
    two.__context__ = group
    assert [value for value, *_ in told(errors, group)] == ["group (1 sub-exception)", "one", "two"]


def test_a_long_chain_keeps_its_first_fifty(errors: Errors) -> None:
    """Acceptance 1: 60 causes; the one that was caught is the first."""
    found = told(errors, chained(60))
    assert len(found) == MAX_ENTRIES == 50
    assert found[0][0] == "number 0"
    assert found[-1] == ("number 49", 49, 48, "cause")


def test_two_thousand_members_cost_no_more_than_a_thousand(errors: Errors) -> None:
    """Acceptance 1: 50 are told; repeated members are not, but count as looked at."""
    many = ExceptionGroup("many", [ValueError(str(n)) for n in range(2000)])
    assert len(told(errors, many)) == MAX_ENTRIES
    same = ValueError("same")
    last = ValueError("beyond")
    looked_at = ExceptionGroup("g", [same] * MAX_MEMBERS + [last])
    assert [link.error for link in chain_of(looked_at)] == [looked_at, same]
    within = ExceptionGroup("g", [same] * (MAX_MEMBERS - 1) + [last])
    assert [link.error for link in chain_of(within)] == [within, same, last]


def test_nested_groups_share_the_thousand_and_the_last_member_keeps_its_causes() -> None:
    """Acceptance 1: causes do not count."""
    same = ValueError("same")
    last = ValueError("last")
    last.__cause__ = KeyError("why")
    inner = ExceptionGroup("inner", [same] * (MAX_MEMBERS - 2) + [last])
    outer = ExceptionGroup("outer", [inner, ValueError("never")])
    names = [str(link.error).split(" (")[0] for link in chain_of(outer)]
    assert names == ["outer", "inner", "same", "last", "'why'"]


def test_the_exceptions_are_not_asked(errors: Errors) -> None:
    """A class may have its own ideas of its cause, and raise."""

    class Odd(ValueError):  # noqa: N818 - what it is
        @property
        def __cause__(self) -> BaseException:  # type: ignore[override]
            raise KeyboardInterrupt

        @property
        def __traceback__(self) -> Any:  # type: ignore[override]
            raise SystemExit

    assert errors.capture(Odd("odd")) is not None
    assert errors.entries[0]["value"] == "odd"


def _group(members: list[Exception], cause: BaseException) -> BaseException:
    made = ExceptionGroup("g", members)
    made.__cause__ = cause
    return made


@given(
    st.recursive(
        st.builds(ValueError),
        lambda inner: st.builds(
            _group,
            st.lists(inner, min_size=1, max_size=4),
            inner,
        ),
        max_leaves=40,
    )
)
def test_every_parent_comes_before_its_children(error: BaseException) -> None:
    """In any tree: ids are places, each exception once, never more than fifty."""
    links = chain_of(error)
    assert len(links) <= MAX_ENTRIES
    assert len({id(link.error) for link in links}) == len(links)
    assert links[0] == (error, None, "")
    assert all(link.parent is not None and link.parent < n for n, link in enumerate(links) if n)


# -- what an exception says --------------------------------------------------------------------


def test_notes_are_part_of_the_message(errors: Errors) -> None:
    """Each on a line of its own."""
    error = ValueError("could not charge card")
    error.add_note("retry budget exhausted")
    error.add_note("gateway A")
    errors.capture(error)
    assert errors.entries[0]["value"] == (
        "could not charge card\nretry budget exhausted\ngateway A"
    )


class Web(Exception):  # noqa: N818 - as frameworks call theirs
    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__()


class Unprintable(Exception):  # noqa: N818 - what it is
    def __str__(self) -> str:
        raise SystemExit(3)


@pytest.mark.parametrize(
    ("error", "kind", "value"),
    [
        (ValueError("x"), "ValueError", "x"),
        (KeyError("sku"), "KeyError", "'sku'"),
        (Web("not found"), "Web", "not found"),
        (ValueError(), "ValueError", ""),
        (Unprintable(), "Unprintable", "<unprintable Unprintable>"),
        (ValueError("a\0b\ud800c"), "ValueError", "a\ufffdb\ufffdc"),
        (ValueError("x" * 10_000), "ValueError", "x" * 4096),
    ],
)
def test_what_an_exception_says(errors: Errors, error: Exception, kind: str, value: str) -> None:
    """Acceptance 6: whatever its ``__str__`` does, and whatever characters it gives."""
    errors.capture(error)
    entry = errors.entries[0]
    assert (entry["type"], entry["value"]) == (kind, value)
    assert entry.get("module") == (None if type(error).__module__ == "builtins" else __name__)


@pytest.mark.parametrize(
    ("thing", "kind", "value", "module"),
    [
        ("disk is full", "Error", "disk is full", None),
        (404, "int", "404", None),
        (ValueError, "ValueError", "", None),
        (Web, "Web", "", __name__),
        ((ValueError, None, None), "ValueError", "", None),
        ((1, 2), "tuple", "(1, 2)", None),
    ],
)
def test_anything_can_be_told_like_an_exception(
    errors: Errors, thing: object, kind: str, value: str, module: str | None
) -> None:
    """It is marked as synthetic, and has the stack it was told from."""
    errors.capture(thing)
    entry = errors.entries[0]
    assert (entry["type"], entry["value"], entry.get("module")) == (kind, value, module)
    assert entry["mechanism"]["synthetic"] is True
    assert errors.frames[-1]["function"] == "test_anything_can_be_told_like_an_exception"


def test_the_current_exception_is_the_default(errors: Errors) -> None:
    """As in logging; outside of a handler there is nothing to capture."""
    assert errors.capture() is None
    assert errors.capture(sys.exc_info()) is None
    try:
        raise ValueError("current")
    except ValueError:
        assert errors.capture() is not None
    assert errors.entries[0]["value"] == "current"


def test_a_tuple_of_three_is_what_exc_info_returns(errors: Errors) -> None:
    """Its traceback is told, also where the exception has another."""
    error = raised(ValueError("x"))
    trace = error.__traceback__
    error.__traceback__ = None
    errors.capture((ValueError, error, trace))
    assert errors.entries[0]["mechanism"]["synthetic"] is False
    assert errors.frames[-1]["function"] == "raised"


def test_an_exception_can_still_be_pickled(errors: Errors) -> None:
    """The mark of having been captured is plain, and the copy is another error."""
    error = ValueError("x")
    first = errors.capture(error)
    copy = pickle.loads(pickle.dumps(error))
    assert errors.capture(copy) not in {None, first}
