"""Text of strangers: any characters, any length, and ``str()`` that raises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeGuard, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

#: Stands for half an emoji, and for NUL, which PostHog's store does not take.
REPLACEMENT: Final = "\ufffd"


class Failed:
    """What stands for the result of code that raised."""


FAILED: Final = Failed()


def is_a(value: object, kind: type[T]) -> TypeGuard[T]:
    """`isinstance` by the type alone; the other asks the object, which may raise."""
    return issubclass(type(value), kind)


def contained(function: Callable[..., Any], *arguments: object) -> Any:
    """
    The result, or `FAILED`: foreign code may raise anything from anywhere.

    Only a Ctrl-C goes on: it is meant for the host.
    """
    try:
        return function(*arguments)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - see above
        return FAILED


def clean(text: str, limit: int) -> str:
    """At most *limit* characters of *text*, all of which UTF-8 and PostHog can carry."""
    text = str.__str__(text)[:limit]
    if "\0" in text:
        text = text.replace("\0", REPLACEMENT)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def clean_bytes(text: str, limit: int) -> str:
    """As `clean`, but at most *limit* bytes of UTF-8."""
    text = clean(text, limit)
    return text.encode()[:limit].decode("utf-8", "ignore")


def text_of(value: object) -> str | None:
    """``str(value)``; None where that raises."""
    text = contained(str, value)
    return None if isinstance(text, Failed) else str.__str__(text)


def class_name(kind: type) -> str:
    """The class's qualified name, without asking the class or its metaclass."""
    name = contained(type.__dict__["__qualname__"].__get__, kind)
    return name if type(name) is str and name else "Exception"


def class_module(kind: type) -> str:
    """The class's module; empty for built-in ones and where it is no text."""
    module = contained(type.__dict__["__module__"].__get__, kind)
    return module if type(module) is str and module != "builtins" else ""
