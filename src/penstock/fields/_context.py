"""Around it: the context of a call."""

# No `from __future__ import annotations`: see _commerce.py.
from typing import TYPE_CHECKING, TypedDict, Unpack

from penstock.fields._catalogue import Catalogue, Values
from penstock.fields._rules import (
    Anything,
    Flag,
    Identifier,
    Integer,
    Number,
    Object,
    Text,
    TextOrNumber,
)


class AppFields(TypedDict, total=False):
    """Keywords of `App`."""

    name: Text
    version: TextOrNumber
    build: TextOrNumber
    namespace: Text


class App(Catalogue, fields=AppFields):
    """
    The program that makes the call.

    .. versionadded:: 0.1
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(self, values: Values = None, /, **fields: Unpack[AppFields]) -> None: ...


class CampaignFields(TypedDict, total=False):
    """Keywords of `Campaign`."""

    name: Text
    source: Text
    medium: Text
    term: Text
    content: Text


class Campaign(Catalogue, fields=CampaignFields):
    """
    The marketing campaign that led here; ``name`` is ``utm_campaign``.

    .. versionadded:: 0.1
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(self, values: Values = None, /, **fields: Unpack[CampaignFields]) -> None: ...


class DeviceFields(TypedDict, total=False):
    """Keywords of `Device`."""

    id: Identifier
    manufacturer: Text
    model: Text
    name: Text
    type: Text
    version: TextOrNumber
    advertising_id: Identifier
    ad_tracking_enabled: Flag
    token: Text


class Device(
    Catalogue,
    fields=DeviceFields,
    wire={"advertising_id": "advertisingId", "ad_tracking_enabled": "adTrackingEnabled"},
):
    """
    The user's device.

    .. versionadded:: 0.1
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(self, values: Values = None, /, **fields: Unpack[DeviceFields]) -> None: ...


class LocationFields(TypedDict, total=False):
    """Keywords of `Location`."""

    city: Text
    country: Text
    region: Text
    latitude: Number
    longitude: Number
    speed: Number


class Location(Catalogue, fields=LocationFields):
    """
    Where the user is; latitude and longitude in degrees, 0 being a place like any other.

    .. versionadded:: 0.1
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(self, values: Values = None, /, **fields: Unpack[LocationFields]) -> None: ...


class NetworkFields(TypedDict, total=False):
    """Keywords of `Network`."""

    bluetooth: Flag
    carrier: Text
    cellular: Flag
    wifi: Flag


class Network(Catalogue, fields=NetworkFields):
    """
    The network the device uses.

    .. versionadded:: 0.1
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(self, values: Values = None, /, **fields: Unpack[NetworkFields]) -> None: ...


class OperatingSystemFields(TypedDict, total=False):
    """Keywords of `OperatingSystem`."""

    name: Text
    version: TextOrNumber


class OperatingSystem(Catalogue, fields=OperatingSystemFields):
    """
    The device's operating system.

    .. versionadded:: 0.1
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(
            self, values: Values = None, /, **fields: Unpack[OperatingSystemFields]
        ) -> None: ...


class PageInfoFields(TypedDict, total=False):
    """Keywords of `PageInfo`."""

    hash: Text
    path: Text
    referrer: Text
    search: Text
    title: Text
    url: Text


class PageInfo(Catalogue, fields=PageInfoFields):
    """
    The web page the user is on: ``context.page``, which any message may have.

    .. versionadded:: 0.1
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(self, values: Values = None, /, **fields: Unpack[PageInfoFields]) -> None: ...


class ReferrerFields(TypedDict, total=False):
    """Keywords of `Referrer`."""

    type: Text
    name: Text
    url: Text
    link: Text


class Referrer(Catalogue, fields=ReferrerFields):
    """
    What sent the user here.

    .. versionadded:: 0.1
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(self, values: Values = None, /, **fields: Unpack[ReferrerFields]) -> None: ...


class ScreenInfoFields(TypedDict, total=False):
    """Keywords of `ScreenInfo`."""

    density: Number
    width: Integer
    height: Integer


class ScreenInfo(Catalogue, fields=ScreenInfoFields):
    """
    The device's screen: ``context.screen``, which any message may have.

    .. versionadded:: 0.1
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(
            self, values: Values = None, /, **fields: Unpack[ScreenInfoFields]
        ) -> None: ...


class ContextFields(TypedDict, total=False):
    """Keywords of `Context`."""

    active: Flag
    app: Object
    campaign: Object
    channel: Text
    device: Object
    direct: Flag
    group_id: Identifier
    ip: Text
    locale: Text
    location: Object
    network: Object
    os: Object
    page: Object
    referrer: Object
    screen: Object
    session_id: Identifier
    timezone: Text
    traits: Object
    user_agent: Text
    user_agent_data: Anything


class Context(
    Catalogue,
    fields=ContextFields,
    wire={
        "group_id": "groupId",
        "session_id": "sessionId",
        "user_agent": "userAgent",
        "user_agent_data": "userAgentData",
    },
):
    """
    The circumstances of a call.

    ``direct=True`` tells Segment to take the caller's own address as ``ip``. ``library`` is no
    field here: it names the sender and is added when the message is sent. Names of your own,
    through `set`, stand beside the documented ones.

    Source: segmentio/segment-docs, spec/common; segmentio/analytics-go, context.go.

    .. versionadded:: 0.1
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(self, values: Values = None, /, **fields: Unpack[ContextFields]) -> None: ...
