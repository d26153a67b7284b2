"""
What a client does with flags besides `Client.flags`.

That is PostHog's names, for programs that are ported, and the twin of `Client.capture`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Unpack

    from penstock._calls import Common
    from penstock.flags.answer import Value
    from penstock.flags.capturing import SendFlags
    from penstock.flags.front import Flags
    from penstock.flags.question import Options
    from penstock.flags.result import Evaluation
    from penstock.flags.snapshot import FlagSnapshot
    from penstock.messages import Data, Id


class _Flags:
    """
    `Client.flags`: made when first asked for, and an attribute like any other from then on.

    `functools.cached_property` would do, but has a lock in Python 3.11: a child that is forked
    while another thread holds it would wait for ever.
    """

    if TYPE_CHECKING:

        def __get__(self, client: Any, owner: type | None = None, /) -> Flags: ...

    else:

        def __get__(self, client, owner=None, /):  # noqa: ANN001, ANN204 - above
            if client is None:
                return self
            from penstock.flags.front import Flags

            return client.__dict__.setdefault("flags", Flags(client))


class FlagCalls:
    """
    Thin aliases over `penstock.flags.front.Flags`, and the `capture` that may wait for it.

    The aliases differ from it where PostHog's do: in their names, and in None where there is no
    value.
    """

    #: Feature flags for the people this client tells of; see docs/flag-client.md. `ConfigError`
    #: when no destination serves flags and the settings name no provider.
    flags = _Flags()

    async def acapture(
        self,
        event: str | None = None,
        distinct_id: Id | None = None,
        properties: Data | None = None,
        *,
        groups: Data | None = None,
        set: Data | None = None,  # noqa: A002 - PostHog's word
        set_once: Data | None = None,
        flags: FlagSnapshot | None = None,
        send_feature_flags: SendFlags = False,
        **common: Unpack[Common],
    ) -> str:
        """
        `Client.capture` for asyncio and trio: the event loop goes on while the flags are asked for.

        Where nobody has to be asked it captures at once. The event is accepted when this returns:
        a task that is cancelled while it waits captures nothing.

        .. versionadded:: 0.1
        """
        client: Any = self
        if flags is None and send_feature_flags is not False:
            from penstock.flags.capturing import flags_of_event

            flags = await flags_of_event(client, distinct_id, groups, send_feature_flags)
            send_feature_flags = False
        captured: str = client.capture(
            event,
            distinct_id,
            properties,
            groups=groups,
            set=set,
            set_once=set_once,
            flags=flags,
            send_feature_flags=send_feature_flags,
            **common,
        )
        return captured

    def get_feature_flag_result(
        self,
        key: str,
        distinct_id: Id | None = None,
        *,
        send_feature_flag_events: bool | None = None,
        **options: Unpack[Options],
    ) -> Evaluation | None:
        """
        `Flags.get`; None when the flag has no value.

        .. versionadded:: 0.1
        """
        found = self.flags.get(key, distinct_id, send_events=send_feature_flag_events, **options)
        return None if found.value is None else found

    def get_feature_flag(
        self,
        key: str,
        distinct_id: Id | None = None,
        *,
        send_feature_flag_events: bool | None = None,
        **options: Unpack[Options],
    ) -> Value:
        """
        `Flags.get`, its value only: True, False, a variant or None.

        .. versionadded:: 0.1
        """
        return self.flags.get(
            key, distinct_id, send_events=send_feature_flag_events, **options
        ).value

    def is_feature_enabled(
        self,
        key: str,
        distinct_id: Id | None = None,
        *,
        send_feature_flag_events: bool | None = None,
        **options: Unpack[Options],
    ) -> bool | None:
        """
        `Flags.enabled`; None when the flag has no value.

        .. versionadded:: 0.1
        """
        found = self.flags.get(key, distinct_id, send_events=send_feature_flag_events, **options)
        return None if found.value is None else found.enabled

    feature_enabled = is_feature_enabled

    def get_feature_flag_payload(
        self,
        key: str,
        distinct_id: Id | None = None,
        *,
        match_value: bool | str | None = None,
        send_feature_flag_events: bool = False,
        **options: Unpack[Options],
    ) -> Any:
        """
        `Flags.payload`; *match_value* stands in for the value, where there are definitions.

        .. versionadded:: 0.1
        """
        found = self.flags.get(key, distinct_id, send_events=send_feature_flag_events, **options)
        if match_value is not None and match_value != found.value:
            return self.flags.payload_of(key, match_value)
        return found.payload

    def get_all_flags(
        self,
        distinct_id: Id | None = None,
        *,
        flag_keys_to_evaluate: Iterable[str] | None = None,
        **options: Unpack[Options],
    ) -> dict[str, bool | str]:
        """
        `Flags.all`.

        .. versionadded:: 0.1
        """
        return self.flags.all(distinct_id, keys=flag_keys_to_evaluate, **options)

    def get_all_flags_and_payloads(
        self,
        distinct_id: Id | None = None,
        *,
        flag_keys_to_evaluate: Iterable[str] | None = None,
        **options: Unpack[Options],
    ) -> dict[str, dict[str, Any]]:
        """
        ``{"featureFlags": {key: value}, "featureFlagPayloads": {key: JSON text}}``.

        .. versionadded:: 0.1
        """
        found = self.flags.evaluate(distinct_id, keys=flag_keys_to_evaluate, **options)
        return {"featureFlags": found.values, "featureFlagPayloads": found.payload_texts}

    def evaluate_flags(
        self,
        distinct_id: Id | None = None,
        *,
        flag_keys: Iterable[str] | None = None,
        **options: Unpack[Options],
    ) -> FlagSnapshot:
        """
        `Flags.evaluate`; an empty snapshot when there is nobody to evaluate for.

        .. versionadded:: 0.1
        """
        from penstock.flags.question import identity
        from penstock.flags.snapshot import FlagSnapshot

        if identity(distinct_id) is None:
            return FlagSnapshot({})
        return self.flags.evaluate(distinct_id, keys=flag_keys, **options)

    def get_remote_config_payload(self, key: str) -> Any:
        """
        `Flags.remote_config`.

        .. versionadded:: 0.1
        """
        return self.flags.remote_config(key)

    def load_feature_flags(self) -> bool:
        """
        `Flags.reload`.

        .. versionadded:: 0.1
        """
        return self.flags.reload()

    reload_feature_flags = load_feature_flags

    def wait_for_local_evaluation_ready(self, timeout: float | None = None) -> bool:
        """
        `Flags.wait_until_ready`.

        .. versionadded:: 0.1
        """
        return self.flags.wait_until_ready(timeout)

    def feature_flag_definitions(self) -> list[Mapping[str, Any]] | None:
        """
        `Flags.definitions`, as a list.

        .. versionadded:: 0.1
        """
        found = self.flags.definitions
        return None if found is None else list(found)

    def get_feature_flag_evaluation_runtime(self, key: str) -> str:
        """
        `Flags.runtime_of`.

        .. versionadded:: 0.1
        """
        return self.flags.runtime_of(key)

    def get_feature_flag_keys_by_evaluation_runtime(self, runtime: str) -> list[str]:
        """
        `Flags.keys_for`.

        .. versionadded:: 0.1
        """
        return self.flags.keys_for(runtime)
