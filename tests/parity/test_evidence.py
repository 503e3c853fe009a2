"""The effect of chance on the gates of 8-bit files: figures of the documentation, and verdicts on few images."""

from __future__ import annotations

import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from zoo.figures import percent
from zoo.parity import Gates, default_gates
from zoo.parity.evidence import loses_accuracy, most_flips, proves_accuracy, proves_agreement
from zoo.parity.gates import Agreed, GateResult, Paired
from zoo.parity.text import _thin, gate_figures, gate_interval, gate_verdict, images_text

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "decisions" / "0011-gates-and-chance.md"


@pytest.fixture(scope="module")
def simulated() -> Any:
    """The benchmark, as a module."""
    spec = spec_from_file_location("gate_errors", REPOSITORY / "benchmarks" / "gate_errors.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses need the module there
    spec.loader.exec_module(module)
    return module


def table(page: Path) -> dict[int, list[str]]:
    rows = [line.strip("| \n").split(" | ") for line in page.read_text(encoding="utf-8").splitlines()]
    return {int(row[0]): row[1:] for row in rows if row[0].isdigit()}


@pytest.mark.parametrize("n", [50, 150, 500])
def test_the_figures_in_the_documents_are_those_of_the_gates(simulated: Any, n: int) -> None:
    found = [percent(share) for share in simulated.errors("two classes", n).values()]
    assert found == table(PAGE)[n]
    assert found[2:] == table(REPOSITORY / "docs" / "how-to" / "export.md")[n]


@pytest.mark.parametrize("kind", ["two classes", "many classes"])
def test_500_photos_tell_a_good_file_from_a_bad_one(simulated: Any, kind: str) -> None:
    good, bad = simulated.FILES[kind]
    assert simulated.passes(simulated.new, good, 500) >= 0.95
    assert simulated.passes(simulated.new, bad, 500) <= 0.05


@pytest.mark.parametrize("n", [10, 50, 76, 95, 150, 300])
def test_chance_seldom_refuses_a_good_file_however_few_the_photos(simulated: Any, n: int) -> None:
    assert 1 - simulated.passes(simulated.new, simulated.FILES["two classes"][0], n) <= 0.05


def test_further_images_neither_refuse_good_files_nor_hide_bad_ones(simulated: Any) -> None:
    good, bad = simulated.FILES["two classes"]
    assert 1 - simulated.with_others(good, 150, 350, cases=2000) <= 0.05
    assert simulated.with_others(bad, 150, 350, cases=2000) <= 0.05


def test_one_loss_on_76_photos_is_chance_and_five_are_not() -> None:
    agreement, accuracy = int8(76, flips=1, only_keras=1)
    assert (agreement.passed, accuracy.passed) == (True, True)
    assert accuracy.value == pytest.approx(1 / 76)
    assert not int8(76, flips=5, only_keras=5)[1].passed
    assert loses_accuracy(2000, 30, 5, 0.01)
    assert not loses_accuracy(2000, 24, 5, 0.01)  # significant, but less than a point


def int8(n: int, flips: int, only_keras: int = 0) -> tuple[GateResult, ...]:
    agreed = [Agreed(splits={"test": n}, agreeing=n - flips)]
    paired = Paired(images=n, only_keras=only_keras, only_file=0)
    return default_gates("int8").judge(difference=None, flip_margin=0, agreed=agreed, paired=paired)


def test_few_photos_are_thin_evidence_and_many_are_not() -> None:
    assert [gate_verdict(gate) for gate in int8(50, 0)] == ["thin evidence", "thin evidence"]
    assert [gate_verdict(gate) for gate in int8(500, 3, 2)] == ["passed", "passed"]
    assert [gate_verdict(gate) for gate in int8(500, 30, 2)] == ["FAILED", "passed"]
    assert gate_interval(int8(150, 2)[0]) == "95.3 % to 99.8 %"


def test_every_set_of_images_must_keep_the_limit() -> None:
    agreed = [Agreed(splits={"test": 100}, agreeing=95), Agreed(splits={"test": 100, "train": 900}, agreeing=994)]
    test, everything = Gates(min_agreement=0.98).judge(
        difference=None, flip_margin=0, agreed=agreed, paired=Paired(images=100, only_keras=0, only_file=0)
    )
    assert (test.passed, everything.passed) == (False, True)
    assert (images_text(test), images_text(everything)) == ("100 test images", "1000 images (100 test, 900 training)")


@pytest.mark.parametrize("limit", [0, 0.01, 0.3, 0.49, 0.5, 0.51, 0.98, 1])
def test_no_figure_of_a_gate_is_out_of_range(limit: float) -> None:
    """For any limits, a share is between 0 % and 100 %, and a difference between -100 and 100 points."""
    gates = Gates(min_agreement=limit, max_accuracy_drop=limit)
    said = []
    for images in (1, 3, 50):
        for flips in {0, 1, images // 2, images}:
            for only_keras, only_file in ((0, 0), (flips, 0), (0, flips)):
                results = gates.judge(
                    difference=None,
                    flip_margin=0,
                    agreed=[Agreed(splits={"test": images}, agreeing=images - flips)],
                    paired=Paired(images=images, only_keras=only_keras, only_file=only_file),
                )
                for gate in results:
                    said += [*gate_figures(gate), gate_interval(gate), *([_thin(gate)] if gate.thin else [])]
    shares = [float(share) for text in said for share in re.findall(r"(-?[\d.]+) %", text)]
    changes = [float(change) for text in said for change in re.findall(r"(-?[\d.]+)(?: to [-\d.]+)? points", text)]
    assert all(0 <= share <= 100 for share in shares)
    assert all(-100 <= change <= 100 for change in changes)
    assert len(shares) > 50
    assert not [text for text in said if "cannot distinguish 0.0 % from" in text]


def test_a_limit_without_room_for_chance_has_none() -> None:
    assert most_flips(500, 1.0) == 0
    assert proves_agreement(10, 0, 1.0)
    assert most_flips(500, 0.0) == 500
    assert proves_accuracy(10, 0, 0, 0.0)
    # Three of 76 are not a significant loss, but do not prove that there is none.
    strict = Gates(max_accuracy_drop=0.0)
    (gate,) = strict.judge(
        difference=None, flip_margin=0, agreed=[], paired=Paired(images=76, only_keras=3, only_file=0)
    )
    assert gate_verdict(gate) == "thin evidence"
