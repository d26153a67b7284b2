"""All flags of one person at one moment: evaluated once, read as often as you like."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from penstock._log import WARNING
from penstock.flags.answer import MISSING, Value
from penstock.flags.question import checked_key, checked_keys
from penstock.flags.result import Evaluation, payload_text
from penstock.flags.typed import TypedReads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from penstock._log import Log

    Told = Callable[[Evaluation], None]

#: Nobody could decide it here, and nobody else was asked or had an answer.
INCONCLUSIVE = "local_evaluation_inconclusive"


class FlagSnapshot(TypedReads):
    """
    The flags of one person, as they were when `Flags.evaluate` was called.

    Reading evaluates nothing and asks nobody. Reading a value captures ``$feature_flag_called``
    as `Flags.get` does; reading a payload does not.

    Args:
        found: ``{flag key: evaluation}``, in the order of the provider.
        trouble: What went wrong with the request, if there was one.
        tell: Captures the event of a read; None for a snapshot about nobody.
        log: Where it speaks.

    .. versionadded:: 0.1
    """

    def __init__(
        self,
        found: Mapping[str, Evaluation],
        *,
        trouble: str | None = None,
        tell: Told | None = None,
        log: Log | None = None,
    ) -> None:
        self._found = dict(found)
        self._trouble = trouble
        self._tell = tell
        self._log = log
        self._accessed: set[str] = set()
        #: Keys that a filtered copy left out: reading one says nothing about the person.
        self._dropped: frozenset[str] = frozenset()

    # -- reading ---------------------------------------------------------------------------

    def get(self, key: str, *, send_events: bool = True) -> Evaluation:
        """
        One flag.

        Args:
            key: The flag's.
            send_events: Whether to capture ``$feature_flag_called``.

        Raises:
            FieldError: *key* is no text, or empty.

        .. versionadded:: 0.1
        """
        found = self._found.get(checked_key(key))
        if found is None:
            found = self._missing(key)
        self._accessed.add(key)
        if send_events and self._tell is not None and key not in self._dropped:
            self._tell(found)
        return found

    def enabled(self, key: str, default: bool = False, *, send_events: bool = True) -> bool:
        """
        Whether a flag is enabled; *default* only when it has no value at all.

        .. versionadded:: 0.1
        """
        found = self.get(key, send_events=send_events)
        return default if found.value is None else found.enabled

    def value(self, key: str, *, send_events: bool = True) -> Value:
        """
        True, False, a variant, or None when there is no value.

        .. versionadded:: 0.1
        """
        return self.get(key, send_events=send_events).value

    def payload(self, key: str) -> Any:
        """
        What is attached to the value, decoded. Captures no event.

        .. versionadded:: 0.1
        """
        found = self._found.get(checked_key(key))
        return None if found is None else found.payload

    def _missing(self, key: str) -> Evaluation:
        trouble = self._trouble
        joins = trouble is None or trouble.startswith("errors_while")
        error = ",".join(filter(None, (trouble, MISSING))) if joins else trouble
        return Evaluation(key, None, MISSING, error)

    # -- looking ---------------------------------------------------------------------------

    @property
    def keys(self) -> list[str]:
        """
        The flags that have a value.

        .. versionadded:: 0.1
        """
        return [key for key, found in self._found.items() if found.value is not None]

    @property
    def values(self) -> dict[str, bool | str]:
        """
        ``{flag key: value}`` of the flags that have one.

        .. versionadded:: 0.1
        """
        return {key: found.value for key, found in self._found.items() if found.value is not None}

    @property
    def payload_texts(self) -> dict[str, Any]:
        """
        ``{flag key: payload}`` as its owner wrote it: JSON text as a rule.

        .. versionadded:: 0.1
        """
        texts = {key: payload_text(found) for key, found in self._found.items()}
        return {key: text for key, text in texts.items() if text is not None}

    @property
    def unresolved(self) -> Mapping[str, str]:
        """
        ``{flag key: reason}`` of flags that are defined, but could not be decided here nor there.

        .. versionadded:: 0.1
        """
        return MappingProxyType(
            {
                key: found.reason
                for key, found in self._found.items()
                if found.error is not None and INCONCLUSIVE in found.error and found.value is None
            }
        )

    @property
    def trouble(self) -> str | None:
        """
        What went wrong with the request, as ``$feature_flag_error`` has it; None: nothing did.

        .. versionadded:: 0.1
        """
        return self._trouble

    def __len__(self) -> int:
        """How many flags have a value."""
        return len(self.keys)

    def __contains__(self, key: object) -> bool:
        """Whether a flag has a value."""
        found = self._found.get(key) if isinstance(key, str) else None
        return found is not None and found.value is not None

    def __repr__(self) -> str:
        """How many, not whose."""
        return f"<FlagSnapshot: {len(self)} flags>"

    # -- a part of it ----------------------------------------------------------------------

    def only(self, keys: Iterable[str]) -> FlagSnapshot:
        """
        A copy with these flags only, as for `Client.capture`; unknown keys are left out.

        Raises:
            FieldError: *keys* is one text, or not all of them are text.

        .. versionadded:: 0.1
        """
        wanted = checked_keys(keys) or ()
        unknown = [key for key in wanted if key not in self._found]
        if unknown and self._log is not None:
            text = "FlagSnapshot.only: there is no flag %s in it"
            self._log.say(WARNING, "flags:only", text, ", ".join(unknown))
        return self._copy({key for key in wanted if key in self._found})

    def only_accessed(self) -> FlagSnapshot:
        """
        A copy with the flags whose value was read until now.

        .. versionadded:: 0.1
        """
        return self._copy(self._accessed & self._found.keys())

    def _copy(self, kept: set[str]) -> FlagSnapshot:
        found = {
            key: one for key, one in self._found.items() if key in kept and one.value is not None
        }
        part = FlagSnapshot(found, trouble=self._trouble, tell=self._tell, log=self._log)
        part._accessed = set(self._accessed)
        part._dropped = self._dropped | (self._found.keys() - kept)
        return part

    # -- PostHog's names -------------------------------------------------------------------

    def is_enabled(
        self, key: str, default_value: bool = False, *, send_feature_flag_events: bool = True
    ) -> bool:
        """PostHog's name of `enabled`."""
        return self.enabled(key, default_value, send_events=send_feature_flag_events)

    def get_flag(self, key: str, *, send_feature_flag_events: bool = True) -> Value:
        """PostHog's name of `value`."""
        return self.value(key, send_events=send_feature_flag_events)

    def get_flag_payload(self, key: str) -> Any:
        """PostHog's name of `payload`."""
        return self.payload(key)

    @property
    def unresolved_flags(self) -> Mapping[str, str]:
        """PostHog's name of `unresolved`."""
        return self.unresolved
