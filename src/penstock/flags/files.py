"""
Definitions from a file that a person keeps: YAML or JSON, in the provider's own format.

What people leave out is filled in, so that SDKs in strict languages can read it: ids, versions,
empty lists. A payload may be written as what it is; on the wire it is JSON text.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import msgspec
import orjson

from penstock.errors import ConfigError, MissingExtraError

_FLAG: dict[str, Any] = {
    "name": "",
    "active": True,
    "deleted": False,
    "version": 1,
    "ensure_experience_continuity": False,
}
#: Ids are positive 32-bit integers to the strictest of the SDKs.
_ID_MASK = 0x7FFFFFFF


def read_flag_file(path: str | Path) -> dict[str, Any]:
    """
    Read and complete a definitions file.

    Args:
        path: ``.json`` is JSON; anything else is YAML.

    Returns:
        What `penstock.flags.parse_definitions` takes, and what a provider would send.

    Raises:
        ConfigError: It cannot be read, is neither, or has no list of flags with keys.
        MissingExtraError: It is YAML, and PyYAML is not installed.
    """
    path = Path(path)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise _bad(path, error.strerror or str(error)) from error
    content = _decoded(path, text)
    if not isinstance(content, dict) or not isinstance(content.get("flags"), list):
        raise _bad(path, "it must be an object with a list of flags")
    for number, flag in enumerate(content["flags"], 1):
        if not isinstance(flag, dict) or not isinstance(flag.get("key"), str):
            raise _bad(path, f"flag {number} has no key that is text: YAML wants on and off quoted")
    return {
        **content,
        "flags": [_completed(flag) for flag in content["flags"]],
        "group_type_mapping": content.get("group_type_mapping") or {},
        "cohorts": content.get("cohorts") or {},
    }


def _decoded(path: Path, text: bytes) -> Any:
    try:
        if path.suffix.lower() == ".json":
            return json.loads(text)
        # Keys and dates that are no text to YAML are to everybody who reads the JSON.
        content = msgspec.yaml.decode(text)
        return orjson.loads(orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS))
    except ImportError as error:
        raise MissingExtraError("pyyaml", "collector") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise _bad(path, str(error) or type(error).__name__) from error


def _completed(flag: dict[str, Any]) -> dict[str, Any]:
    number = zlib.crc32(flag["key"].encode("utf-8", "replace")) & _ID_MASK
    filters = {"groups": [], **(flag.get("filters") or {})} if _mapped(flag) else flag["filters"]
    if isinstance(filters, dict) and isinstance(filters.get("payloads"), dict):
        filters["payloads"] = {name: _text(value) for name, value in filters["payloads"].items()}
    return {"id": number, **_FLAG, **flag, "filters": filters}


def _mapped(flag: dict[str, Any]) -> bool:
    return isinstance(flag.get("filters"), dict | None)


def _text(payload: Any) -> Any:
    return payload if isinstance(payload, str | None) else json.dumps(payload, ensure_ascii=False)


def _bad(path: Path, reason: str) -> ConfigError:
    return ConfigError("flags", str(path), reason)
