"""Who tries what: the search's journal, kept by Optuna, shared by all processes that work on the search.

A candidate is claimed by a trial that is running, in one line of the journal. Its worker holds a lock for as long as
it lives, so a trial whose worker has gone is known at once, however that process ended. What came of a candidate is in
a file of its own: the journal can be lost without anything having to be tried again.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.atomic import make_folder
from zoo.errors import TrainingError
from zoo.image_spec import RESIZE_RULES
from zoo.locks import locked
from zoo.searching.candidate import STEPS, Candidate

if TYPE_CHECKING:
    import optuna

_STUDY = "search"

#: A candidate during which as many processes died is not tried again.
_MOST_DEATHS = 2


class _HeldError(TrainingError):
    """The worker of a trial is alive."""


@dataclass(frozen=True)
class Claim:
    """A candidate that this process tries, and the number of its trial."""

    candidate: Candidate
    trial: int


@dataclass(frozen=True)
class Claimed:
    """What the journal says of all candidates, by key.

    Args:
        finished: Brier score by key.
        failed: Keys of those that failed, or during which processes died again and again.
        running: Keys of those that living processes try.
        trials: All trials.
    """

    finished: dict[str, float]
    failed: frozenset[str]
    running: frozenset[str]
    trials: tuple[Any, ...]

    @property
    def taken(self) -> frozenset[str]:
        """Keys of those that are not to be claimed."""
        return frozenset(self.finished) | self.failed | self.running


#: Chooses what to try next from what is known; ``None``: nothing.
Choose = Callable[[Claimed], Candidate | None]


class Journal:
    """The journal in the folder of a search, opened by one worker.

    Args:
        folder: Of the search.
        architectures: Names of all that it may try.
    """

    def __init__(self, folder: Path, architectures: Sequence[str]) -> None:
        self._folder = folder
        self._architectures = list(architectures)
        self._path = folder / "journal.log"
        self._closed = folder / "closed"
        self._worker = uuid.uuid4().hex[:12]
        for name in ("workers", "deaths"):
            make_folder(folder / name)
        with self._alone():
            self._mend()
            self._study = self._open()

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Holds this worker's lock: its trials are running for as long as it does."""
        with locked(self._lock_of(self._worker), remove=True):
            yield

    def claim(self, choose: Choose) -> Claim | None:
        """Claims what ``choose`` chooses; no other process can claim meanwhile."""
        import optuna

        with self._alone():
            candidate = None if self._closed.exists() else choose(self._read())
            if candidate is None:
                return None
            attributes = {"key": candidate.key, "worker": self._worker, "way": candidate.way}
            self._study.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState.RUNNING,
                    params=self.point(candidate),
                    distributions=self.space(),
                    user_attrs=attributes,
                )
            )
            return Claim(candidate, self._study.trials[-1].number)

    def finish(self, claim: Claim, brier_score: float | None) -> None:
        """Records what came of a claim; ``None``: it failed."""
        import optuna

        with self._alone():
            if brier_score is None:
                self._study.tell(claim.trial, state=optuna.trial.TrialState.PRUNED)
            else:
                self._study.tell(claim.trial, brier_score)

    def give_back(self, claim: Claim) -> None:
        """Lets a claim go that was interrupted: it counts for nothing."""
        import optuna

        with self._alone():
            self._study.tell(claim.trial, state=optuna.trial.TrialState.FAIL)

    def close(self) -> bool:
        """Lets nobody claim a candidate any more, unless somebody tries one now; whether it is closed."""
        with self._alone():
            if self._read().running:
                return False
            self._closed.touch()
            return True

    def reopen(self) -> None:
        """Lets candidates be claimed again."""
        with self._alone():
            self._closed.unlink(missing_ok=True)

    def read(self) -> Claimed:
        """What is finished, failed and running now."""
        with self._alone():
            return self._read()

    def space(self) -> dict[str, Any]:
        """What Optuna searches."""
        from optuna.distributions import CategoricalDistribution, IntDistribution

        return {
            "architecture": CategoricalDistribution(self._architectures),
            "step": IntDistribution(min(STEPS), max(STEPS)),
            "resize": CategoricalDistribution(list(RESIZE_RULES)),
        }

    @staticmethod
    def point(candidate: Candidate) -> dict[str, Any]:
        """A candidate as Optuna knows it."""
        return {
            "architecture": candidate.architecture,
            "step": candidate.step,
            "resize": candidate.image.resize,
        }

    def _alone(self) -> contextlib.AbstractContextManager[None]:
        return locked(self._folder / "journal.lock")

    def _lock_of(self, worker: str) -> Path:
        return self._folder / "workers" / f"{worker}.lock"

    def _mend(self) -> None:
        """Removes the start of a line that a killed process left at the end."""
        try:
            content = self._path.read_bytes()
            if content and not content.endswith(b"\n"):
                os.truncate(self._path, content.rfind(b"\n") + 1)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise TrainingError(f"Could not write {self._path}: {error.strerror or error}.") from error

    def _open(self) -> optuna.Study:
        import optuna
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            lock: Any = _NoLock()
            storage = optuna.storages.JournalStorage(JournalFileBackend(str(self._path), lock_obj=lock))
            study = optuna.create_study(storage=storage, study_name=_STUDY, load_if_exists=True, direction="minimize")
            for trial in study.trials:
                if not {"key", "worker"} <= set(trial.user_attrs):
                    raise ValueError(f"trial {trial.number} has no candidate")
        except Exception as error:  # Optuna raises what it likes for a journal that is none
            raise TrainingError(
                f"The journal {self._path} is damaged: {type(error).__name__}: {error}",
                f"Remove {self._path} and give the same command again: what was tried is kept beside it, and is not "
                "tried again.",
            ) from error
        return study

    def _read(self) -> Claimed:
        import optuna

        states = optuna.trial.TrialState
        finished: dict[str, float] = {}
        failed: set[str] = set()
        running: set[str] = set()
        for trial in self._study.trials:
            key = str(trial.user_attrs["key"])
            if trial.state == states.RUNNING:
                if self._is_alive(str(trial.user_attrs["worker"])):
                    running.add(key)
                else:
                    (self._folder / "deaths" / f"{key}.{trial.number}").touch()
                    self._study.tell(trial.number, state=states.FAIL)
            elif trial.state == states.PRUNED:
                failed.add(key)
            elif trial.value is not None:
                finished[key] = trial.value
        deaths = Counter(path.stem for path in (self._folder / "deaths").iterdir())
        failed |= {key for key, count in deaths.items() if count >= _MOST_DEATHS}
        return Claimed(finished, frozenset(failed), frozenset(running), tuple(self._study.trials))

    def _is_alive(self, worker: str) -> bool:
        if worker == self._worker:
            return True
        try:
            with locked(self._lock_of(worker), _HeldError("at work"), remove=True):
                return False
        except _HeldError:
            return True


class _NoLock:
    """In place of Optuna's lock, which a killed process leaves behind: the journal is only used under ours."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass
