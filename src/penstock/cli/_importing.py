"""One import from end to end: checkpoint, client, rows, delivery, report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from penstock.cli._exit import Exit
from penstock.cli._meter import Meter
from penstock.cli._output import ledger_table
from penstock.cli._sending import Patience, Stalled, client_config
from penstock.config import Block
from penstock.errors import JournalError
from penstock.importing import (
    Calls,
    Checkpoint,
    Importer,
    MessageIds,
    Pace,
    Progress,
    Rejects,
    SourceError,
)

if TYPE_CHECKING:
    from rich.console import Console

    from penstock import Client
    from penstock.cli._output import Output
    from penstock.destinations import Destination
    from penstock.importing import Plan, Source
    from penstock.journal import Ledger

#: The directory of the checkpoints, below the journal's root.
CHECKPOINTS = "imports"
#: Seconds a row waits inside the client when the journal is full, before we look around.
BLOCK_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Report:
    """How an import ended."""

    progress: Progress
    #: What the file was before this run: a row number to go on after, or everything.
    resumed_after: int = 0
    already: bool = False
    dry: bool = False
    #: The first messages, of a dry run.
    sample: tuple[dict[str, Any], ...] = ()
    seconds: float = 0.0
    ledger: Ledger | None = None
    #: Whether the journal stayed full until patience ran out.
    stalled: bool = False

    @property
    def code(self) -> Exit:
        """The most important thing there is to say."""
        if self.ledger is not None and self.ledger.dead:
            return Exit.DEAD
        if self.stalled or (self.ledger is not None and self.ledger.pending):
            return Exit.PENDING
        return Exit.REJECTED if self.progress.rejected else Exit.OK

    @property
    def status(self) -> str:
        """In two words."""
        if self.dry:
            return "dry run"
        if self.already:
            return "already imported"
        if not self.progress.complete:
            return "stopped"
        return "pending" if self.code is Exit.PENDING else "imported"

    def to_dict(self) -> dict[str, Any]:
        """For the JSON output."""
        progress = self.progress
        fresh = progress.rows - self.resumed_after
        return {
            "status": self.status,
            "file": progress.file,
            "sha256": progress.digest,
            "rows": progress.rows,
            "sent": progress.accepted,
            "rejected": progress.rejected,
            "rejects": progress.rejects if progress.rejected else None,
            "complete": progress.complete,
            "resumed_after": self.resumed_after,
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(fresh / self.seconds) if self.seconds else None,
            **({"sample": list(self.sample)} if self.dry else {}),
            "ledger": self.ledger.to_dict() if self.ledger is not None else None,
        }

    def draw(self, console: Console) -> None:
        """For a person."""
        progress = self.progress
        counts = f"{progress.accepted:,} {'valid' if self.dry else 'sent'}"
        console.print(
            f"{escape(progress.file)}: {self.status}, {progress.rows:,} rows, {counts}, "
            f"{progress.rejected:,} rejected"
        )
        if self.resumed_after and not self.already:
            console.print(f"Went on after row {self.resumed_after:,} of an earlier run.")
        if self.already:
            console.print("Nothing to do. --no-resume sends the rows again, under the same ids.")
        if progress.rejected and progress.rejects:
            console.print(f"Rejected rows: {escape(progress.rejects)}")
        for message in self.sample:
            console.print_json(data=message)
        if self.ledger is not None:
            console.print(ledger_table(self.ledger))
        if self.code is Exit.PENDING:
            console.print("What is pending is safe: run the same command, or penstock drain.")


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """How the user wants an import to run."""

    #: The journal's directory; None for the default.
    journal: str | None = None
    #: Where bad rows go; None for the earlier run's file, else one named like the source.
    rejects: Path | None = None
    #: Stop after the row of this number.
    limit: int | None = None
    #: Rows per second at most.
    rate: float | None = None
    #: Whether an earlier run's checkpoint counts.
    resume: bool = True
    #: Seconds without any delivery after which it is over.
    timeout: float = 60.0


class Job:
    """
    An import to some destinations.

    Args:
        source: The file.
        plan: What its rows become.
        destinations: Where they go.
        wishes: How to go about it.
        output: Where progress is drawn.
    """

    def __init__(
        self,
        source: Source,
        plan: Plan,
        destinations: list[Destination],
        wishes: Wishes,
        output: Output,
    ) -> None:
        self._source = source
        self._plan = plan
        self._destinations = destinations
        self._wishes = wishes
        self._output = output
        self._config = client_config(wishes.journal, strict=True, overflow=Block(BLOCK_S))

    def run(self) -> Report:
        """
        Import what is not imported yet, and wait for its delivery.

        Raises:
            Busy: Another process imports the same.
            SourceError: The file cannot be read.
            JournalError: There is no directory to keep events and checkpoint in.
        """
        digest = self._source.digest()
        with self._checkpoint(digest) as checkpoint:
            known = checkpoint.load() if self._wishes.resume else None
            progress = known or Progress(file=str(self._source.path), digest=digest)
            if progress.complete and progress.settled:
                return Report(progress=progress, resumed_after=progress.rows, already=True)
            return self._import(checkpoint, progress)

    def _checkpoint(self, digest: str) -> Checkpoint:
        root = self._config.journal_root()
        if root is None:
            raise JournalError("an import needs a journal on disk")
        where = sha256(" ".join(sorted(one.id for one in self._destinations)).encode()).hexdigest()
        name = f"{digest[:16]}-{where[:8]}-{self._plan.fingerprint()}.json"
        try:
            (root / CHECKPOINTS).mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise JournalError(f"{root}: {error.strerror}; use --journal") from None
        return Checkpoint(root / CHECKPOINTS / name)

    def _import(self, checkpoint: Checkpoint, progress: Progress) -> Report:
        from penstock import Client

        started, before, stalled = time.monotonic(), progress.rows, False
        client = Client(*self._destinations, config=self._config)
        patience = Patience(client, self._wishes.timeout)
        try:
            with Meter(self._source, self._output) as meter:
                try:
                    self._importer(client, progress, checkpoint, meter, patience).run(
                        self._source.rows(), self._wishes.limit
                    )
                except Stalled:
                    stalled = True
                else:
                    patience.wait(meter.deliveries)
        finally:
            ledger = client.close(timeout=0)
        if progress.complete and not ledger.pending:
            progress.settled = True
            checkpoint.save(progress)
        return Report(
            progress=progress,
            resumed_after=before,
            seconds=time.monotonic() - started,
            ledger=ledger,
            stalled=stalled,
        )

    def _importer(
        self,
        client: Client,
        progress: Progress,
        checkpoint: Checkpoint,
        meter: Meter,
        patience: Patience,
    ) -> Importer:
        calls = Calls(self._plan, MessageIds(progress.digest), typed=self._source.typed)
        before = progress.accepted

        def guard() -> None:
            if progress.accepted > before and not client.durable:
                raise JournalError("the journal cannot be written: a kill would lose rows")

        return Importer(
            client,
            calls,
            progress,
            self._rejects(progress),
            checkpoint=checkpoint,
            pace=Pace(self._wishes.rate) if self._wishes.rate else None,
            watch=meter.rows,
            guard=guard,
            wait=patience.nudge,
        )

    def _rejects(self, progress: Progress) -> Rejects:
        """The file of the earlier run, as far as it counts, unless the user names another."""
        default = Path(f"{self._source.path.name}.rejects.jsonl")
        path = (self._wishes.rejects or Path(progress.rejects or default)).absolute()
        if path.exists() and path.samefile(self._source.path):
            raise SourceError("the rejects file is the file to import")
        keep_bytes = progress.rejects_bytes if str(path) == progress.rejects else 0
        progress.rejects = str(path)
        return Rejects(path, keep_bytes)


def rehearse(
    source: Source,
    plan: Plan,
    destinations: list[Destination],
    wishes: Wishes,
    output: Output,
) -> Report:
    """
    Read and check every row; send nothing, and touch neither journal nor checkpoint.

    Bad rows are written down only to a file that the user names.

    Args:
        source: The file.
        plan: What its rows become.
        destinations: Whose limit on a message counts; may be empty.
        wishes: Of these, `Wishes.limit` and `Wishes.rejects`.
        output: Where progress is drawn.
    """
    from penstock.cli._trial import Trial

    digest = source.digest()
    rejects = wishes.rejects
    progress = Progress(file=str(source.path), digest=digest, rejects=str(rejects or ""))
    calls = Calls(plan, MessageIds(digest), typed=source.typed)
    started = time.monotonic()
    with (
        Trial(min((one.max_message_bytes for one in destinations), default=None)) as trial,
        Meter(source, output) as meter,
    ):
        importer = Importer(trial.client, calls, progress, Rejects(rejects), watch=meter.rows)
        importer.run(source.rows(), wishes.limit)
    seconds = time.monotonic() - started
    return Report(progress=progress, dry=True, sample=trial.sample, seconds=seconds)
