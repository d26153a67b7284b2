"""The command as a whole: light, and clear about what went wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cli_host import CliHost
from penstock._version import __version__
from penstock.cli import main
from penstock.cli._absent import EXIT_MISSING
from penstock.cli._exit import Exit
from penstock.cli._group import PLACES, Group
from penstock.errors import JournalError

DOCUMENT = (Path(__file__).parent.parent / "docs" / "cli.md").read_text("utf-8")


@pytest.fixture
def cli(tmp_path: Path) -> CliHost:
    return CliHost(tmp_path)


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_overview_names_every_command(cli: CliHost) -> None:
    """Without an argument, and with --help."""
    ended = cli.run("--help")
    assert ended.code == 0
    assert all(f"  {name} " in ended.out for name in PLACES)


def test_the_overview_imports_no_command() -> None:
    """What only the collector needs is loaded when the collector is called."""
    run = python(
        "import sys, json\n"
        "from penstock.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    modules = set(json.loads(run.stdout.splitlines()[-1]))
    assert not modules & {"pyarrow", "duckdb", "uvicorn", "starlette", "urllib3", "asyncio"}
    assert not modules & {f"penstock.cli.{place.module}" for place in PLACES.values()}


@pytest.mark.parametrize("name", ["send", "import", "drain", "ledger", "doctor"])
def test_a_command_without_the_collector_loads_none_of_it(name: str) -> None:
    """The extra ``cli`` is enough for them."""
    run = python(
        "import sys, json\n"
        "from penstock.cli import main\n"
        f"try: main([{name!r}, '--help'])\n"
        "except SystemExit: pass\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    modules = set(json.loads(run.stdout.splitlines()[-1]))
    assert not modules & {"pyarrow", "duckdb", "uvicorn", "starlette"}


@pytest.mark.parametrize("package", ["click", "rich"])
def test_without_its_extra_the_command_says_what_to_install(package: str) -> None:
    """One line, and an exit code of its own."""
    run = python(
        f"import sys; sys.modules[{package!r}] = None\n"
        "from penstock.cli import main\n"
        "main(['ledger'], prog_name='penstock')"
    )
    assert run.returncode == EXIT_MISSING == Exit.MISSING
    assert run.stderr.count("\n") == 1
    assert "pip install 'penstock[cli]'" in run.stderr


def test_a_command_without_its_package_says_what_to_install(cli: CliHost, tmp_path: Path) -> None:
    """Parquet needs pyarrow."""
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    run = python(
        "import sys; sys.modules['pyarrow'] = None\n"
        "from penstock.cli import main\n"
        f"main(['import', {str(tmp_path / 'a.parquet')!r}, '--dry-run'])"
    )
    del cli
    assert run.returncode == Exit.MISSING
    assert "penstock[collector]" in run.stderr
    assert "Traceback" not in run.stderr


def test_the_version_is_the_packages(cli: CliHost) -> None:
    """`penstock --version`."""
    assert cli.run("--version").out.split() == ["penstock", __version__]


def test_an_unknown_command_is_a_wrong_command_line(cli: CliHost) -> None:
    """Exit code 2."""
    ended = cli.run("sned")
    assert ended.code == 2
    assert "sned" in ended.err


def test_every_exit_code_is_in_the_help_of_the_group_and_in_the_documents() -> None:
    """With the same words."""
    help_text = CliRunner().invoke(main, ["--help"]).output
    for code in Exit:
        assert f"{code:>3}  {code.meaning}" in help_text
        if not 10 <= code <= 16:
            assert f"| {int(code)} | {code.meaning} |" in DOCUMENT
        else:
            assert f"| {int(code)} |" in DOCUMENT


@pytest.mark.parametrize("name", PLACES)
def test_every_command_tells_its_exit_codes(name: str) -> None:
    """At the end of its help, and its summary is the one of the overview."""
    command = main.commands[name]
    text = CliRunner().invoke(main, [name, "--help"]).output
    assert "Exit codes:" in text
    assert all(
        parameter.help for parameter in command.params if isinstance(parameter, click.Option)
    )


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (JournalError("no journal"), Exit.FAILED, "no journal"),
        (PermissionError(13, "Permission denied", "/x"), Exit.FAILED, "/x: Permission denied"),
        (KeyboardInterrupt(), Exit.INTERRUPTED, "interrupted"),
        (ModuleNotFoundError("no", name="duckdb"), Exit.MISSING, "duckdb is not installed"),
    ],
)
def test_what_a_command_raises_becomes_one_line(
    error: BaseException, code: Exit, words: str
) -> None:
    """No traceback for what is nobody's bug."""

    @click.command()
    def broken() -> None:
        raise error

    found = CliRunner().invoke(Group("penstock", commands={"broken": broken}), ["broken"])
    assert found.exit_code == code
    assert found.output.strip() == f"Error: {words}" or words in found.output
    assert found.output.count("\n") == 1
