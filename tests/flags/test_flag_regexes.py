"""Regular expressions: what Python and the server agree on is decided, the rest is not."""

from __future__ import annotations

import pytest
from flag_kit import MISSING, UNSUPPORTED, matches, prop

AGREED = [
    ("", "anything", True),
    ("corp", "u@corp.example", True),
    ("Corp", "u@corp.example", False),
    ("^u", "u@corp", True),
    ("p$", "u@corp", True),
    ("p$", "u@corp\n", False),
    ("a|b$", "xb", True),
    ("^[a-z]+@corp\\.example$", "u@corp.example", True),
    ("a{2}", "caat", True),
    ("a{2,}", "cat", False),
    ("a{2}?", "caat", True),
    ("a+?", "cat", True),
    ("(?:ab)c", "abc", True),
    ("(a)(b)*", "ab", True),
    ("\\d+", "٣", True),
    ("\\x41", "A", True),
    ("\\-\\_\\.", "-_.", True),
    ("[\\]\\-]", "]", True),
    ("[a|b]", "|", True),
    ("[a||b]", "|", True),
    ("[^a-z]", "abc", False),
    ("[a-]", "-", True),
    ("[\\b]", "\b", True),
    ("\\w", "é", True),
    ("^12$", 12, True),
    ("^true$", True, True),
    ("^null$", None, True),
    ('^\\[1,"a"\\]$', [1, "a"], True),
    ("é+", "éé", True),
]
DEFERRED = [
    "(?i)corp", "(?=a)", "(?P<a>b)", "(?#c)", "\\bcorp", "\\Bx", "\\<x", "\\Ax", "x\\Z", "\\1",
    "\\p", "\\u0041", "\\v", "\\é", "\\x4", "[[a]]", "[]", "[^]", "[a&&b]", "[a--b]", "[a~~b]",
    "[a-\\d]", "[\\w-.]", "[\\!]", "[\\A]", "^*", "$+", "()+", "(())?", "a++", "a{2}{3}", "a*{2}",
    "{2}", "a{,3}", "a{x}", "a|{2}", "({2})", "^{2}", "a{4294967296}", "a{99999999999}", "(a+)+",
    "((a)*)?", "(a{2}b)*", "\ud800",
]  # fmt: skip
INVALID = ["(", ")", "*a", "a**", "[a", "a\\", "a{3,2}", "(|*)", "[b-a]"]


@pytest.mark.parametrize(("pattern", "value", "expected"), AGREED)
def test_patterns_both_engines_read_alike_are_decided(
    pattern: str, value: object, expected: bool
) -> None:
    """A search in the value's text, with case, and with a strict end."""
    assert matches(prop("p", "regex", pattern), {"p": value}) is expected
    assert matches(prop("p", "not_regex", pattern), {"p": value}) is not expected


@pytest.mark.parametrize("pattern", DEFERRED)
def test_patterns_they_may_read_differently_are_the_servers(pattern: str) -> None:
    """Asking is right more often than guessing."""
    for operator in ("regex", "not_regex"):
        assert matches(prop("p", operator, pattern), {"p": "corp"}) == UNSUPPORTED
        assert matches(prop("p", operator, pattern), {}) == UNSUPPORTED


@pytest.mark.parametrize("pattern", INVALID)
def test_what_is_no_pattern_matches_nobody(pattern: str) -> None:
    """Neither in the positive nor in the negative."""
    for operator in ("regex", "not_regex"):
        assert matches(prop("p", operator, pattern), {"p": "a"}) is False
        assert matches(prop("p", operator, pattern), {}) == MISSING


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("a+$", "a\n"),
        ("a|b$", "b\n"),
        ("\\w", "x²"),
        ("\\W", "zero\u200djoiner"),
        ("\\s", "a\x1c"),
        ("a", "\ud800"),
    ],
)
def test_texts_they_may_read_differently_are_the_servers(pattern: str, value: str) -> None:
    """Words, blanks and ends are not the same to both in every text."""
    assert matches(prop("p", "regex", pattern), {"p": value}) == UNSUPPORTED
    assert matches(prop("p", "not_regex", pattern), {"p": value}) == UNSUPPORTED


def test_an_empty_pattern_matches_any_text() -> None:
    """Even one that UTF-8 cannot carry."""
    assert matches(prop("p", "regex", ""), {"p": "\ud800"}) is True
