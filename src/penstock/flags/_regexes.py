"""
Regular expressions, as far as Python and the flags server agree.

The server's engine is Rust's. A pattern is read once, token by token; what the two would read
differently, or what could take Python very long, makes it the server's affair (`Deferred`). Of the
rest only ``$`` is rewritten: for the server it is the end of the text, never the place before a
final newline.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_HEX = re.compile(r"\\x[0-9a-fA-F]{2}")
_COUNT = re.compile(r"\{([0-9]+)(?:,([0-9]*))?\}")
_MOST_REPETITIONS = 0xFFFFFFFF
#: Letters that mean the same to both after a backslash; ``b`` only inside a class.
_LETTERS = frozenset("dDsSwWfnrt")
#: What else may be escaped inside a class.
_CLASS_ESCAPES = frozenset(r"\-[]^.$*+?(){}|")
_SHORTHANDS = frozenset("dDsSwW")
#: Two of these in a row are an operation on classes, to Rust.
_CLASS_OPERATIONS = ("&&", "--", "~~")
_QUANTIFIERS = "*+?{"
#: What a quantifier cannot follow, besides those that Python refuses by itself.
_UNREPEATABLE = frozenset({"^", "$", "empty group"})
#: The same for one in braces.
_UNCOUNTABLE = _UNREPEATABLE | {"", "|", "(", "quantifier"}
#: Python's blanks that are none to Rust.
_PYTHON_BLANKS = frozenset("\x1c\x1d\x1e\x1f")


class Deferred(Exception):  # noqa: N818 - nothing is wrong with the pattern
    """Only the server should read this pattern."""


class Pattern(NamedTuple):
    """A pattern both engines agree on, and the texts about which they might not."""

    compiled: re.Pattern[str]
    words: bool
    blanks: bool
    #: It has ``$`` and something that can try several lengths.
    flexible_end: bool

    @property
    def plain(self) -> bool:
        """Whether there is nothing to beware of in an ASCII text."""
        return not self.blanks and not self.flexible_end

    def found_in(self, text: str) -> bool | None:
        """Whether it matches anywhere; None when only the server should say."""
        if self.flexible_end and text.endswith("\n"):
            return None
        if not text.isascii() and not self._agreed(text):
            return None
        if self.blanks and not _PYTHON_BLANKS.isdisjoint(text):
            return None
        return self.compiled.search(text) is not None

    def _agreed(self, text: str) -> bool:
        """Letters and decimal digits are words to both; marks, joiners, other numbers are not."""
        if any(_is_surrogate(character) for character in text):
            return False
        if not self.words:
            return True
        return all(c.isascii() or c.isalpha() or c.isdecimal() for c in text)


@lru_cache(maxsize=1024)
def pattern_of(text: str) -> Pattern | None:
    """
    Compile *text*.

    Returns:
        None when it is no regular expression.

    Raises:
        Deferred: The server should read it.
    """
    reader = _Reader(text)
    translated = reader.read()
    try:
        compiled = re.compile(translated)
    except re.error:
        return None
    except (OverflowError, RecursionError) as error:
        raise Deferred from error
    flexible_end = reader.end and reader.flexible
    return Pattern(compiled, reader.words, reader.blanks, flexible_end)


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        #: What stands before: a character, or ``literal``, ``quantifier``, ``empty group``.
        self._before = ""
        #: For each open group, whether a quantifier is in it.
        self._groups: list[bool] = []
        #: The same for the group that was closed last.
        self._closed = False
        self.words = False
        self.blanks = False
        self.end = False
        self.flexible = False

    def read(self) -> str:
        """The pattern in Python's terms; `Deferred` when that is not for us."""
        if any(_is_surrogate(character) for character in self._text):
            raise Deferred
        tokens = []
        while self._at < len(self._text):
            tokens.append(self._token())
        return "".join(tokens)

    def _token(self) -> str:
        character = self._text[self._at]
        if character == "\\":
            return self._escape(in_class=False)
        if character == "[":
            return self._class()
        if character == "(":
            return self._open()
        if character in _QUANTIFIERS:
            return self._quantifier(character)
        return self._plain(character)

    def _plain(self, character: str) -> str:
        self._at += 1
        if character == ")":
            self._close()
            return character
        self._before = character
        self.flexible |= character == "|"
        self.end |= character == "$"
        return r"\Z" if character == "$" else character

    def _open(self) -> str:
        token = "(?:" if self._text.startswith("(?", self._at) else "("
        if not self._text.startswith(token, self._at):
            raise Deferred
        self._at += len(token)
        self._before = "("
        self._groups.append(False)
        return token

    def _close(self) -> None:
        self._closed = self._groups.pop() if self._groups else False
        if self._groups:
            self._groups[-1] |= self._closed
        empty = self._before in {"(", "empty group"}
        self._before = "empty group" if empty else ")"

    def _quantifier(self, character: str) -> str:
        nested = self._before == ")" and self._closed
        if nested or self._before in (_UNCOUNTABLE if character == "{" else _UNREPEATABLE):
            raise Deferred
        token = self._count() if character == "{" else character
        self._at += len(token)
        if self._next() in {"+", "{"}:
            raise Deferred
        if self._groups:
            self._groups[-1] = True
        self._before = "quantifier"
        self.flexible = True
        return token

    def _count(self) -> str:
        found = _COUNT.match(self._text, self._at)
        if not found:
            raise Deferred
        for digits in filter(None, found.groups()):
            if len(digits) > len(str(_MOST_REPETITIONS)) or int(digits) > _MOST_REPETITIONS:
                raise Deferred
        return found[0]

    def _escape(self, *, in_class: bool) -> str:
        escape = self._text[self._at : self._at + 2]
        if escape == r"\x":
            escape = self._text[self._at : self._at + 4]
            if not _HEX.fullmatch(escape):
                raise Deferred
        elif len(escape) > 1 and not _may_escape(escape[1], in_class=in_class):
            raise Deferred
        self._at += len(escape)
        self._before = "literal"
        self.words |= escape in {r"\w", r"\W"}
        self.blanks |= escape in {r"\s", r"\S"}
        return escape

    def _class(self) -> str:
        opening = "[^" if self._text.startswith("[^", self._at) else "["
        self._at += len(opening)
        if self._next() == "]":
            raise Deferred
        tokens = [opening]
        while self._at < len(self._text) and self._next() != "]":
            tokens.append(self._member(tokens[-1]))
        tokens.append(self._next())
        self._at += 1
        self._before = "literal"
        return "".join(tokens)

    def _member(self, before: str) -> str:
        character = self._next()
        if character == "\\":
            return self._escape(in_class=True)
        if character == "[" or self._text.startswith(_CLASS_OPERATIONS, self._at):
            raise Deferred
        self._at += 1
        if character == "-" and self._next() != "]" and self._range_of_shorthand(before):
            raise Deferred
        # Python warns of two bars in a row, which may one day mean something.
        return r"\|" if character == "|" else character

    def _range_of_shorthand(self, before: str) -> bool:
        after = self._text[self._at : self._at + 2]
        return any(len(t) == 2 and t[0] == "\\" and t[1] in _SHORTHANDS for t in (before, after))  # noqa: PLR2004 - backslash and letter

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]


def _may_escape(character: str, *, in_class: bool) -> bool:
    if character in _LETTERS:
        return True
    if in_class:
        return character == "b" or character in _CLASS_ESCAPES
    return (
        character.isascii()
        and character.isprintable()
        and character not in "<>"
        and (not character.isalnum())
    )


def _is_surrogate(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"
