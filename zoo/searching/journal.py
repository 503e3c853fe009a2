"""The journal of a search, kept by Optuna: which process tries which candidate. All processes of the search share it.

A candidate is claimed by a running trial, in one line of the journal. Its worker holds a lock while it is alive, so a
trial whose worker has died is detected at once. The outcome of a candidate is in a separate file, so no candidate has
to be tried again if the journal is lost.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.atomic import make_folder
from zoo.errors import TrainingError
from zoo.image_spec import RESIZE_RULES
from zoo.locks import locked
from zoo.searching.candidate import STEPS, Candidate
from zoo.searching.folder import has_candidate

if TYPE_CHECKING:
    import optuna

_STUDY = "search"

#: A candidate on which this many processes died is not tried again.
_MOST_DEATHS = 2


class _HeldError(TrainingError):
    """The worker of a trial is alive."""


@dataclass(frozen=True)
class Claim:
    """A candidate claimed by this process.

    Args:
        candidate: The candidate.
        trial: Number of its trial.
        deaths: Number of processes that died while they tried it, since it was last recorded as a failure.
    """

    candidate: Candidate
    trial: int
    deaths: int = 0

    @property
    def hopeless(self) -> str:
        """Why the candidate must not be tried again. Empty if it may be tried."""
        if self.deaths < _MOST_DEATHS:
            return ""
        return f"{self.deaths} processes ended while they tried it. The memory may have been too small."


@dataclass(frozen=True)
class Claimed:
    """The state of all candidates in the journal, by key.

    Args:
        finished: Brier scores by key.
        failed: Keys of candidates that failed.
        running: Keys of candidates that are being tried by running processes.
        trials: All trials.
    """

    finished: dict[str, float]
    failed: frozenset[str]
    running: frozenset[str]
    trials: tuple[Any, ...]

    @property
    def taken(self) -> frozenset[str]:
        """Keys of candidates that must not be claimed."""
        return frozenset(self.finished) | self.failed | self.running


#: Chooses the next candidate from the results so far. ``None``: there is none.
Choose = Callable[[Claimed], Candidate | None]


class Journal:
    """The journal in the folder of a search, opened by one worker.

    Args:
        folder: Folder of the search.
        architectures: Names of all architectures that may be tried.
        command: Name of the command that has started this worker on a cluster. Empty: the worker is a command itself.
    """

    def __init__(self, folder: Path, architectures: Sequence[str], command: str = "") -> None:
        self._folder = folder
        self._architectures = list(architectures)
        self._path = folder / "journal.log"
        self._closed = folder / "closed"
        self._worker = f"{command}{uuid.uuid4().hex[:12]}"
        for name in ("workers", "deaths"):
            make_folder(folder / name)
        with self._alone():
            self._mend()
            self._study = self._open()

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Holds this worker's lock. Its trials are considered running while the lock is held."""
        with locked(self._lock_of(self._worker), remove=True):
            yield

    def claim(self, choose: Choose) -> Claim | None:
        """Claims the candidate that ``choose`` returns. No other process can claim a candidate at the same time."""
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
            *earlier, trial = self._study.trials
            pruned = (each.number for each in earlier if _is_failure(each) and each.user_attrs["key"] == candidate.key)
            failed = max(pruned, default=-1)  # its folder was removed afterwards, so that it is tried again
            files = (path.name.rpartition(".") for path in (self._folder / "deaths").iterdir())
            deaths = sum(key == candidate.key and int(number) > failed for key, _, number in files)
            return Claim(candidate, trial.number, deaths)

    def finish(self, claim: Claim, brier_score: float | None) -> None:
        """Records the result of a claim. ``None``: it failed."""
        import optuna

        with self._alone():
            if brier_score is None:
                self._study.tell(claim.trial, state=optuna.trial.TrialState.PRUNED)
            else:
                self._study.tell(claim.trial, brier_score)

    def give_back(self, claim: Claim) -> None:
        """Releases an interrupted claim, which is not counted."""
        import optuna

        with self._alone():
            self._study.tell(claim.trial, state=optuna.trial.TrialState.FAIL)

    def give_back_all(self, command: str) -> None:
        """Releases the claims of all workers of a command, which end with it. They are not counted."""
        import optuna

        states = optuna.trial.TrialState
        with self._alone():
            for trial in self._study.trials:
                if trial.state == states.RUNNING and str(trial.user_attrs["worker"]).startswith(command):
                    self._study.tell(trial.number, state=states.FAIL)

    def close(self) -> frozenset[str]:
        """Prevents further claims. Returns the keys of the candidates that are still being tried."""
        with self._alone():
            self._closed.touch()
            return self._read().running

    @property
    def closed(self) -> bool:
        """Whether a process has closed the journal."""
        return self._closed.exists()

    def reopen(self) -> None:
        """Allows claims again."""
        with self._alone():
            self._closed.unlink(missing_ok=True)

    def read(self) -> Claimed:
        """The finished, failed and running candidates."""
        with self._alone():
            return self._read()

    def space(self) -> dict[str, Any]:
        """The search space of Optuna."""
        from optuna.distributions import CategoricalDistribution, IntDistribution

        return {
            "architecture": CategoricalDistribution(self._architectures),
            "step": IntDistribution(min(STEPS), max(STEPS)),
            "resize": CategoricalDistribution(list(RESIZE_RULES)),
        }

    @staticmethod
    def point(candidate: Candidate) -> dict[str, Any]:
        """A candidate as a point in the search space."""
        return {
            "architecture": candidate.architecture,
            "step": candidate.step,
            "resize": candidate.image.resize,
        }

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Prevents other processes from reading and writing the journal during a block."""
        try:
            with locked(self._folder / "journal.lock"):
                yield
        except OSError as error:
            raise TrainingError(
                f"Could not write {self._path}: {error.strerror or error}.",
                "Check the free space and the permissions. The same command continues the search.",
            ) from error

    def _lock_of(self, worker: str) -> Path:
        return self._folder / "workers" / f"{worker}.lock"

    def _mend(self) -> None:
        """Removes the last line of the journal if it is incomplete, because the process that wrote it was killed."""
        try:
            content = self._path.read_bytes()
            if content and not content.endswith(b"\n"):
                os.truncate(self._path, content.rfind(b"\n") + 1)
        except FileNotFoundError:
            pass

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
        except Exception as error:  # Optuna raises many kinds of errors for an invalid journal
            raise TrainingError(
                f"The journal {self._path} is damaged: {type(error).__name__}: {error}",
                f"Remove {self._path} and run the same command again. Finished candidates are stored in other files "
                "and are not tried again.",
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
            elif not has_candidate(self._folder, key):
                continue  # its folder was removed, so that it is tried again
            elif _is_failure(trial):
                failed.add(key)
            elif trial.value is not None:
                finished[key] = trial.value
        return Claimed(finished, frozenset(failed), frozenset(running), tuple(self._study.trials))

    def _is_alive(self, worker: str) -> bool:
        if worker == self._worker:
            return True
        try:
            with locked(self._lock_of(worker), _HeldError("at work"), remove=True):
                return False
        except _HeldError:
            return True


def _is_failure(trial: optuna.trial.FrozenTrial) -> bool:
    import optuna

    return trial.state == optuna.trial.TrialState.PRUNED


class _NoLock:
    """Replaces Optuna's lock, which remains if a process is killed. The journal is protected by zoo's own lock."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass
