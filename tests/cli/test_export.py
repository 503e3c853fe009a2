"""``zoo export``, from a finished run to verified files, and its errors."""

from __future__ import annotations

import csv
import hashlib
import json
import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import FakePlugin, PhotoFolder, Result, RunZoo, zoo_command, zoo_environment
from zoo.errors import ExportError
from zoo.evaluation.trained import of_run
from zoo.exporting.calibration import EFFORTS
from zoo.images import load_image
from zoo.parity import stored_problem
from zoo.registry import Offer, Registry, exporters
from zoo.run_folder import open_run
from zoo.workflows.export import _targets

FORMATS = [offer.record.name for offer in exporters() if not offer.record.variant_of]


@pytest.fixture(scope="module")
def runs(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two copies of the digits run of different ages, and a run that is not finished."""
    root = tmp_path_factory.mktemp("runs")
    for stamp in ("20260101-000000", "20260202-000000", "20260303-000000"):
        shutil.copytree(digits_run, root / f"simple_cnn-{stamp}", ignore=shutil.ignore_patterns("exports"))
    (root / "simple_cnn-20260303-000000" / "metrics.json").unlink()
    return root


@pytest.fixture(scope="module")
def newest(runs: Path) -> Path:
    """The newest finished run."""
    return runs / "simple_cnn-20260202-000000"


@pytest.fixture(scope="module")
def exported(runs: Path, newest: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Exports the newest finished run to both formats in two precisions, with another backend in the environment."""
    work = tmp_path_factory.mktemp("work")
    formats = [part for name in FORMATS for part in ("--format", name)]
    command = zoo_command(
        "export", "simple_cnn", "--runs", runs, *formats, "--precision", "float32", "--precision", "int8"
    )
    environment = zoo_environment(work) | {"KERAS_BACKEND": "jax"}
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
    assert not list(work.iterdir())
    return Result(done.returncode, done.stdout, done.stderr)


def folder_of(run: Path, name: str, precision: str) -> Path:
    return run / "exports" / f"simple_cnn-{name}-{precision}"


def file_of(run: Path, name: str, precision: str) -> Path:
    return folder_of(run, name, precision) / f"simple_cnn{exporters().get(name).suffix}"


# The exported files


def test_every_requested_file_is_exported_and_reported(exported: Result, runs: Path, newest: Path) -> None:
    assert exported.code == 0, exported.err
    made = sorted(path.name for path in (newest / "exports").iterdir() if path.is_dir())
    assert made == sorted(f"simple_cnn-{name}-{precision}" for name in FORMATS for precision in ("float32", "int8"))
    assert not (runs / "simple_cnn-20260101-000000" / "exports").exists()
    rows = [line.split() for line in exported.out.splitlines() if line.startswith(tuple(FORMATS))]
    assert {(row[0], row[1]) for row in rows} == {(name, kind) for name in FORMATS for kind in ("float32", "int8")}
    for row in rows:
        size = file_of(newest, row[0], row[1]).stat().st_size
        assert row[2:5] == [f"{size / 1e6:.2f}", "MB", "verified"]
    for name in FORMATS:
        assert str(file_of(newest, name, "int8")) in exported.out
        assert f"Converting to {name} int8" in exported.err
        assert f"Verifying {name} int8 on" in exported.err
    assert f"Exporting {newest}, the newest finished run of simple_cnn" in exported.err
    for word in ("Traceback", "Warning", "jax"):
        assert word not in exported.err


def test_the_suggested_command_has_the_same_options(newest: Path, zoo: Callable[..., Result], tmp_path: Path) -> None:
    out = tmp_path / "my files"
    given = ("--data", "digits", "--min-agreement", "0.5", "--max-difference", "0.2")
    done = zoo("export", newest, "--format", "onnx", *given, "--out", out)
    assert done.code == 0, done.err
    assert "images were used to train or choose this model" in done.err
    (hint,) = [line for line in done.out.splitlines() if line.startswith("To verify it again: ")]
    command = shlex.split(hint.removeprefix("To verify it again: zoo "))
    assert command[1:] == [
        *(str(out / "simple_cnn-onnx-float32" / "simple_cnn.onnx"), "--against", str(newest)),
        *given,
    ]


def test_the_command_that_it_ends_with_works(exported: Result, zoo: Callable[..., Result]) -> None:
    (hint,) = [line for line in exported.out.splitlines() if line.startswith("To verify it again: zoo verify ")]
    done = zoo(*hint.removeprefix("To verify it again: zoo ").split())
    assert done.code == 0, done.err
    assert "Verified:" in done.out


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_says_what_it_is_and_that_it_was_verified(
    exported: Result, newest: Path, name: str, precision: str
) -> None:
    run = open_run(newest)
    said = exporters().get(name).read_metadata(file_of(newest, name, precision))
    assert said is not None
    assert said.labels == run.labels
    assert said.image == run.image_spec
    assert (said.precision, said.architecture, said.source) == (precision, "simple_cnn", run.name)
    assert said.data_digest == run.info.data.digest
    assert said.verified
    assert (said.verification["split"], said.verification["n"]) == ("test", run.metrics.n)
    assert said.verification["keras_accuracy"] == pytest.approx(run.metrics.accuracy)
    assert {"keras", "numpy", "tensorflow"} <= said.versions.keys()
    assert bool(said.calibration_digest) == (precision == "int8")


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_comes_with_its_labels_and_its_report(exported: Result, newest: Path, name: str, precision: str) -> None:
    run, folder = open_run(newest), folder_of(newest, name, precision)
    assert (folder / "labels.txt").read_text().splitlines() == list(run.labels)
    record = json.loads((folder / "verify.json").read_text())
    assert record["passed"] is True
    assert (record["format"], record["precision"], record["n"]) == (name, precision, run.metrics.n)
    assert record["file_bytes"] == file_of(newest, name, precision).stat().st_size
    assert "Verified" in (folder / "verify.html").read_text(encoding="utf-8")
    assert (folder / "calibration.csv").exists() == (precision == "int8")
    assert not [path for path in (newest / "exports").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("name", FORMATS)
def test_int8_was_calibrated_on_training_images_and_lists_them(exported: Result, newest: Path, name: str) -> None:
    with (folder_of(newest, name, "int8") / "calibration.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    split = {row["path"]: row for row in open_run(newest).split()}
    assert len(rows) == 512
    assert {split[row["path"]]["split"] for row in rows} == {"train"}
    assert all(split[row["path"]]["sha256"] == row["sha256"] for row in rows)
    assert {row["label"] for row in rows} == set("0123456789")


@pytest.mark.parametrize("name", FORMATS)
def test_every_file_stores_what_its_precision_says(exported: Result, newest: Path, name: str) -> None:
    exporter = exporters().get(name)
    model = of_run(open_run(newest)).load()
    for precision in ("float32", "int8"):
        assert stored_problem(exporter, file_of(newest, name, precision), precision, model) is None
    for precision in ("int8", "float16"):
        assert stored_problem(exporter, file_of(newest, name, "float32"), precision, model)


@pytest.mark.parametrize("name", FORMATS)
def test_a_network_with_8_bit_kernels_only_names_no_operator_in_float32(
    exported: Result, newest: Path, name: str
) -> None:
    folder = folder_of(newest, name, "int8")
    assert json.loads((folder / "quantization.json").read_text())["float_operators"] == {}
    for text in (exported.err, (folder / "README.md").read_text(), (folder / "verify.html").read_text()):
        assert "in float32, because" not in text


def test_an_exporter_that_ignores_int8_is_named(
    newest: Path, zoo: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = exporters().get("onnx")
    careless = replace(
        onnx, name="careless", convert=lambda model, path, precision: onnx.convert(model, path, "float32")
    )
    registry = Registry("exporter", [Offer(careless, "zoo-careless", "1")])
    monkeypatch.setattr("zoo.workflows.export.exporters", lambda: registry)
    done = zoo("export", newest, "--precision", "float16", "--no-verify", "--out", "out")
    assert done.code == 5
    assert "The exporter 'careless' should write float16, but its file stores" in done.err
    assert not list(Path("out").iterdir())


def test_exported_again_elsewhere_and_in_another_order_the_files_are_the_same(
    exported: Result, newest: Path, run_zoo: RunZoo, tmp_path: Path
) -> None:
    formats = [part for name in reversed(FORMATS) for part in ("--format", name)]
    done = run_zoo("export", newest, *formats, "--precision", "int8", "--out", "again", "--json")
    assert done.code == 0, done.err
    rows = json.loads(done.out)
    assert [(row["format"], row["precision"], row["status"]) for row in rows] == [
        (name, "int8", "verified") for name in reversed(FORMATS)
    ]
    for row in rows:
        again = tmp_path / row["file"]
        assert again.stat().st_size == row["bytes"]
        assert again.read_bytes() == file_of(newest, row["format"], "int8").read_bytes()
        assert row["verification"]["agreement"] >= 0.98
        assert row["latency_ms"] > 0


def test_without_verification_the_file_says_so(newest: Path, zoo: Callable[..., Result], tmp_path: Path) -> None:
    done = zoo("export", newest, "--format", "onnx", "--no-verify", "--out", "unverified")
    assert done.code == 0, done.err
    assert "unverified" in done.out
    folder = tmp_path / "unverified" / "simple_cnn-onnx-float32"
    assert not (folder / "verify.json").exists()
    assert not (folder / "verify.html").exists()
    said = exporters().get("onnx").read_metadata(folder / "simple_cnn.onnx")
    assert said is not None
    assert not said.verified
    assert said.verification == {"status": "unverified"}


# A file that does not agree with Keras


def test_a_file_that_fails_its_gate_is_not_kept_and_an_older_one_is_left_alone(
    exported: Result, newest: Path, zoo: Callable[..., Result]
) -> None:
    before = content(newest / "exports")
    done = zoo("export", newest, "--format", "onnx", "--max-difference", "0")
    assert done.code == 6
    refused = newest / "exports" / "simple_cnn-onnx-float32.refused"
    try:
        assert "refused" in done.out
        assert "1 of 1 file(s) do not agree with Keras and were not kept." in done.err
        assert "onnx float32: A probability of the float32 model differs from Keras by" in done.err
        assert f"Report: {refused / 'verify.html'}" in done.err
        assert json.loads((refused / "verify.json").read_text())["passed"] is False
        assert "Not verified" in (refused / "verify.html").read_text(encoding="utf-8")
        assert not list(refused.glob("*.onnx"))
        kept = {name: data for name, data in content(newest / "exports").items() if ".refused" not in name}
        assert kept == before
    finally:
        shutil.rmtree(refused, ignore_errors=True)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# A .keras file from elsewhere


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "names.txt"
    path.write_text("".join(f"{digit}\n" for digit in range(10)))
    return path


@pytest.mark.long
def test_a_lone_keras_file_is_calibrated_on_one_half_of_the_photos_and_verified_on_the_other(
    newest: Path, labels: Path, zoo: Callable[..., Result], tmp_path: Path
) -> None:
    shutil.copy(newest / "model.keras", tmp_path / "My digits.keras")
    given = ("--labels", labels, "--data", "digits", "--format", "onnx", "--precision", "int8")
    done = zoo("export", "My digits.keras", *given, "--out", "out")
    assert done.code == 0, done.err
    assert "Calibrating on 512 of these images, verifying on 1285 others" in done.err
    folder = tmp_path / "out" / "my_digits-onnx-int8"
    said = exporters().get("onnx").read_metadata(folder / "my_digits.onnx")
    assert said is not None
    assert said.labels == tuple("0123456789")
    assert (said.architecture, said.source, said.data_digest) == ("my_digits", "My digits.keras", "")
    assert said.verified
    assert said.verification["n"] == 1285
    assert len((folder / "calibration.csv").read_text().splitlines()) == 513


def test_a_lone_keras_file_is_verified_against_by_the_command_that_is_told(
    newest: Path, labels: Path, zoo: Callable[..., Result], tmp_path: Path
) -> None:
    shutil.copy(newest / "model.keras", tmp_path / "digits.keras")
    done = zoo("export", "digits.keras", "--labels", labels, "--no-verify", "--format", "onnx", "--out", "out")
    assert done.code == 0, done.err
    (line,) = [line for line in done.out.splitlines() if line.startswith("To verify it again: ")]
    command = line.removeprefix("To verify it again: zoo ").replace("PHOTOS", "digits")
    asked = zoo(*command.split(), "--json")
    assert asked.code == 0, asked.err
    assert json.loads(asked.out)["values"]["agreement"] == 1


def test_labels_in_reverse_order_are_told_loudly(
    newest: Path, labels: Path, zoo: Callable[..., Result], tmp_path: Path
) -> None:
    shutil.copy(newest / "model.keras", tmp_path / "digits.keras")
    labels.write_text("\n".join(reversed(labels.read_text().split())))
    given = ("--labels", labels, "--data", "digits", "--format", "onnx", "--out", "out")
    done = zoo("export", "digits.keras", *given)
    assert done.code == 0, done.err
    assert "of Keras" in done.out
    assert "WARNING: Another order of the labels fits much better" in done.err
    assert "The order that fits is: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9." in done.err
    card = (tmp_path / "out" / "digits-onnx-float32" / "README.md").read_text()
    assert "**Warning: Another order of the labels fits much better" in card


def test_a_class_that_is_named_twice_is_refused(
    newest: Path, labels: Path, zoo: Callable[..., Result], tmp_path: Path
) -> None:
    shutil.copy(newest / "model.keras", tmp_path / "digits.keras")
    names = labels.read_text().splitlines()
    labels.write_text("\n".join([*names[:-1], names[0]]))
    done = zoo("export", "digits.keras", "--labels", labels, "--no-verify")
    assert done.code == 2
    assert f"names '{names[0]}' twice" in done.err


def test_the_number_of_labels_must_be_that_of_the_outputs(
    newest: Path, labels: Path, zoo: Callable[..., Result], tmp_path: Path
) -> None:
    shutil.copy(newest / "model.keras", tmp_path / "digits.keras")
    labels.write_text("one\ntwo\n")
    done = zoo("export", "digits.keras", "--labels", labels, "--no-verify")
    assert done.code == 2
    assert "there are 2 labels" in done.err


def test_a_format_that_fails_keeps_nobody_from_the_others(
    labels: Path, zoo: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    def fail(model: object, path: Path, precision: str) -> None:
        raise ExportError("There is no operator for it.", "Use another layer.")

    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.GlobalAveragePooling2D()(image)
    keras.Model(image, keras.layers.Dense(10, activation="softmax")(x)).save(tmp_path / "small.keras")
    failing = Offer(replace(exporters().get("onnx"), name="broken", convert=fail), "zoo-broken", "1")
    monkeypatch.setattr("zoo.workflows.export.exporters", lambda: Registry("exporter", [failing, *exporters()]))
    done = zoo("export", "small.keras", "--labels", labels, "--no-verify", "--out", "out")
    assert done.code == 5
    assert f"Error: 1 of {1 + len(FORMATS)} file(s) could not be written." in done.err
    assert "broken float32: There is no operator for it." in done.err
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()} == {
        f"small-{name}-float32" for name in FORMATS
    }
    rows = {row[0]: row for row in map(str.split, done.out.splitlines()) if row}
    assert rows["broken"][2:4] == ["-", "failed"]
    done = zoo("export", "small.keras", "--labels", labels, "--no-verify", "--out", "out", "--json")
    assert [(row["format"], row["status"]) for row in json.loads(done.out)] == [
        ("broken", "failed"),
        *((name, "unverified") for name in FORMATS),
    ]


def test_an_exporter_that_raises_is_named_and_keeps_nobody_from_the_others(
    labels: Path, zoo: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    def fail(model: object, path: Path, precision: str) -> None:
        raise TypeError("no such operator")

    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.GlobalAveragePooling2D()(image)
    keras.Model(image, keras.layers.Dense(10, activation="softmax")(x)).save(tmp_path / "small.keras")
    failing = Offer(replace(exporters().get("onnx"), name="broken", convert=fail), "zoo-broken", "1")
    monkeypatch.setattr(
        "zoo.workflows.export.exporters", lambda: Registry("exporter", [failing, exporters().offer("tflite")])
    )
    monkeypatch.setattr("zoo.registry.exporters", lambda: Registry("exporter", [failing]))
    done = zoo("export", "small.keras", "--labels", labels, "--no-verify", "--out", "out")
    assert done.code == 5
    assert "The plugin 'zoo-broken' failed converting to broken float32: TypeError: no such operator" in done.err
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()] == ["small-tflite-float32"]
    done = zoo("export", "small.keras", "--labels", labels, "--no-verify", "--out", "out", "--format", "broken")
    assert done.code == 3
    assert "The plugin 'zoo-broken' failed converting" in done.err


def test_a_layer_that_a_format_does_not_have_is_named(labels: Path, zoo: Callable[..., Result], tmp_path: Path) -> None:
    import keras

    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.GlobalAveragePooling2D()(image)
    x = keras.ops.erfinv(x / 256)
    keras.Model(image, keras.layers.Dense(10, activation="softmax")(x)).save(tmp_path / "odd.keras")
    for name in FORMATS:
        done = zoo("export", "odd.keras", "--labels", labels, "--no-verify", "--format", name, "--out", "out")
        assert done.code == 5, (name, done.out, done.err)
        assert "erfinv" in done.err.lower()
        assert "Traceback" not in done.err
    assert not list((tmp_path / "out").iterdir())


# Errors


def test_int8_is_calibrated_on_the_training_images_that_are_left(
    photo_folder: PhotoFolder, zoo: Callable[..., Result]
) -> None:
    photos = photo_folder({"red": 30, "blue": 30})
    plain = ("--size", "32", "--epochs", "1", "--precision", "float32", "--augmentation", "none")
    assert zoo("train", "simple_cnn", "--data", photos, *plain).code == 0
    (run,) = Path("runs").iterdir()
    training = [row for row in open_run(run).split() if row["split"] == "train"]
    (photos / training[0]["path"]).unlink()
    shutil.copy(photos / training[1]["path"], photos / training[2]["path"])
    quick = ("--precision", "int8", "--int8-effort", "quick")
    done = zoo("export", run, "--format", "onnx", *quick, "--min-agreement", "0")
    assert done.code == 0, done.err
    assert "2 training image(s) are missing or have changed" in done.err
    (listed,) = run.glob("exports/*/calibration.csv")
    assert len(listed.read_text().splitlines()) - 1 == len(training) - 2
    made = json.loads((listed.parent / "quantization.json").read_text())
    assert made["distilled"]["steps"] == EFFORTS["quick"].steps


def test_photos_of_a_folder_calibrate_int8_and_test_photos_among_them_do_not(
    newest: Path, zoo: Callable[..., Result], photo_folder: PhotoFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo.exporting.quantize import quantize

    run = open_run(newest)
    tested = [row for row in run.split() if row["split"] == "test"]
    folder = photo_folder({"new": 6}, "device")
    new = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in folder.rglob("*.jpg")}
    shutil.copy(Path(run.info.data.root) / tested[0]["path"], folder / Path(tested[0]["path"]).name)
    (folder / "broken.jpg").write_bytes(next(iter(new.values())).read_bytes()[:60])
    calibrating = []

    def watched(model: object, images: Any, *options: Any) -> Any:
        calibrating.append(images)
        return quantize(model, images, *options)

    monkeypatch.setattr("zoo.exporting.quantize.quantize", watched)
    options = ("--precision", "int8", "--int8-effort", "quick", "--calibration", folder, "--min-agreement", "0.9")
    done = zoo("export", newest, "--format", "onnx", *options, "--out", "out")
    assert done.code == 0, done.err
    said = " ".join(done.err.split())
    left_out = "near-duplicates of images for verification: 1; unusable files: 1."
    assert f"6 photo(s) calibrate int8. Left out: {left_out}" in said
    made = Path("out", "simple_cnn-onnx-int8")
    with (made / "calibration.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    listed = [row["sha256"] for row in rows]
    assert len(listed) == EFFORTS["quick"].images
    assert {row["sha256"] for row in rows if not row["label"]} == new.keys()
    assert not {row["sha256"] for row in tested} & set(listed)
    (images,) = calibrating  # the pixels of the new photos are among those that the quantisation received
    for sha256, path in new.items():
        np.testing.assert_array_equal(images[listed.index(sha256)], load_image(path, run.image_spec))
    assert json.loads((made / "quantization.json").read_text())["distilled"]["steps"] == EFFORTS["quick"].steps
    record = json.loads((made / "verify.json").read_text())
    assert record["passed"]
    assert (record["split"], record["n"]) == ("test", len(tested))
    assert record["metadata"]["calibration_digest"] == hashlib.sha256("".join(listed).encode()).hexdigest()


def test_a_damaged_model_is_told(newest: Path, zoo: Callable[..., Result], tmp_path: Path) -> None:
    run = tmp_path / "runs" / newest.name
    shutil.copytree(newest, run, ignore=shutil.ignore_patterns("exports"))
    whole = (run / "model.keras").read_bytes()
    (run / "model.keras").write_bytes(whole[: len(whole) // 2])
    done = zoo("export", run, "--format", "onnx")
    assert done.code == 4
    assert f"Could not read {run / 'model.keras'}" in done.err
    assert "The file is damaged. Train again." in done.err
    assert not list((run / "exports").glob("*")) if (run / "exports").exists() else True


def test_a_folder_that_holds_other_files_is_left_alone(
    newest: Path, zoo: Callable[..., Result], tmp_path: Path
) -> None:
    diary = tmp_path / "out" / "simple_cnn-onnx-float32" / "diary.txt"
    diary.parent.mkdir(parents=True)
    diary.write_text("dear diary")
    done = zoo("export", newest, "--format", "onnx", "--no-verify", "--out", "out")
    assert done.code == 5
    assert "contains files that are not from an export, such as 'diary.txt'" in done.err
    assert "'diary.txt'" in done.err
    assert content(tmp_path / "out") == {"simple_cnn-onnx-float32/diary.txt": b"dear diary"}


def test_a_folder_that_cannot_be_made_is_told(newest: Path, zoo: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    done = zoo("export", newest, "--format", "onnx", "--no-verify", "--out", "file/out")
    assert done.code == 4
    assert "Could not write file/out: a file is in the way." in done.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full to stand for a full disk")
def test_a_full_disk_leaves_older_files_as_they_were(
    exported: Result, newest: Path, zoo: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(newest / "exports")
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        return Path("/dev/full").write_text("x") if path.suffix == ".onnx" else write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    done = zoo("export", newest, "--format", "onnx", "--no-verify")
    monkeypatch.undo()
    assert done.code == 4
    assert "No space left on device" in done.err
    assert content(newest / "exports") == before


def test_without_a_run_there_is_nothing_to_export_or_photos_are_needed(run_zoo: RunZoo, tmp_path: Path) -> None:
    done = run_zoo("export", "simple_cnn")
    assert done.code == 2
    assert "There is no finished run of simple_cnn in runs." in done.err
    assert "Create one with: zoo train simple_cnn" in done.err
    done = run_zoo("export", "mobilenetv2")
    assert done.code == 2
    assert "There are no images to verify mobilenetv2 (imagenet) on." in done.err
    assert "--data" in done.err
    assert not list(tmp_path.glob("runs"))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--format", "onxx"], 2, "Unknown exporter 'onxx'. Did you mean 'onnx'?"),
        (["--precision", "int16"], 2, "Unknown precision 'int16'. Did you mean 'int8'?"),
        (["--no-verify", "--data", "digits"], 2, "--data has no effect with --no-verify"),
        (
            ["--no-verify", "--max-accuracy-drop", "0.1"],
            2,
            "--max-accuracy-drop has no effect with --no-verify",
        ),
        (["--no-verify", "--data", "digits", "--precision", "int8"], 2, "calibrated on its own training images"),
        (["--weights", "imagenet"], 2, "--weights requires an architecture"),
        (["--labels", "names.txt"], 2, "--labels applies to a .keras file only"),
        (["--data", "no-such-folder"], 2, "no-such-folder"),
        (["--max-difference", "2"], 2, "2"),
        (["--int8-effort", "quick"], 2, "--int8-effort quick has no effect without --precision int8"),
        (["--int8-effort", "most", "--precision", "int8"], 2, "'most' is not one of 'quick', 'best'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_invalid_requests_are_refused(
    arguments: list[str], code: int, message: str, newest: Path, zoo: Callable[..., Result]
) -> None:
    done = zoo("export", newest, *arguments)
    assert done.code == code, done.err
    assert message in done.err
    assert "Traceback" not in done.err


def test_a_keras_file_needs_labels_and_photos_for_int8(
    newest: Path, labels: Path, zoo: Callable[..., Result], tmp_path: Path
) -> None:
    shutil.copy(newest / "model.keras", tmp_path / "digits.keras")
    for arguments, message in (
        (["digits.keras"], "has no class names"),
        (["digits.keras", "--labels", "gone.txt"], "The file 'gone.txt' does not exist"),
        (["gone.keras", "--labels", labels], "The file 'gone.keras' does not exist"),
        (["digits.keras", "--labels", labels, "--weights", "imagenet"], "--weights requires an architecture"),
        (["digits.keras", "--labels", labels], "There are no images to verify digits.keras on."),
        (["digits.keras", "--labels", labels, "--no-verify", "--precision", "int8"], "int8 needs photos"),
    ):
        done = zoo("export", *arguments)
        assert done.code == 2, done.err
        assert message in done.err
    assert "--data" in done.err


def test_a_run_that_is_not_finished_is_told_with_the_way_to_go_on(runs: Path, zoo: Callable[..., Result]) -> None:
    run = runs / "simple_cnn-20260303-000000"
    done = zoo("export", run)
    assert done.code == 2
    assert f"The run {run} is not finished." in done.err
    assert f"zoo train --resume {run}" in done.err


def test_photos_of_classes_that_the_model_does_not_know(
    newest: Path, zoo: Callable[..., Result], photo_folder: PhotoFolder
) -> None:
    done = zoo("export", newest, "--data", photo_folder({"rugby": 2, "3": 2}))
    assert done.code == 4
    assert "The model was not trained on the class(es) 'rugby'" in done.err


def test_a_format_that_does_not_come_in_a_precision(newest: Path, run_zoo: RunZoo, fake_plugin: FakePlugin) -> None:
    fake_plugin(
        "zoo-plain",
        """
import zoo

@zoo.hookimpl
def zoo_exporters():
    return [zoo.Exporter(name="plain", summary="x", suffix=".plain", precisions=("float32", "float16"), convert=print,
                         write_metadata=print, read_metadata=print, load=print)]
""",
    )
    done = run_zoo("export", newest, "--format", "plain", "--precision", "int8")
    assert done.code == 2
    assert "The format 'plain' does not support int8." in done.err
    assert "Supported: float32, float16." in done.err


def test_a_format_that_does_not_come_in_a_precision_keeps_nobody_from_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = Offer(replace(exporters().get("onnx"), name="plain", precisions=("float32",)), "zoo-plain", "1")
    monkeypatch.setattr("zoo.workflows.export.exporters", lambda: Registry("exporter", [*exporters(), plain]))
    assert {target.exporter.name for target in _targets((), ("int8",), with_map=False)} == set(FORMATS)
    assert {target.exporter.name for target in _targets((), ("float32",), with_map=False)} == {*FORMATS, "plain"}
