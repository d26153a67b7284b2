"""What PostHog's SDKs tell about the host they run on."""

from __future__ import annotations

import sys
from functools import cache


@cache
def host_properties() -> dict[str, str]:
    """
    ``$os``, ``$os_version``, ``$os_distro``, ``$python_runtime``, ``$python_version``.

    Computed once per process; what the platform does not tell is absent.

    Source: ph-py posthog/client.py, by way of the protocol reference, 2.3.
    """
    import platform

    found = {
        **_operating_system(),
        "$python_runtime": platform.python_implementation(),
        "$python_version": ".".join(map(str, sys.version_info[:3])),
    }
    return {name: value for name, value in found.items() if value}


def _operating_system() -> dict[str, str]:
    import platform

    if sys.platform == "darwin":
        return {"$os": "Mac OS X", "$os_version": platform.mac_ver()[0]}
    if sys.platform == "win32":
        return {"$os": "Windows", "$os_version": platform.win32_ver()[0]}
    return {"$os": platform.system(), **_distribution()}


def _distribution() -> dict[str, str]:
    import platform

    try:
        release = platform.freedesktop_os_release()
    except OSError:  # a minimal container has no such file
        return {}
    return {
        "$os_version": release.get("VERSION_ID", ""),
        "$os_distro": release.get("NAME", ""),
    }
