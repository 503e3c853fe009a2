"""Running the checks: results, expected failures, the pytest decorator, the command."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.conformance.broken import SOUND
from tests.conftest import RunZoo, Zoo
from zoo import UsageError
from zoo.testing import check_names, parametrize_with_checks, run_checks
from zoo.testing.fitted import settle_batch_norm

BAD_SUMMARY = replace(SOUND, summary="")


@parametrize_with_checks(["simple_cnn"])
def test_what_ships_with_zoo_passes(check) -> None:
    check()


# tests/parity/test_matrix.py compares its files in every format and precision with Keras on real photos, in a process
# that opens the saved model without zoo.
@pytest.mark.long
@parametrize_with_checks(["mobilenetv2"], checks=[name for name in check_names() if not name.startswith("export_")])
def test_what_ships_with_zoo_passes_without_its_files(check) -> None:
    check()


def test_statistics_of_batch_norm_are_those_of_inference() -> None:
    image = keras.Input((8, 8, 3))
    dropout = keras.layers.SpatialDropout2D(0.5)
    norm = keras.layers.BatchNormalization(momentum=0.9)
    model = keras.Model(image, norm(dropout(image)))
    pixels = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3)).astype(np.uint8)
    settle_batch_norm(model, pixels)
    np.testing.assert_allclose(norm.moving_mean, pixels.mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, pixels.var(axis=(0, 1, 2)), rtol=1e-4)
    assert (dropout.rate, norm.momentum) == (0.5, 0.9)


def test_an_expected_failure_is_told_with_its_reason() -> None:
    (result,) = run_checks(BAD_SUMMARY, checks=["record"], expected_failures={"record": "it has no words"})
    assert (result.status, result.reason, result.ok) == ("expected_failure", "it has no words", True)
    assert result.seen == "''"


def test_the_record_may_name_it() -> None:
    record = replace(BAD_SUMMARY, expected_failures={"record": "it has no words"})
    (result,) = run_checks(record, checks=["record"])
    assert (result.status, result.reason) == ("expected_failure", "it has no words")


def test_an_unexpected_pass_fails() -> None:
    (result,) = run_checks(SOUND, checks=["record"], expected_failures={"record": "it once had no words"})
    assert (result.status, result.ok) == ("unexpected_pass", False)
    assert result.mend == "Remove 'record' from the expected failures."
    assert "passes, although it was expected to fail: it once had no words" in str(result)


def test_results_come_one_by_one_and_in_order() -> None:
    heard = []
    results = run_checks(SOUND, checks=["raw_pixels", "record"], each=heard.append)
    assert heard == results
    assert [result.name for result in results] == ["record", "raw_pixels"]
    assert all(result.status == "passed" and result.seen and not result.mend for result in results)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"record": "simpel_cnn"}, "Did you mean 'simple_cnn'?"),
        ({"record": SOUND, "checks": ["recrod"]}, "Unknown check 'recrod'. Did you mean 'record'?"),
        ({"record": SOUND, "checks": []}, "No check is named."),
        ({"record": SOUND, "expected_failures": {"bilds": "x"}}, "Unknown check 'bilds'. Did you mean 'builds'?"),
    ],
)
def test_names_that_are_not_known(arguments: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        run_checks(**arguments)
    assert told in str(caught.value)


def test_a_format_that_is_not_installed_here_may_be_expected_to_fail() -> None:
    (result,) = run_checks(SOUND, checks=["record"], expected_failures={"export_hailo_int8": "no such operator"})
    assert result.status == "passed"


def test_a_size_that_does_not_build_is_said() -> None:
    (result,) = run_checks("mobilenetv2", checks=["probabilities"], size_px=16)
    assert result.status == "failed"
    assert "needs images of at least 32x32 pixels" in result.seen


TESTS = """
from dataclasses import replace

import pytest
from zoo import Architecture
from zoo.testing import parametrize_with_checks

GOOD = Architecture(name="good", summary="Good", build=lambda input_shape, num_classes: None)
BAD = replace(GOOD, name="bad", summary="")


@parametrize_with_checks([GOOD, BAD], checks=["record"])
def test_plain(check):
    check()


@parametrize_with_checks(
    [GOOD, BAD],
    checks=["record"],
    expected_failures=lambda architecture: {"record": "it has no words"} if architecture is BAD else {},
)
def test_expected(check):
    check()


@parametrize_with_checks([GOOD], checks=["record"], expected_failures={"record": "it once had no words"})
def test_unexpected(check):
    check()
"""


def test_the_pytest_decorator(tmp_path: Path) -> None:
    (tmp_path / "test_good.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-rA", "-q", "-p", "no:cacheprovider", "test_good.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    outcomes = [line for line in done.stdout.splitlines() if line.startswith(("PASSED", "FAILED", "XFAIL", "ERROR"))]
    assert sorted(line.split(" - ")[0] for line in outcomes) == [
        "FAILED test_good.py::test_plain[bad-record]",
        "FAILED test_good.py::test_unexpected[good-record]",
        "PASSED test_good.py::test_expected[good-record]",
        "PASSED test_good.py::test_plain[good-record]",
        "XFAIL test_good.py::test_expected[bad-record]",
    ]
    assert "expected: a summary of one line" in done.stdout
    assert "fix:      Describe its purpose in one line." in done.stdout
    assert "it has no words" in done.stdout
    assert "passes, although it was expected to fail: it once had no words" in done.stdout


def test_the_command_prints_json(run_zoo: RunZoo) -> None:
    done = run_zoo("plugin", "check", "simple_cnn", "--check", "record", "--check", "import_purity", "--json")
    assert done.code == 0
    found = json.loads(done.out)
    assert (found["kind"], found["name"], found["ok"]) == ("architecture", "simple_cnn", True)
    assert [check["name"] for check in found["checks"]] == ["record", "import_purity"]
    assert set(found["checks"][0]) == {"name", "status", "expected", "seen", "mend", "seconds", "reason"}


def test_the_command_says_what_to_mend_and_ends_with_3(run_zoo: RunZoo, fake_plugin) -> None:
    code = (
        "from zoo import Architecture, hookimpl\n"
        "@hookimpl\n"
        "def zoo_architectures():\n"
        "    return [Architecture(name='wordless', summary='', build=lambda input_shape, num_classes: None)]\n"
    )
    fake_plugin("zoo-wordless", code)
    done = run_zoo("plugin", "check", "wordless", "--check", "record")
    assert done.code == 3
    for line in ("expected: a summary of one line", "seen: ''", "fix: Describe its purpose in one line."):
        assert line in done.out
    assert done.err.strip().splitlines()[-2] == "Error: wordless does not pass 1 of 1 checks: record."
    excused = run_zoo("plugin", "check", "wordless", "--check", "record", "--expect", "record=it has no words")
    assert excused.code == 0
    assert "it has no words" in excused.out
    assert "1 failed as expected" in excused.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["simpel_cnn"], "Did you mean 'simple_cnn'?"),
        (["simple_cnn", "--check", "recrod"], "Did you mean 'record'?"),
        (["simple_cnn", "--expect", "record"], "--expect takes CHECK=REASON. Received: 'record'."),
        (["simple_cnn", "--expect", "recrod=x"], "Did you mean 'record'?"),
    ],
)
def test_the_command_refuses_names_before_any_work(arguments: list[str], told: str, run_zoo: RunZoo) -> None:
    done = run_zoo("plugin", "check", *arguments)
    assert done.code == 2
    assert told in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        ("architecture", "Architectures"),
        ("exporter", "Exporters"),
        ("dataset", "Datasets"),
        ("callbacks", "Callbacks"),
    ],
)
def test_the_reference_names_every_check(kind: str, title: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "conformance.md").read_text()
    section = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in row.split("`")[1::2]]
    assert sorted(named) == sorted(
        {name if not name.startswith("export_") else "export_FORMAT_PRECISION" for name in check_names(kind)}
    )


def test_a_name_may_be_of_any_kind(zoo: Zoo) -> None:
    for name, kind in (("onnx", "exporter"), ("digits", "dataset")):
        done = zoo("plugin", "check", name, "--check", "record", "--json")
        assert done.code == 0, done.err
        found = json.loads(done.out)
        assert (found["kind"], found["name"], found["ok"]) == (kind, name, True)
    done = zoo("plugin", "check", "onnx", "--kind", "architecture")
    assert done.code == 2
    assert "Unknown architecture 'onnx'." in done.err
