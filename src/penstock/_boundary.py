"""
The boundary: identity and facts of one request, job, message or invocation.

One is opened for each, without a parent, and is shared by everything that serves it. It takes no
lock: a change is one store into a dict or an attribute, which is atomic, followed by a new
`version`; a reader that merged older values finds that its version is not the current one and
merges again. A lock would be one more thing for a fork to break.
"""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from uuid_utils import uuid4

from penstock._log import ERROR, Log
from penstock._nobody import is_nobodys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.messages import Id

    #: A user id, or how to find it when the first event asks.
    User: TypeAlias = Id | Callable[[], Id | None] | None

Consent = Literal["off", "anonymous", "full"]
"""
What a visitor agreed to.

``off``: calls inside the boundary do nothing. ``anonymous``: events say nothing that tells who or
which device it was. ``full``: everything.
"""

_LOG = Log(None, verbose=False)
#: Characters of an id. PostHog cuts longer ones, which can make two people one.
MAX_ID = 200
#: What tells a person or a device; withheld where consent is not full.
_TELLING = frozenset(
    {
        *("ip", "userAgent", "userAgentData", "device", "sessionId", "windowId"),
        *("location", "traits", "clickIds", "network"),
    }
)


class Boundary:
    """
    What one request, job or message is about; see the module.

    Args:
        user_id: The known person, or a function that finds it, called when the first event
            asks and not before: asking may touch a session or a database.
        anonymous_id: The unknown device.
        context: Facts of the request, as an event's context has them.
        tags: Facts of your own, ``{name: value}``.
        consent: What the visitor agreed to.

    Attributes:
        state: What other parts of Penstock keep for this request.
    """

    #: ``always``: also those who are not logged in get a profile at PostHog.
    person_profiles: Literal["identified_only", "always"] = "identified_only"

    def __init__(
        self,
        *,
        user_id: User = None,
        anonymous_id: Id | None = None,
        context: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        consent: Consent = "full",
    ) -> None:
        self.consent: Consent = consent
        self.state: dict[str, Any] = {}
        self._user: User = user_id if callable(user_id) else id_text(user_id)
        self._asking = 0
        #: ``{"device": ..., "made up": ...}``: the first of several threads that store one wins.
        self._ids: dict[str, str | None] = {}
        if anonymous_id is not None:
            self._ids["device"] = id_text(anonymous_id)
        self._facts = dict(context) if context else None
        self._tags = dict(tags) if tags else {}
        self._version = 0
        self._merged: tuple[int, Mapping[str, Any]] = (-1, {})

    # -- who ---------------------------------------------------------------------------------

    @property
    def user_id(self) -> str | None:
        """The known person; None where nobody is, or consent is not full."""
        if self.consent != "full":
            return None
        user = self._user
        if user is None or isinstance(user, str):
            return user
        return self._ask(user) if callable(user) else id_text(user)

    def _ask(self, find: Callable[[], Id | None]) -> str | None:
        """
        Ask for the user, and remember who it is.

        Nobody is not remembered: a view may log a visitor in later. The function is the host's:
        it may itself capture an event, and it may raise.
        """
        if self._asking == get_ident():
            return None
        self._asking = get_ident()
        try:
            found = id_text(find())
        except Exception as error:  # noqa: BLE001 - the host's code: no event is lost for it
            self.failed("user", error)
            found = None
        finally:
            self._asking = 0
        if found is not None and self._user is find:
            self._user = found
        return found

    def failed(self, what: str, error: BaseException) -> None:
        """Tell that the host's code that finds something failed: its kind, never its text."""
        text = "the %s of a request or job could not be found: %s"
        _LOG.say(ERROR, what, text, what, type(error).__name__)

    def set_user(self, user_id: Id | None) -> None:
        """Say who it is; None: nobody."""
        self._user = id_text(user_id)

    @property
    def known_device(self) -> str | None:
        """The visitor's anonymous id, if it may be merged with a user's."""
        if self.consent != "full":
            return None
        device = self.device()
        return None if is_nobodys(device) else device

    def device(self) -> str | None:
        """The id the device came with, or was given to keep; where it comes from may be slow."""
        return self._ids.get("device")

    @property
    def anonymous_id(self) -> str:
        """The device; where none is known an id made up for this request, which nobody keeps."""
        if self.consent == "full":
            device = self.device()
            if device is not None:
                return device
        return self.made_up()

    def made_up(self) -> str:
        """An id for the events of this request to share, where nothing better is known."""
        return self._ids.get("made up") or self._ids.setdefault("made up", str(uuid4())) or ""

    def set_device(self, anonymous_id: str) -> None:
        """Give the device an id from here on."""
        self._ids = {"device": anonymous_id}

    @property
    def personless(self) -> bool:
        """Whether events without a user make no profile at PostHog."""
        if self.person_profiles == "always":
            return self.known_device is None
        return True

    # -- what --------------------------------------------------------------------------------

    @property
    def context(self) -> Mapping[str, Any]:
        """The facts and tags as an event's context; a change makes another mapping."""
        version, merged = self._merged
        if version == self._version:
            return merged
        version = self._version
        facts = self._facts
        if facts is None:
            facts = self._facts = self.find_facts()
        merged = {**facts, "tags": dict(self._tags)} if self._tags else dict(facts)
        if self.consent != "full":
            merged = self.stripped(merged)
        self._merged = (version, merged)
        return merged

    def find_facts(self) -> dict[str, Any]:
        """The facts, when first asked for."""
        return {}

    @staticmethod
    def stripped(context: Mapping[str, Any]) -> dict[str, Any]:
        """*context* without what tells a person or a device."""
        return {name: value for name, value in context.items() if name not in _TELLING}

    def put(self, facts: Mapping[str, Any]) -> None:
        """Add facts, each a field of the context; None takes one away."""
        if self._facts is None:
            self._facts = self.find_facts()
        kept = {**self._facts, **facts}
        self._facts = {name: value for name, value in kept.items() if value is not None}
        self._version += 1

    def set_session(self, session_id: str | int | None) -> None:
        """Say which session it is part of."""
        self.put({"sessionId": session_id})

    def tag(self, name: str, value: object) -> None:
        """Add a fact of your own to the events that follow."""
        self._tags[name] = value
        self._version += 1

    @property
    def tags(self) -> dict[str, Any]:
        """A copy of the tags."""
        return dict(self._tags)

    def __repr__(self) -> str:
        """What was agreed to; nobody's ids."""
        return f"<{type(self).__name__}, consent {self.consent}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """It travels to other processes as what it says now."""
        known, device = None, None
        if self.consent == "full":
            known, device = None if callable(self._user) else self._user, self.device()
        values = (known, device, dict(self.context), self.tags, self.consent)
        return (_rebuild, values)


def _rebuild(user: Any, device: Any, context: Any, tags: Any, consent: Consent) -> Boundary:
    return Boundary(user_id=user, anonymous_id=device, context=context, tags=tags, consent=consent)


def id_text(value: object) -> str | None:
    """An id as text of at most `MAX_ID` characters; None where it is none, or blank."""
    if value is None or isinstance(value, bool):
        return None
    if not isinstance(value, str | int) and type(value).__name__ != "UUID":
        return None
    text = str(value)[:MAX_ID]
    return text if text and not text.isspace() else None
