"""How a server is to be trusted, and how we show who we are."""

from __future__ import annotations

from dataclasses import dataclass
from os.path import isfile
from typing import TYPE_CHECKING

from penstock.errors import ConfigError

if TYPE_CHECKING:
    from ssl import SSLContext


@dataclass(frozen=True, slots=True)
class Tls:
    """
    TLS settings for all destinations of a client.

    Args:
        ca_file: Certificates (PEM) to trust instead of the system's.
        verify: False trusts any server, which gives the events to whoever answers.
        cert_file: Our own certificate (PEM), for servers that ask for one.
        key_file: Its key, when it is not in `cert_file`.

    Raises:
        ConfigError: A file is not there, or a key comes without its certificate.
    """

    ca_file: str | None = None
    verify: bool = True
    cert_file: str | None = None
    key_file: str | None = None

    def __post_init__(self) -> None:
        for field in ("ca_file", "cert_file", "key_file"):
            path = getattr(self, field)
            if path is not None and not isfile(path):  # noqa: PTH113 - pathlib is not loaded for this
                raise ConfigError(f"tls.{field}", path, "is not a file")
        if self.key_file and not self.cert_file:
            raise ConfigError("tls.key_file", self.key_file, "needs tls.cert_file")

    def context(self) -> SSLContext:
        """
        What `ssl` needs to connect this way.

        Raises:
            OSError: A file cannot be read or is no PEM file (`ssl.SSLError` is one too).
        """
        from ssl import CERT_NONE, create_default_context

        context = create_default_context(cafile=self.ca_file)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = CERT_NONE
        if self.cert_file:
            context.load_cert_chain(self.cert_file, self.key_file)
        return context
