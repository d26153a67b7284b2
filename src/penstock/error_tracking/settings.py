"""What error tracking may be told; `penstock.Config` carries it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.error_tracking.types import Hint

ENV_RELEASE = "PENSTOCK_RELEASE"
ENV_ENVIRONMENT = "PENSTOCK_ENVIRONMENT"
#: What PostHog's own SDKs call it.
ENV_RELEASE_ID = "POSTHOG_RELEASE_ID"
#: Where platforms and builds leave the commit that runs.
ENV_COMMITS = ("HEROKU_SLUG_COMMIT", "RENDER_GIT_COMMIT", "SOURCE_VERSION", "GIT_COMMIT")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorTracking:
    """
    What is sent of errors, and which.

    Attributes:
        project_root: Code below this directory is the application's own; by default the
            current directory, and that of the program that was started.
        in_app_include: Prefixes of modules that are the application's own, wherever they lie.
        in_app_exclude: Prefixes of modules that are not.
        source_context: Send the source lines around each call.
        abs_paths: Send where files lie on this host; PostHog uses it to tell libraries.
        local_variables: Send the local variables of the application's own calls.
        scrub: Withhold what looks like a secret: in variables, log fields, messages, source.
        secret_names: More words that make a name or a value a secret.
        ignore_exceptions: Classes, with their subclasses, or names of classes, bare or dotted,
            that are never captured.
        sample_rate: Share of the errors that is captured, 0 to 1; or a function from the hint
            to that share.
        rate_limit: Let one kind of error through 20 times and then once a second, all together
            300 times a minute. Calls of `Client.capture_exception` of your own are not limited.
        before_send: Sees each event with a hint of where it comes from, and returns it, changed
            or not, or None to drop it. One that raises drops the event.
        release: The version that runs; ``PENSTOCK_RELEASE``, the commit that a platform tells,
            or the version in ``context.app`` by default.
        environment: As in ``production``; ``PENSTOCK_ENVIRONMENT`` by default.
        release_id: PostHog's id of the release, a UUID; ``POSTHOG_RELEASE_ID`` by default.
        exceptions_as_track: The name of a track call that tells of an error where there is no
            place for one: ``"Exception Captured"``. None sends errors to PostHog, collectors
            and webhooks only.

    Raises:
        ConfigError: A value that can never work.

    .. versionadded:: 0.1
    """

    project_root: str | os.PathLike[str] | None = None
    in_app_include: Sequence[str] = ()
    in_app_exclude: Sequence[str] = ()
    source_context: bool = True
    abs_paths: bool = True
    local_variables: bool = False
    scrub: bool = True
    secret_names: Sequence[str] = ()
    ignore_exceptions: Sequence[type[BaseException] | str] = ()
    sample_rate: float | Callable[[Hint], float] = 1.0
    rate_limit: bool = True
    before_send: Callable[[dict[str, Any], Hint], dict[str, Any] | None] | None = None
    release: str | None = None
    environment: str | None = None
    release_id: str | None = None
    exceptions_as_track: str | None = None

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        for name in ("in_app_include", "in_app_exclude", "secret_names"):
            _texts(name, getattr(self, name))
        _classes_or_names(self.ignore_exceptions)
        rate = self.sample_rate
        if not callable(rate) and not (isinstance(rate, int | float) and 0 <= rate <= 1):
            raise ConfigError("error_tracking.sample_rate", rate, "must be from 0 to 1")
        if self.before_send is not None and not callable(self.before_send):
            raise ConfigError("error_tracking.before_send", self.before_send, "must be callable")
        if self.release_id is not None and not is_uuid(self.release_id):
            raise ConfigError("error_tracking.release_id", self.release_id, "must be a UUID")
        event = self.exceptions_as_track
        if event is not None and not (isinstance(event, str) and event.strip()):
            reason = "must be an event's name"
            raise ConfigError("error_tracking.exceptions_as_track", event, reason)

    def known_release(self) -> str | None:
        """`release`, or what the environment says."""
        return self.release or _first_of((ENV_RELEASE, *ENV_COMMITS))

    def known_environment(self) -> str | None:
        """`environment`, or what the environment says."""
        return self.environment or _first_of((ENV_ENVIRONMENT,))

    def known_release_id(self) -> str | None:
        """`release_id`, or what the environment says, if it is a UUID: others cost the event."""
        found = self.release_id or _first_of((ENV_RELEASE_ID,))
        return found if is_uuid(found) else None


def is_uuid(text: object) -> bool:
    """Whether *text* is a UUID in one of its spellings."""
    try:
        UUID(str(text))
    except ValueError:
        return False
    return True


def _first_of(names: tuple[str, ...]) -> str | None:
    found = (os.environ.get(name, "").strip() for name in names)
    return next(filter(None, found), None)


def _texts(name: str, value: object) -> None:
    if isinstance(value, str) or not all(isinstance(one, str) for one in value):  # type: ignore[attr-defined]
        raise ConfigError(f"error_tracking.{name}", value, "must be a list of str")


def _classes_or_names(value: Sequence[type[BaseException] | str]) -> None:
    for one in () if isinstance(value, str) else value:
        if isinstance(one, str) or (isinstance(one, type) and issubclass(one, BaseException)):
            continue
        reason = "must be exception classes or names of some"
        raise ConfigError("error_tracking.ignore_exceptions", one, reason)
    if isinstance(value, str):
        reason = "must be a list, as in [KeyError]"
        raise ConfigError("error_tracking.ignore_exceptions", value, reason)
