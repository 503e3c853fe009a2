"""The journal of a search: killed processes, several processes, damage, and proposals of Optuna."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.clocks import wrong_clock
from tests.searching import shares
from tests.searching.shares import CANDIDATES, brier_score, cost, judged_keys, make_engine, own_rule
from zoo.errors import TrainingError, UsageError
from zoo.reporter import Reporter
from zoo.searching import engine as engine_of_search
from zoo.searching import folder as folder_of_search
from zoo.searching.candidate import Limits, ranked
from zoo.searching.engine import Engine
from zoo.searching.folder import Goal, read_outcomes, same_goal
from zoo.searching.journal import Journal
from zoo.searching.stages import Known
from zoo.workflows import search
from zoo.workflows.search import SearchRequest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "search"
    made.mkdir()
    return made


def start(folder: Path, *more: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.searching.shares", str(folder), *more]
    return subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, **(env or {})})


def killed_at(folder: Path, key: str) -> None:
    """Starts a process that is killed while it evaluates a candidate."""
    (folder / "waiting").unlink(missing_ok=True)
    process = start(folder, key)
    deadline = time.monotonic() + 60
    while not (folder / "waiting").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("clocks_differ", [False, True])
def test_two_processes_share_a_search(folder: Path, clocks_differ: bool, tmp_path: Path) -> None:
    both = [start(folder, "", "2"), start(folder, "", "2", env=wrong_clock(tmp_path, -7200) if clocks_differ else {})]
    assert [process.wait(120) for process in both] == [0, 0]
    judged = Counter(judged_keys(folder))
    assert len(judged) == CANDIDATES
    assert set(judged.values()) == {1}
    workers = {line.split()[1] for line in (folder / "judged.txt").read_text().splitlines()}
    assert len(workers) == 2
    assert list((folder / "workers").iterdir()) == []
    best, _ = ranked(read_outcomes(folder))[0]
    assert (best.candidate.architecture, best.candidate.image.height_px) == ("large", 144)
    assert make_engine(folder).clock.elapsed_s < 600


def test_processes_that_begin_a_search_at_the_same_time_share_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goal = Goal(data="photos", data_digest="1", format="onnx", precision="float32", limits=Limits())
    begun = threading.Barrier(2)
    write = folder_of_search.write_json

    def slowly(path: Path, content: object) -> None:
        part = path.with_name(".part")  # an atomic write begins with another file
        part.touch()
        time.sleep(0.2)
        write(path, content)
        part.unlink()

    monkeypatch.setattr(folder_of_search, "write_json", slowly)

    def begin(number: int) -> Goal:
        begun.wait(10)
        time.sleep(0.1 * number)  # the second one looks after the folder was made
        return same_goal(tmp_path / "runs" / "best.search", goal)

    with ThreadPoolExecutor() as threads:
        assert list(threads.map(begin, range(2))) == [goal, goal]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["best.search"]


def test_an_outcome_of_another_process_is_seen_while_the_next_candidate_is_chosen(folder: Path) -> None:
    other, mine = make_engine(folder), make_engine(folder)

    def known() -> Known:
        seen = mine.known()
        if not seen.outcomes:
            assert other.step()
            assert other.step()
        return seen

    outcome = replace(mine, known=known).step()
    assert outcome
    assert outcome.candidate not in (own_rule("small"), own_rule("large"))


def test_a_killed_search_goes_on_and_repeats_nothing_that_is_finished(folder: Path) -> None:
    killed_at(folder, own_rule("large").key)
    assert judged_keys(folder) == [own_rule("small").key, own_rule("large").key]
    make_engine(folder).run()
    judged = Counter(judged_keys(folder))
    assert judged.pop(own_rule("large").key) == 2  # the process was killed during this one
    assert set(judged.values()) == {1}
    assert len(judged) == CANDIDATES - 1


def test_a_candidate_that_kills_its_process_twice_is_left_out(folder: Path) -> None:
    for _ in range(2):
        killed_at(folder, own_rule("small").key)
    make_engine(folder).run()
    errors = {outcome.candidate.key: outcome.error for outcome in read_outcomes(folder)}
    assert errors[own_rule("small").key].startswith("2 processes ended while they tried it.")
    assert errors[own_rule("large").key] == ""
    assert judged_keys(folder).count(own_rule("small").key) == 2
    shutil.rmtree(folder / "candidates" / own_rule("small").key)  # to try it again, for example with more memory
    make_engine(folder).run()
    assert judged_keys(folder).count(own_rule("small").key) == 3
    assert not any(outcome.error for outcome in read_outcomes(folder))


@pytest.mark.parametrize("method", ["add_trial", "tell"])
def test_a_journal_that_cannot_be_written_is_told(folder: Path, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine(folder)

    def full(*about: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(engine.journal._study, method, full)
    with pytest.raises(TrainingError, match=r"journal\.log: No space left on device"):
        engine.step()


def test_the_end_of_a_command_is_no_fault_of_what_its_workers_try(folder: Path) -> None:
    """After an interruption, the workers of a command on a cluster are killed. A worker of another command that is
    killed is counted."""
    wanted = own_rule("small")
    for command in ("first", "second"):
        worker = Journal(folder, list(shares.ARCHITECTURES), command)
        with worker.at_work():
            assert worker.claim(lambda claimed: wanted)
        journal = Journal(folder, list(shares.ARCHITECTURES))
        journal.give_back_all("first")
        claim = journal.claim(lambda claimed: None if wanted.key in claimed.taken else wanted)
        assert claim
        assert claim.deaths == (0 if command == "first" else 1)
        journal.give_back(claim)


def test_a_journal_that_another_process_closed_gives_no_candidate(folder: Path) -> None:
    engine = make_engine(folder)
    make_engine(folder).close()
    assert engine.step() is None
    assert not (folder / "judged.txt").exists()


def test_closing_waits_only_for_candidates_that_are_being_tried(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process with a longer --time would otherwise claim one candidate after the other."""
    told: list[str] = []
    reporter = Reporter()
    monkeypatch.setattr(reporter, "stage", told.append)
    engine, other = replace(make_engine(folder), reporter=reporter), make_engine(folder)
    with other.journal.at_work():
        claim = other.journal.claim(lambda claimed: own_rule("small"))
        assert claim is not None
        waits: list[float] = []

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            assert other.journal.claim(lambda claimed: own_rule("large")) is None
            if len(waits) == 2:
                other.journal.finish(claim, 0.5)

        monkeypatch.setattr(time, "sleep", sleep)
        engine.close()
    assert len(waits) == 2
    assert told == ["Waiting for other processes of this search: 1 candidate(s) are being tried"]


def test_without_time_a_process_does_not_wait_for_others(folder: Path) -> None:
    other = make_engine(folder)
    other.step()
    with other.journal.at_work():
        assert other.journal.claim(lambda claimed: own_rule("large")) is not None
        (folder / "time.json").write_text('{"elapsed_s": 1000.0}')
        assert make_engine(folder, time_s=999.0).step() is None
        assert make_engine(folder, time_s=1000.001).step() is None


def test_a_removed_result_is_made_again(folder: Path) -> None:
    make_engine(folder).run()
    shutil.rmtree(folder / "candidates" / own_rule("small").key)
    make_engine(folder).run()
    judged = Counter(judged_keys(folder))
    assert judged.pop(own_rule("small").key) == 2
    assert set(judged.values()) == {1}
    assert len(read_outcomes(folder)) == CANDIDATES


def test_a_candidate_is_tried_if_a_second_measurement_meets_the_limit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(folder, limits=Limits(max_latency_ms=10.0))
    engine.run()
    assert own_rule("large").key not in judged_keys(folder)
    monkeypatch.setattr(shares, "cost", lambda candidate: replace(cost(candidate), latency_ms=9.0))
    engine.run()
    assert own_rule("large").key in judged_keys(folder)
    assert len(set(judged_keys(folder))) == len(judged_keys(folder)) == CANDIDATES


def test_a_search_with_more_time_goes_on_after_another_process_finished_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(folder)
    other = make_engine(folder)
    engine.step()
    other.close()
    request = SearchRequest(data="photos", runs=folder.parent, name="search")
    (folder.parent / "search.search").symlink_to(folder)
    finished: list[int] = []
    work = SimpleNamespace(engine=lambda journal: engine, finish=lambda: finished.append(len(judged_keys(folder))))
    reopened: list[bool] = []
    run = type(engine).run

    def interrupted(self: Engine) -> None:
        if not reopened:
            other.close()  # while this process was between two candidates
        reopened.append(True)
        run(self)

    monkeypatch.setattr(Engine, "run", interrupted)
    monkeypatch.setattr(search, "_open", lambda *about: (work, engine.journal, engine.clock))
    search._search(request, None, (), None, Reporter())  # type: ignore[arg-type]
    assert finished == [CANDIDATES]
    assert len(reopened) == 2


def test_the_best_is_found_before_all_are_tried(folder: Path) -> None:
    engine = make_engine(folder)
    engine.run()
    best, judged = ranked(read_outcomes(folder))[0]
    assert (best.candidate.architecture, best.candidate.image.height_px) == ("large", 144)
    assert judged.brier_score == pytest.approx(brier_score(best.candidate))
    assert judged_keys(folder).index(best.candidate.key) < CANDIDATES - 2


def test_a_line_that_a_killed_process_left_half_written_is_mended(folder: Path) -> None:
    make_engine(folder).run()
    before = (folder / "journal.log").read_bytes()
    (folder / "journal.log").write_bytes(before + b'{"op_code": 4, "stu')
    make_engine(folder).run()
    assert len(judged_keys(folder)) == CANDIDATES
    lines = (folder / "journal.log").read_bytes().splitlines(keepends=True)
    assert all(json.loads(line) and line.endswith(b"\n") for line in lines)


def test_a_damaged_journal_is_told_and_can_be_removed(folder: Path) -> None:
    make_engine(folder).run()
    lines = (folder / "journal.log").read_bytes().splitlines(keepends=True)
    (folder / "journal.log").write_bytes(b"".join([*lines[:3], b"no journal\n", *lines[3:]]))
    with pytest.raises(TrainingError, match=r"journal\.log is damaged") as error:
        make_engine(folder)
    assert f"Remove {folder / 'journal.log'}" in str(error.value)
    (folder / "journal.log").unlink()
    make_engine(folder).run()
    assert len(judged_keys(folder)) == CANDIDATES  # nothing was tried again


@pytest.mark.parametrize("content", [b"\0\xff\n" * 3, b"[1]\n", b'{"op_code": 99}\n'])
def test_a_journal_that_is_none_is_told(content: bytes, folder: Path) -> None:
    (folder / "journal.log").write_bytes(content)
    with pytest.raises(TrainingError, match=r"journal\.log is damaged"):
        make_engine(folder)


def test_a_time_too_short_for_one_candidate_is_told(folder: Path) -> None:
    (folder / "time.json").write_text('{"elapsed_s": 50.0}')
    with pytest.raises(UsageError, match="too short for one candidate") as error:
        make_engine(folder, time_s=51.0).run()
    assert "Give --time 2m or more." in str(error.value)  # 50 s before, 4 s for the candidate, and a start
    assert not (folder / "judged.txt").exists()


def test_candidates_for_which_there_is_time_are_tried_after_one_that_would_take_too_long(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(folder)
    expected_s = engine_of_search._expected_s
    monkeypatch.setattr(
        engine_of_search, "_expected_s", lambda images, cost: 1e6 if cost.latency_ms > 12 else expected_s(images, cost)
    )
    monkeypatch.setattr(engine_of_search, "pace_of", lambda outcomes, images: 1.0)
    engine.run()
    sides = {outcome.candidate.image.height_px for outcome in read_outcomes(folder)}
    assert sides == {40, 48, 56, 64, 72, 80, 96, 112}
    assert len(judged_keys(folder)) == len(sides)


def test_without_time_for_the_winner_no_candidate_is_measured(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = replace(make_engine(folder), reserve_s=lambda pace, tuning: 1000.0)
    make_engine(folder).step()
    measured: list[object] = []
    monkeypatch.setattr(shares, "cost", measured.append)
    assert engine.step() is None
    assert measured == []


def test_fine_tuning_of_the_best_comes_before_further_image_sizes(folder: Path) -> None:
    engine = replace(make_engine(folder), reserve_s=lambda pace, tuning: 1000.0 if tuning else 0.0)
    engine.run()
    assert judged_keys(folder) == [own_rule(name).key for name in shares.ARCHITECTURES]


def test_sizes_above_one_that_exceeds_the_limits_are_not_measured(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: set[int] = set()
    monkeypatch.setattr(shares, "cost", lambda candidate: (measured.add(candidate.image.height_px), cost(candidate))[1])
    make_engine(folder, limits=Limits(max_latency_ms=10.0)).run()
    assert measured == {40, 48, 56, 64, 72, 80, 96, 112}


def test_time_that_was_taken_before_counts(folder: Path) -> None:
    engine = make_engine(folder, time_s=6.0)
    assert 5 < engine.clock.left_s <= 6
    (folder / "time.json").write_text('{"elapsed_s": 1000.0}')
    assert make_engine(folder, time_s=1006.0).clock.left_s <= 6


def test_an_architecture_that_is_too_slow_is_tried_at_a_smaller_size(folder: Path) -> None:
    make_engine(folder, limits=Limits(max_latency_ms=10.0)).run()
    outcomes = read_outcomes(folder)
    large = [outcome for outcome in outcomes if outcome.candidate.architecture == "large"]
    assert {outcome.candidate.image.height_px for outcome in large} == {80, 96}
    assert all(outcome.cost.latency_ms <= 10 for outcome in outcomes)


def test_a_file_that_is_too_large_is_not_tried_at_any_size(folder: Path) -> None:
    make_engine(folder, limits=Limits(max_size_mb=5.0)).run()
    assert {outcome.candidate.architecture for outcome in read_outcomes(folder)} == {"small"}
