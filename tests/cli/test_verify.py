"""``zoo verify``, the real command, with a format of a plugin that the test installs."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import FakePlugin, PhotoFolder, RunZoo
from zoo.atomic import write_csv
from zoo.errors import DataError
from zoo.evaluation.trained import model_digest, of_run
from zoo.exported import Metadata
from zoo.run_folder import open_run
from zoo.workflows.notes import calibrating_images

#: A file contains the Keras model, its metadata, and a number that is added to the first probability.
PLUGIN = """
import tempfile, zipfile
import numpy as np
import zoo
from zoo.exported import Metadata, TensorInfo

class Runtime:
    def __init__(self, path, threads):
        import keras
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
            self.model = keras.models.load_model(archive.extract("model.keras", folder), compile=False)
            self.nudge = float(archive.read("nudge"))
        self.inputs = (TensorInfo(name="image", shape=self.model.input_shape, dtype="float32"),)
        self.outputs = (TensorInfo(name="probabilities", shape=self.model.output_shape, dtype="float32"),)

    def predict(self, images):
        answers = np.array(self.model(images.astype(np.float32), training=False), np.float32)
        answers[:, 0] += self.nudge
        return answers

def read_metadata(path):
    with zipfile.ZipFile(path) as archive:
        if "metadata.json" not in archive.namelist():
            return None
        return Metadata.from_json(archive.read("metadata.json").decode())

@zoo.hookimpl
def zoo_exporters():
    return [zoo.Exporter(name="zipped", summary="a Keras model in a zip", suffix=".kzip", precisions=("float32",),
                         convert=print, write_metadata=print, read_metadata=read_metadata, load=Runtime)]
"""


@pytest.fixture(autouse=True)
def zipped(fake_plugin: FakePlugin) -> None:
    fake_plugin("zoo-zipped", PLUGIN)


def export(run_path: Path, target: Path, *, nudge: float = 0.0, with_metadata: bool = True, **values: Any) -> Path:
    run = open_run(run_path)
    said = {
        "labels": run.labels,
        "image": run.image_spec,
        "precision": "float32",
        "architecture": run.architecture,
        "source": run.name,
        "model_digest": model_digest(of_run(run).load()),
    }
    with zipfile.ZipFile(target, "w") as archive:
        archive.write(run.model_path, "model.keras")
        archive.writestr("nudge", str(nudge))
        if with_metadata:
            archive.writestr("metadata.json", Metadata(**said | values).to_json())
    return target


def test_a_faithful_file_is_verified_on_the_run_s_test_images(
    run_zoo: RunZoo, digits_run: Path, tmp_path: Path
) -> None:
    file = export(digits_run, tmp_path / "digits.kzip")
    page = tmp_path / "pages" / "digits.html"
    done = run_zoo("verify", file, "--against", digits_run, "--report", page)
    assert done.code == 0, done.err
    n = open_run(digits_run).metrics.n
    assert f"digits.kzip (zipped, float32) against {digits_run.name} on {n} test images of digits" in done.out
    assert f"the same on all {n} images" in done.out
    assert "100.0 % of the images" in done.out
    assert done.out.splitlines()[-1] == f"Verified: {file} agrees with {digits_run}."
    assert "Verified" in page.read_text(encoding="utf-8")


def test_a_file_that_answers_otherwise_ends_with_six(run_zoo: RunZoo, digits_run: Path, tmp_path: Path) -> None:
    labels = open_run(digits_run).labels
    file = export(digits_run, tmp_path / "digits.kzip", nudge=0.002, labels=(labels[1], labels[0], *labels[2:]))
    page = tmp_path / "digits.html"
    done = run_zoo("verify", file, "--against", digits_run, "--json", "--report", page)
    assert done.code == 6
    record = json.loads(done.out)
    assert record["passed"] is False
    assert record["failures"][0].startswith(f"Output 0 has the label '{labels[1]}' in the file")
    assert any(
        "A probability of the float32 model differs from Keras by" in sentence for sentence in record["failures"]
    )
    assert f"Error: {file} does not agree with {digits_run}." in done.err
    for sentence in record["failures"]:
        assert sentence in done.err
    assert "Not verified" in page.read_text(encoding="utf-8")


def test_other_images_and_a_file_without_metadata(
    run_zoo: RunZoo, digits_run: Path, tmp_path: Path, photo_folder: PhotoFolder
) -> None:
    file = export(digits_run, tmp_path / "digits.kzip", with_metadata=False)
    labels = open_run(digits_run).labels
    done = run_zoo("verify", file, "--against", digits_run, "--data", photo_folder({labels[0]: 2, labels[3]: 2}))
    assert done.code == 6
    assert "on 4 test images of photos" in done.out
    assert "The file has no zoo metadata" in done.err


def test_a_bundle_stands_for_the_file_in_it(run_zoo: RunZoo, digits_run: Path, tmp_path: Path) -> None:
    done = run_zoo("export", digits_run, "--format", "onnx", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    done = run_zoo("verify", tmp_path / "out" / "simple_cnn-onnx-float32", "--against", digits_run)
    assert done.code == 0, done.err
    assert "simple_cnn.onnx (onnx, float32)" in done.out


def test_a_damaged_file_is_told_before_keras_is_asked(run_zoo: RunZoo, digits_run: Path, tmp_path: Path) -> None:
    file = tmp_path / "digits.onnx"
    file.write_bytes(b"damaged")
    done = run_zoo("verify", file, "--against", digits_run)
    assert done.code == 5
    assert str(file) in done.err
    assert "Keras" not in done.err


def test_a_page_that_cannot_be_written_is_told_before_the_work(
    run_zoo: RunZoo, digits_run: Path, tmp_path: Path
) -> None:
    file = export(digits_run, tmp_path / "digits.kzip")
    (tmp_path / "taken").write_text("")
    done = run_zoo("verify", file, "--against", digits_run, "--report", tmp_path / "taken" / "page.html")
    assert done.code == 4
    assert "Could not write" in done.err
    assert "asking" not in done.err.lower()


def test_images_that_calibrated_the_file_are_counted(run_zoo: RunZoo, digits_run: Path, tmp_path: Path) -> None:
    file = export(digits_run, tmp_path / "digits.kzip")
    tested = [row for row in open_run(digits_run).split() if row["split"] == "test"]
    write_csv(
        tmp_path / "calibration.csv",
        ("path", "label", "sha256"),
        [(r["path"], r["label"], r["sha256"]) for r in tested[:3]],
    )
    done = run_zoo("verify", file, "--against", digits_run)
    assert done.code == 0, done.err
    assert f"3 of {len(tested)} images were used to calibrate this file" in done.err


def test_a_damaged_list_of_calibration_images_is_told(tmp_path: Path) -> None:
    (tmp_path / "calibration.csv").write_text("path,label\nx,a\n")
    with pytest.raises(DataError, match=r"calibration\.csv is not a list of calibration images"):
        calibrating_images(tmp_path / "digits.onnx")


def test_a_file_of_no_known_format(run_zoo: RunZoo, digits_run: Path, tmp_path: Path) -> None:
    (tmp_path / "model.pb").write_bytes(b"")
    for name, said in (("model.pb", "No installed format has the suffix of"), ("gone.kzip", "does not exist")):
        done = run_zoo("verify", tmp_path / name, "--against", digits_run)
        assert done.code == 2
        assert said in done.err
        assert "zipped (.kzip)" in done.err
    done = run_zoo("verify", digits_run, "--against", digits_run)
    assert (done.code, f"The folder '{digits_run}' is not a bundle." in done.err) == (2, True)


def test_pretrained_weights_need_images(run_zoo: RunZoo, digits_run: Path, tmp_path: Path) -> None:
    file = export(digits_run, tmp_path / "digits.kzip")
    done = run_zoo("verify", file, "--against", "mobilenetv2")
    assert done.code == 2
    assert "There are no images to verify mobilenetv2 (imagenet) on." in done.err
    assert "--data" in done.err


def test_images_of_a_class_that_the_model_does_not_know(
    run_zoo: RunZoo, digits_run: Path, tmp_path: Path, photo_folder: PhotoFolder
) -> None:
    file = export(digits_run, tmp_path / "digits.kzip")
    done = run_zoo("verify", file, "--against", digits_run, "--data", photo_folder({"rugby": 2}))
    assert done.code == 4
    assert "The model was not trained on the class(es) 'rugby'" in done.err
