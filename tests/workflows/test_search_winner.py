"""The winner of ``zoo search`` if its training, its file or its plugin fails. Training and export are replaced."""

from __future__ import annotations

import errno
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from zoo import DataError, ExportError, ImageSpec, PluginError, UsageError
from zoo.errors import TrainingError, VerificationError, ZooError
from zoo.images import ImageMemoryError
from zoo.registry import architectures, exporters
from zoo.reporter import Reporter
from zoo.searching.candidate import Candidate, Cost, Judged, Outcome
from zoo.searching.clock import Clock
from zoo.searching.folder import (
    Winner,
    candidate_folder,
    keep_outcome,
    keep_winner,
    read_outcome,
    read_winner,
)
from zoo.searching.journal import Claim
from zoo.workflows import search_work
from zoo.workflows.search import Found, SearchRequest
from zoo.workflows.search_work import SearchWork

LIMIT_MB = 2.0


def outcome(side: int, brier_score: float, architecture: str = "mobilenetv2") -> Outcome:
    judged = Judged(
        accuracy=1 - brier_score,
        accuracy_interval=(0.0, 1.0),
        brier_score=brier_score,
        n=10,
        folds=5,
        repeats=1,
        seconds=1.0,
    )
    image = ImageSpec(height_px=side, width_px=side)
    return Outcome(
        candidate=Candidate(architecture=architecture, image=image),
        cost=Cost(latency_ms=side / 100, size_bytes=1_000_000),
        judged=judged,
    )


#: The best is the first.
BEST, SECOND, THIRD = outcome(224, 0.1), outcome(192, 0.2), outcome(160, 0.3)


class Work(SearchWork):
    """Makes a run of an empty file for a candidate. ``faults`` are raised instead, the training's before the export's.

    A fault that is a number is the size of the exported file in bytes.
    """

    def __init__(self, root: Path, faults: dict[str, Any], names: tuple[str, ...] = ("mobilenetv2",)) -> None:
        request = SearchRequest(data="photos", runs=root, name="best", max_size_mb=LIMIT_MB)
        self.made: list[str] = []
        self.faults = faults
        photos: Any = SimpleNamespace(labels=("a", "b"), names=["1"] * 10, contents=())
        clock = Clock(request.folder / "time.json", 1000.0)
        super().__init__(request, exporters().get("onnx"), names, photos, None, clock, [], Reporter())

    def _train(self, best: Outcome, winner: Winner) -> Any:
        path = self._request.runs / winner.run
        if not path.is_dir():
            fault = self.faults.get(winner.recipe or best.candidate.key)
            if isinstance(fault, Exception):
                raise fault
            self.made.append(winner.run)
            path.mkdir()
            (path / "run.json").touch()
        return SimpleNamespace(path=path)

    def _export(self, best: Outcome, run: Any, winner: Winner) -> Winner:
        size = self.faults.get(best.candidate.key, 1_000_000)
        if isinstance(size, Exception):
            raise size
        (run.path / "file.onnx").touch()
        return replace(winner, file="file.onnx", latency_ms=1.0, size_bytes=size)

    def _second(self, judged: object) -> str:
        return ""

    def _note_training(self, run: object) -> None:
        pass

    def _fine_tuning(self, best: Outcome) -> str | None:
        return "finetune" if "finetune" in self.faults else None


Make = Callable[..., Work]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setattr("zoo.report.search.write_search_page", lambda path, told: None)
    monkeypatch.setattr(
        search_work, "open_run", lambda path: SimpleNamespace(finished=True, recipe=SimpleNamespace(epochs=0))
    )
    for each in (BEST, SECOND, THIRD):
        keep_outcome(tmp_path / "best.search", each)
    return lambda faults=None, **more: Work(tmp_path, faults or {}, **more)


def winner_of(found: Found) -> Candidate:
    assert found.file.is_file()
    return found.ranked[0][0].candidate


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (3_000_000, "The exported file takes 3.00 MB of at most 2 MB; 2.24 ms and 1.00 MB were measured"),
        (VerificationError("It does not agree with Keras."), "It does not agree with Keras."),
        (PluginError("The plugin 'zoo-any' failed."), "The plugin 'zoo-any' failed."),
        (ZeroDivisionError("none"), "ZeroDivisionError: none"),
        (MemoryError("none left"), "MemoryError: none left"),
        (TrainingError("The loss is not finite."), "The loss is not finite."),
    ],
)
def test_the_next_best_takes_the_place_of_a_winner_that_fails(make: Make, fault: Any, reason: str) -> None:
    work = make({BEST.candidate.key: fault})
    found = work.finish()
    assert winner_of(found) == SECOND.candidate
    assert any(f"{BEST.candidate} cannot be the winner: {reason}" in note for note in found.notes)
    (left_out,) = (each for each in found.outcomes if each.error)
    assert left_out.candidate == BEST.candidate
    again = make()
    assert winner_of(again.finish()) == SECOND.candidate
    assert again.made == []
    assert any("cannot be the winner" in note for note in again._notes)


def caused(error: Exception, code: int) -> Exception:
    error.__cause__ = OSError(code, os.strerror(code))
    return error


@pytest.mark.parametrize(
    ("fault", "exit_code", "said"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 4, "No space left on device"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "runs/best"), 4, "Permission denied: 'runs/best'"),
        (FileNotFoundError("No usable temporary directory found"), 4, "No usable temporary directory found"),
        (caused(TrainingError("Could not write runs/best: denied."), errno.EACCES), 4, "Could not write runs/best"),
        (caused(ExportError("Could not write exports: denied."), errno.EACCES), 5, "Could not write exports"),
        (ExportError("Could not finish converting: No space left on device."), 5, "No space left on device"),
        (UsageError("'onnx' is not installed."), 2, "'onnx' is not installed"),
        (DataError("Photos have changed."), 4, "Photos have changed"),
        (ImageMemoryError("does not fit in memory"), 4, "does not fit in memory"),
    ],
)
def test_a_fault_that_concerns_all_candidates_ends_the_search(
    make: Make, fault: Exception, exit_code: int, said: str, tmp_path: Path
) -> None:
    for faults in ({BEST.candidate.key: fault}, {BEST.candidate.key: fault, "finetune": fault}):
        (tmp_path / "best.search" / "winner.json").unlink(missing_ok=True)
        work = make(faults)
        with pytest.raises(ZooError, match=said) as error:
            work.finish()
        assert error.value.exit_code == exit_code
        assert work.made == []
        outcomes = [read_outcome(tmp_path / "best.search", each.candidate.key) for each in (BEST, SECOND, THIRD)]
        assert outcomes == [BEST, SECOND, THIRD]
    assert winner_of(make().finish()) == BEST.candidate


def test_a_run_folder_that_could_not_be_completed_or_removed_does_not_stop_the_search(
    make: Make, tmp_path: Path
) -> None:
    keep_winner(tmp_path / "best.search", Winner(key=BEST.candidate.key, run="best"))
    (tmp_path / "best").mkdir()
    assert make().finish().run.path.name == "best-2"


def test_a_winner_that_was_slow_for_a_moment_is_timed_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    times = [9.0, 8.0, 4.0, 3.0]
    monkeypatch.setattr(search_work, "time_file", lambda path: times.pop(0))
    monkeypatch.setattr(search_work, "_PAUSE_S", 0.0)
    run: Any = SimpleNamespace(path=Path("best"))
    made = SimpleNamespace(path=Path("best", "file.onnx"), size_bytes=3_000_000)
    exported = SimpleNamespace(refuse=lambda: None, targets=(made,))
    monkeypatch.setattr(search_work, "export", lambda *about: exported)
    work = make()
    work._request = replace(work._request, max_latency_ms=5.0)
    winner = SearchWork._export(work, BEST, run, Winner(key=BEST.candidate.key, run="best"))
    assert (winner.file, winner.latency_ms, winner.size_bytes) == ("file.onnx", 4.0, 3_000_000)
    assert times == [3.0]
    times += [9.0] * 9
    winner = SearchWork._export(work, BEST, run, Winner(key=BEST.candidate.key, run="best"))
    assert winner.latency_ms == 3.0
    del times[6:]
    work._request = replace(work._request, max_latency_ms=2.0)
    assert SearchWork._export(work, BEST, run, winner).latency_ms == 9.0
    assert len(times) == 0


def test_limits_that_no_file_meets_name_the_nearest(make: Make) -> None:
    sizes = {BEST.candidate.key: 4_000_000, SECOND.candidate.key: 3_000_000, THIRD.candidate.key: 5_000_000}
    for _ in range(2):
        with pytest.raises(
            UsageError, match=r"No candidate meets the limits as onnx float32\. The nearest is"
        ) as error:
            make(sizes).finish()
        assert f"{SECOND.candidate}, 3.00 MB of at most 2 MB: 1.50 times the limit." in str(error.value)


def test_if_all_fail_the_causes_are_listed_and_the_same_command_tries_them_again(make: Make) -> None:
    fault = RuntimeError("broken")
    with pytest.raises(ExportError, match="3 candidates failed, and none is left") as error:
        make({each.candidate.key: fault for each in (BEST, SECOND, THIRD)}).finish()
    assert str(error.value).count("RuntimeError: broken") == 3
    assert winner_of(make().finish()) == BEST.candidate


def test_the_same_command_times_the_file_of_the_only_candidate_again(make: Make, tmp_path: Path) -> None:
    for each in (SECOND, THIRD):
        shutil.rmtree(candidate_folder(tmp_path / "best.search", each.candidate.key))
    times = [9.0, 4.0]

    def export(best: Outcome, run: Any, winner: Winner) -> Winner:
        (run.path / "file.onnx").touch()
        return replace(winner, file="file.onnx", latency_ms=times.pop(0), size_bytes=1_000_000)

    slow, again = make(), make()
    for work in (slow, again):
        work._request = replace(work._request, max_latency_ms=5.0)
        work._export = export  # type: ignore[method-assign]
    with pytest.raises(UsageError, match=r"9\.00 ms of at most 5 ms"):
        slow.finish()
    assert again.finish().cost.latency_ms == 4.0
    assert again.made == []


def test_a_fine_tuning_that_fails_is_left_out(make: Make) -> None:
    work = make({"finetune": MemoryError("none left")})
    for attempt in (work, make({"finetune": MemoryError("none left")})):
        found = attempt.finish()
        assert winner_of(found) == BEST.candidate
        assert found.notes == (
            f"{BEST.candidate} is not fine-tuned, because the fine-tuned model failed: MemoryError: none left",
        )
    assert work.made == ["best"]


def test_a_run_that_was_deleted_is_trained_and_exported_again(make: Make, tmp_path: Path) -> None:
    first = make().finish()
    shutil.rmtree(first.run.path)
    again = make()
    assert winner_of(again.finish()) == BEST.candidate
    assert again.made == ["best"]
    first.file.unlink()
    assert winner_of(make().finish()) == BEST.candidate


def test_without_its_plugin_a_winner_is_shown_if_its_run_is_finished(make: Make, tmp_path: Path) -> None:
    removed = outcome(224, 0.05, "removed_net")
    keep_outcome(tmp_path / "best.search", removed)
    keep_winner(tmp_path / "best.search", Winner(key=removed.candidate.key, run="old", file="file.onnx"))
    found = make().finish()
    assert winner_of(found) == BEST.candidate
    assert "No longer installed, although they were better than the winner: removed_net." in found.notes
    (left_out,) = (each for each in found.outcomes if each.error)
    assert left_out.error == "Its architecture is no longer installed."
    finished = Winner(key=removed.candidate.key, run="old", file="file.onnx", latency_ms=1.0, size_bytes=1)
    keep_winner(tmp_path / "best.search", finished)
    (tmp_path / "old").mkdir()
    for name in ("run.json", "report.html", "file.onnx"):
        (tmp_path / "old" / name).touch()
    work = make()
    assert winner_of(work.finish()) == removed.candidate
    assert work.made == []
    assert read_winner(tmp_path / "best.search") == finished


def test_a_former_winner_is_considered_again_after_its_plugin_was_installed_again(make: Make, tmp_path: Path) -> None:
    other = outcome(224, 0.5, "simple_cnn")
    keep_outcome(tmp_path / "best.search", other)
    keep_winner(tmp_path / "best.search", Winner(key=BEST.candidate.key, run="old"))  # trained, but not exported
    (tmp_path / "old").mkdir()
    for name in ("run.json", "report.html"):
        (tmp_path / "old" / name).touch()
    without = make({BEST.candidate.key: PluginError("Its layers are not installed.")}, names=("simple_cnn",))
    assert winner_of(without.finish()) == other.candidate
    assert winner_of(make(names=("simple_cnn", "mobilenetv2")).finish()) == BEST.candidate


def test_without_any_plugin_of_a_candidate_the_error_says_so(make: Make) -> None:
    with pytest.raises(ExportError, match="3 candidates failed") as error:
        make(names=()).finish()
    assert str(error.value).count("Its architecture is no longer installed.") == 3


@pytest.mark.parametrize("error", [type("OpError", (Exception,), {})("no memory"), MemoryError("none left")])
def test_any_exception_of_a_candidate_is_its_outcome(
    make: Make, error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*about: object) -> None:
        raise error

    monkeypatch.setattr(search_work, "judge", fail)
    work = make()
    monkeypatch.setattr(work, "_costs", lambda candidate: BEST.cost)
    work._photos.seen_as = lambda *about: work._photos  # type: ignore[method-assign,assignment]
    candidate = outcome(96, 0.1).candidate
    assert work._judge(Claim(candidate, 0)).error == f"{type(error).__name__}: {error}"
    assert read_outcome(tmp_path / "best.search", candidate.key) is not None


def test_a_candidate_that_ended_two_processes_is_listed(make: Make, tmp_path: Path, monkeypatch: Any) -> None:
    work = make()
    monkeypatch.setattr(work, "_costs", lambda candidate: BEST.cost)
    shutil.rmtree(tmp_path / "best.search" / "candidates")
    candidate = outcome(96, 0.1).candidate
    work._judge(Claim(candidate, 0, deaths=2))
    with pytest.raises(PluginError, match="1 candidate failed") as error:
        work.finish()
    assert f"{candidate}: 2 processes ended while they tried it." in str(error.value)


def test_a_winner_that_could_not_be_fine_tuned_is_not_said_to_be(make: Make) -> None:
    work = make()
    run: Any = SimpleNamespace(info=SimpleNamespace(tuning=None), recipe=SimpleNamespace(epochs=8), split=list)
    SearchWork._note_training(work, run)
    assert work._notes == ["The winner was not fine-tuned, because there are no validation images to judge it."]


def test_features_in_the_cache_leave_as_much_time_for_the_winner(make: Make) -> None:
    work = make()
    assert work._reserve_s(0.1) == work._reserve_s(1.0) < work._reserve_s(2.0)


def test_time_for_fine_tuning_is_kept_if_there_is_enough_for_it(make: Make) -> None:
    work = make()
    tuning_s = work._fine_tuning_s(BEST, 1.0)
    plain_s = work._reserve_s(1.0)
    assert work._reserve_s(1.0, tuning=True) == pytest.approx(plain_s + tuning_s * 1.15)
    # There is no time for another candidate, but enough for fine-tuning, so that none is exported and timed.
    work._clock = Clock(work._folder / "time.json", plain_s + tuning_s * 1.1)
    assert work._clock.left_s < work._reserve_s(1.0, tuning=True)
    work._clock = Clock(work._folder / "time.json", plain_s + tuning_s / 2)
    assert work._reserve_s(1.0, tuning=True) == plain_s
    without_recipe = outcome(224, 0.1, architecture="simple_cnn")
    assert work._fine_tuning_s(without_recipe, 1.0) == math.inf


def test_the_run_of_a_winner_never_has_the_name_of_an_architecture(make: Make, tmp_path: Path) -> None:
    work = make()
    work._request = replace(work._request, name="mobilenetv2")
    assert "mobilenetv2" in architectures()
    assert work._free_name() == "mobilenetv2-2"
