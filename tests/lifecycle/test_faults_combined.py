"""The loss matrix again, with several things going wrong at once: nothing is lost untold."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import proving
from faults.namespaces import Unavailable
from faults.scenario import Scenario, scenarios
from faults.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from proving import Proof

#: Lives wait more than they work: so many are lived side by side.
AT_ONCE = 4


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.proves("faults of the machine", "combined with the server's, and every end")
@settings(
    max_examples=proving.scale(3, 45),
    derandomize=not proving.FULL,
    database=None,
    # A scenario is short as it is, and each attempt to make it shorter is some real processes.
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(batch=st.lists(scenarios(), min_size=AT_ONCE, max_size=AT_ONCE))
def test_nothing_is_lost_when_everything_fails_at_once(
    tmp_path_factory: pytest.TempPathFactory, proof: Proof, batch: list[Scenario]
) -> None:
    """Server x machine x end x dialect, then a healed world and one more start: all is there."""

    def play(scenario: Scenario, root: Path) -> None:
        world = World(root, **scenario.settings)
        try:
            scenario.play(world, proof)
        except BaseException as error:
            error.add_note(repr(scenario))
            raise
        finally:
            world.close()

    roots = [tmp_path_factory.mktemp("world") for _ in batch]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            list(pool.map(play, batch, roots))
        except Unavailable as refusal:
            pytest.skip(str(refusal))  # the kernel's, or a container's: nothing to install
