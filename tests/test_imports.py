"""Imports point one way, and `import penstock` stays light."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import penstock

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(penstock.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))

#: Lowest first; a module imports from its own layer and from those above it in this list.
LAYERS = [
    {
        "_native",
        "_nobody",
        "_version",
        "native",
        "errors",
        "kinds",
        "timestamps",
        "values",
        "_checks",
        "_exception_body",
        "messages",
        "fields",
    },
    {
        *("config", "_log", "_fork", "_runtimes", "addresses"),
        *("scope", "scoping", "_boundary", "_facts"),
    },
    {"dialects", "journal", "transport"},
    {"destinations", "delivery"},
    {
        *("client", "intake", "_calls", "_coercions", "_flag_calls", "_waiting", "_capturing"),
        *("flags", "error_tracking", "_ambient", "_reporting", "identity"),
        *penstock.__all__,
    },
    {"cli", "__main__", "collector", "web", "importing", "testing", "pytest_plugin"},
]
#: The same inside the collector; what lies beside these folders is there for all of them.
COLLECTOR = [
    {"log"},
    {"decoding"},
    {"store"},
    {"http", "routing", "trace"},
    {"pages", "processes"},
]
#: Packages of the extras: only the parts that need them import them, and the rest never at the top.
OPTIONAL = {
    *("click", "rich", "uvicorn", "httptools", "uvloop", "starlette", "pyarrow", "duckdb"),
    *("django", "asgiref", "flask", "flask_login", "fastapi", "celery", "itsdangerous"),
}
#: What a program that never sends must not pay for.
HEAVY = {"urllib3", "ssl", "http.client", "asyncio", "socket", "email", "inspect", "logging"}


def layer_of(top: str) -> int:
    """The layer of ``penstock.<top>``; a new module must be given one."""
    found = [rank for rank, names in enumerate(LAYERS) if top in names]
    assert found, f"penstock.{top} is in no layer: put it into LAYERS"
    return found[0]


def imports(tree: ast.AST, *, only_top: bool = False) -> Iterator[str]:
    """Names of modules that *tree* imports when it runs, dotted; type checking left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative import"
            base = node.module or ""
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        elif not (only_top and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            yield from imports(node, only_top=only_top)


def parsed(path: Path) -> ast.Module:
    return ast.parse((PACKAGE / path).read_text("utf-8"))


def new_modules(statement: str) -> dict[str, float]:
    """``{module: 0.0}`` for each that *statement* adds, and ``{"ms": time it took}``."""
    script = (
        "import sys, time; before = set(sys.modules); start = time.perf_counter()\n"
        f"{statement}\n"
        "took = (time.perf_counter() - start) * 1000\n"
        "added = set(sys.modules) - before\n"
        "import json; print(json.dumps({**dict.fromkeys(added, 0.0), 'ms': took}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    found: dict[str, float] = json.loads(run.stdout)
    return found


def upward(path: Path) -> list[str]:
    """What the module imports from a layer above its own."""
    own = layer_of(path.parts[0].removesuffix(".py"))
    ours = [name.split(".") for name in imports(parsed(path)) if name.startswith("penstock.")]
    return [".".join(name) for name in ours if layer_of(name[1]) > own]


def upward_in_collector(path: Path) -> list[str]:
    """The same for a module of the collector."""
    ranks = {name: rank for rank, names in enumerate(COLLECTOR) for name in names}
    names = [name.split(".") for name in imports(parsed(path))]
    ours = [name for name in names if name[:2] == ["penstock", "collector"] and len(name) > 2]
    own = ranks[path.parts[1]]
    return [".".join(name) for name in ours if ranks.get(name[2], own) > own]


def test_the_parts_of_the_collector_import_one_way() -> None:
    """From the log to what is made of it, and to who serves it."""
    parts = [path for path in MODULES if path.parts[0] == "collector" and len(path.parts) > 2]
    found = {str(path): upward_in_collector(path) for path in parts}
    assert {path: names for path, names in found.items() if names} == {}


def test_imports_point_one_way() -> None:
    """A module imports from its own layer or a lower one, also inside functions."""
    # The package's own file is names and nothing else: it stands above every layer.
    found = {str(path): upward(path) for path in MODULES if path != Path("__init__.py")}
    assert {path: names for path, names in found.items() if names} == {}


def test_optional_dependencies_are_imported_where_they_are_needed() -> None:
    """Nothing outside the command line and the collector needs an extra to be imported."""
    core = [path for path in MODULES if path.parts[0] not in {"cli", "collector"}]
    found = {
        str(path): {name.split(".")[0] for name in imports(parsed(path), only_top=True)} & OPTIONAL
        for path in core
    }
    assert {path: names for path, names in found.items() if names} == {}


def test_import_penstock_loads_few_modules() -> None:
    """`import penstock` adds at most 40 modules, none of them heavy."""
    found = new_modules("import penstock")
    assert len(found) - 1 <= 40
    assert not found.keys() & (HEAVY | {"msgspec", "orjson"})


def test_import_penstock_takes_at_most_25_ms() -> None:
    """The best of five: what the import costs, not what the machine was doing."""
    assert min(new_modules("import penstock")["ms"] for _ in range(5)) <= 25


def test_the_documented_module_counts_are_true() -> None:
    """docs/dependencies.md says what a program pays, within a tenth; Pythons differ a little."""
    table = (Path(__file__).parent.parent / "docs" / "dependencies.md").read_text("utf-8")
    (shown,) = re.findall(r"\| `from penstock import Client, Segment` \| (\d+) \|", table)
    found = len(new_modules("from penstock import Client, Segment")) - 1
    assert abs(found - int(shown)) <= int(shown) / 10, found


def test_nothing_heavy_loads_before_the_first_send() -> None:
    """A client that has captured an event has not imported an HTTP library or TLS."""
    found = new_modules(
        "from penstock import Client, Config, Segment\n"
        "client = Client(Segment('KEY'), config=Config(journal=None, interval=60.0))\n"
        "assert client.track('u1', 'e')"
    )
    assert not found.keys() & {"urllib3", "ssl", "http.client", "asyncio"}


def test_error_tracking_loads_with_the_first_error() -> None:
    """A client, its events and a name of error tracking's settings cost none of it."""
    quiet = new_modules(
        "from penstock import Client, Config, ErrorTracking, PostHog\n"
        "tracking = ErrorTracking()\n"
        "config = Config(journal=None, error_tracking=tracking)\n"
        "client = Client(PostHog('KEY'), config=config)\n"
        "client.ledger()"
    )
    loaded = {name for name in quiet if name.startswith("penstock.error_tracking")}
    assert loaded == {
        "penstock.error_tracking",
        "penstock.error_tracking.settings",
        "penstock.error_tracking.types",
    }
    assert not quiet.keys() & {"logging", "sysconfig"}
    plain = new_modules(
        "from penstock import Client, Config, PostHog\n"
        "client = Client(PostHog('KEY'), config=Config(journal=None))"
    )
    assert not [name for name in plain if name.startswith("penstock.error_tracking")]


def test_the_first_error_loads_no_logging_and_no_network() -> None:
    """It may come at any moment, also while a program imports."""
    found = new_modules(
        "from penstock import Client, Config, PostHog\n"
        "client = Client(PostHog('KEY'), config=Config(journal=None))\n"
        "assert client.capture_exception(ValueError('x'))\n"
        "client.install_exception_hooks()"
    )
    assert not found.keys() & {"logging", "asyncio", "urllib3", "ssl", "http.client"}


def test_the_plugin_imports_nothing_of_penstock() -> None:
    """A test suite that never uses Penstock pays for one module of it."""
    found = new_modules("import penstock.pytest_plugin")
    assert {name for name in found if name.startswith("penstock")} == {
        "penstock",
        "penstock._version",
        "penstock.pytest_plugin",
    }


def test_the_web_parts_need_no_framework_to_be_imported() -> None:
    """Each imports its own when it is used, and nothing of a network."""
    names = ("asgi", "wsgi", "django", "flask", "celery", "aws_lambda")
    found = new_modules(";".join(f"import penstock.web.{name}" for name in names))
    assert not {name.partition(".")[0] for name in found} & (OPTIONAL | {"urllib3", "asyncio"})
