"""
Secrets, told by their names and by their looks, and what is sent in their place.

Names are compared word by word, so that ``author``, ``task_id``, ``disk_usage`` and ``tokenizer``
stay readable. A value is a secret if it says so, has the form of a known vendor's key, or looks
random.
"""

from __future__ import annotations

import re
from math import log2
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

#: What PostHog shows for a value that was withheld.
REDACTED: Final = "$$_posthog_redacted_based_on_masking_rules_$$"
#: What PostHog shows for a value that was too long to look at.
TOO_LONG: Final = "$$_posthog_value_too_long_$$"

#: Words that make a name or a value a secret; a plural counts as well.
WORDS: Final = (
    *("password", "passwd", "pwd", "passphrase", "secret", "credential", "token", "bearer"),
    *("auth", "authorization", "api_key", "apikey", "private_key", "privatekey", "access_key"),
    *("aws_access_key_id", "jwt", "sk", "cookie", "csrf", "xsrf", "cvv", "cvc", "ssn"),
    *("connection_string", "connectionstring", "conn_str", "connstr", "dsn"),
)
#: The same, at the end of a name only: ``db_pass`` is one, ``pass_rate`` is not.
LAST_WORDS: Final = ("pass",)

_split = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+").findall
_VENDOR_KEYS = (
    r"(?:sk|pk|rk)_(?:live|test)_[0-9A-Za-z]{8,}",  # Stripe
    r"sk-[A-Za-z0-9_-]{20,}",  # OpenAI, Anthropic
    r"(?:AKIA|ASIA)[0-9A-Z]{16}",  # AWS
    r"gh[pousr]_[0-9A-Za-z]{20,}|github_pat_[0-9A-Za-z_]{20,}",
    r"glpat-[0-9A-Za-z_-]{16,}",
    r"xox[abeoprs]-[0-9A-Za-z-]{8,}",  # Slack
    r"AIza[0-9A-Za-z_-]{30,}",  # Google
    r"ya29\.[0-9A-Za-z_-]{16,}",
    r"SG\.[0-9A-Za-z_-]{16,}\.[0-9A-Za-z_-]{16,}",  # SendGrid
    r"npm_[0-9A-Za-z]{20,}|pypi-[0-9A-Za-z_-]{20,}",
    r"ph[cx]_[0-9A-Za-z]{20,}",  # PostHog
    r"eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]*",  # JWT
)
_PEM = r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
_KEYS = re.compile("|".join((*(rf"\b(?:{key})" for key in _VENDOR_KEYS), _PEM)), re.DOTALL)
_URL_LOGIN = re.compile(r"(?<=://)[^/\s:@'\"]{0,256}:[^/\s@'\"]{1,256}(?=@)")
_AUTH_HEADER = re.compile(r"\b(Bearer|Basic)\s+[0-9A-Za-z+/._~=-]{8,}")
_ASSIGNED_WORDS = (
    r"(?:password|passwd|pwd|passphrase|secret|token|credentials?"
    r"|api_?key|private_?key|access_?key)"
)
#: ``password = "hunter2"``, ``'token': '...'``
_QUOTED = re.compile(
    rf"(?i)({_ASSIGNED_WORDS}\w{{0,32}}['\"]?\s{{0,8}}[=:]\s{{0,8}}[a-z]{{0,2}})(['\"])[^'\"\n]+\2"
)
#: ``password=hunter2``
_BARE = re.compile(rf"(?i)({_ASSIGNED_WORDS}=)[^\s'\"&,;)]+")

#: Random text is at least so long, has so many kinds of characters, and so many bits each.
_RANDOM_LENGTH, _RANDOM_KINDS, _RANDOM_BITS = 16, 3, 3.8
_NOT_RANDOM = re.compile(r"[\s<>(){}\[\]'\"/\\]|^[0-9a-fA-F-]+$")
_DIGITS = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")


class Masker:
    """
    Decides what is a secret.

    Args:
        words: More words that make a name or a value one.
    """

    def __init__(self, words: Iterable[str] = ()) -> None:
        plural = "|".join(re.escape(_joined(word).strip("_")) for word in (*WORDS, *words))
        last = "|".join(map(re.escape, LAST_WORDS))
        self._names = re.compile(rf"_(?:(?:{plural})s?_|(?:{last})_$)").search

    def hides_name(self, name: str) -> bool:
        """Whether what is called *name* is a secret."""
        return self._names(_joined(name)) is not None

    def hides_text(self, text: str) -> bool:
        """Whether *text* is one, or has one in it."""
        return (
            self.hides_name(text)
            or _KEYS.search(text) is not None
            or _URL_LOGIN.search(text) is not None
            or _is_random(text)
            or any(_is_card(digits) for digits in _DIGITS.findall(text))
        )

    def message(self, text: str) -> str:
        """*text* of a message, without what in it is certainly a secret."""
        text = self.line(text)
        if "=" in text:
            text = _BARE.sub(rf"\1{_IN_TEMPLATE}", text)
        return _DIGITS.sub(lambda found: REDACTED if _is_card(found[0]) else found[0], text)

    def line(self, text: str) -> str:
        """*text* of source code, without literals that are certainly secrets."""
        if "://" in text:
            text = _URL_LOGIN.sub(REDACTED, text)
        if "'" in text or '"' in text:
            text = _QUOTED.sub(rf"\1\2{_IN_TEMPLATE}\2", text)
        text = _AUTH_HEADER.sub(rf"\1 {_IN_TEMPLATE}", text)
        return _KEYS.sub(REDACTED, text)


_IN_TEMPLATE = REDACTED.replace("\\", r"\\")


def _joined(name: str) -> str:
    """``apiKey``, ``API-KEY`` and ``api_key`` as ``_api_key_``."""
    return f"_{'_'.join(_split(name)).lower()}_"


def _is_random(text: str) -> bool:
    if len(text) < _RANDOM_LENGTH or _NOT_RANDOM.search(text) is not None:
        return False
    kinds = (str.islower, str.isupper, str.isdigit, lambda one: not one.isalnum())
    if sum(any(map(kind, text)) for kind in kinds) < _RANDOM_KINDS:
        return False
    shares = [text.count(one) / len(text) for one in set(text)]
    return -sum(share * log2(share) for share in shares) >= _RANDOM_BITS


def _is_card(text: str) -> bool:
    """Luhn's check: one in ten random numbers passes, every card number does."""
    digits = [int(one) for one in text if one.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
