"""
Product-analytics events that survive: Segment, RudderStack, Dreamdata, PostHog, one client.

Names only. Each is imported from its module when it is first used, so that ``import penstock``
costs nothing: docs/dependencies.md has the figures.
"""

from penstock._version import __version__

TYPE_CHECKING = False  #: `typing` itself is 25 modules; type checkers know the name.
if TYPE_CHECKING:
    from penstock.client import (
        Client,
    )
    from penstock.config import (
        Block,
        Callback,
        Clock,
        Config,
        FlagSettings,
        Retry,
    )
    from penstock.destinations import (
        Collector,
        Destination,
        Dreamdata,
        PostHog,
        RudderStack,
        Segment,
        Webhook,
    )
    from penstock.error_tracking import (
        ErrorTracking,
    )
    from penstock.errors import (
        ClosedError,
        ConfigError,
        DeliveryError,
        FieldError,
        JournalError,
        MessageTooLargeError,
        MissingExtraError,
        PenstockError,
        QueueFullError,
        SerializationError,
        ShutdownError,
        ValidationError,
    )
    from penstock.fields import (
        Address,
        App,
        Campaign,
        Company,
        Context,
        Device,
        Ecommerce,
        Integrations,
        Location,
        Network,
        OperatingSystem,
        PageInfo,
        Product,
        Properties,
        Referrer,
        ScreenInfo,
        Traits,
    )
    from penstock.flags.front import (
        Flags,
    )
    from penstock.flags.result import (
        Evaluation,
    )
    from penstock.flags.snapshot import (
        FlagSnapshot,
    )
    from penstock.journal.ledger import (
        DestinationLedger,
        Ledger,
    )
    from penstock.messages import (
        Alias,
        Capture,
        CreateAlias,
        ExceptionEvent,
        Group,
        GroupIdentify,
        Identify,
        Message,
        Page,
        Screen,
        Track,
    )
    from penstock.scope import (
        Scope,
    )
    from penstock.scoping import (
        scoped,
    )
    from penstock.transport import (
        Request,
        Response,
        Transport,
        TransportError,
    )
    from penstock.transport.tls import (
        Tls,
    )

#: ``{module: its public names}``; a test holds it against the imports above and `__all__`.
_HOMES = {
    "penstock.client": ("Client",),
    "penstock.config": (
        "Block",
        "Callback",
        "Clock",
        "Config",
        "FlagSettings",
        "Retry",
    ),
    "penstock.destinations": (
        "Collector",
        "Destination",
        "Dreamdata",
        "PostHog",
        "RudderStack",
        "Segment",
        "Webhook",
    ),
    "penstock.error_tracking": ("ErrorTracking",),
    "penstock.errors": (
        "ClosedError",
        "ConfigError",
        "DeliveryError",
        "FieldError",
        "JournalError",
        "MessageTooLargeError",
        "MissingExtraError",
        "PenstockError",
        "QueueFullError",
        "SerializationError",
        "ShutdownError",
        "ValidationError",
    ),
    "penstock.flags.front": ("Flags",),
    "penstock.flags.result": ("Evaluation",),
    "penstock.flags.snapshot": ("FlagSnapshot",),
    "penstock.fields": (
        "Address",
        "App",
        "Campaign",
        "Company",
        "Context",
        "Device",
        "Ecommerce",
        "Integrations",
        "Location",
        "Network",
        "OperatingSystem",
        "PageInfo",
        "Product",
        "Properties",
        "Referrer",
        "ScreenInfo",
        "Traits",
    ),
    "penstock.journal.ledger": (
        "DestinationLedger",
        "Ledger",
    ),
    "penstock.messages": (
        "Alias",
        "Capture",
        "CreateAlias",
        "ExceptionEvent",
        "Group",
        "GroupIdentify",
        "Identify",
        "Message",
        "Page",
        "Screen",
        "Track",
    ),
    "penstock.scope": ("Scope",),
    "penstock.scoping": ("scoped",),
    "penstock.transport": (
        "Request",
        "Response",
        "Transport",
        "TransportError",
    ),
    "penstock.transport.tls": ("Tls",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name from its module."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'penstock' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)


__all__ = [
    "Address",
    "Alias",
    "App",
    "Block",
    "Callback",
    "Campaign",
    "Capture",
    "Client",
    "Clock",
    "ClosedError",
    "Collector",
    "Company",
    "Config",
    "ConfigError",
    "Context",
    "CreateAlias",
    "DeliveryError",
    "Destination",
    "DestinationLedger",
    "Device",
    "Dreamdata",
    "Ecommerce",
    "ErrorTracking",
    "Evaluation",
    "ExceptionEvent",
    "FieldError",
    "FlagSettings",
    "FlagSnapshot",
    "Flags",
    "Group",
    "GroupIdentify",
    "Identify",
    "Integrations",
    "JournalError",
    "Ledger",
    "Location",
    "Message",
    "MessageTooLargeError",
    "MissingExtraError",
    "Network",
    "OperatingSystem",
    "Page",
    "PageInfo",
    "PenstockError",
    "PostHog",
    "Product",
    "Properties",
    "QueueFullError",
    "Referrer",
    "Request",
    "Response",
    "Retry",
    "RudderStack",
    "Scope",
    "Screen",
    "ScreenInfo",
    "Segment",
    "SerializationError",
    "ShutdownError",
    "Tls",
    "Track",
    "Traits",
    "Transport",
    "TransportError",
    "ValidationError",
    "Webhook",
    "__version__",
    "scoped",
]
