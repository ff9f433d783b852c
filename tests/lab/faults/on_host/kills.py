"""hostctl is killed at each moment of a first apply, a removal and an update, and on the way back."""

from __future__ import annotations

from typing import Any

from tests.lab.faults.on_host.moments import AFTER_COMMIT, BACK_ACTIVATE, BACK_VERIFY, GOING_BACK, IN_PROVE
from tests.lab.faults.on_host.trial import Trial


def ends(trial: Trial) -> dict[str, list[str]]:
    """Take the unit once around without a fault; the moments that come on each way. It is bare before and after."""
    ways = {}
    for wish in ("a", "b", "a", "bare"):
        way = f"{trial.now} {wish}"
        ways[way] = trial.moments(wish)
    return ways


def kill(trial: Trial, ways: dict[str, list[str]], first: bool = True) -> None:
    """All kills of a unit that is bare, and is so again afterwards. `first`: on first apply and removal too."""
    for wish in ("a", "bare") if first else ():
        for moment in ways[f"{trial.now} {wish}"]:
            trial.killed("killed", moment, wish, then=moment in AFTER_COMMIT)
        _at(trial, wish)
    _at(trial, "a")
    for moment in dict.fromkeys((*ways["a b"], *ways["b a"])):
        for wish in ("b", "a"):
            # The one way or the other: each kill leaves the unit at the other end.
            if trial.now != wish and moment in ways[f"{trial.now} {wish}"]:
                trial.killed("killed", moment, wish)
                break
    _proving(trial)


def kill_going_back(trial: Trial, first: bool = True) -> None:
    """The program refuses, and hostctl is killed while it puts the old state back; and again in the next call."""
    for begin, wish in (("bare", "a"), ("a", "bare"), ("a", "b")) if first else (("a", "b"),):
        _at(trial, begin)
        before = trial.seen()
        moments: list[str] = []
        with trial.case("going back", f"{begin} -> {wish}: refused, and taken back whole"):
            moments = [each for each in trial.moments(wish, refuses=True) if each in GOING_BACK]
            trial.expect(before, "taken back")
        for moment in moments if "b" in (begin, wish) else moments[1::2]:
            trial.killed("going back", moment, wish, then=False)
    _at(trial, "a")
    trial.killed("going back", BACK_VERIFY, "b", recovering=BACK_ACTIVATE)


def _proving(trial: Trial) -> None:
    """With canaries, where the wish has some: only here, since a pull takes its time."""
    canaries: Any = trial.wishes.get("canaries")
    if not canaries:
        return
    plain = trial.wishes["b"]
    _at(trial, "a")
    trial.wishes["b"] = {**plain, "canaries": canaries["canaries"]}
    trial.killed("killed", IN_PROVE, "b")
    trial.wishes["b"] = plain


def _at(trial: Trial, wish: str) -> None:
    if trial.now != wish:
        trial.reach(wish)
