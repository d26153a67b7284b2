"""What is missing skips a test, but never in CI."""

from __future__ import annotations

import os

import pytest

import requirement
from penstock.native import ENV_NATIVE, NATIVE

Skipped, Failed = pytest.skip.Exception, pytest.fail.Exception


@pytest.mark.parametrize(("ci", "outcome"), [("", Skipped), ("true", Failed)])
def test_a_missing_program_skips_but_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    """With the word that brings it; one that is there is found."""
    monkeypatch.setenv("CI", ci)
    assert os.access(requirement.program("sh"), os.X_OK)
    with pytest.raises(outcome, match="no penstock-nowhere here: make debian"):
        requirement.program("penstock-nowhere")


@pytest.mark.parametrize(
    ("ci", "wanted", "outcome"),
    [("", "", Skipped), ("true", "", Failed), ("", "0", Skipped), ("true", "0", Skipped)],
)
def test_ci_does_without_the_native_part_only_on_purpose(
    monkeypatch: pytest.MonkeyPatch, ci: str, wanted: str, outcome: type[BaseException]
) -> None:
    """``PENSTOCK_NATIVE=0`` is the purpose; a compiler that is not there is none."""
    monkeypatch.setattr(requirement, "NATIVE", None)
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv(ENV_NATIVE, wanted)
    with pytest.raises(outcome):
        requirement.native_part()


def test_the_native_part_is_there_where_it_is_to_be_tested() -> None:
    """CI has a compiler; a run of the twins says so with ``PENSTOCK_NATIVE=0``."""
    wanted = "CI" in os.environ and os.environ.get(ENV_NATIVE) != "0"
    assert NATIVE is not None or not wanted
