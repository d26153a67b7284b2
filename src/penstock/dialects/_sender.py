"""What requests and events say about the program that sent them."""

from penstock._version import __version__

LIBRARY_NAME = "penstock"
LIBRARY_VERSION = __version__
USER_AGENT = f"{LIBRARY_NAME}/{LIBRARY_VERSION}"

#: ``context.library`` as JSON.
LIBRARY = f'{{"name":"{LIBRARY_NAME}","version":"{LIBRARY_VERSION}"}}'.encode()
