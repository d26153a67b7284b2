"""What a read of a flag answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from penstock.flags.answer import Record, Value

if TYPE_CHECKING:
    from penstock.flags.decision import Decision

#: Where a value comes from: evaluated here; asked for; an earlier answer; the settings; nowhere.
Source: TypeAlias = Literal["local", "remote", "cache", "bootstrap", "none"]

#: The reason of a value that may be out of date: decided by definitions from disk that nobody has
#: confirmed yet, or answered some time ago.
STALE = "stale"
#: The reason of a value from `FlagSettings.bootstrap`.
BOOTSTRAP = "bootstrap"
#: The reason of a client that does nothing.
DISABLED_CLIENT = "client_disabled"
#: What the value of a holdout begins with.
_HOLDOUT = "holdout-"


class Given(msgspec.Struct, frozen=True):
    """A value of the settings."""

    payload_source: Any = None
    flag_id: None = None
    version: None = None
    has_experiment: None = None

    @property
    def payload(self) -> Any:
        """The payload decoded."""
        from penstock.flags.payloads import decoded

        return decoded(self.payload_source)


class Evaluation(msgspec.Struct, frozen=True, gc=False):
    """
    A flag for one person: its value, or why there is none.

    It is true where the flag is enabled, so ``if client.flags.get(...)`` means what it says.

    Attributes:
        key: The flag's.
        value: True, False, or the name of a variant; None: there is no value.
        reason: Why, in a word: ``condition_match``, ``no_condition_match``,
            ``out_of_rollout_bound``, ``holdout_condition_value``, ...; ``stale`` for a value that
            may be out of date, ``bootstrap`` for one of the settings; see docs/flag-client.md.
        error: What went wrong on the way, as ``$feature_flag_error`` has it; None: nothing did. A
            value may be there all the same, an older one.
        source: Where the value comes from: ``local``, ``remote``, ``cache``, ``bootstrap`` or
            ``none``.

    .. versionadded:: 0.1
    """

    key: str
    value: Value
    reason: str
    error: str | None = None
    source: Source = "none"
    origin: Decision | Record | Given | None = None

    def __bool__(self) -> bool:
        """Whether the flag is enabled."""
        return self.value is not None and self.value is not False

    @property
    def enabled(self) -> bool:
        """Whether the value is anything but False or none; a variant is."""
        return self.value is not None and self.value is not False

    @property
    def variant(self) -> str | None:
        """The value, if it is the name of a variant."""
        return self.value if isinstance(self.value, str) else None

    @property
    def payload(self) -> Any:
        """What the flag's owner attached to the value, decoded; None: nothing. Yours to change."""
        return None if self.origin is None else self.origin.payload

    @property
    def in_holdout(self) -> bool:
        """Whether the person is kept out of the experiment; treat it as ``control``."""
        return isinstance(self.value, str) and self.value.startswith(_HOLDOUT)

    @property
    def locally_evaluated(self) -> bool:
        """Whether it was decided here, by definitions."""
        return self.source == "local"

    @property
    def flag_id(self) -> int | None:
        """The provider's number of the flag."""
        return None if self.origin is None else self.origin.flag_id

    @property
    def version(self) -> int | None:
        """How often the definition was changed."""
        return None if self.origin is None else self.origin.version

    @property
    def has_experiment(self) -> bool | None:
        """Whether the flag belongs to an experiment; None when nobody said."""
        return None if self.origin is None else self.origin.has_experiment

    @property
    def request_id(self) -> str | None:
        """The provider's id of the request that answered; None of a local value."""
        return self.origin.origin.request_id if isinstance(self.origin, Record) else None

    def __repr__(self) -> str:
        """No payload: it may be large, and may be private."""
        error = f", error={self.error!r}" if self.error else ""
        return (
            f"Evaluation({self.key!r}, {self.value!r}, reason={self.reason!r},"
            f" source={self.source!r}{error})"
        )


def payload_text(evaluation: Evaluation) -> Any:
    """The payload as it was written; None when there is none, or it is text that is not JSON."""
    if evaluation.origin is None or evaluation.value is None:
        return None
    source = evaluation.origin.payload_source
    if isinstance(source, str) and evaluation.payload is None and source.strip() != "null":
        return None
    return source
