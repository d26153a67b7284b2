"""
Finding answers: the definitions here, the provider, its last answer, the bootstrap values.

Knows nothing of events. The first of the four that can answers; only asking the provider takes
time, once per read at most, and only until the read's deadline.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.errors import ConfigError
from penstock.flags.answer import MISSING, Answer, Record
from penstock.flags.decision import FLAG_MISSING
from penstock.flags.result import BOOTSTRAP, STALE, Evaluation, Given

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from penstock.config import Clock, FlagSettings
    from penstock.flags.decision import Decision
    from penstock.flags.definitions import Flag, Malformed
    from penstock.flags.feed import Feed, Loaded
    from penstock.flags.question import Question
    from penstock.flags.remote import Remote

#: Nobody could decide it here, and nobody else was asked.
INCONCLUSIVE = "local_evaluation_inconclusive"
#: A read that comes before the first definitions waits for them this part of its time; the rest
#: is for asking the provider.
FIRST_LOAD_SHARE = 0.5
#: Answers kept for `FlagSettings.stale_for`.
MAX_ANSWERS = 10_000
#: Keys remembered that the provider does not have.
MAX_ABSENT = 1000
#: A flag for browsers: that it cannot be decided here is no reason to ask.
_CLIENT = "client"


class Found(NamedTuple):
    """The answer to a read of many flags."""

    #: ``{flag key: evaluation}``, those without a value among them.
    flags: dict[str, Evaluation]
    #: What went wrong with the request; None: nothing, or there was none.
    trouble: str | None = None


class LastAnswers:
    """
    What the provider answered before, for when it does not answer now; thread-safe.

    Args:
        seconds: How long an answer is good for; 0 keeps none.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._kept: OrderedDict[Hashable, tuple[float, Evaluation]] = OrderedDict()
        self.restart()

    def restart(self) -> None:
        """In a forked child: another thread of the parent may have held the lock."""
        self._lock = Lock()

    def keep(self, question: Question, evaluation: Evaluation) -> None:
        """Remember a value."""
        if not self._seconds or evaluation.value is None:
            return
        place = _place(question, evaluation.key)
        with self._lock:
            self._kept[place] = (time.monotonic(), evaluation)
            self._kept.move_to_end(place)
            if len(self._kept) > MAX_ANSWERS:
                self._kept.popitem(last=False)

    def find(self, question: Question, key: str, error: str | None) -> Evaluation | None:
        """The last value, if it is not too old."""
        with self._lock:
            at, last = self._kept.get(_place(question, key), (0.0, None))
        if last is None or time.monotonic() - at > self._seconds:
            return None
        return Evaluation(key, last.value, STALE, error, "cache", last.origin)


def _place(question: Question, key: str) -> Hashable:
    person = question.person
    return (person.distinct_id, key, person.device_id, tuple(sorted(person.groups.items())))


class Finder:
    """
    One client's way to answers.

    Args:
        settings: Timeouts and bootstrap values.
        feed: The definitions; None where there is no key for them.
        remote: The provider; None where the bootstrap values are all there is.
        clock: The time for relative dates; None for the system's.
    """

    def __init__(
        self,
        settings: FlagSettings,
        feed: Feed | None,
        remote: Remote | None,
        clock: Clock | None,
    ) -> None:
        self.feed = feed
        self._settings = settings
        self._remote = remote
        self._clock = clock
        self._given = _given(settings.bootstrap or {})
        self._absent: tuple[Loaded | None, set[str]] = (None, set())
        self._hidden: tuple[Loaded | None, frozenset[str]] = (None, frozenset())
        self._last = LastAnswers(settings.stale_for)

    def restart(self) -> None:
        """In a forked child: another thread of the parent may have held a lock."""
        self._last.restart()
        if self._remote is not None:
            self._remote.restart()

    # -- one flag --------------------------------------------------------------------------

    def at_once(self, key: str, question: Question) -> Evaluation | None:
        """The answer, if it takes no waiting; None otherwise."""
        feed = self.feed
        if feed is not None:
            feed.start()
            loaded = feed.loaded
            if loaded is None and not feed.has_looked:
                return self._bootstrap(key, None)  # or the first load has to be waited for
            found = None if loaded is None else self._decided(loaded, key, question)
            if found is not None:
                return found
        if self._asks(question) and not self._is_absent(key):
            return None
        return self._undecided(key, question)

    def find(self, key: str, question: Question) -> Evaluation:
        """The answer; takes the read's timeout at most."""
        deadline = time.monotonic() + self._timeout(question)
        loaded = self._first_loaded(question, deadline)
        if loaded is not None:
            found = self._decided(loaded, key, question)
            if found is not None:
                return found
        if not self._asks(question) or self._is_absent(key):
            return self._undecided(key, question)
        answer = self._ask(question, (key,), deadline)
        if loaded is not None and answer.is_clean and key not in answer.records:
            self._note_absent(loaded, key)
        return self._answered(key, question, answer)

    def _decided(self, loaded: Loaded, key: str, question: Question) -> Evaluation | None:
        if key in self._hidden_by(loaded):
            return Evaluation(key, None, MISSING, MISSING)
        decision = loaded.compiled.evaluate(key, question.person, self.now())
        return None if decision.value is None else local(decision, loaded)

    def _undecided(self, key: str, question: Question) -> Evaluation:
        """Nobody is asked."""
        loaded = None if self.feed is None else self.feed.loaded
        if loaded is None:
            given = self._bootstrap(key, MISSING)
            return Evaluation(key, None, MISSING, MISSING) if given is None else given
        decision = loaded.compiled.evaluate(key, question.person, self.now())
        return undecided(decision)

    def _answered(self, key: str, question: Question, answer: Answer) -> Evaluation:
        """What an answer, or the lack of one, means for one flag."""
        error = answer.error(key)
        record = answer.records.get(key)
        if record is not None and not record.unreadable:
            found = remote(record, error)
            self._last.keep(question, found)
            return found
        if record is None and not (answer.failure or answer.limited):
            return Evaluation(key, None, MISSING, error)
        older = self._older(key, question, error)
        if older is not None:
            return older
        if record is not None:
            return remote(record, error)
        return Evaluation(key, None, error or MISSING, error)

    # -- all flags -------------------------------------------------------------------------

    def all_at_once(self, keys: Sequence[str] | None, question: Question) -> Found | None:
        """The answer, if it takes no waiting; None otherwise."""
        if keys is not None and not keys:
            return Found({})
        if self._is_loading():
            return None
        loaded = None if self.feed is None else self.feed.loaded
        found, wanted = self._decide(loaded, keys, question)
        if wanted and self._asks(question):
            return None
        return Found(self._with_bootstrap(found, keys, None))

    def values_at_once(self, question: Question) -> dict[str, bool | str] | None:
        """``{flag key: value}`` of all flags, where that is all there is to say; None otherwise."""
        loaded = None if self.feed is None else self.feed.loaded
        if loaded is None or self._settings.evaluation_contexts:
            return None
        decisions = loaded.compiled.evaluate_all(question.person, None, self.now())
        values = {key: decision.value for key, decision in decisions.items()}
        if None in values.values():
            if self._asks(question):
                return None
            return {key: value for key, value in values.items() if value is not None}
        return values  # type: ignore[return-value] # None was looked for

    def find_all(self, keys: Sequence[str] | None, question: Question) -> Found:
        """The answer; takes the read's timeout at most, and one request."""
        deadline = time.monotonic() + self._timeout(question)
        loaded = self._first_loaded(question, deadline)
        found, wanted = self._decide(loaded, keys, question)
        if not wanted or not self._asks(question):
            return Found(self._with_bootstrap(found, keys, None))
        answer = self._ask(question, keys, deadline)
        for key in _wanted(answer, keys):
            decided = key in found and found[key].value is not None
            if not decided and (key not in found or answer.records[key].value is not None):
                found[key] = self._answered(key, question, answer)
        if loaded is not None and answer.is_clean:
            for key in keys or ():
                if key not in found:
                    self._note_absent(loaded, key)
        if answer.failure or answer.limited:
            self._fill(found, keys, question, answer)
        return Found(_told(found, answer), answer.trouble)

    def for_event_at_once(
        self, keys: Sequence[str] | None, question: Question, here: bool | None
    ) -> Found | None:
        """The answer of `find_for_event`, if it takes no waiting; None otherwise."""
        if here is False or self.feed is None:
            return self._for_event_here(None, keys, question, here)
        if self._is_loading():
            return None
        return self._for_event_here(self.feed.loaded, keys, question, here)

    def find_for_event(
        self, keys: Sequence[str] | None, question: Question, here: bool | None
    ) -> Found:
        """
        The flags of an event; takes the settings' timeout at most, and one request.

        Args:
            keys: Only these; None for all.
            question: Who the event is about.
            here: Whether they are decided here alone (True) or by the provider alone (False);
                None: here if there are definitions.
        """
        deadline = time.monotonic() + self._timeout(question)
        loaded = None if here is False else self._first_loaded(question, deadline)
        decided = self._for_event_here(loaded, keys, question, here)
        if decided is not None:
            return decided
        found: dict[str, Evaluation] = {}
        answer = self._ask(question, keys, deadline)
        for key in _wanted(answer, keys):
            found[key] = self._answered(key, question, answer)
        if answer.failure or answer.limited:
            self._fill(found, keys, question, answer)
        return Found(found, answer.trouble)

    def _for_event_here(
        self,
        loaded: Loaded | None,
        keys: Sequence[str] | None,
        question: Question,
        here: bool | None,
    ) -> Found | None:
        """What can be said of an event without asking; None where the provider is to be asked."""
        if here or loaded is not None:
            decided, _ = self._decide(loaded, keys, question)
            return Found(self._with_bootstrap(decided, keys, None))
        return Found(self._with_bootstrap({}, keys, None)) if self._remote is None else None

    def _decide(
        self, loaded: Loaded | None, keys: Sequence[str] | None, question: Question
    ) -> tuple[dict[str, Evaluation], bool]:
        """What is decided here, and whether that leaves something to ask for."""
        if loaded is None:
            return {}, True
        decisions = loaded.compiled.evaluate_all(question.person, keys, self.now())
        hidden = self._hidden_by(loaded)
        for key in hidden:
            decisions.pop(key, None)
        found: dict[str, Evaluation] = {}
        wanted = False
        for key, decision in decisions.items():
            if decision.value is not None:
                found[key] = local(decision, loaded)
            else:
                found[key] = undecided(decision)
                wanted = wanted or not _is_for_browsers(loaded, key)
        if keys is not None:
            unknown = [key for key in keys if key not in found and key not in hidden]
            wanted = wanted or any(not self._is_absent(key) for key in unknown)
            found = {
                key: found[key] for key in keys if key in found and not _is_missing(found[key])
            }
        return found, wanted

    def _fill(
        self,
        found: dict[str, Evaluation],
        keys: Sequence[str] | None,
        question: Question,
        answer: Answer,
    ) -> None:
        """Older values where the provider has none now."""
        lacking = [key for key in found if found[key].value is None]
        asked = keys if keys is not None else self._given
        for key in dict.fromkeys((*lacking, *(key for key in asked if key not in found))):
            error = answer.error(key)
            older = self._older(key, question, error)
            if older is not None:
                found[key] = older

    def _with_bootstrap(
        self, found: dict[str, Evaluation], keys: Sequence[str] | None, error: str | None
    ) -> dict[str, Evaluation]:
        """Bootstrap values, where there are no definitions."""
        if self.feed is not None and self.feed.loaded is not None:
            return found
        for key in self._given if keys is None else keys:
            given = self._bootstrap(key, error)
            if key not in found and given is not None:
                found[key] = given
        return found

    # -- parts -----------------------------------------------------------------------------

    def now(self) -> datetime | None:
        """The time for relative dates, if it is not the system's."""
        return None if self._clock is None else datetime.fromtimestamp(self._clock.time(), UTC)

    def _is_loading(self) -> bool:
        """Whether the first definitions are still to come."""
        if self.feed is None:
            return False
        self.feed.start()
        return self.feed.loaded is None and not self.feed.has_looked

    def _first_loaded(self, question: Question, deadline: float) -> Loaded | None:
        if self.feed is None:
            return None
        left = deadline - time.monotonic()
        alone = not self._asks(question)
        return self.feed.wait(left if alone else left * FIRST_LOAD_SHARE)

    def _timeout(self, question: Question) -> float:
        return self._settings.timeout if question.timeout is None else question.timeout

    def _asks(self, question: Question) -> bool:
        return self._remote is not None and not question.only_locally

    def _ask(self, question: Question, keys: Sequence[str] | None, deadline: float) -> Answer:
        assert self._remote is not None  # noqa: S101 - `_asks` was asked
        return self._remote.ask(question, keys, max(0.001, deadline - time.monotonic()))

    def _older(self, key: str, question: Question, error: str | None) -> Evaluation | None:
        """What stands in for an answer that did not come."""
        last = self._last.find(question, key, error)
        return self._bootstrap(key, error) if last is None else last

    def _bootstrap(self, key: str, error: str | None) -> Evaluation | None:
        given = self._given.get(key)
        if given is None:
            return None
        return Evaluation(key, given.value, BOOTSTRAP, error, "bootstrap", given.origin)

    def _is_absent(self, key: str) -> bool:
        """Whether the provider said, since the last look at the definitions, that it has none."""
        since, keys = self._absent
        return key in keys and self.feed is not None and self.feed.loaded is since

    def _hidden_by(self, loaded: Loaded) -> frozenset[str]:
        """Flags of other contexts than this client's: for it they do not exist."""
        contexts = self._settings.evaluation_contexts
        if not contexts:
            return frozenset()
        since, hidden = self._hidden
        if since is not loaded:
            flags = loaded.compiled.definitions.flags
            hidden = frozenset(key for key, one in flags.items() if _is_elsewhere(one, contexts))
            self._hidden = (loaded, hidden)
        return hidden

    def _note_absent(self, loaded: Loaded, key: str) -> None:
        since, keys = self._absent
        if since is not loaded or len(keys) >= MAX_ABSENT:
            self._absent = (loaded, {key})
        else:
            keys.add(key)


def local(decision: Decision, loaded: Loaded) -> Evaluation:
    """What was decided here."""
    reason = STALE if loaded.stale else decision.reason
    return Evaluation(decision.key, decision.value, reason, None, "local", decision)


def undecided(decision: Decision) -> Evaluation:
    """What could not be decided here."""
    error = MISSING if decision.reason == FLAG_MISSING else INCONCLUSIVE
    return Evaluation(decision.key, None, decision.reason, error, "none", decision)


def remote(record: Record, error: str | None) -> Evaluation:
    """What the provider answered."""
    reason = record.reason or error or "remote"
    return Evaluation(record.key, record.value, reason, error, "remote", record)


def _wanted(answer: Answer, keys: Sequence[str] | None) -> Iterable[str]:
    """Keys of an answer; a provider that knows no limit on keys answers more than was asked."""
    if keys is None:
        return answer.records
    return [key for key in keys if key in answer.records]


def _told(found: dict[str, Evaluation], answer: Answer) -> dict[str, Evaluation]:
    """The same; what nobody could decide says what the provider said, too."""
    for key, one in found.items():
        if one.value is None and one.source == "none" and one.error == INCONCLUSIVE:
            own = answer.error(key) if key in answer.records else answer.trouble
            error = f"{own},{INCONCLUSIVE}" if own else INCONCLUSIVE
            found[key] = Evaluation(key, None, one.reason, error, "none", one.origin)
    return found


def _is_missing(evaluation: Evaluation) -> bool:
    return evaluation.reason == FLAG_MISSING and evaluation.value is None


def _is_elsewhere(flag: Flag | Malformed, contexts: Sequence[str]) -> bool:
    meant = flag.evaluation_contexts
    return isinstance(meant, list) and bool(meant) and not any(one in contexts for one in meant)


def _is_for_browsers(loaded: Loaded, key: str) -> bool:
    flag = loaded.compiled.definitions.flags.get(key)
    return flag is not None and flag.evaluation_runtime == _CLIENT


def _given(bootstrap: Mapping[str, Any]) -> dict[str, Evaluation]:
    """
    The bootstrap values as evaluations.

    Raises:
        ConfigError: One is neither True, nor False, nor text.
    """
    found = {}
    for key, given in bootstrap.items():
        value, payload = given, None
        if isinstance(given, dict):
            value, payload = given.get("value"), given.get("payload")
        if not isinstance(value, bool | str):
            reason = "must be True, False or a variant, or {'value': ..., 'payload': ...}"
            raise ConfigError(f"flags.bootstrap[{key!r}]", type(value), reason)
        found[key] = Evaluation(key, value, BOOTSTRAP, None, "bootstrap", Given(payload))
    return found
