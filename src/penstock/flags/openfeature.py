"""
A provider for OpenFeature: its API, answered by `Client.flags`.

    from openfeature import api
    from penstock.flags.openfeature import PenstockProvider

    api.set_provider_and_wait(PenstockProvider(client))

Needs the ``openfeature`` extra. Source: the feature flags reference, 8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.errors import FieldError, MissingExtraError, PenstockError
from penstock.flags.answer import MISSING, Record
from penstock.flags.events import RULES
from penstock.flags.fitting import Misfit, fitted
from penstock.flags.result import BOOTSTRAP, DISABLED_CLIENT, STALE, Evaluation

try:
    from openfeature.event import ProviderEventDetails
    from openfeature.exception import (
        FlagNotFoundError,
        GeneralError,
        InvalidContextError,
        ParseError,
        TargetingKeyMissingError,
        TypeMismatchError,
    )
    from openfeature.flag_evaluation import FlagResolutionDetails, Reason
    from openfeature.provider import AbstractProvider, Metadata
except ImportError:
    raise MissingExtraError("openfeature-sdk", "openfeature") from None

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from openfeature.evaluation_context import EvaluationContext
    from openfeature.flag_evaluation import FlagMetadata, FlagValueType
    from openfeature.track import TrackingEventDetails

    from penstock.client import Client
    from penstock.flags.changes import Change
    from penstock.flags.fitting import Kind
    from penstock.flags.question import Options

#: What a context may hold that is no property of the person.
_GROUPS, _GROUP_PROPERTIES, _DEVICE = "groups", "group_properties", "device_id"


class PenstockProvider(AbstractProvider):
    """
    Answers OpenFeature from a client's flags.

    Args:
        client: Reads flags, and captures the events of reads and of ``track``. It stays yours to
            close.
        default_distinct_id: Whose flags they are where a context has no targeting key.
        send_events: Whether reads capture ``$feature_flag_called``.
        timeout: Seconds a read may take in all; `FlagSettings.timeout` by default.

    Raises:
        ConfigError: Nothing says where flags come from.

    .. versionadded:: 0.1
    """

    def __init__(
        self,
        client: Client,
        *,
        default_distinct_id: str | None = None,
        send_events: bool = True,
        timeout: float | None = None,
    ) -> None:
        super().__init__()
        self._client = client
        self._flags = client.flags
        self._default_distinct_id = default_distinct_id
        self._send_events = send_events
        self._timeout = timeout
        self._unlisten: Callable[[], None] | None = None

    # -- life ------------------------------------------------------------------------------

    def get_metadata(self) -> Metadata:
        """The provider's name."""
        return Metadata(name="penstock")

    def initialize(self, evaluation_context: EvaluationContext) -> None:  # noqa: ARG002 - OpenFeature's
        """Wait for definitions, as long as a read may; without them flags are asked for."""
        if self._unlisten is None:
            self._unlisten = self._flags.listen(self._changed)
        settings = self._flags.settings
        self._flags.wait_until_ready(settings.timeout if self._timeout is None else self._timeout)

    def shutdown(self) -> None:
        """Tell OpenFeature of no more changes."""
        unlisten, self._unlisten = self._unlisten, None
        if unlisten is not None:
            unlisten()

    def _changed(self, change: Change) -> None:
        """Hand a change of the definitions on."""
        if change.keys:
            changed = ProviderEventDetails(flags_changed=list(change.keys))
            self.emit_provider_configuration_changed(changed)
        if change.state == "stale":
            message = f"flag definitions cannot be refreshed ({self._flags.trouble})"
            self.emit_provider_stale(ProviderEventDetails(message=message))
        elif change.state == "ready":
            self.emit_provider_ready(ProviderEventDetails())

    # -- reading ---------------------------------------------------------------------------

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Whether the flag is enabled; a variant is."""
        return self._resolve("boolean", flag_key, default_value, evaluation_context)

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        """The variant."""
        return self._resolve("string", flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        """The variant as a whole number."""
        return self._resolve("integer", flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        """The variant as a number."""
        return self._resolve("float", flag_key, default_value, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """The payload, if it is an object or a list."""
        return self._resolve("object", flag_key, default_value, evaluation_context)

    async def resolve_boolean_details_async(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Never blocks the event loop."""
        return await self._aresolve("boolean", flag_key, default_value, evaluation_context)

    async def resolve_string_details_async(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        """Never blocks the event loop."""
        return await self._aresolve("string", flag_key, default_value, evaluation_context)

    async def resolve_integer_details_async(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        """Never blocks the event loop."""
        return await self._aresolve("integer", flag_key, default_value, evaluation_context)

    async def resolve_float_details_async(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        """Never blocks the event loop."""
        return await self._aresolve("float", flag_key, default_value, evaluation_context)

    async def resolve_object_details_async(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Never blocks the event loop."""
        return await self._aresolve("object", flag_key, default_value, evaluation_context)

    def _resolve(
        self, kind: Kind, key: str, default: Any, context: EvaluationContext | None
    ) -> FlagResolutionDetails[Any]:
        who, options = self._asked(key, context)
        try:
            found = self._flags.get(key, who, send_events=self._send_events, **options)
        except FieldError as error:
            raise InvalidContextError(str(error)) from None
        return _details(kind, found, default, who)

    async def _aresolve(
        self, kind: Kind, key: str, default: Any, context: EvaluationContext | None
    ) -> FlagResolutionDetails[Any]:
        who, options = self._asked(key, context)
        try:
            found = await self._flags.aget(key, who, send_events=self._send_events, **options)
        except FieldError as error:
            raise InvalidContextError(str(error)) from None
        return _details(kind, found, default, who)

    def _asked(self, key: str, context: EvaluationContext | None) -> tuple[str, Options]:
        """Who a read is about, and its options."""
        if not key or not key.strip():
            raise FlagNotFoundError("the flag's key is empty")
        who = self._identity(context)
        if who is None:
            raise TargetingKeyMissingError("the context has no targeting key")
        options: Options = {"timeout": self._timeout}
        attributes = dict(context.attributes) if context is not None else {}
        groups, facts = attributes.pop(_GROUPS, None), attributes.pop(_GROUP_PROPERTIES, None)
        device = attributes.pop(_DEVICE, None)
        if isinstance(groups, dict):
            options["groups"] = groups
        if isinstance(facts, dict):
            options["group_properties"] = facts
        if isinstance(device, str):
            options["device_id"] = device
        options["person_properties"] = attributes
        return who, options

    def _identity(self, context: EvaluationContext | None) -> str | None:
        key = context.targeting_key if context is not None else None
        return key or self._default_distinct_id

    # -- tracking --------------------------------------------------------------------------

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """
        Capture an event; never raises, and drops one about nobody.

        The context says who, and of which groups; its attributes are no properties of the event.
        """
        who = self._identity(evaluation_context)
        log = self._client._log  # noqa: SLF001 - one voice
        if who is None:
            log.detail("openfeature: an event about nobody was dropped")
            return
        attributes = evaluation_context.attributes if evaluation_context is not None else {}
        groups = attributes.get(_GROUPS)
        try:
            self._client.capture(
                tracking_event_name,
                who,
                _properties(tracking_event_details),
                groups=groups if isinstance(groups, dict) else None,
            )
        except PenstockError as error:
            log.detail("openfeature: an event was dropped: %s", type(error).__name__)


def _properties(details: TrackingEventDetails | None) -> dict[str, Any]:
    if details is None:
        return {}
    properties = dict(details.attributes)
    if details.value is not None:
        properties["value"] = details.value
    return properties


def _details(kind: Kind, found: Evaluation, default: Any, who: str) -> FlagResolutionDetails[Any]:
    """
    The answer to a read.

    Raises:
        OpenFeatureError: There is no value, or none of the type asked for.
    """
    metadata = _metadata(found, who)
    if found.reason == DISABLED_CLIENT:
        return FlagResolutionDetails(default, reason=Reason.DISABLED, flag_metadata=metadata)
    _raise_for(found)
    try:
        value = fitted(kind, found, default)
    except Misfit as misfit:
        raise TypeMismatchError(f"flag {found.key} is no {kind}: {misfit}") from None
    return FlagResolutionDetails(
        value, reason=_reason(found), variant=found.variant, flag_metadata=metadata
    )


def _raise_for(found: Evaluation) -> None:
    """
    Raise where there is no value.

    Raises:
        OpenFeatureError: Its code says whether the flag is missing, cannot be read, or could not
            be evaluated.
    """
    if isinstance(found.origin, Record) and found.origin.unreadable:
        raise ParseError(f"flag {found.key}: the provider's answer cannot be read")
    if found.value is not None:
        return
    error = found.error or MISSING
    if error == MISSING:  # an answer with errors does not say that there is no such flag
        raise FlagNotFoundError(f"flag {found.key}: {error}")
    raise GeneralError(f"flag {found.key}: {error}")


def _reason(found: Evaluation) -> Reason:
    if found.reason == STALE:
        return Reason.STALE
    if found.reason == BOOTSTRAP:
        return Reason.STATIC
    record = found.origin
    if isinstance(record, Record) and record.config_version == RULES:
        split = record.reason == "experiment_split"
        if split and found.enabled:
            return Reason.SPLIT
    if found.enabled:
        return Reason.TARGETING_MATCH
    return Reason.DISABLED if "disabled" in found.reason else Reason.DEFAULT


def _metadata(found: Evaluation, who: str) -> FlagMetadata:
    """Facts for hooks; ``version`` and ``contextId`` are what OpenFeature's telemetry reads."""
    facts = {
        "posthog_reason": found.reason,
        "id": found.flag_id,
        "version": found.version,
        "locally_evaluated": found.locally_evaluated,
        "request_id": found.request_id,
        "contextId": who,
    }
    return {name: value for name, value in facts.items() if value is not None}
