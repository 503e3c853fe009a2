"""Complete verifications on image files: those that must pass, and those that must fail."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import draw_photo
from tests.parity.linear import CELL, LINEAR, SPEC, LinearFile, Subject, keras_model, make_subject
from zoo.data import TEST, VAL
from zoo.errors import DataError, VerificationError
from zoo.evaluation.trained import model_digest
from zoo.exported import Metadata
from zoo.exporting.job import Exported, Target
from zoo.exporting.outcome import refuse
from zoo.parity import Gates, Unused, acceptance, keras_predictions, render, thin_evidence, verify
from zoo.registry import exporters


def test_a_faithful_file_passes_without_a_flip(subject: Subject, tmp_path: Path) -> None:
    found = subject.verify(tmp_path, subject.file)
    assert found.passed
    assert found.failures == ()
    assert found.n == 60
    assert found.tensor is not None
    assert (found.tensor.images, found.tensor.max_difference) == (0, 0)
    assert found.values is not None
    assert found.values.flips == ()
    assert found.values.agreement == 1
    assert found.values.difference is not None
    assert 0 < found.values.difference.max < 1e-5
    assert found.values.accuracy_difference == 0
    assert found.values.keras.log_loss == pytest.approx(found.values.file.log_loss, abs=1e-5)
    assert 0.5 < found.values.keras.accuracy < 1
    assert [gate.name for gate in found.gates] == ["max_difference", "max_flip_margin"]
    assert all(gate.passed for gate in found.gates)


def test_real_photographs_pass_as_well(shared_data: Path, tmp_path: Path) -> None:
    for label in ("rugby", "soccer"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        photos = sorted((shared_data / "rugby_soccer" / "test" / label).iterdir())[:12]
        for photo in photos:
            shutil.copy(photo, tmp_path / "photos" / label)
    subject = make_subject(tmp_path / "photos", ("rugby", "soccer"))
    found = subject.verify(tmp_path, subject.file)
    assert found.n == 24
    assert found.passed


def test_one_nudged_weight_fails(subject: Subject, tmp_path: Path) -> None:
    kernel = subject.file.kernel.copy()
    kernel[40, 1] += 0.01
    found = subject.verify(tmp_path, replace(subject.file, kernel=kernel))
    assert not found.passed
    (sentence,) = found.failures
    assert sentence.startswith("A probability of the float32 model differs from Keras by 0.00")
    assert "0.0001 is allowed" in sentence
    assert found.tensor is not None
    assert found.tensor.images == 0


def test_a_swapped_pair_of_labels_fails(subject: Subject, tmp_path: Path) -> None:
    swapped = ("apple", "plum", "lime", "sky")
    found = subject.verify(tmp_path, subject.with_metadata(labels=swapped))
    assert not found.passed
    assert found.failures[0] == (
        "Output 1 has the label 'plum' in the file, but 'lime' in the model. Other labels that differ: 1."
    )
    assert found.values is not None
    assert any((flip.keras, flip.answered) == ("lime", "plum") for flip in found.values.flips)


def test_outputs_in_another_order_with_their_labels_agree_but_break_the_contract(
    subject: Subject, tmp_path: Path
) -> None:
    order = [0, 2, 1, 3]
    file = subject.with_metadata(labels=("apple", "plum", "lime", "sky"))
    found = subject.verify(tmp_path, replace(file, kernel=subject.file.kernel[:, order], bias=subject.file.bias[order]))
    assert len(found.failures) == 1
    assert found.values is not None
    assert found.values.agreement == 1


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_blue_for_red_fails_at_any_precision(subject: Subject, tmp_path: Path, precision: str) -> None:
    side = SPEC.height_px // CELL
    by_channel = subject.file.kernel.reshape(side, side, 3, -1)
    kernel = by_channel[:, :, ::-1].reshape(subject.file.kernel.shape)
    file = replace(subject.with_metadata(precision=precision), kernel=kernel)
    if precision == "int8":
        file = replace(file, inputs=(replace(file.inputs[0], dtype="uint8"),))
    found = subject.verify(tmp_path, file)
    assert not found.passed
    assert found.tensor is not None
    assert found.tensor.images == 0
    assert found.contract.problems == ()
    assert found.values is not None
    assert len(found.values.flips) > 20


def test_another_resize_rule_fails_and_the_pixels_tell(subject: Subject, tmp_path: Path) -> None:
    found = subject.verify(tmp_path, subject.with_metadata(image=replace(SPEC, resize="letterbox")))
    assert not found.passed
    assert (
        found.failures[0]
        == "The preprocessing of the file differs from that of the model: resize 'letterbox' instead of 'squash'."
    )
    assert found.failures[1].startswith("The input pixels of the file and of Keras differ on 60 of 60")
    assert found.tensor is not None
    assert found.tensor.max_difference is not None
    assert found.tensor.max_difference > 50


def test_another_size_fails_although_the_file_can_predict(subject: Subject, tmp_path: Path) -> None:
    spec = replace(SPEC, height_px=56, width_px=40)
    file = subject.with_metadata(image=spec)
    kernel = np.resize(file.kernel, (5 * 7 * 3, 4))
    inputs = (replace(file.inputs[0], shape=(None, *spec.input_shape)),)
    found = subject.verify(tmp_path, replace(file, kernel=kernel, inputs=inputs))
    assert found.failures[:2] == (
        "The preprocessing of the file differs from that of the model: height_px 56 instead of 48, width_px 40"
        " instead of 48.",
        "The preprocessing of the file results in another image size than that of the model.",
    )
    assert found.values is not None


def test_image_files_are_read_anew(tmp_path: Path) -> None:
    for label, hue in (("apple", 0), ("lime", 60)):
        for number in range(4):
            draw_photo(tmp_path / "photos" / label / f"{number}.jpg", hue, number)
    subject = make_subject(tmp_path / "photos", ("apple", "lime"))
    assert subject.verify(tmp_path, subject.file).passed
    draw_photo(tmp_path / "photos" / "lime" / "2.jpg", 0, 7)
    found = subject.verify(tmp_path, subject.file)
    assert "on 1 of 8 images, by up to" in found.failures[0]
    assert "(lime/2.jpg). The preprocessing is not the same." in found.failures[0]
    (tmp_path / "photos" / "lime" / "2.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"lime/2\.jpg"):
        subject.verify(tmp_path, subject.file)


def test_a_prediction_that_is_not_finite_fails_and_agrees_with_nothing(subject: Subject, tmp_path: Path) -> None:
    found = subject.verify(tmp_path, replace(subject.file, answer="nan where dark"))
    assert found.values is not None
    dark = len(found.values.not_finite)
    assert 0 < dark < 60
    assert found.failures == (
        f"The outputs of the file are not finite on {dark} of 60 images ({found.values.not_finite[0]}).",
    )
    assert found.values.agreeing == 60 - dark
    assert found.values.file.log_loss is None
    assert found.values.file.accuracy < found.values.keras.accuracy
    json.dumps(found.as_dict(), allow_nan=False)


def test_a_file_without_one_finite_answer_fails(subject: Subject, tmp_path: Path) -> None:
    kernel = np.full_like(subject.file.kernel, np.nan)
    found = subject.verify(tmp_path, replace(subject.file, kernel=kernel))
    assert "The outputs of the file are not finite on 60 of 60 images" in found.failures[0]
    assert found.failures[1] == "No probability can be compared with Keras."
    json.dumps([found.as_dict(), found.summary()], allow_nan=False)


def test_logits_fail_even_if_all_predictions_agree(subject: Subject, tmp_path: Path) -> None:
    file = replace(subject.with_metadata(precision="int8"), answer="logits")
    file = replace(file, inputs=(replace(file.inputs[0], dtype="uint8"),))
    found = subject.verify(tmp_path, file)
    assert all(gate.passed for gate in found.gates)
    (sentence,) = found.failures
    assert sentence.startswith("The outputs of the file are not probabilities: they range from")


def test_int8_is_judged_by_its_predictions(subject: Subject, tmp_path: Path) -> None:
    file = subject.with_metadata(precision="int8")
    file = replace(file, inputs=(replace(file.inputs[0], dtype="uint8"),))
    scale = np.abs(file.kernel).max() / 127
    fine = subject.verify(tmp_path, replace(file, kernel=np.rint(file.kernel / scale).astype(np.float32) * scale))
    assert fine.failures == ()
    assert fine.values is not None
    assert fine.values.difference is not None
    assert fine.values.difference.max > 1e-4
    assert fine.as_dict()["contract"]["notes"] == ("Round halves to even.",)  # the exporter's, on int8
    assert [gate.name for gate in fine.gates] == ["min_agreement", "max_accuracy_drop"]
    coarse = subject.verify(
        tmp_path, replace(file, kernel=np.rint(file.kernel / scale / 64).astype(np.float32) * scale * 64)
    )
    assert coarse.values is not None
    agreeing = coarse.values.agreeing
    assert agreeing < 58
    assert coarse.failures[0].startswith(
        f"The int8 model predicts the same class as Keras on {agreeing} of 60 test images ("
    )
    assert coarse.failures[0].endswith("required, which for this number of images means at least 58 of them.")
    assert coarse.failures[1].endswith("A significant loss of more than 1.0 points is not allowed.")


def coarse_int8(subject: Subject) -> LinearFile:
    file = subject.with_metadata(precision="int8")
    scale = np.abs(file.kernel).max() / 2
    kernel = np.rint(file.kernel / scale).astype(np.float32) * scale
    return replace(file, kernel=kernel, inputs=(replace(file.inputs[0], dtype="uint8"),))


def test_the_options_that_a_refusal_names_are_those_that_help(subject: Subject, tmp_path: Path) -> None:
    file = coarse_int8(subject)
    refused = subject.verify(tmp_path, file)
    options = acceptance(refused)
    assert options is not None
    words = options.split()
    given = dict(zip(words[::2], map(float, words[1::2]), strict=True))
    assert set(given) == {
        {"min_agreement": "--min-agreement", "max_accuracy_drop": "--max-accuracy-drop"}[gate.name]
        for gate in refused.gates
        if not gate.passed
    }
    agreement, drop = given.get("--min-agreement", 0.98), given.get("--max-accuracy-drop", 0.01)
    kept = subject.verify(tmp_path, file, Gates(min_agreement=agreement, max_accuracy_drop=drop))
    assert kept.passed
    assert acceptance(subject.verify(tmp_path, replace(file, answer="logits"))) is None


@pytest.mark.parametrize(("quick", "said"), [(True, "--int8-effort best"), (False, "--precision float16")])
def test_a_refusal_of_int8_names_the_next_best_export(subject: Subject, tmp_path: Path, quick: bool, said: str) -> None:
    verification = subject.verify(tmp_path, coarse_int8(subject))
    target = Target(exporters().get("onnx"), "int8")
    with pytest.raises(VerificationError) as refused:
        refuse([Exported(target, tmp_path / "verify.html", 0, verification, 0.0)], quick)
    assert f"Or use {said}" in str(refused.value.hint)


def test_further_images_count_for_agreement(subject: Subject, tmp_path: Path) -> None:
    unused = Unused(replace(subject.data, splits=("val",) * 60), subject.expected)
    exported = coarse_int8(subject).write(tmp_path / "model.npz")
    asked: list[tuple[int, int]] = []
    found = verify(
        LINEAR,
        exported,
        subject.reference,
        subject.data,
        TEST,
        progress=lambda *done: asked.append(done),
        expected=subject.expected,
        unused=unused,
    )
    assert asked == [(count, 60) for count in range(1, 61)] * 2  # progress is reported for every image
    own, together, _ = found.gates
    assert (own.splits, together.splits) == ({"test": 60}, {"test": 60, "val": 60})
    assert own.value == together.value
    assert "agreement with Keras, 120 images (60 test, 60 validation)" in render(found)


def test_labels_in_reverse_order_are_told_though_the_file_agrees(subject: Subject, tmp_path: Path) -> None:
    kernel, bias = subject.file.kernel[:, ::-1].copy(), subject.file.bias[::-1].copy()
    reference = replace(subject.reference, load=keras_model(SPEC, kernel, bias))
    reverse = Subject(subject.data, reference, replace(subject.file, kernel=kernel, bias=bias))
    digest = model_digest(reference.load())
    found = reverse.verify(tmp_path, reverse.with_metadata(model_digest=digest))
    assert found.passed
    assert found.values is not None
    assert found.values.agreement == 1
    assert "The order that fits is: sky, plum, lime, apple." in found.warnings[-1]
    assert found.as_dict()["warnings"] == list(found.warnings)
    assert found.summary()["warnings"] == ["baseline", "label_order"]
    assert f"WARNING: {found.warnings[-1]}" in render(found)
    assert subject.verify(tmp_path, subject.file).warnings == ()


def test_a_verdict_on_few_images_says_so(subject: Subject, tmp_path: Path) -> None:
    file = subject.with_metadata(precision="int8")
    found = subject.verify(tmp_path, replace(file, inputs=(replace(file.inputs[0], dtype="uint8"),)))
    assert (found.passed, found.thin) == (True, True)
    assert found.as_dict()["evidence"] == found.summary()["evidence"] == "thin"
    assert thin_evidence(found)[0] == (
        "Agreement passed on thin evidence: 60 of 60 test images cannot distinguish 98.0 % from 96.0 % "
        "(95 % interval 94.0 % to 100.0 %)."
    )
    assert all(sentence in render(found) for sentence in thin_evidence(found))
    assert subject.verify(tmp_path, subject.file).summary()["evidence"] == "enough"


def test_every_flip_is_listed_with_its_margin(subject: Subject, tmp_path: Path) -> None:
    bias = subject.file.bias + np.array([0, 0, 0, 1.5], np.float32)
    found = subject.verify(tmp_path, replace(subject.file, bias=bias))
    assert found.values is not None
    names = [subject.data.names[index] for index in subject.data.indices(TEST)]
    answered = [flip.file for flip in found.values.flips]
    assert len(answered) == 60 - found.values.agreeing > 3
    margins = [flip.margin for flip in found.values.flips]
    assert margins == sorted(margins, reverse=True)
    for flip in found.values.flips:
        row = subject.expected[names.index(flip.file)]
        assert flip.answered == "sky"
        assert flip.label == flip.file.split("/")[0]
        assert flip.keras == subject.data.labels[int(row.argmax())]
        assert flip.keras_confidence == row.max()
        assert flip.margin == pytest.approx(row.max() - row[3])
    assert found.failures[1].endswith(f"margin {margins[0]:.3g}.")


def test_given_gates_take_the_place_of_the_defaults(subject: Subject, tmp_path: Path) -> None:
    kernel = subject.file.kernel.copy()
    kernel[40, 1] += 0.01
    nudged = replace(subject.file, kernel=kernel)
    assert subject.verify(tmp_path, nudged, Gates(max_difference=0.1)).passed
    assert not subject.verify(tmp_path, subject.file, Gates(max_difference=1e-9)).passed


def test_a_file_without_metadata_fails_but_is_asked(subject: Subject, tmp_path: Path) -> None:
    found = subject.verify(tmp_path, replace(subject.file, metadata=None))
    assert found.failures == ("The file has no zoo metadata: its labels, preprocessing and precision are not known.",)
    assert found.values is not None
    assert found.values.agreement == 1
    assert found.as_dict()["metadata"] is None


def test_a_file_that_cannot_be_asked_fails_without_asking(subject: Subject, tmp_path: Path) -> None:
    outputs = (replace(subject.file.outputs[0], shape=(None, 7)),)
    found = subject.verify(tmp_path, replace(subject.file, outputs=outputs))
    assert found.failures == ("The output has the shape (batch, 7); expected (batch, 4).",)
    assert (found.tensor, found.values, found.gates) == (None, None, ())
    json.dumps([found.as_dict(), found.summary()], allow_nan=False)


def test_the_summary_and_the_record_are_plain_json(subject: Subject, tmp_path: Path) -> None:
    found = subject.verify(tmp_path, subject.file)
    summary = json.loads(json.dumps(found.summary(), allow_nan=False))
    assert summary["status"] == "verified"
    assert (summary["n"], summary["split"], summary["agreement"]) == (60, "test", 1.0)
    assert summary["accuracy"] == summary["keras_accuracy"]
    assert summary["gates"]["max_difference"] == 1e-4
    assert subject.file.metadata
    stored = Metadata.from_json(replace(subject.file.metadata, verification=summary).to_json())
    assert stored.verified
    record = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert record["passed"] is True
    assert record["data_digest"] == subject.data.digest
    assert record["versions"]["numpy"] == np.__version__
    assert "no-such-package" not in record["versions"]
    assert len(record["values"]["recalls"]) == 4


def test_the_record_follows_the_file_when_its_metadata_is_written(subject: Subject, tmp_path: Path) -> None:
    found = subject.verify(tmp_path, subject.file)
    later = subject.with_metadata(verification=found.summary()).write(tmp_path / "final.npz")
    moved = found.of_files((later,))
    assert moved.file == "final.npz"
    assert moved.file_sha256 != found.file_sha256
    assert moved.values is found.values


def test_keras_predicts_here_if_its_predictions_are_not_given(subject: Subject, tmp_path: Path) -> None:
    exported = subject.file.write(tmp_path / "model.npz")
    seen: list[tuple[int, int]] = []
    found = verify(LINEAR, exported, subject.reference, subject.data, TEST, progress=lambda *done: seen.append(done))
    assert found.passed
    assert seen.count((60, 60)) == 2
    assert np.array_equal(keras_predictions(subject.reference, subject.data, TEST), subject.expected)


def test_images_of_other_classes_are_refused(subject: Subject, tmp_path: Path) -> None:
    exported = subject.file.write(tmp_path / "model.npz")
    other = replace(subject.reference, labels=("apple", "kiwi", "plum", "sky"))
    with pytest.raises(DataError, match=r"Class 1 of the images is 'lime', but that of the model .* is 'kiwi'"):
        verify(LINEAR, exported, other, subject.data, TEST)
    with pytest.raises(DataError, match="has no val images"):
        verify(LINEAR, exported, subject.reference, subject.data, VAL)
    other = replace(subject.reference, image=replace(SPEC, resize="crop"))
    with pytest.raises(DataError, match="48x48 squash"):
        verify(LINEAR, exported, other, subject.data, TEST)
