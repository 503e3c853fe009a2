"""The search engine: chooses the next candidate until none is left or the time is used up."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from zoo.errors import UsageError
from zoo.reporter import Reporter
from zoo.searching.candidate import Candidate, Cost, Judged, Outcome
from zoo.searching.clock import Clock, as_minutes
from zoo.searching.journal import Claim, Claimed, Journal
from zoo.searching.stages import Known, Stage
from zoo.searching.waiting import ASK_AGAIN_S

#: After this many proposals in a row that were already tried, the cheapest untried candidate is used.
_PROPOSALS = 12

#: Estimated seconds for a candidate without its features, and for the features per image and millisecond of float32
#: latency on this machine: the features of MobileNetV2 (4.5 ms) take 0.02 s of CPU time per image, on two cores.
#: The estimate is multiplied by ``pace_of`` the candidates that were measured on this machine.
_FIXED_S, _A_MILLISECOND = 4.0, 2.2e-3

#: Time of an epoch on all layers, including validation, divided by the expected time of the features. On two cores, 1.8
#: was measured for EfficientNet-Lite0 (39 ms for each image at a latency of 9.7 ms) and 2.0 for MobileNetV2 (35 ms at
#: 8.1 ms).
_EPOCH_PER_FEATURES = 1.8

#: Seconds after which a command that is run again has read its photos from the cache and tries the first candidate.
_BEGUN_AGAIN_S = 15.0


@dataclass(frozen=True, kw_only=True)
class Engine:
    """The search engine.

    Args:
        journal: The journal of claimed candidates.
        stages: Stages that propose candidates, cheapest first.
        known: Returns the current state.
        judge: Evaluates a claimed candidate and stores the outcome. A stored outcome is returned unchanged. The outcome
            of a ``hopeless`` claim is a failure.
        clock: Keeps track of the remaining time.
        images: Number of images for cross-validation.
        reserve_s: Returns the estimated seconds for the winner. The arguments are the ratio of actual to expected time
            so far, and whether the seconds include fine-tuning.
        reporter: Receives the progress.
    """

    journal: Journal
    stages: Sequence[Stage]
    known: Callable[[], Known]
    judge: Callable[[Claim], Outcome]
    clock: Clock
    images: int
    reserve_s: Callable[[float, bool], float]
    reporter: Reporter
    _excluded: dict[str, Candidate] = field(default_factory=dict)
    _late: list[Candidate] = field(default_factory=list)

    def run(self) -> None:
        """Tries candidates until there is none left for which there is time.

        Raises:
            UsageError: There is no time for a single candidate.
        """
        while self.step() is not None:
            pass

    def step(self) -> Outcome | None:
        """Tries one candidate. If none is left, waits for other processes, whose outcomes may lead to others.

        Returns:
            The outcome. ``None`` if no candidate is left or being tried, there is no time for another, or another
            process has closed the journal.

        Raises:
            UsageError: There is no time for a single candidate.
        """
        waiting = False
        with self.journal.at_work():
            while not self.journal.closed:
                claimed = self.journal.read()
                known = self.known()  # after the journal, so that it has the outcomes of all finished candidates
                judged = any(outcome.judged for outcome in known.outcomes)
                if judged and self.clock.left_s <= self._reserve_s(known):
                    return None  # a further export to measure a candidate would only take time
                found = self._next(known, claimed)
                if found is None:
                    if self._late or not claimed.running:
                        return None
                    waiting = self._wait(claimed.running, waiting)
                    continue
                stage, candidate = found
                if not known.fits(candidate):
                    self._excluded[candidate.key] = candidate
                elif not self._in_time(known, candidate, stage):
                    self._late.append(candidate)
                elif (claim := self.journal.claim(partial(_unless_taken, candidate))) is not None:
                    outcome = self._try(claim)
                    self.clock.keep()
                    return outcome
        return None

    def close(self) -> None:
        """Prevents new candidates, and waits until no other process tries one."""
        waiting = False
        while running := self.journal.close():
            waiting = self._wait(running, waiting)

    def _wait(self, running: frozenset[str], told: bool) -> bool:
        """Waits for other processes, which is reported once. Returns that it was reported."""
        if not told:
            self.reporter.stage(
                f"Waiting for other processes of this search: {len(running)} candidate(s) are being tried"
            )
        time.sleep(ASK_AGAIN_S)
        return True

    def _next(self, known: Known, claimed: Claimed) -> tuple[Stage, Candidate] | None:
        # The latency of an excluded candidate may have been measured again.
        excluded = {key for key, candidate in self._excluded.items() if not known.fits(candidate)}
        tried = claimed.taken | excluded
        for stage in self.stages:
            if stage.searched and self.clock.left_s <= self._reserve_s(known, stage):
                continue
            proposed = (candidate for candidate in stage.propose(known) if candidate.key not in tried)
            left = {candidate.key: candidate for candidate in proposed if not self._is_late(candidate)}
            if left:
                return stage, self._suggested(left, claimed) if stage.searched else next(iter(left.values()))
        return None

    def _suggested(self, left: dict[str, Candidate], claimed: Claimed) -> Candidate:
        """The remaining candidate that Optuna proposes, given finished and running ones."""
        import optuna

        # Rejected proposals are not recorded, because the journal contains what was tried.
        sampler = optuna.samplers.TPESampler(seed=len(claimed.trials), n_startup_trials=2, constant_liar=True)
        draft = optuna.create_study(direction="minimize", sampler=sampler)
        draft.add_trials([trial for trial in claimed.trials if trial.state != optuna.trial.TrialState.FAIL])
        points = {_frozen(Journal.point(candidate)): candidate for candidate in left.values()}
        for _ in range(_PROPOSALS):
            trial = draft.ask(self.journal.space())
            if (found := points.get(_frozen(trial.params))) is not None:
                return found
            draft.tell(trial, state=optuna.trial.TrialState.FAIL)
        return next(iter(left.values()))

    def _is_late(self, candidate: Candidate) -> bool:
        """Whether there was no time for a candidate of the same architecture that is not larger."""
        return any(
            late.architecture == candidate.architecture
            and late.image.height_px <= candidate.image.height_px
            and late.image.width_px <= candidate.image.width_px
            for late in self._late
        )

    def _reserve_s(self, known: Known, stage: Stage | None = None) -> float:
        """Seconds that a stage must leave for the winner. A stage that is searched also leaves time to fine-tune it."""
        return self.reserve_s(pace_of(known.outcomes, self.images), stage is not None and stage.searched)

    def _in_time(self, known: Known, candidate: Candidate, stage: Stage) -> bool:
        cost = known.cost(candidate)
        needed = pace_of(known.outcomes, self.images) * _expected_s(self.images, cost) + self._reserve_s(known, stage)
        if self.clock.left_s >= needed:
            return True
        claimed = self.journal.read()
        if not (any(outcome.judged for outcome in known.outcomes) or claimed.finished or claimed.running):
            enough_s = self.clock.elapsed_s + needed + _BEGUN_AGAIN_S
            raise UsageError(
                f"The time is too short for one candidate: {as_minutes(self.clock.left_s)} are left, and {candidate}"
                f" takes about {as_minutes(needed)}, including the training and export of the winner.",
                f"Give --time {math.ceil(enough_s / 60)}m or more. The measurements so far are kept.",
            )
        return False

    def _try(self, claim: Claim) -> Outcome:
        tried = sum(outcome.candidate.key != claim.candidate.key for outcome in self.known().outcomes)
        left = as_minutes(self.clock.left_s)
        self.reporter.stage(f"{tried} candidates tried, {left} min left. Trying {claim.candidate}")
        try:
            outcome = self.judge(claim)
        except BaseException:
            self.journal.give_back(claim)
            raise
        self.journal.finish(claim, outcome.judged.brier_score if outcome.judged else None)
        if outcome.error:
            self.reporter.note(f"{claim.candidate} failed and is excluded: {outcome.error}")
        elif outcome.judged is not None:
            self.reporter.stage(f"  {describe(outcome.judged)}")
        return outcome


def pace_of(outcomes: Iterable[Outcome], images: int) -> float:
    """The maximum ratio of actual to expected time of the candidates so far. 1 before the first.

    Args:
        outcomes: Their outcomes.
        images: Number of images for cross-validation.
    """
    return max(
        (outcome.judged.seconds / _expected_s(images, outcome.cost) for outcome in outcomes if outcome.judged),
        default=1.0,
    )


def fine_tuning_s(cost: Cost, images: int, epochs: int, pace: float) -> float:
    """Estimated seconds for the training of all layers.

    Args:
        cost: Cost of the candidate's file.
        images: Number of training and validation images.
        epochs: Number of epochs.
        pace: Ratio of actual to expected time of the candidates so far. Below 1 it counts as 1, because features may
            have been in the cache.
    """
    return epochs * images * cost.float_here_ms * _A_MILLISECOND * _EPOCH_PER_FEATURES * max(pace, 1.0)


def _expected_s(images: int, cost: Cost | None) -> float:
    return _FIXED_S + images * (cost.float_here_ms if cost else 0.0) * _A_MILLISECOND


def describe(judged: Judged) -> str:
    """One line with the figures of a candidate."""
    from zoo.figures import percent

    low, high = map(percent, judged.accuracy_interval)
    return (
        f"accuracy {percent(judged.accuracy)} (95 % interval {low} to {high}), Brier score"
        f" {judged.brier_score:.4f}, in {judged.seconds:.0f} s"
    )


def _unless_taken(candidate: Candidate, claimed: Claimed) -> Candidate | None:
    return None if candidate.key in claimed.taken else candidate


def _frozen(point: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(point.items()))
