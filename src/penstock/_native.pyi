from collections.abc import Callable
from typing import Protocol, TypeVar

_Record = TypeVar("_Record", bound=tuple[object, ...])

class _Buffer(Protocol):
    def __buffer__(self, flags: int, /) -> memoryview: ...

def wire_time(milliseconds: int, /) -> str: ...
def now() -> tuple[int, str]: ...
def is_plain(value: object, levels: int, /) -> bool: ...
def weigh(value: object, levels: int, most: int, /) -> int: ...
def scan(
    page: _Buffer,
    offset: int,
    end: int,
    max_records: int,
    max_bytes: int,
    record_type: type[_Record],
    checksum: Callable[[bytes], int] | None,
    /,
) -> tuple[list[_Record], int, int, list[int]]: ...
def run_of(
    page: _Buffer,
    offset: int,
    end: int,
    last: int,
    checksum: Callable[[bytes], int] | None,
    records: int,
    room: int,
    between: bytes,
    largest: int,
    below: int,
    without: int,
    oldest: float,
    /,
) -> tuple[int, bytes, bytes, int] | None: ...

class Pen:
    limit: int
    ordinal: int
    wake_ordinal: int
    voids: list[int]

    def __init__(self, checksum: Callable[[bytes], int], /) -> None: ...
    @property
    def tail(self) -> int: ...
    def turn(self, page: _Buffer, tail: int, /) -> None: ...
    def append(self, kind: int, flags: int, captured_at: int, payload: bytes, /) -> int: ...
