"""Worlds to break, and the count of what the tests of this directory try."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from faults.namespaces import Unavailable
from faults.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from faults.host import Host
    from proving import Proof


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Function) -> Generator[None]:
    """Count for the matrix what a marked test tried that has a `Host` and does not count itself."""
    counts_itself = "proof" in item.fixturenames
    host: Host | None = item.funcargs.get("host")
    if counts_itself or host is None or item.get_closest_marker("proves") is None:
        yield
        return
    proof: Proof = item._request.getfixturevalue("proof")
    try:
        yield
    finally:
        noted, stored = set(host.noted), host.sink.accepted
        repeated = sum(host.sink.duplicates.values())
        proof.record(events=len(noted), lost=len(noted - stored), repeated=repeated)


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes a `World` from its settings; the test is skipped where the platform refuses it."""
    made: list[World] = []

    def make(**settings: Any) -> World:
        root = tmp_path / f"world-{len(made)}"
        root.mkdir()
        try:
            made.append(World(root, **settings))
        except Unavailable as refusal:
            pytest.skip(str(refusal))  # the kernel's, or a container's: nothing to install
        return made[-1]

    yield make
    for world in made:
        world.close()
