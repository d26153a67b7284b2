"""Frames: which calls are told, where they are, whose they are, and their source."""

from __future__ import annotations

import json
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import even, fall, raised, recursion

from penstock.error_tracking.places import Places, within_package
from penstock.error_tracking.source import MAX_LINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Errors

HERE = Path(__file__)


def shape(errors: Errors) -> list[tuple[str, str]]:
    """File and function of each frame: what errors are grouped by."""
    return [(frame["filename"], frame["function"]) for frame in errors.frames]


def run_code(code: str, name: str, **values: Any) -> dict[str, Any]:
    """Run *code* as the module that is called *name*."""
    space = {"__name__": name, **values}
    exec(compile(code, f"{name}.py", "exec"), space)
    return space


def test_frames_go_from_the_entry_point_to_the_crash(errors: Errors) -> None:
    """As PostHog reads them, with the line the error was raised at."""
    errors.capture(raised(lambda: fall(2)))
    assert [frame["function"] for frame in errors.frames] == ["raised", "<lambda>", "fall", "fall"]
    last = errors.frames[-1]
    assert last["context_line"].strip().startswith("raise LookupError")
    assert last["pre_context"][-1].strip() == 'total = found.get("total", 0)'
    assert len(last["pre_context"]) == 5
    assert (last["platform"], last["module"]) == ("python", "raising")
    assert last["abs_path"] == str(HERE.with_name("raising.py"))


def test_every_frame_has_what_posthog_needs(errors: Errors) -> None:
    """Acceptance 2: text where text is expected, never null, and whose code it is, always."""
    space = run_code("def broken():\n    raise ValueError('x')", "")
    space["__name__"] = None

    def fail() -> None:
        json.loads("{", object_hook=space["broken"])

    errors.capture(raised(fail))
    errors.capture(raised(space["broken"]))
    frames = [f for e in errors.events for f in e["exceptions"][0]["stacktrace"]["frames"]]
    assert len(frames) > 4
    for frame in frames:
        assert frame["filename"]
        assert frame["function"]
        assert type(frame["in_app"]) is bool
        assert frame["lineno"] > 0
        lines = [*frame.get("pre_context", []), *frame.get("post_context", [])]
        assert all(type(line) is str for line in [*lines, frame.get("context_line", "")])
        assert all(value is not None for value in frame.values())


def test_a_long_line_next_to_the_crash_is_cut(errors: Errors, tmp_path: Path) -> None:
    """Acceptance 2: 5,000 characters of source become 300, and no object stands for them."""
    path = tmp_path / "long_lines.py"
    long = "# " + "x" * 5000
    path.write_text(f"def fail():\n    {long}\n    raise ValueError('x')\n    {long}\n")
    space: dict[str, Any] = {"__name__": "long_lines"}
    exec(compile(path.read_text(), str(path), "exec"), space)
    errors.capture(raised(space["fail"]))
    frame = errors.frames[-1]
    assert [len(line) for line in frame["pre_context"]] == [11, MAX_LINE]
    assert [len(line) for line in frame["post_context"]] == [MAX_LINE]


@pytest.mark.parametrize("fail", [recursion, even])
def test_a_deep_recursion_has_one_shape(
    make_errors: Callable[..., Errors], fail: Callable[[int], None]
) -> None:
    """Acceptance 3: at most 100 frames, and the same ones for 200 calls and for 900."""
    shapes = []
    for depth in (200, 900):
        errors = make_errors(project_root=str(HERE.parent))
        errors.capture(raised(lambda depth=depth: fail(depth)))  # type: ignore[misc]
        assert len(errors.frames) <= 100
        assert errors.event["properties"]["exception_frames_omitted"] > 0
        shapes.append(shape(errors))
    assert shapes[0] == shapes[1]


def test_a_long_stack_keeps_both_ends(errors: Errors) -> None:
    """25 calls from the entry, 75 to the crash, and how many are missing."""
    code = "\n".join(f"def f{n}(): f{n + 1}()" for n in range(150)) + "\ndef f150(): 1 / 0"
    space = run_code(code, "long_stack")
    errors.capture(raised(space["f0"]))
    names = [frame["function"] for frame in errors.frames]
    assert names == ["raised", *(f"f{n}" for n in range(24)), *(f"f{n}" for n in range(76, 151))]
    assert errors.event["properties"]["exception_frames_omitted"] == 52


def test_an_exception_that_was_never_raised_has_the_callers_stack(errors: Errors) -> None:
    """Acceptance 5: marked as synthetic, the caller last, the exception unchanged."""
    error = ValueError("x")
    errors.capture(error)
    assert errors.entries[0]["mechanism"]["synthetic"] is True
    assert errors.frames[-1]["function"] == (
        "test_an_exception_that_was_never_raised_has_the_callers_stack"
    )
    assert error.__traceback__ is None


def test_a_cause_that_was_never_raised_has_no_stack(errors: Errors) -> None:
    """Only the error itself may be told with the current one."""
    error = raised(ValueError("x"))
    error.__cause__ = KeyError("y")
    errors.capture(error)
    assert "stacktrace" not in errors.entries[1]
    assert errors.entries[1]["mechanism"]["synthetic"] is False


def test_calls_that_hide_are_not_told(errors: Errors) -> None:
    """As pytest has it; a function that says it is not to be hidden is not."""

    def hidden(work: Callable[[], None]) -> None:
        __tracebackhide__ = True
        work()

    def shown() -> None:
        __traceback_hide__ = False
        raise ValueError(__traceback_hide__)

    errors.capture(raised(lambda: hidden(shown)))
    assert [frame["function"] for frame in errors.frames] == ["raised", "<lambda>", "shown"]


# -- where code lies ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "module", "filename"),
    [
        ("/srv/app/shop/cart.py", "shop.cart", "shop/cart.py"),
        ("/srv/app/shop/__init__.py", "shop", "shop/__init__.py"),
        ("/srv/app/cart.py", "cart", "cart.py"),
        ("/venv/lib/python3.12/site-packages/flask/app.py", "flask.app", "flask/app.py"),
        ("/srv/app/shop/cart.py", "other.name", ""),
        ("/srv/app/cart.py", "__main__", ""),
        ("/srv/app/cart.py", "", ""),
        ("/ext/_fast.cpython-312.so", "_fast", "_fast.cpython-312.so"),
    ],
)
def test_a_file_has_one_name_on_every_host(path: str, module: str, filename: str) -> None:
    """From the top package on: errors are grouped by it."""
    assert within_package(path, module) == filename


@pytest.mark.parametrize(
    ("path", "module", "in_app"),
    [
        ("/srv/app/shop/cart.py", "shop.cart", True),
        ("/srv/application/shop/cart.py", "shop.cart", False),
        ("/srv/app/.venv/lib/python3.12/site-packages/flask/app.py", "flask.app", False),
        ("/usr/lib/python3/dist-packages/yaml/__init__.py", "yaml", False),
        (f"{sysconfig.get_paths()['stdlib']}/json/decoder.py", "json.decoder", False),
        ("<frozen importlib._bootstrap>", "importlib._bootstrap", False),
        ("<string>", "shop.made", True),
        ("/opt/plugins/ours/a.py", "plugins.ours.a", True),
        ("/opt/plugins/ours_not/a.py", "plugins.ours_not", False),
        ("/srv/app/vendored/lib.py", "vendored.lib", False),
    ],
)
def test_whose_code_it_is(path: str, module: str, in_app: bool) -> None:
    """The first rule that holds; a directory is no prefix of its neighbour."""
    places = Places("/srv/app", ["plugins.ours"], ["vendored"])
    assert places.of(path, module).in_app is in_app


def test_the_root_directory_is_no_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's programs start in ``/``: then everything but the library is the program's."""
    monkeypatch.chdir("/")
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    places = Places(None, [], [])
    assert places.of("/code/shop/cart.py", "shop.cart").in_app
    assert not places.of("/usr/lib/python3.99/json/decoder.py", "json.decoder").in_app


def test_absolute_paths_can_be_left_out(make_errors: Callable[..., Errors]) -> None:
    """They name users' homes."""
    errors = make_errors(abs_paths=False)
    errors.capture(raised(ValueError("x")))
    assert errors.frames
    assert all("abs_path" not in frame for frame in errors.frames)


def test_source_can_be_left_out(make_errors: Callable[..., Errors]) -> None:
    """It is somebody's property."""
    errors = make_errors(source_context=False)
    errors.capture(raised(ValueError("x")))
    assert errors.frames
    assert all("context_line" not in frame for frame in errors.frames)


def test_source_is_found_in_an_archive(
    errors: Errors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a program that is one file, its loader knows the text."""
    archive = tmp_path / "app.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("zipped_shop/__init__.py", "")
        packed.writestr("zipped_shop/cart.py", "def add():\n    raise ValueError('full')\n")
    monkeypatch.syspath_prepend(archive)
    from zipped_shop import cart  # type: ignore[import-not-found]

    errors.capture(raised(cart.add))
    assert errors.frames[-1]["filename"] == "zipped_shop/cart.py"
    assert errors.frames[-1]["context_line"] == "    raise ValueError('full')"


def test_code_without_a_file_has_frames_without_source(errors: Errors) -> None:
    """What `eval` runs, and a loader that lies."""

    class Liar:
        def get_source(self, _: str) -> str:
            raise RuntimeError("liar")

    space: dict[str, Any] = {"__name__": "made", "__loader__": Liar()}
    exec(compile("def fail(): raise ValueError('x')", "made_up.py", "exec"), space)
    errors.capture(raised(space["fail"]))
    assert errors.frames[-1]["filename"] == "made_up.py"
    assert "context_line" not in errors.frames[-1]


@given(st.text(max_size=30), st.text(max_size=20))
def test_any_file_has_a_place(path: str, module: str) -> None:
    """Code objects may say anything."""
    place = Places("/srv/app", [], []).of(path, module)
    assert place.filename
    place.filename.encode()
