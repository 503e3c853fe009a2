"""``--min-confidence``: below it, the prediction is "unknown"."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.edge.conftest import RunBundle, reseal
from zoo.edge.classify import Answer
from zoo.edge.confidence import min_confidence
from zoo.edge.wording import as_json, as_text
from zoo.errors import UsageError, VerificationError

RECORD = {"suggested": 0.83, "target_accuracy": 0.99, "coverage": 0.91, "accuracy": 0.99, "images": 150}


def suggest(bundle: Path, record: Any) -> None:
    path = bundle / "spec.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"min_confidence": record}))
    reseal(bundle)


def test_what_is_less_likely_is_unknown(onnx_bundle: Path, run_bundle: RunBundle) -> None:
    pictures = sorted((onnx_bundle / "golden").glob("*.png"))
    asked = [json.loads(line) for line in run_bundle(onnx_bundle, "--json", *pictures).out.splitlines()]
    assert all(answer["known"] for answer in asked)
    shares = sorted(answer["probability"] for answer in asked)
    middle = shares[len(shares) // 2]  # a probability equal to the threshold is accepted
    done = run_bundle(onnx_bundle, "--json", "--min-confidence", repr(middle), *pictures)
    found = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0
    assert {answer["known"] for answer in found} == {True, False}
    for answer, before in zip(found, asked, strict=True):
        assert answer["known"] == (before["probability"] >= middle)
        assert answer["label"] == (before["label"] if answer["known"] else None)
        assert (answer["probability"], answer["top"]) == (before["probability"], before["top"])


def test_auto_takes_what_the_bundle_suggests(onnx_bundle: Path, run_bundle: RunBundle) -> None:
    picture = onnx_bundle / "golden" / "drawn.png"
    share = json.loads(run_bundle(onnx_bundle, "--json", picture).out)["probability"]
    for suggested, known in ((min(share + 1e-6, 1.0), share == 1.0), (share - 1e-6, True)):
        suggest(onnx_bundle, RECORD | {"suggested": suggested})
        done = run_bundle(onnx_bundle, "--json", "--min-confidence", "auto", picture)
        assert json.loads(done.out)["known"] is known, done.err
    suggest(onnx_bundle, None)
    done = run_bundle(onnx_bundle, "--min-confidence", "auto", picture)
    assert (done.code, done.out) == (2, "")
    assert "suggests no threshold" in done.err
    assert "--min-confidence 0.8" in done.err


@pytest.mark.parametrize("asked", ["1.5", "-0.1", "nan", "often", "", "accuracy=", "accuracy=98"])
def test_what_is_no_probability_is_refused(onnx_bundle: Path, run_bundle: RunBundle, asked: str) -> None:
    done = run_bundle(onnx_bundle, f"--min-confidence={asked}", onnx_bundle / "golden" / "drawn.png")
    assert done.code == 2
    assert "from 0 to 1, or 'auto'" in done.err


@pytest.mark.parametrize(
    "record", [{}, {"suggested": "0.8"}, {"suggested": 1.2}, {"suggested": True}, 0.8, {"suggested": None}]
)
def test_a_damaged_suggestion_is_no_threshold(record: Any) -> None:
    with pytest.raises(VerificationError, match="is damaged"):
        min_confidence("auto", {"min_confidence": record}, "It")


def test_the_same_function_reads_bundles_and_runs() -> None:
    assert min_confidence("auto", {"min_confidence": RECORD}, "It") == 0.83
    assert min_confidence("0.4", {"min_confidence": RECORD}, "It") == 0.4
    assert min_confidence(None, {"min_confidence": RECORD}, "It") is None
    with pytest.raises(UsageError, match="suggests no threshold"):
        min_confidence("auto", {}, "It")


def test_the_curve_has_the_threshold_for_an_accuracy() -> None:
    curve = [{"target_accuracy": target, "suggested": least} for target, least in ((0.95, 0.6), (0.98, 0.7))]
    values = {"min_confidence": RECORD | {"curve": curve}}
    for asked, least in (("0.9", 0.6), ("0.95", 0.6), ("0.96", 0.7), ("0.99", 0.83)):
        assert min_confidence(f"accuracy={asked}", values, "It") == least
    assert min_confidence("accuracy=0.99", {"min_confidence": RECORD}, "It") == 0.83  # an older file
    with pytest.raises(UsageError, match=r"no threshold for an accuracy of 0\.995") as refused:
        min_confidence("accuracy=0.995", values, "It")
    assert refused.value.hint == "It has some for: 0.95, 0.98, 0.99."
    for damaged in ([{}], [0.8], 0.8, [{"target_accuracy": "0.9", "suggested": 0.5}]):
        with pytest.raises(VerificationError, match="is damaged"):
            min_confidence("auto", {"min_confidence": RECORD | {"curve": damaged}}, "It")


def test_a_class_may_be_called_unknown() -> None:
    sure = Answer("unknown", 0.9, (("unknown", 0.9),))
    unsure = Answer("unknown", 0.4, (("unknown", 0.4),), known=False)
    assert json.loads(as_json("a.jpg", sure)) | {"top": 0} == {
        "file": "a.jpg",
        "label": "unknown",
        "known": True,
        "probability": 0.9,
        "top": 0,
    }
    assert json.loads(as_json("a.jpg", unsure))["label"] is None
    assert (as_text("a.jpg", sure), as_text("a.jpg", unsure)) == (
        "a.jpg: unknown 90.0 %",
        "a.jpg: unknown (unknown 40.0 %)",
    )
