"""A process that takes part in a search, whose candidates are evaluated by a formula.

``python -m tests.searching.shares FOLDER`` works on the search in a folder. Every evaluation is a line in
``judged.txt``. If the second argument is a key, the process waits during this candidate, so that it can be killed
there. The third argument is the number of processes that start together.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from zoo import Architecture, ImageSpec
from zoo.reporter import Reporter
from zoo.searching.candidate import Candidate, Cost, Judged, Limits, Outcome, sized
from zoo.searching.clock import Clock
from zoo.searching.engine import Engine
from zoo.searching.folder import keep_outcome, read_outcome, read_outcomes
from zoo.searching.journal import Claim, Journal
from zoo.searching.stages import STAGES, Known

ARCHITECTURES = {
    name: Architecture(name=name, summary="", build=print, image=ImageSpec(height_px=side, width_px=side))
    for name, side in (("small", 56), ("large", 112))
}
#: The own image rule of each architecture, and then five sizes.
CANDIDATES = 2 * 5
#: Duration of an evaluation. It is longer if several processes start together, so that each gets some candidates.
PAUSE_S = 0.02


def _sizes(known: Known) -> Iterator[Candidate]:
    yield from (candidate for candidate in STAGES[1].propose(known) if candidate.image.resize == "squash")


#: The stages of a search without resize rules, so that it takes only a second.
STAGES_OF_TESTS = (STAGES[0], replace(STAGES[1], propose=_sizes))


def cost(candidate: Candidate) -> Cost:
    return Cost(
        latency_ms=candidate.image.height_px / 10, size_bytes=10**6 if candidate.architecture == "small" else 10**7
    )


def brier_score(candidate: Candidate) -> float:
    """The Brier score of a candidate. The best candidate is ``large`` at its largest size."""
    return 1 - candidate.image.height_px / 200


def make_engine(folder: Path, waits_at: str = "", time_s: float = 1000.0, limits: Limits | None = None) -> Engine:
    def judge(claim: Claim) -> Outcome:
        candidate = claim.candidate
        if known := read_outcome(folder, candidate.key):
            return known
        if claim.hopeless:
            keep_outcome(folder, Outcome(candidate=candidate, cost=cost(candidate), error=claim.hopeless))
            return read_outcome(folder, candidate.key)  # type: ignore[return-value]
        with (folder / "judged.txt").open("a") as file:
            file.write(f"{candidate.key} {os.getpid()}\n")
        if candidate.key == waits_at and not (folder / "waiting").exists():
            (folder / "waiting").touch()
            time.sleep(60)
        time.sleep(PAUSE_S)
        score = brier_score(candidate)
        judged = Judged(
            accuracy=1 - score / 2,
            accuracy_interval=(0.0, 1.0),
            brier_score=score,
            n=10,
            folds=5,
            repeats=1,
            seconds=0.02,
        )
        outcome = Outcome(candidate=candidate, cost=cost(candidate), judged=judged)
        keep_outcome(folder, outcome)
        return outcome

    return Engine(
        journal=Journal(folder, list(ARCHITECTURES)),
        stages=STAGES_OF_TESTS,
        known=lambda: Known(ARCHITECTURES, limits or Limits(), cost, read_outcomes(folder)),
        judge=judge,
        clock=Clock(folder / "time.json", time_s),
        images=10,
        reserve_s=lambda pace, tuning: 0.0,
        reporter=Reporter(),
    )


def own_rule(name: str) -> Candidate:
    return Candidate(architecture=name, image=sized(ARCHITECTURES[name], 0))


def judged_keys(folder: Path) -> list[str]:
    return [line.split()[0] for line in (folder / "judged.txt").read_text().splitlines()]


if __name__ == "__main__":
    engine = make_engine(Path(sys.argv[1]), "".join(sys.argv[2:3]))
    for together in map(int, sys.argv[3:4]):
        PAUSE_S = 0.2
        Path(sys.argv[1], f"{os.getpid()}.ready").touch()
        while len(list(Path(sys.argv[1]).glob("*.ready"))) < together:
            time.sleep(0.005)
    engine.run()
    engine.close()
