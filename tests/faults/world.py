"""
A host on which everything can fail: its disk, its network, its limits, and the server.

`World.play` runs ``programs/world.py``, which takes its life as a list of steps; `World.heal` ends
every fault that outlives a process; `World.recover` starts once more and delivers what is left.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
from typing import TYPE_CHECKING, Any

from faults.host import WRITE_KEY, Finished, Host, Running, balanced
from faults.namespaces import Namespaces, Unavailable
from faults.rules import Verdicts
from faults.sink import FaultSink

if TYPE_CHECKING:
    import ssl
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from faults.rules import Rule
    from proving import Proof

#: A user nobody is: the kernel excuses root from file modes and from the limit on threads.
NOBODY = 54321
DIALECTS = ("segment", "rudderstack", "dreamdata", "posthog", "posthog_v1")
#: In every event; never in what a program prints.
SECRET = "value-do-not-print"
#: Lines one process may print in a short and unhappy life.
MAX_LINES = 30
#: Seconds a `flush` or `close` may take beyond its timeout on a loaded machine; the exact bound
#: is tried by ``test_limits.py``.
SLACK_S = 3.0
#: Seconds: the `Config.exit_timeout` of ``programs/world.py``.
EXIT_TIMEOUT = 0.4


class World(Host):
    """
    A `Host` whose journal lies on a small disk, and whose network can be its own.

    Args:
        root: Where the journal is mounted and the programs' output lies.
        disk_mib: Size of the journal's disk in MiB; 0 for no disk of its own.
        inodes: Files and directories that disk has room for.
        network: Whether the sink and the programs are on a network of their own.
        tls: The sink's; None for plain HTTP.

    Raises:
        Unavailable: See `Namespaces`.

    Attributes:
        unprivileged: Run programs as a user who may read everything and write nothing else.
    """

    def __init__(
        self,
        root: Path,
        *,
        disk_mib: int = 0,
        inodes: int = 64,
        network: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.unprivileged = False
        self._unfinished = False
        self.spaces = Namespaces(network=network) if disk_mib or network else None
        sink = FaultSink(tls, self.spaces.inside) if self.spaces and network else FaultSink(tls)
        super().__init__(sink.start(), root)
        self.deaths = root / "deaths.txt"
        self.deaths.touch()
        if disk_mib:
            self.journal.mkdir()
            self._mount(f"size={disk_mib}m,nr_inodes={inodes},mode=0777")

    def close(self) -> None:
        """End programs, sink and namespaces."""
        super().close()
        self.sink.close()
        if self.spaces is not None:
            self.spaces.close()

    def _mount(self, options: str) -> None:
        assert self.spaces is not None
        try:
            self.spaces.run("mount", "-t", "tmpfs", "-o", options, "disk", self.journal)
        except subprocess.CalledProcessError:
            self.close()
            raise Unavailable("a tmpfs cannot be mounted here") from None

    # -- programs --------------------------------------------------------------------------

    def play(
        self, dialect: str, *steps: str, timeout: float = 60.0, **environment: str
    ) -> Finished:
        """A whole life of ``programs/world.py``."""
        finished = self.start("world.py", dialect, *steps, **environment).wait(timeout)
        ledgers = finished.lines("ledger")
        self._unfinished |= not ledgers or ledgers[-1]["pending"] > 0
        return finished

    def begin(self, dialect: str, *steps: str, **environment: str) -> Running:
        """The same, without waiting for its end, which is not its own: something may be left."""
        self._unfinished = True
        return self.start("world.py", dialect, *steps, **environment)

    def recover(self, dialect: str, **environment: str) -> Finished:
        """A new process with the same journal that tracks nothing; it must deliver all there is."""
        finished = self.play(dialect, "flush:40", "close:1", **environment)
        assert finished.returncode == 0, finished.output
        self.assert_balanced(finished)
        return finished

    def launch(self, *command: object, environment: Mapping[str, str]) -> Running:
        """Start a command in this world."""
        if self.unprivileged and os.geteuid() == 0:
            command = (*_without_privileges(), *command)
            for path in (self._ids, self.deaths):
                path.chmod(0o666)
        if self.spaces is not None:
            command = tuple(self.spaces.entered(*command))
        return super().launch(
            *command, environment={"DEATHS": str(self.deaths), "SECRET": SECRET, **environment}
        )

    # -- faults that outlive a process -----------------------------------------------------

    @property
    def disk(self) -> Path:
        """The journal's directory as the programs see it."""
        inside = self.spaces.root if self.spaces else self.journal.root
        return type(self.journal)(inside, *self.journal.parts[1:])

    def cut_network(self) -> None:
        """From now on every packet is dropped, and nobody is told."""
        assert self.spaces is not None
        self.spaces.run("ip", "link", "set", "lo", "down")

    def mend_network(self) -> None:
        """Packets get through again."""
        assert self.spaces is not None
        self.spaces.run("ip", "link", "set", "lo", "up")

    def named(self, name: str) -> dict[str, str]:
        """The sink under *name*, which resolves once it is published: a program's environment."""
        assert self.spaces is not None
        for file in ("hosts", "resolv.conf"):
            (self._root / file).write_text("nameserver 127.0.0.1\n" if file != "hosts" else "")
            self.spaces.run("mount", "--bind", self._root / file, f"/etc/{file}")
        # Nothing but loopback is in this network, so nothing else can be reached.
        return {"SINK": f"http://{name}:{self.sink.port}", "PENSTOCK_NETWORK": "allow"}

    def publish(self, name: str) -> None:
        """From now on *name* is the sink."""
        (self._root / "hosts").write_text(f"127.0.0.1 {name}\n")

    def silent_resolver(self) -> socket.socket:
        """Take every question for a name, and answer none."""
        assert self.spaces is not None
        return self.spaces.inside(_silent)

    def heal(self, dialect: str) -> None:
        """End the server's faults and those of the disk."""
        self.sink.welcome = "serve"
        self.sink.plan(*polite(dialect))
        if not self.sink.listening:
            self.sink.start()
        self.mend_disk()

    def mend_disk(self) -> None:
        """Delete what filled the journal's disk, and let it be written again."""
        for path in (self.disk, *self.disk.rglob("*")):
            if path.is_dir():
                path.chmod(0o777 if path == self.disk else 0o700)
        for path in self.disk.glob("filler*"):
            path.unlink()

    # -- reckoning -------------------------------------------------------------------------

    @property
    def dead(self) -> dict[str, str]:
        """``{id: reason}`` of every event that was told dead, by callback or by letter."""
        told = dict(line.split() for line in self.deaths.read_text().splitlines())
        for path in self.disk.glob("*/dead*.jsonl"):
            letters = [json.loads(line) for line in path.read_text().splitlines()]
            told.update({letter["message"]["messageId"]: letter["reason"] for letter in letters})
        return told

    @property
    def lost(self) -> list[str]:
        """Ids that ``track()`` gave, that never arrived, and that nobody told the end of."""
        return sorted(set(self.noted) - self.sink.accepted - set(self.dead))

    @property
    def repeated_wrongly(self) -> list[str]:
        """
        Ids that arrived again although their answer had been read.

        An answer was read if it was sound and something was asked on the same connection
        afterwards, or if every process came to an end with nothing pending.
        """
        exchanges = list(self.sink.exchanges)
        doubtful = [exchange for exchange in exchanges if exchange.doubtful]
        if self._unfinished:
            doubtful += {exchange.connection: exchange for exchange in exchanges}.values()
        return sorted(set(self.sink.duplicates).difference(*(one.stored for one in doubtful)))


#: CPython's own word for a thread without memory for its first frame; no line of ours was run.
STILLBORN = "Exception ignored in thread started by: <object repr() failed>\nMemoryError: \n"


def reckon(world: World, *lives: Finished, proof: Proof, reasons: Collection[str] = ()) -> None:
    """
    Prove that nothing was lost, that nobody was disturbed, and that all was told.

    Args:
        world: Where it happened; everything that could be delivered has been.
        lives: What the processes printed.
        proof: Where it is counted.
        reasons: What events may have died of.
    """
    lost, repeated = world.lost, world.repeated_wrongly
    proof.record(events=len(world.noted), lost=len(lost), repeated=len(world.sink.duplicates))
    assert lost == [], f"{len(lost)} of {len(world.noted)} lost"
    assert repeated == [], f"{len(repeated)} repeated whose answer had arrived"
    assert set(world.dead.values()) <= set(reasons)
    for life in lives:
        assert life.lines("raised") == [], life.output
        assert "Exception in thread" not in life.output, life.output
        assert "Exception ignored" not in life.output.replace(STILLBORN, ""), life.output
        assert all(over <= SLACK_S for over in life.lines("over_s")), life.output
        assert [ledger for ledger in life.lines("ledger") if not balanced(ledger)] == []
        assert_discreet(life)


def polite(dialect: str) -> tuple[Rule, ...]:
    """What a server of *dialect* does when nothing is wrong with it."""
    return (Verdicts({}),) if dialect == "posthog_v1" else ()


def assert_discreet(finished: Finished) -> None:
    """No key and no payload in the output, and not too much of it."""
    secrets = (WRITE_KEY, SECRET, base64.b64encode(f"{WRITE_KEY}:".encode()).decode())
    lines = finished.output.splitlines()
    assert [line for line in lines if any(secret in line for secret in secrets)] == []
    assert len([line for line in lines if not line.startswith("@ ")]) <= MAX_LINES, finished.output


def _silent() -> socket.socket:
    resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    resolver.bind(("127.0.0.1", 53))
    return resolver


def _without_privileges() -> tuple[Any, ...]:
    """What makes a command run as `NOBODY`, who may read what root may: the interpreter, say."""
    return (
        "setpriv",
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
        "--inh-caps=+dac_read_search",
        "--ambient-caps=+dac_read_search",
    )
