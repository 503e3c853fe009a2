"""All tables of all commands fit into the width of a window, and are unchanged in a pipe."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.cells import cell_len as width_of  # an independent implementation

from tests.audit.test_repeats import check as audit
from tests.parity.linear import make_subject
from tests.report.conftest import draw_photos, write_run
from tests.report.test_devices import row as bench_row
from zoo.cli import answers, export_table, search, summary
from zoo.cli.data import split
from zoo.cli.main import cli
from zoo.cli.plugin import check as plugin_check
from zoo.parity import Verification
from zoo.registry import architectures, datasets, exporters
from zoo.run_folder import Run
from zoo.table import prose, terminal_width
from zoo.workflows.planning import best_pretrained

CHINESE, ARABIC, SPACES = "英式橄榄球比赛用球", "كُرَةُ القَدَمِ الأَمِيرِكِيَّة", "a class whose name has many words " * 3
LONG = "a_class_name_without_any_space_that_goes_on_for_eighty_characters_and_then_it_ends"
LABELS = (CHINESE, ARABIC, LONG, SPACES.strip())
TERMINALS = (20, 60, 80, 120)

pytestmark = pytest.mark.usefixtures("cache_folder")


class Window(io.StringIO):
    """Standard output that may be a terminal."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    folder = tmp_path_factory.mktemp("tables")
    names = draw_photos(folder / "photos", LABELS, each=10)
    return [write_run(folder / "runs", folder / "photos", names, strength=seed, seed=seed) for seed in (0, 3)]


def photos(runs: list[Run]) -> Path:
    return Path(runs[0].info.data.root)


def command(*arguments: str) -> Callable[[list[Run]], None]:
    def call(runs: list[Run]) -> None:
        folder = str(runs[0].path.parent)
        of_runs = {"runs": [], "show": [str(runs[0].path)], "compare": [str(run.path) for run in runs]}
        more = [*of_runs[arguments[0]], "--runs", folder] if arguments[0] in of_runs else []
        cli.main([*arguments, *more], standalone_mode=False)

    return call


def evaluate(runs: list[Run]) -> None:
    print("\n".join(summary.per_class_lines(runs[1].metrics, width=terminal_width())))


def predict(runs: list[Run]) -> None:
    show = answers.answers_shown(False, 2, "photos/0.jpg", LABELS, False)
    for number, label in enumerate(LABELS):
        top: Any = ((label, 0.941), (LABELS[number - 1], 0.023))
        show(f"photos/{number}.jpg", SimpleNamespace(label=label, probability=0.941, top=top, known=True))  # type: ignore[arg-type]


def divided(runs: list[Run]) -> None:
    print(split._table({part: dict.fromkeys(LABELS, 1234) for part in ("train", "val", "test")}))


def checked(runs: list[Run]) -> None:
    from zoo.audit.text import summary as told

    print(prose(told(audit(labelled(runs)), terminal_width()), terminal_width()))


def labelled(runs: list[Run]) -> Path:
    source = runs[0].path.parent / "labels.csv"
    rows = [",".join((f'"{photos(runs) / row["path"]}"', f'"{row["label"]}"')) for row in runs[0].split()]
    source.write_text("\n".join(["path,label", *rows]), encoding="utf-8")
    return source


def verify(runs: list[Run]) -> None:
    from zoo.parity.text import _flips, _gates, _sides

    found = verified(labelled(runs))
    assert found.values is not None
    flip = SimpleNamespace(
        file="photos/a.jpg",
        label=LONG,
        keras=ARABIC,
        keras_confidence=0.9,
        answered=CHINESE,
        confidence=0.8,
        margin=0.1,
    )
    width = terminal_width()
    print(_sides(found.values, width))
    print(_flips(SimpleNamespace(flips=[flip]), width))  # type: ignore[arg-type]
    print(_gates(found.gates, width))


@cache
def verified(source: Path) -> Verification:
    subject = make_subject(source, tuple(sorted(LABELS)))
    return subject.verify(source.parent, subject.file)


def export(runs: list[Run]) -> None:
    kind = SimpleNamespace(exporter=SimpleNamespace(name="onnx", app=None), precision="float32")
    made: Any = SimpleNamespace(
        target=kind,
        error=None,
        verification=None,
        kept=True,
        size_bytes=8_860_000,
        latency_ms=2.27,
        path=Path("a.onnx"),
    )
    print(export_table.told((made,), [])[0])


def merged(runs: list[Run]) -> None:
    from zoo.report.bench_table import Merged

    print(
        Merged((bench_row("Some(R) Processor Platinum 8481C CPU @ 2.70GHz", "onnx", "int8", 2.5),), ()).as_text(
            terminal_width()
        )
    )


def bench(runs: list[Run]) -> None:
    from zoo.edge.bench import as_text

    times = {"p50_ms": 1234.56, "p95_ms": 2345.67, "images_per_s": 131.5, "megapixels": 0.25}
    speed = {"threads": 2, "model": times, "photo": times, "best_batch": {"size": 16, "images_per_s": 222.0}}
    speed["copies"] = times
    model = {"file": "mobilenetv2.onnx", "format": "onnx", "precision": "int8", "bytes": 3_800_000}
    start = {"median": 0.27, "min": 0.2, "max": 0.3}
    result = {"model": model, "runtime": {"name": "onnxruntime", "version": "1.32.0"}, "cold_start_s": start}
    print(
        as_text(
            {**result, "load_ms": 20.0, "peak_memory_bytes": 119_000_000, "threads": [speed], "pictures": "photo"},
            terminal_width(),
        )
    )


def searched(runs: list[Run]) -> None:
    cost = SimpleNamespace(source="estimated", latency_ms=4.52, size_mb=13.98)
    outcome = SimpleNamespace(cost=cost, candidate=SimpleNamespace(key="a"))
    judged = SimpleNamespace(accuracy=0.941, accuracy_interval=(0.89, 0.968), brier_score=0.0921)
    found: Any = SimpleNamespace(
        ranked=[(outcome, judged)], front=("a",), device="", outcomes=[outcome], run=runs[0], file="file", second="",
        form="onnx float32", cost=cost, page="page",
    )  # fmt: skip
    print(search.told(found)[1])


def plugin_checked(runs: list[Run]) -> None:
    from zoo.testing.result import CheckResult

    print()
    plugin_check._show(
        CheckResult(name="export_onnx_int8", status="failed", expected="a file of 3.8 MB", seen="none at all", mend="x")
    )


def fetched(runs: list[Run]) -> None:
    from collections import Counter

    from zoo.cli.data.fetch.running import tell_end
    from zoo.fetch.folder import Failure

    failure = Failure(url="u", label="a", reason="the server said 404 for this address", temporary=False)
    tell_end(SimpleNamespace(root=Path("photos")), Counter({"a": 1}), 1, [failure])  # type: ignore[arg-type]


TABLES: dict[str, Callable[[list[Run]], None]] = {
    "list": command("list"),
    "plugin list": command("plugin", "list"),
    "runs": command("runs"),
    "show": command("show"),
    "compare": command("compare"),
    "evaluate": evaluate,
    "predict": predict,
    "data split": divided,
    "data check": checked,
    "data fetch": fetched,
    "verify": verify,
    "export": export,
    "bench": bench,
    "bench --merge": merged,
    "search": searched,
    "plugin check": plugin_checked,
}


def shown(name: str, runs: list[Run], width: int | None, monkeypatch: pytest.MonkeyPatch) -> str:
    stdout = Window(is_terminal=width is not None)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        patch.setenv("COLUMNS", str(width or 20))
        TABLES[name](runs)
    return stdout.getvalue()


def shortens(word: str, long: set[str]) -> bool:
    head, dots, tail = word.partition("…")
    # Removes the ellipsis at the end of a summary that is cut at a word.
    return bool(dots) and (word == "…" or any(each.startswith(head) and each.endswith(tail) for each in long))


@pytest.mark.parametrize("name", TABLES)
def test_tables_fit_the_window(name: str, runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    piped = shown(name, runs, None, monkeypatch)
    words = set((piped + shown(name, runs, 400, monkeypatch)).replace(":", " ").split())
    assert len(words) > 8
    for width in TERMINALS:
        text = shown(name, runs, width, monkeypatch).split("Next:")[0]  # a command is not a table
        # A path may be wider than the window; then it is alone on its line.
        wide = [line for line in text.splitlines() if width_of(line) > width and len(line.split()) > 1]
        assert not wide, f"at {width} columns: {wide}"
        # No number and no name is broken: what is shown are words of the pipe. A word is shortened where no window of
        # that width has room for it beside an indent.
        rows = text.split("Too narrow for")[0]
        long = {word for word in words if width_of(word) > width - 4}
        broken = {word for word in rows.replace(":", " ").split() if word not in words and not shortens(word, long)}
        assert broken <= {"Too", "narrow"}, f"at {width} columns: {broken}"
        assert not [line for line in text.splitlines() if line.strip().startswith("%")]


def test_a_pipe_gets_one_line_per_row_for_any_window(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown("evaluate", runs, None, monkeypatch).splitlines()
    for label in LABELS:
        (line,) = [line for line in lines if label in line]
        assert len(line.removeprefix(f"  {label}").split()) == 4
    starts = {width_of(line[: line.rindex(line.split()[-1])] + line.split()[-1]) for line in lines[:5]}
    assert len(starts) == 1  # columns are aligned by what a terminal shows, not by characters


def test_the_least_important_columns_go_first_and_are_named(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = shown("compare", runs, 60, monkeypatch)
    assert "accuracy" in narrow.splitlines()[1] or "accuracy" in narrow.splitlines()[0]
    assert "Too narrow for: recipe" in narrow
    assert "Too narrow" not in shown("compare", runs, 200, monkeypatch)


def test_the_list_has_a_line_each_by_use_and_what_could_be_installed_apart(
    runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.cli.list.is_installed", lambda distribution: distribution != "zoo-keras-applications")
    installed, known = shown("list", runs, 80, monkeypatch).split("Known but not installed")
    names = [offer.record.name for registry in (architectures(), datasets(), exporters()) for offer in registry]
    assert sorted(line.split()[0] for line in installed.splitlines() if line.startswith("  ")) == sorted(names)
    best = best_pretrained()
    assert best is not None
    assert installed.splitlines()[1].split()[0] == best[0]  # the architecture that `zoo train --data` chooses
    assert installed.index("simple_cnn") > installed.index("mobilenetv2")
    assert "pip install" in known
    assert "resnet50" in known
    assert "efficientnet_lite0" not in known
