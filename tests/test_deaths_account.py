"""The account of `deaths`: whatever breaks a promise is found, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from deaths.account import Account, Lived, reconcile
from deaths.board import Board, Noted
from deaths.counter import Request
from deaths.events import content, is_intact, user_of
from deaths.lives import Setting

if TYPE_CHECKING:
    from pathlib import Path

KEY = "chain-0"
#: Life 1 tracks three events, sends two of them and dies in between the answer and the cursor.
IDS = ["a", "b", "c"]


def life(**changes: Any) -> Lived:
    """The one that tracked and died, from 1000 to 1050 ms."""
    made = Lived(
        1, "life 1", 1000.0, 1050.0, 1051.0, 1, plain=True, noted={0: Noted(IDS, 4)}, told=[]
    )
    return made._replace(**changes)


def request(sent_ms: int, *ids: str, cut: bool = False) -> Request:
    """Stored events of life 1."""
    return Request(sent_ms, cut, [(i, user_of(1, 0, IDS.index(i)), True) for i in ids])


def one(id_: str, user: str, *, intact: bool = True) -> Request:
    """A single stored event; its answer was lost, so it may come again."""
    return Request(1200, cut=True, events=[(id_, user, intact)])


FIRST, REST = request(1020, "a", "b"), request(1200, "a", "b", "c")


@pytest.fixture
def account(tmp_path: Path) -> Any:
    """Reconcile what was stored by one journal whose ledger is right."""

    def made(*stored: Request, lives: tuple[Lived, ...] = (life(),), **ledger: Any) -> Account:
        ids = {id_ for request in stored for id_, *_ in request.events}
        told = {"delivered": len(ids), "dead": {}} | ledger
        lane = tmp_path / "digest"
        lane.mkdir()
        line = {"lane": "lane-1", "destinations": {"Segment": told}}
        (lane / "retired.jsonl").write_text(json.dumps(line) + "\n" + '{"torn')
        setting = Setting(str(tmp_path), 0, "chain", concurrency=1)
        return reconcile(setting, list(lives), {KEY: list(stored)}, tmp_path)

    return made


def test_what_a_death_explains_is_not_wrong(account: Any) -> None:
    """What was in flight came twice; a call that did not return may be dead."""
    assert account(FIRST, REST, dead={"corrupt": 1}) == Account(3, [], 2, [])


def test_a_lost_event_is_found(account: Any) -> None:
    """Tracked, and not there."""
    found = account(FIRST)
    assert found.lost == ["c"]
    assert any("life 1" in sentence for sentence in found.wrong)


@pytest.mark.parametrize(
    ("stored", "changes", "word"),
    [
        ([FIRST, request(1040, "a", "b", "c")], {"died_after_ms": 1045}, "nobody died"),
        ([FIRST, REST], {"told": [("a", 1030.0)]}, "after the callback was told"),
        ([REST], {"told": [("a", 1210.0), ("a", 1220.0)]}, "told 2 times"),
        ([request(1010, "a"), request(1020, "b"), REST], {}, "left 2 unsettled, not 1"),
        ([REST, one("d", "1-0-4")], {}, "nobody tracked"),
        ([REST, one("d", "2-0-0")], {}, "nobody tracked"),
        ([REST, one("d", "1-0-2")], {}, "under two ids"),
        ([REST, one("x", "1-0-0")], {}, "came as x"),
        ([REST, one("c", "1-0-2", intact=False)], {}, "changed on the way"),
    ],
)
def test_a_broken_promise_is_found(
    account: Any, stored: list[Request], changes: dict[str, Any], word: str
) -> None:
    """Each kind has a sentence of its own."""
    assert any(word in sentence for sentence in account(*stored, lives=(life(**changes),)).wrong)


def test_a_cut_answer_explains_a_repetition(account: Any) -> None:
    """The sender lived on and could not know."""
    cut = request(1020, "a", "b", cut=True)
    assert account(cut, request(1030, "a", "b", "c"), lives=(life(),)).wrong == []


def test_a_wrong_ledger_is_found(account: Any) -> None:
    """Its counts are compared with what was stored."""
    assert account(REST, delivered=2).wrong == [
        "Segment: the ledger says 2 delivered, the counter has 3"
    ]


def test_other_dead_than_gaps_are_found(account: Any) -> None:
    """Nothing of what these processes do may die."""
    assert "expired" in account(REST, dead={"expired": 1}).wrong[0]


def test_a_board_tells_what_was_noted() -> None:
    """Everything a life writes is read back."""
    board, id_ = Board(), "01890a5d-ac96-774b-bcce-b302099a8057"
    board.stage("flushing")
    board.note(3, board.attempt(3), id_)
    board.attempt(3)
    board.callback(1).success({"messageId": id_})
    board.dying("append: here")
    board.dying("too late")
    board.complain("what happened")
    assert dict(board.noted()) == {3: Noted([id_], 2)}
    assert [told for told, _at in board.told()] == [id_]
    assert (board.stage_name, board.place) == ("flushing", "append: here")
    assert board.complaint == "what happened"


def test_an_event_knows_itself() -> None:
    """Any change is seen."""
    user = user_of(3, 0, 7)
    event = {"userId": user, "event": "Order Completed", "properties": content(user, 50)}
    assert is_intact(event)
    assert not is_intact(event | {"userId": user_of(3, 0, 8)})
    assert not is_intact(event | {"properties": content(user, 50) | {"size": 51}})
