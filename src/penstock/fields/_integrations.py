"""Where to: which of the tools behind a pipeline get a message."""

from __future__ import annotations

from typing import Any, Final, Self

from penstock.fields._catalogue import Catalogue, Values

#: Servers look at this very spelling.
ALL: Final = "All"


class Integrations(Catalogue):
    """
    A switch per tool, as in ``Integrations().disable_all().enable("Mixpanel")``.

    Args:
        values: To start from. It is copied, not changed.

    Source: segmentio/segment-docs, guides/filtering-data, "integrations object".

    .. versionadded:: 0.1
    """

    __slots__ = ()

    def __init__(self, values: Values = None, /) -> None:
        super().__init__(values)

    def enable_all(self) -> Self:
        """Send to every tool that is not disabled by name."""
        return self.set(ALL, value=True)

    def disable_all(self) -> Self:
        """Send to no tool that is not enabled by name."""
        return self.set(ALL, value=False)

    def enable(self, name: str) -> Self:
        """Send to the tool *name*; case counts."""
        return self.set(name, value=True)

    def disable(self, name: str) -> Self:
        """Do not send to the tool *name*; case counts."""
        return self.set(name, value=False)

    def set(self, name: str, value: Any) -> Self:
        """
        Send to the tool *name* with options; anything but False enables it.

        Args:
            name: The tool's name; case counts.
            value: An object with options, or a bool. None forgets what was said of the tool.

        Raises:
            FieldError: The name is no text.
        """
        return super().set(name, value)
