"""Models that were made elsewhere: each kind is exported to verified files, or refused with the right reason."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from keras import layers, ops
from numpy.typing import NDArray

from tests.conftest import Zoo, draw_photo
from tests.exporting.foreign_models import CLASSES, KINDS, SIZE, Doubling, Kind, fit_head, image, scaled
from zoo import ImageSpec
from zoo.data import load_for_evaluation
from zoo.errors import UsageError
from zoo.foreign import pixels as pixel_ranges
from zoo.foreign.pixels import PIXELS, fitting_pixels
from zoo.foreign.pixels import scaled as in_range
from zoo.foreign.read import read_model
from zoo.keras_internals import layers_of
from zoo.registry import exporters

PHOTOS = 12
FORMATS = [offer.record.name for offer in exporters() if not offer.record.variant_of]
BOTH = ("--precision", "float32", "--precision", "int8")
#: The models are random, so the tests only check that the file contains the same network.
LENIENT = ("--min-agreement", "0.8", "--max-accuracy-drop", "0.2")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Folders of drawn photos, by number of classes. Each class has its own hue. The labels are next to each folder."""
    root = tmp_path_factory.mktemp("foreign")
    for count in (2, CLASSES):
        for label in range(count):
            for number in range(PHOTOS):
                path = root / f"photos_{count}" / f"class_{label}" / f"{number}.jpg"
                draw_photo(path, 170 * label // count, 100 * label + number)
        (root / f"labels_{count}.txt").write_text("".join(f"class_{label}\n" for label in range(count)))
    return {count: root / f"photos_{count}" for count in (2, CLASSES)}


def labels_of(photos: Path) -> Path:
    return photos.with_name(photos.name.replace("photos", "labels")).with_suffix(".txt")


def read(photos: Path, height_px: int = SIZE, width_px: int = SIZE) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    files = sorted(photos.glob("*/*.jpg"))
    size = (width_px, height_px)
    pixels = [cv2.resize(cv2.imread(str(file))[..., ::-1], size, interpolation=cv2.INTER_AREA) for file in files]
    return np.array(pixels, np.float32), np.array([int(file.parent.name[-1]) for file in files])


@pytest.mark.filterwarnings("ignore:.*does not have a `quantize` method:UserWarning")
@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=[pytest.mark.long] if kind.long else [], id=kind.name) for kind in KINDS],
)
def test_every_kind_is_verified_or_refused_with_its_cause(
    kind: Kind, zoo: Zoo, folders: dict[int, Path], tmp_path: Path
) -> None:
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    photos = folders[kind.labels]
    model = kind.build()
    if not kind.refused:
        _, height_px, width_px, channels = model.inputs[0].shape
        pixels, classes = read(photos, height_px, width_px)
        fit_head(model, pixels.mean(axis=-1, keepdims=True) if channels == 1 else pixels, classes)
    model.save(tmp_path / "theirs.keras")
    done = zoo(
        *("export", "theirs.keras", "--labels", labels_of(photos), "--data", photos, *BOTH, *LENIENT, "--json"),
        *("--out", "out", *kind.options),
    )
    if kind.refused:
        assert done.code == 2, done.err
        for part in kind.refused:
            assert part in done.err
        assert "damaged" not in done.err
        assert not (tmp_path / "out").exists()
        return
    made = {(row["format"], row["precision"]): row["status"] for row in json.loads(done.out)}
    expected = {(name, precision): "verified" for name in FORMATS for precision in ("float32", "int8")}
    if kind.no_int8:
        assert done.code == 5, done.err
        expected |= {(name, "int8"): "failed" for name in FORMATS}
        for part in (f"{len(FORMATS)} of {len(made)} file(s) could not be written", *kind.no_int8):
            assert part in done.err
        assert "Traceback" not in done.err
    else:
        assert done.code == 0, done.err
    assert made == expected
    for part in kind.says:
        assert part in done.err
    if not kind.says:
        assert not re.search(r"Note: (The (model|batch|one output)|Raw pixels)", done.err)


@pytest.mark.long
def test_a_deep_network_that_was_trained_is_verified_within_the_limits_of_zoo(zoo: Zoo, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    for label in range(CLASSES):
        for number in range(100):
            draw_photo(tmp_path / "photos" / f"class_{label}" / f"{number}.jpg", 40 + 30 * label, 500 * label + number)
    pixels, classes = read(tmp_path / "photos")
    model = next(kind for kind in KINDS if kind.name == "MobileNetV2, nested as a layer").build()
    model.trainable = True
    for layer in layers_of(model):
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.8
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    model.fit(pixels, classes, batch_size=20, epochs=20, verbose=0)
    model.save(tmp_path / "theirs.keras")
    (tmp_path / "labels.txt").write_text("".join(f"class_{label}\n" for label in range(CLASSES)))
    done = zoo("export", "theirs.keras", "--labels", "labels.txt", "--data", "photos", *BOTH, "--out", "out")
    assert done.code == 0, (done.out, done.err)


def test_the_table_is_long_enough() -> None:
    assert sum(not kind.refused for kind in KINDS) >= 20
    assert len({kind.name for kind in KINDS}) == len(KINDS)


# Other files than .keras


def save_all(folder: Path) -> None:
    """Saves one model in every format that people use."""
    model = keras.Sequential(
        [keras.Input((SIZE, SIZE, 3)), layers.GlobalAveragePooling2D(), layers.Dense(3, "softmax")]
    )
    model.save_weights(folder / "model.weights.h5")
    model.save(folder / "model.h5")
    model.save(folder / "whole.keras")
    (folder / "hdf5.keras").write_bytes((folder / "model.h5").read_bytes())
    whole = (folder / "whole.keras").read_bytes()
    (folder / "half.keras").write_bytes(whole[: len(whole) // 2])
    (folder / "model.pth").write_bytes(b"torch")
    (folder / "saved").mkdir()
    (folder / "saved" / "saved_model.pb").write_bytes(b"\x08\x01")


@pytest.mark.parametrize("verb", ["export", "verify", "predict"])
def test_other_files_are_called_what_they_are_by_every_command(
    verb: str, zoo: Zoo, folders: dict[int, Path], tmp_path: Path
) -> None:
    save_all(tmp_path)
    photos = folders[CLASSES]
    given = ("--labels", labels_of(photos))
    assert zoo("export", "whole.keras", *given, "--no-verify", "--format", "onnx", "--out", "out").code == 0
    file = tmp_path / "out" / "whole-onnx-float32" / "whole.onnx"
    for name, *parts in (
        ("model.h5", "HDF5", "load_model('model.h5', compile=False)", "model.save('model.keras')"),
        ("hdf5.keras", "HDF5", "os.rename('hdf5.keras', 'hdf5.h5')"),
        ("model.weights.h5", "contains only weights", "model.load_weights('model.weights.h5')"),
        ("model.pth", "PyTorch"),
        ("saved", "SavedModel", 'model.save("model.keras")', "tf_keras"),
        ("half.keras", "is damaged or is not a .keras file"),
        ("gone.keras", "The file 'gone.keras' does not exist"),
    ):
        arguments = {
            "export": ("export", name, *given, "--data", photos),
            "verify": ("verify", file, "--against", name, *given, "--data", photos),
            "predict": ("predict", name, photos, *given),
        }[verb]
        done = zoo(*arguments)
        assert done.code == 2, (name, done.err)
        for part in parts:
            assert part in done.err, (name, done.err)
        assert "train again" not in done.err


# The lines of code that convert a model


def lines_of(error: str) -> str:
    """The lines of Python in a hint."""
    found = re.findall(r"^ {4}(.*)$", error, re.MULTILINE)
    assert found
    return "\n".join(found)


def run_lines(error: str, tmp_path: Path, **names: object) -> keras.Model:
    """Runs the lines of a hint, and returns the file that they save."""
    before = set(tmp_path.glob("*.keras"))
    exec(lines_of(error), dict(names))
    (made,) = set(tmp_path.glob("*.keras")) - before
    return keras.models.load_model(made)


@pytest.mark.parametrize(
    "name",
    [
        "a Lambda layer",
        "a custom layer",
        "a Lambda layer and a custom layer",
        "a subclassed model",
        "a free height and width",
        "two outputs",
    ],
)
def test_the_lines_of_a_refusal_make_a_model_that_is_exported(
    name: str, zoo: Zoo, folders: dict[int, Path], tmp_path: Path
) -> None:
    photos = folders[CLASSES]
    keras.utils.set_random_seed(0)
    model = next(kind for kind in KINDS if kind.name == name).build()
    model.save(tmp_path / "theirs.keras")
    refused = zoo("export", "theirs.keras", "--labels", labels_of(photos), "--no-verify")
    size = 224 if "keras.Input((224, 224, 3))" in refused.err else SIZE
    pixels, _ = read(photos, size, size)
    made = run_lines(refused.err, tmp_path, model=model, Doubling=Doubling)
    expected = model(pixels, training=False)
    expected = expected["label"] if isinstance(expected, dict) else expected
    np.testing.assert_allclose(made.predict(pixels, verbose=0), np.asarray(expected), atol=1e-5)
    made.save(tmp_path / "again.keras")
    done = zoo(
        "export", "again.keras", "--labels", labels_of(photos), "--no-verify", "--format", "onnx", "--out", "out"
    )
    assert done.code == 0, done.err


# Layers that are added to a model


def save(model: keras.Model, photos: Path, path: Path, pixels: str = "0..255") -> None:
    """Fits the head to inputs in the pixel range that the model expects, and saves the model."""
    raw, classes = read(photos)
    fit_head(model, np.asarray(in_range(raw, pixels)), classes)
    model.save(path)


def sensitive(scale: float) -> keras.Model:
    """Distinguishes hues only for pixels in its own range, because its features are waves."""
    inputs = image()
    colours = layers.Dense(24, kernel_initializer=keras.initializers.RandomNormal(stddev=scale, seed=1))
    x = ops.sin(colours(layers.GlobalAveragePooling2D()(inputs)))
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))


@pytest.mark.parametrize(("pixels", "scale"), [("0..1", 4), ("-1..1", 2), ("caffe", 1 / 60), ("torch", 1)])
def test_the_range_of_pixels_that_fits_is_said_and_can_be_given(
    pixels: str, scale: float, zoo: Zoo, folders: dict[int, Path], tmp_path: Path
) -> None:
    photos = folders[CLASSES]
    save(sensitive(scale), photos, tmp_path / "theirs.keras", pixels)
    given = ("--labels", labels_of(photos), "--data", photos)
    export = ("export", "theirs.keras", *given, "--format", "onnx", "--out", "out")
    done = zoo(*export)
    assert f"Your model seems to expect {pixels}: {PIXELS[pixels]}. Give --pixels {pixels}" in done.err
    done = zoo(*export, "--pixels", pixels)
    assert done.code == 0, done.err
    assert "seems to expect" not in done.err
    assert f"Raw pixels are converted to the range that the model expects: {pixels}" in done.err
    assert f"--pixels {pixels}" in done.out
    file = tmp_path / "out" / "theirs-onnx-float32" / "theirs.onnx"
    # The file takes raw pixels and predicts correctly, and both other commands predict the same.
    done = zoo("predict", file, photos, "--json")
    told = [json.loads(line) for line in done.out.splitlines()]
    right = [Path(row["file"]).parent.name == row["label"] for row in told]
    assert np.mean(right) > 0.9
    theirs = zoo("predict", "theirs.keras", photos, "--json", *given[:2], "--pixels", pixels)
    for row, other in zip(told, map(json.loads, theirs.out.splitlines()), strict=True):
        assert (row["file"], row["label"]) == (other["file"], other["label"])
    verify = ("verify", file, "--against", "theirs.keras", *given)
    assert zoo(*verify, "--pixels", pixels).code == 0
    assert zoo(*verify).code == 6


def test_raw_pixels_that_do_are_not_questioned(zoo: Zoo, folders: dict[int, Path], tmp_path: Path) -> None:
    photos = folders[CLASSES]
    save(sensitive(1 / 60), photos, tmp_path / "theirs.keras")
    done = zoo("export", "theirs.keras", "--labels", labels_of(photos), "--data", photos, "--format", "onnx")
    assert done.code == 0, done.err
    assert "seems to expect" not in done.err


def test_a_file_that_does_not_say_who_saved_it_is_said_to_be_of_nobody(tmp_path: Path) -> None:
    keras.Sequential([image(), layers.Flatten(), layers.Dense(2)]).save(tmp_path / "whole.keras")
    with zipfile.ZipFile(tmp_path / "whole.keras") as whole, zipfile.ZipFile(tmp_path / "part.keras", "w") as part:
        part.writestr("config.json", whole.read("config.json").replace(b'"Dense"', b'"Dence"'))
        part.writestr("model.weights.h5", whole.read("model.weights.h5"))
    with pytest.raises(UsageError) as refused:
        read_model(tmp_path / "part.keras")
    assert f"could not read '{tmp_path / 'part.keras'}': " in refused.value.message
    assert refused.value.hint == "Save it again with Keras 3."


def test_a_range_at_chance_does_not_fit_a_model_below_it(
    folders: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load_for_evaluation(str(folders[2]), ImageSpec(height_px=SIZE, width_px=SIZE), ("class_0", "class_1"))
    model = keras.Sequential([image(), layers.GlobalAveragePooling2D(), layers.Dense(2, activation="softmax")])
    answers = iter([0, 14, 13, 12, 12])  # correct of 24, first for raw pixels: the labels are reversed

    def predict(*_: object) -> NDArray[np.float32]:
        predicted = np.where(np.arange(len(data.names)) < next(answers), data.classes, 1 - data.classes)
        return np.eye(2, dtype=np.float32)[predicted]

    monkeypatch.setattr(pixel_ranges, "predict", predict)
    assert fitting_pixels(model, data, "test") is None
    assert not list(answers)
    answers = iter([0, 24, 0, 0, 0])
    assert fitting_pixels(model, data, "test") == "0..1"


def test_a_range_of_pixels_that_is_none(zoo: Zoo, folders: dict[int, Path], tmp_path: Path) -> None:
    sensitive(1).save(tmp_path / "theirs.keras")
    given = ("--labels", labels_of(folders[CLASSES]), "--no-verify")
    done = zoo("export", "theirs.keras", *given, "--pixels", "0-1")
    assert done.code == 2
    assert "Unknown range of pixels '0-1'" in done.err
    done = zoo("predict", "simple_cnn", folders[CLASSES], "--pixels", "0..1")
    assert "--pixels applies only to a .keras file without a run" in done.err


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_one_output_becomes_two_probabilities_in_the_order_that_is_said(
    activation: str | None, zoo: Zoo, folders: dict[int, Path], tmp_path: Path
) -> None:
    photos = folders[2]
    inputs = image()
    x = layers.GlobalAveragePooling2D()(scaled(inputs))
    save(keras.Model(inputs, layers.Dense(1, activation=activation)(x)), photos, tmp_path / "theirs.keras")
    done = zoo("predict", "theirs.keras", photos, "--labels", labels_of(photos), "--json")
    assert done.code == 0, done.err
    assert "of 'class_1', the second label. Files return two probabilities, 'class_0' first." in done.err
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert np.mean([Path(row["file"]).parent.name == row["label"] for row in rows]) > 0.9
    assert len(rows) == 2 * PHOTOS


def ending(end: object, count: int = CLASSES) -> keras.Model:
    inputs = image()
    x = layers.Dense(count)(layers.Flatten()(scaled(inputs)))
    return keras.Model(inputs, end(x))


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis:UserWarning")
@pytest.mark.parametrize(
    ("end", "message"),
    [
        (layers.ReLU(), "its outputs cannot be converted: values from 0 to"),
        (lambda x: x / 2.0, "its outputs cannot be converted: values from"),
        (layers.Dense(5), "returns (batch, 5); there are 3 labels"),
        (layers.Dense(1, "softmax"), "returns (batch, 1); there are 3 labels"),
        (lambda x: x / 0.0, "not finite"),
    ],
)
def test_an_end_that_says_too_little_is_not_guessed(
    end: object, message: str, zoo: Zoo, folders: dict[int, Path], tmp_path: Path
) -> None:
    ending(end).save(tmp_path / "theirs.keras")
    done = zoo("export", "theirs.keras", "--labels", labels_of(folders[CLASSES]), "--no-verify")
    assert done.code == 2
    assert message in done.err


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis:UserWarning")
def test_one_output_of_softmax_is_not_taken_for_a_probability(
    zoo: Zoo, folders: dict[int, Path], tmp_path: Path
) -> None:
    ending(layers.Dense(1, "softmax")).save(tmp_path / "theirs.keras")
    done = zoo("export", "theirs.keras", "--labels", labels_of(folders[2]), "--no-verify")
    assert done.code == 2
    assert "the output may not be a probability: values from 1 to 1, last activation softmax" in done.err


def test_a_mean_of_probabilities_is_left_alone(zoo: Zoo, folders: dict[int, Path], tmp_path: Path) -> None:
    ending(lambda x: layers.Average()([layers.Softmax()(x), layers.Softmax()(x * 2)])).save(tmp_path / "theirs.keras")
    done = zoo("predict", "theirs.keras", folders[CLASSES], "--labels", labels_of(folders[CLASSES]))
    assert done.code == 0, done.err
    assert "Note:" not in done.err
