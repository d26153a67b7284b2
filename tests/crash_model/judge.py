"""Whether what a recovery came to keeps every promise."""

from __future__ import annotations

import itertools
import json
from contextlib import suppress
from typing import TYPE_CHECKING

from crash_model import image as images
from crash_model import reading
from crash_model.oracle import DESTINATIONS
from crash_model.process import JOURNAL
from crash_model.recovery import recover
from penstock.journal.ledger import DestinationLedger

if TYPE_CHECKING:
    from pathlib import Path

    from crash_model.image import Damage, Image
    from crash_model.oracle import Oracle
    from crash_model.recovery import Recovered
    from proving import Proof


class Judge:
    """
    Recovers crash states and judges them.

    Args:
        scratch: Where to put them.
        proof: Is told of each; None where nobody counts.
    """

    def __init__(self, scratch: Path, proof: Proof | None = None) -> None:
        self._places = (scratch / f"recovery-{n}" for n in itertools.count())
        self._proof = proof

    def process_death(self, oracle: Oracle, image: Image) -> None:
        """Every process died; *image* is the page cache, which stays."""
        recovered = self._recovered(image)
        for identity in DESTINATIONS:
            sent = self._sent(oracle, recovered, identity)
            self._count(oracle, sent, identity, power=False)
            again = sent & (oracle.settled(identity) | oracle.failed)
            assert not again, f"sent again: {sorted(again)}"
        _check_letters(oracle, image)
        if oracle.exact:
            for identity in DESTINATIONS:
                _check_counts(oracle, recovered, identity)

    def power_loss(self, oracle: Oracle, image: Image) -> None:
        """The machine lost power; *image* is what its disk held."""
        recovered = self._recovered(image)
        whole = {_number(record.payload) for record in reading.records(image)}
        for identity, name in DESTINATIONS.items():
            sent = self._sent(oracle, recovered, identity)
            self._count(oracle, sent, identity, power=True)
            hidden = whole - oracle.fates[identity].keys() - sent
            assert not hidden, f"there and not sent: {sorted(hidden)}"
            account = recovered.after.destinations.get(name, DestinationLedger())
            assert account.accepted <= len(oracle.events) + oracle.refusing.total()
            unsynced = len(oracle.events) - len(oracle.synced)
            assert not oracle.careful or account.dead.get("corrupt", 0) <= unsynced, account

    def damage(self, oracle: Oracle, image: Image, damages: list[Damage]) -> None:
        """Dead processes left *image*, and one of its files was damaged, in each of these ways."""
        sound = self._recovered(image)
        for damage in damages:
            hurt = self._recovered(images.damaged(image, damage), damage.path)
            spoiled = {
                _number(found.payload)
                for found in reading.records(image)
                if damage.spoils(found.path, found.start, found.stop)
            }
            for identity in DESTINATIONS:
                sent = self._sent(oracle, hurt, identity)
                missing = self._sent(oracle, sound, identity) - sent - spoiled
                self._tell(oracle, missing, sent & oracle.settled(identity))
                assert not missing, f"hidden by {damage}: {sorted(missing)}"
                if damage.path.endswith(".seg"):
                    _check_loss_is_told(oracle, sound, hurt, identity, len(spoiled))

    def _recovered(self, image: Image, changed: str = "") -> Recovered:
        return recover(image, next(self._places), trusted=not changed.endswith(".jsonl"))

    def _sent(self, oracle: Oracle, recovered: Recovered, identity: str) -> set[int]:
        """Numbers of what was sent: nothing that was not appended, nothing twice."""
        numbers = []
        for record in recovered.sent[identity]:
            number = _number(record.payload)
            assert record[1:] == oracle.events.get(number), f"invented: {record}"
            numbers.append(number)
        assert len(numbers) == len(set(numbers)), "sent twice in one recovery"
        return set(numbers)

    def _count(self, oracle: Oracle, sent: set[int], identity: str, *, power: bool) -> None:
        missing = oracle.due(identity, power=power) - sent
        self._tell(oracle, missing, sent & oracle.fates[identity].keys())
        assert not missing, f"lost: {sorted(missing)}"

    def _tell(self, oracle: Oracle, missing: set[int], again: set[int]) -> None:
        if self._proof is not None:
            self._proof.record(events=len(oracle.returned), lost=len(missing), repeated=len(again))


def _number(payload: bytes) -> int:
    return int(payload[5 : payload.index(b",")])


def _check_letters(oracle: Oracle, image: Image) -> None:
    """The letters written last are there, and none is of an event that never was."""
    found = set()
    for name in ("dead.1.jsonl", "dead.jsonl"):
        for line in (image.get(f"{JOURNAL}/{name}") or b"").splitlines():
            with suppress(ValueError):  # cut short
                found.add(json.loads(line)["message"]["n"])
    assert found <= oracle.events.keys()
    assert found.issuperset(oracle.buried), "a dead letter is gone"


def _check_loss_is_told(
    oracle: Oracle, sound: Recovered, hurt: Recovered, identity: str, spoiled: int
) -> None:
    """
    What was damaged is dead as corrupt or, behind the last whole record, was never there.

    The same goes for the places of calls that raised or did not return.
    """
    name = DESTINATIONS[identity]
    before = sound.after.destinations.get(name, DestinationLedger())
    after = hurt.after.destinations.get(name, DestinationLedger())
    voids, gaps = len(oracle.failed), len(oracle.unfinished())
    assert -voids <= before.accepted - after.accepted <= spoiled + gaps, (before, after)
    told = after.dead.get("corrupt", 0) - before.dead.get("corrupt", 0)
    assert -gaps <= told <= spoiled + voids, (before, after)


def _check_counts(oracle: Oracle, recovered: Recovered, identity: str) -> None:
    """The ledger says what happened, give or take the calls that did not return."""
    name = DESTINATIONS[identity]
    before = recovered.before.destinations.get(name, DestinationLedger())
    after = recovered.after.destinations.get(name, DestinationLedger())
    unfinished = oracle.unfinished()
    undecided = {n for n, fate in oracle.fates[identity].items() if not fate.done} | unfinished
    due = len(oracle.due(identity, power=False))
    assert due <= before.pending <= due + len(undecided), before
    least = len(oracle.returned) + oracle.refused.total()
    most = least + len(unfinished) + (oracle.refusing - oracle.refused).total()
    least -= oracle.count(identity, "excluded", begun=True)
    most -= oracle.count(identity, "excluded")
    for account in (before, after):
        assert least <= account.accepted <= most, (least, most, account)
        assert account.dead.get("corrupt", 0) <= len(unfinished), account
        for reason in oracle.reasons():
            fewest = oracle.count(identity, reason) + oracle.refused[reason]
            many = oracle.count(identity, reason, begun=True) + oracle.refusing[reason]
            assert fewest <= account.dead.get(reason, 0) <= many, (reason, account)
