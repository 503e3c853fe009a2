"""``zoo.train(data=...)``: arrays, tables, datasets and batches as files that come back bit for bit."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.conftest import PhotoFolder
from zoo.atomic import read_csv
from zoo.data.dataset import ImageData, load_data, load_for_evaluation, load_recorded
from zoo.data.given import as_source, png
from zoo.data.source import list_source
from zoo.errors import DataError, ZooError
from zoo.image_spec import ImageSpec

HEIGHT, WIDTH = 9, 13
SPEC = ImageSpec(height_px=HEIGHT, width_px=WIDTH, resize="squash")

random = np.random.default_rng(7)
IMAGES = random.integers(0, 256, (24, HEIGHT, WIDTH, 3), np.uint8)
GRAY = IMAGES[..., 0]
NAMES = ["soccer", "rugby"]
NUMBERS = np.arange(24) % 2
LABELS = [NAMES[number] for number in NUMBERS]


class Table:
    """The methods of a DataFrame that zoo uses."""

    def __init__(self, **columns: list[Any]) -> None:
        self.columns = list(columns)
        self._columns = columns

    def __getitem__(self, column: str) -> list[Any]:
        return self._columns[column]


@pytest.fixture(autouse=True)
def _own_cache(own_cache: Path) -> None:
    pass


def given_folders() -> list[Path]:
    return sorted((Path(os.environ["ZOO_CACHE_DIR"]) / "given").glob("*"))


def pixels_and_labels(source: str) -> list[tuple[bytes, str]]:
    data = load_data(source, SPEC)
    pixels = data.pixels.read(np.arange(len(data.names)))
    return [(picture.tobytes(), data.labels[number]) for picture, number in zip(pixels, data.classes, strict=True)]


EXPECTED = [(image.tobytes(), label) for image, label in zip(IMAGES, LABELS, strict=True)]


@pytest.mark.parametrize(
    ("images", "labels", "class_names"),
    [
        (IMAGES, LABELS, None),
        (IMAGES, np.array(LABELS), None),
        (IMAGES, np.array(LABELS, object), None),
        (IMAGES, [label.encode() for label in LABELS], None),
        (IMAGES, NUMBERS, NAMES),
        (IMAGES, NUMBERS[:, None].astype(np.uint8), NAMES),
        (IMAGES, NUMBERS.tolist(), np.array(NAMES)),
        (IMAGES, NUMBERS.astype(np.float32), NAMES),
        (IMAGES, np.eye(2)[NUMBERS], NAMES),
        (IMAGES, list(np.eye(2, dtype=int)[NUMBERS]), NAMES),
        (list(IMAGES), LABELS, None),
        (IMAGES.astype(np.float32), LABELS, None),
        (IMAGES.astype(np.int64), LABELS, None),
        (np.ma.masked_array(IMAGES), LABELS, None),
        (tf.constant(IMAGES), tf.constant(LABELS), None),
        ([Image.fromarray(image) for image in IMAGES], LABELS, None),
        (IMAGES[:, ::-1][:, ::-1], LABELS, None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_pixels_and_labels_come_back_as_they_were_given(images: Any, labels: Any, class_names: Any) -> None:
    assert pixels_and_labels(as_source((images, labels), class_names)) == EXPECTED


@pytest.mark.parametrize("images", [GRAY, GRAY[..., None], [image.astype(float) for image in GRAY]])
def test_gray_stays_gray(images: Any) -> None:
    source = as_source((images, LABELS))
    expected = [(np.repeat(image[..., None], 3, 2).tobytes(), label) for image, label in zip(GRAY, LABELS, strict=True)]
    assert pixels_and_labels(source) == expected
    first = Path(source).with_name("images") / "000000.png"
    assert np.array_equal(cv2.imread(str(first), cv2.IMREAD_UNCHANGED), GRAY[0])


def test_images_of_different_sizes_keep_theirs() -> None:
    images = [random.integers(0, 256, (5 + place, 40 - place, 3), np.uint8) for place in range(8)]
    source = Path(as_source((images, ["a", "b"] * 4)))
    for place, image in enumerate(images):
        assert np.array_equal(np.asarray(Image.open(source.with_name("images") / f"{place:06d}.png")), image)


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (3, 5), (700, 1024, 3)])
def test_every_reader_reads_the_files(shape: tuple[int, ...]) -> None:
    """The last image needs many blocks."""
    pixels = random.integers(0, 256, shape, np.uint8)
    data = png.encode(pixels)
    by_opencv = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(by_opencv if len(shape) == 2 else by_opencv[..., ::-1], pixels)
    assert np.array_equal(tf.io.decode_png(data).numpy().reshape(shape), pixels)


def test_files_are_the_same_bytes_everywhere() -> None:
    """The splits depend on these bytes, so no release of a compressor may change them."""
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    assert png.encode(pixels).hex() == (
        "89504e470d0a1a0a" + "0000000d49484452" + "00000003000000020802000000" + "1216f14d"
        "0000001f49444154" + "7801" + "011400ebff" + "00000102030405060708" + "00090a0b0c0d0e0f1011" + "0401009a"
        "2186f64c" + "0000000049454e44ae426082"
    )  # fmt: skip


def test_the_same_arrays_are_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    source = as_source((IMAGES, LABELS))
    before = {path: path.stat().st_mtime_ns for path in Path(source).parent.rglob("*")}
    assert as_source((list(IMAGES), NUMBERS), NAMES) == source
    assert {path: path.stat().st_mtime_ns for path in Path(source).parent.rglob("*")} == before
    assert len(given_folders()) == 1
    assert as_source((IMAGES, LABELS[::-1])) != source
    assert as_source((IMAGES[::-1], LABELS[::-1])) != source, "files are numbered in the order of the arrays"
    assert as_source({"test": (IMAGES, LABELS)}) != source


def test_what_was_damaged_is_written_again() -> None:
    source = as_source((IMAGES, LABELS))
    first = Path(source).with_name("images") / "000000.png"
    content = first.read_bytes()
    first.write_bytes(content[:-20])
    assert as_source((IMAGES, LABELS)) == source
    assert first.read_bytes() == content
    shutil.rmtree(first.parent)
    assert as_source(iter([(IMAGES, LABELS)])) != ""
    assert as_source((IMAGES, LABELS)) == source
    assert first.read_bytes() == content


def test_arrays_are_neither_changed_nor_held() -> None:
    images, labels = IMAGES.copy(), np.array(LABELS)
    images.flags.writeable = labels.flags.writeable = False
    as_source((images, labels))
    images.flags.writeable = True
    images[:] = 0
    assert pixels_and_labels(as_source((IMAGES, LABELS))) == EXPECTED


def test_a_file_of_arrays_is_read_row_by_row(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "images.h5", "w") as file:
        file["x"] = IMAGES
        assert pixels_and_labels(as_source((file["x"], LABELS))) == EXPECTED
        images = file["x"]
    with pytest.raises(DataError, match="images"):
        as_source((images, LABELS))


def test_it_loads_neither_tensorflow_nor_pandas() -> None:
    heavy = "{'tensorflow', 'keras', 'pandas', 'PIL'}"
    code = f"import sys, zoo.data.given, zoo.edge.pictures; print({heavy} & {{*sys.modules}})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


# -- splits ----------------------------------------------------------------------------------------------------------


def test_splits_are_kept_as_given(photo_folder: PhotoFolder) -> None:
    folder = photo_folder({"rugby": 2, "soccer": 3})
    table = Table(path=[str(folder / "rugby" / "photo_000.jpg")], label=["rugby"])
    source = as_source(
        {"Train": (IMAGES, LABELS), "validation": folder, "test": iter([(IMAGES[:4] // 2, NUMBERS[:4])])}, NAMES
    )
    data = load_data(source, SPEC)
    assert {split: sum(counts.values()) for split, counts in data.counts.items()} == {"train": 24, "val": 5, "test": 4}
    assert data.origin == {"train": "given", "val": "given", "test": "given"}
    assert data.names[-4:] == ("train/000020.png", "train/000021.png", "train/000022.png", "train/000023.png")
    assert load_data(as_source({"train": (IMAGES, LABELS), "test": table}), SPEC).counts["test"]["rugby"] == 1
    made = load_data(as_source({"train": (IMAGES, LABELS)}), SPEC)
    assert made.origin == {"train": "given", "val": "made", "test": "made"}


def test_evaluation_takes_the_test_split_or_everything() -> None:
    both = as_source({"train": (IMAGES, LABELS), "test": (IMAGES[:3], LABELS[:3])})
    assert len(load_for_evaluation(both, SPEC, ("rugby", "soccer")).names) == 3
    assert len(load_for_evaluation(as_source((IMAGES, LABELS)), SPEC, ("rugby", "soccer")).names) == 24


def test_verification_finds_the_files_of_a_run_again() -> None:
    data = load_data(as_source((IMAGES, LABELS)), SPEC)
    rows = [dict(zip(("path", "label", "split", "sha256"), row, strict=True)) for row in data.rows()]

    def recorded() -> ImageData:
        return load_recorded(rows, data.source, data.root, SPEC, data.labels)

    assert recorded().digest == data.digest
    shutil.rmtree(Path(data.source).parent)  # as `zoo cache --clear` does
    with pytest.raises(DataError, match="no such file"):
        recorded()
    as_source((IMAGES, LABELS))
    assert recorded().digest == data.digest


@pytest.mark.parametrize("source", ["digits", "photos/", "./photos.csv"])
def test_paths_and_names_are_passed_on(source: str) -> None:
    assert as_source(source) == source
    assert given_folders() == []


def test_a_path_is_never_taken_for_a_name() -> None:
    assert as_source(Path("digits")) == f".{os.sep}digits"
    assert as_source(Path("/photos/digits")) == "/photos/digits"


# -- tables ----------------------------------------------------------------------------------------------------------


def test_a_table_becomes_a_manifest_of_absolute_paths(
    photo_folder: PhotoFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photo_folder({"a, b": 3, "c": 3})
    monkeypatch.chdir(folder)
    paths: list[Any] = sorted(Path().rglob("*.jpg"))
    paths[0] = str(paths[0])
    table = Table(
        path=paths, label=np.array([0, 0, 0, 1, 1, 1]), split=["train", "valid", "Test", "train", None, float("nan")]
    )
    source = as_source(table, class_names=["x", "y"])
    listing = list_source(Path(source))
    assert [(entry.path, entry.label, entry.split) for entry in listing.entries] == [
        (str(folder / path), label, split)
        for path, label, split in zip(paths, "xxxyyy", ["train", "val", "test", "train", None, None], strict=True)
    ]
    assert as_source(table, class_names=["x", "y"]) == source
    assert load_data(as_source(Table(path=paths, label=["x"] * 3 + ["y"] * 3)), SPEC).skipped == ()


def test_pandas_tables(photo_folder: PhotoFolder) -> None:
    pandas = pytest.importorskip("pandas")
    folder = photo_folder({"a": 2, "b": 2})
    paths = sorted(folder.rglob("*.jpg"))
    table = pandas.DataFrame({"path": paths, "label": pandas.Categorical(["x", "x", "y", "y"])})
    assert {entry.label for entry in list_source(Path(as_source(table))).entries} == {"x", "y"}
    for column in ("path", "label"):
        table[column] = table[column].astype(object)
        with pytest.raises(DataError, match=f"(?s){column}.*"):
            as_source(table.assign(**{column: [*table[column][:3], pandas.NA]}))


# -- batches ---------------------------------------------------------------------------------------------------------


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # keras has no types
    """Batches by index, without an end."""

    @property
    def num_batches(self) -> int:
        return 4

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        rows = slice(6 * (number % 4), 6 * (number % 4) + 6)
        return IMAGES[rows].astype(np.float32), NUMBERS[rows]


class Endless(Batches):
    num_batches = None


def generated() -> Iterator[Any]:
    for start in range(0, 24, 5):
        yield IMAGES[start : start + 5], LABELS[start : start + 5]


@pytest.mark.parametrize(
    "batches",
    [
        lambda: tf.data.Dataset.from_tensor_slices((IMAGES, NUMBERS)).batch(5),
        lambda: tf.data.Dataset.from_tensor_slices((IMAGES, NUMBERS)),
        lambda: tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(7).prefetch(1),
        lambda: tf.data.Dataset.from_tensor_slices((IMAGES.astype(np.float32), tf.one_hot(NUMBERS, 2))).batch(5),
        lambda: tf.data.Dataset.from_tensor_slices((IMAGES, tf.one_hot(NUMBERS, 2))).filter(lambda image, label: True),
        lambda: Batches(),
        generated,
        lambda: [[list(IMAGES[:20]), LABELS[:20]], [IMAGES[20:], LABELS[20:]]],
        lambda: list(zip(IMAGES, NUMBERS, strict=True)),
        lambda: zip(map(Image.fromarray, IMAGES), LABELS, strict=True),
    ],
)
def test_batches_and_examples(batches: Any) -> None:
    assert pixels_and_labels(as_source(batches(), NAMES)) == EXPECTED


def test_gray_batches_and_examples() -> None:
    expected = [np.repeat(image[..., None], 3, 2).tobytes() for image in GRAY]
    for data in ([(GRAY, LABELS)], list(zip(GRAY, LABELS, strict=True)), [(GRAY[..., None], LABELS)]):
        assert [pixels for pixels, _ in pixels_and_labels(as_source(data))] == expected


def test_class_names_come_from_keras(photo_folder: PhotoFolder) -> None:
    folder = photo_folder({"rugby": 6, "soccer": 6})
    data = keras.utils.image_dataset_from_directory(
        folder, image_size=(72, 96), interpolation="nearest", verbose=False, seed=1
    )
    assert load_data(as_source(data), SPEC).labels == ("rugby", "soccer")


def test_a_shuffled_data_set_is_found_again() -> None:
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).shuffle(24).batch(5)
    orders = {tuple(label for _, labels in data for label in labels.numpy()) for _ in range(3)}
    assert len(orders) > 1, "it comes in another order each time"
    assert len({as_source(data) for _ in range(3)}) == 1
    assert len(given_folders()) == 1


def test_progress_is_counted() -> None:
    seen: list[tuple[int, int]] = []
    as_source((IMAGES, LABELS), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 24) for done in range(1, 25)] * 2
    seen.clear()
    as_source(generated(), progress=lambda done, total: seen.append((done, total)))
    assert seen == [*((done, done + 1) for done in range(1, 25)), (24, 24)]


# -- bad input -------------------------------------------------------------------------------------------------------


def refused(data: Any, class_names: Any = None, **options: Any) -> str:
    """Returns the message, and checks that no files are left and no array has changed."""
    before = IMAGES.copy()
    with pytest.raises(ZooError) as raised:
        as_source(data, class_names, **options)
    assert given_folders() == []
    assert np.array_equal(IMAGES, before)
    assert raised.value.hint, "says what would work"
    return str(raised.value)


SCALED = IMAGES.astype(np.float32) / 255


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (SCALED, "Multiply by 255"),
        ((IMAGES > 127).astype(np.float32), "Multiply by 255"),
        (SCALED * 2 - 1, "(images + 1) * 127.5"),
        (IMAGES // 2 + 0.25, "including fractions.\n  Round them"),
        (IMAGES.astype(np.uint16) * 257, "images / 257"),
        (IMAGES.astype(np.int64) * 10**6, "from 0 to 2.55e+08"),
        (IMAGES.astype(np.int16) - 128, "from -128 to 127"),
        (np.where(IMAGES > 254, np.nan, 7.0), "NaN or infinite"),
        (IMAGES > 127, "images.astype(numpy.uint8) * 255"),
        (IMAGES.astype(complex), "of type complex128"),
        (IMAGES.astype("U3"), "of type <U3"),
        (np.moveaxis(IMAGES, -1, 1), "it is channels-first.\n  Move them: numpy.moveaxis(images, 1, -1)"),
        (list(np.moveaxis(IMAGES, -1, 1)), "numpy.moveaxis(image, 0, -1)"),
        (np.concatenate([IMAGES, IMAGES[..., :1]], -1), "RGBA?\n  Remove the alpha channel, images[..., :3]"),
        (IMAGES[..., :2], "images[..., 0]"),
        (np.repeat(IMAGES, 4, -1), "images with 12"),
        (IMAGES[0], "one image, not several"),
        (IMAGES.reshape(24, -1), "images.reshape(-1, height, width)"),
        (IMAGES.reshape(-1), "of 1 dimensions"),
        (IMAGES[None], "of 5 dimensions"),
        (np.array([None] * 24), "list(images)"),
        (np.ma.masked_less(IMAGES, 3), "images.filled(0)"),
        (IMAGES[:, :0], "contains no pixels"),
        ([*IMAGES[:23], None], "images[23] is not an array"),
        ([*IMAGES[:23], IMAGES[23].tolist()], "numpy.asarray"),
        ([*IMAGES[:23], IMAGES[23].astype(object)], "dtype object"),
        ([*IMAGES[:23], np.broadcast_to(np.uint8(7), (2**15, 2**14, 3))], "more than 268 Mpx"),
        (["a.jpg"] * 24, 'Give paths as a table: pandas.DataFrame({"path"'),
        ("photos/", "Expected an array or a list of images"),
        (iter(IMAGES), "Expected an array or a list of images"),
        (None, "Expected an array or a list of images"),
    ],
)
def test_images_that_are_none(images: Any, said: str) -> None:
    assert said in refused((images, LABELS))


@pytest.mark.parametrize(
    ("labels", "class_names", "said"),
    [
        (LABELS[:-1], None, "24 images and 23 labels"),
        ([], None, "24 images and 0 labels"),
        (NUMBERS, None, "class_names=[str(number) for number in range(2)]"),
        (np.eye(2)[NUMBERS], None, "Give 2 class_names"),
        (np.eye(3)[NUMBERS], NAMES, "Give 3 class_names"),
        (np.full((24, 2), 0.5), NAMES, "labels.argmax(axis=1)"),
        (np.ones((24, 2)), NAMES, "row 0 holds 2 ones"),
        (np.zeros((24, 2, 2)), NAMES, "of shape (24, 2, 2)"),
        (NUMBERS + 1, NAMES, "labels[1] is 2, and there are 2 class_names"),
        (NUMBERS - 1, NAMES, "labels[0] is -1"),
        (NUMBERS + 0.5, NAMES, "labels[0] is 0.5"),
        (np.where(NUMBERS > 0, np.nan, 0), NAMES, "labels[1] is nan"),
        (NUMBERS > 0, NAMES, "labels.astype(int)"),
        (NUMBERS * 1j, NAMES, "of type complex128"),
        (["a", 1] * 12, ["a", "b"], "Some labels are strings, for example 'a', and some are not, for example 1"),
        (["a", None] * 12, None, "labels[1] is None"),
        (["a", float("nan")] * 12, None, "labels[1] is nan"),
        ([{}] * 24, None, "neither strings nor numbers"),
        ([[0], [0, 1]] * 12, NAMES, "neither strings nor numbers"),
        (np.ma.masked_equal(NUMBERS, 1), NAMES, "masked"),
        ("rugby", None, "Expected a list or an array of labels"),
        (None, None, "Expected a list or an array of labels"),
        (3, NAMES, "Expected a list or an array of labels"),
        (np.array(3), NAMES, "Expected a list or an array of labels"),
        (["a", ""] * 12, None, "a class needs a name"),
        (["a", " \t"] * 12, None, "a class needs a name"),
        (["a", "b "] * 12, None, "label.strip()"),
        (["a", "b\0"] * 12, None, "control character"),
        (["a", "b\nc"] * 12, None, "line end"),
        (["a", "b\u2028c"] * 12, None, "line end"),
        (["a", "b\udc80"] * 12, None, "control character"),
        ([b"a", b"\xff"] * 12, None, "not UTF-8"),
        (["rugby", "socer"] * 12, NAMES, "Did you mean 'soccer'?"),
        (NUMBERS, ["a", "a"], "class_names[1] is 'a', and so is class_names[0]"),
        (NUMBERS, ["a", ""], "class_names[1] is ''"),
        (NUMBERS, ["a", 1], "Give str(name)"),
        (NUMBERS, [], "class_names is empty"),
        (NUMBERS, "ab", "class_names must be a list"),
        (NUMBERS, {"a", "b"}, "class_names must be a list"),
    ],
)
def test_labels_that_are_none(labels: Any, class_names: Any, said: str) -> None:
    assert said in refused((IMAGES, labels), class_names)


def test_a_label_may_contain_everything_that_a_manifest_can_store() -> None:
    names = ['a/b, "c"', "ä\\é", "="]
    source = as_source((IMAGES, NUMBERS + 1), names)
    assert {entry.label for entry in list_source(Path(source)).entries} == set(names[1:])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "Expected data. Received: NoneType"),
        (3, "Expected data. Received: int"),
        (b"photos", "Expected data. Received: bytes"),
        ({1, 2}, "Expected data. Received: set"),
        (generated, "Call the function"),
        (IMAGES, "Expected images with labels. Received only images"),
        (((IMAGES, LABELS), (IMAGES, LABELS)), '{"train": data[0], "test": data[1]}'),
        ((IMAGES[:0], []), "contains no images"),
        ({}, "dict of splits is empty"),
        ({"tests": (IMAGES, LABELS)}, "Did you mean 'test'?"),
        ({0: (IMAGES, LABELS)}, "Unknown split 0"),
        ({"path": [], "label": []}, "pandas.DataFrame(data)"),
        ({"val": (IMAGES, LABELS), "Validation": (IMAGES, LABELS)}, "are the same split"),
        ({"train": {"test": (IMAGES, LABELS)}}, "Expected data. Received: dict"),
        ({"train": "nowhere/"}, "No data at 'nowhere/'"),
    ],
)
def test_data_that_is_none(data: Any, said: str) -> None:
    assert said in refused(data)


def test_a_folder_with_splits_is_no_split(photo_folder: PhotoFolder) -> None:
    folder = photo_folder({"train/a": 1, "train/b": 1, "test/a": 1})
    assert "has its own splits and contains images of 'train'" in refused({"test": folder})
    assert load_data(as_source({"train": (IMAGES, LABELS), "test": photo_folder({"test/rugby": 2}, "more")}), SPEC)


def test_tables_that_are_none(photo_folder: PhotoFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = photo_folder({"a": 1, "b": 1})
    monkeypatch.chdir(folder)
    paths = ["a/photo_000.jpg", "b/photo_000.jpg"]
    for table, said in [
        (Table(file=paths, labels=["a", "b"]), "lacks the column(s) path, label. It has: file, labels"),
        (Table(), "It has: none"),
        (Table(path=paths, labels=["a", "b"]), "Did you mean 'labels'?"),
        (Table(path=[], label=[]), "has no rows"),
        (Table(path=[*paths[:1], None], label=["a", "b"]), "Row 1 of the table has no path: None"),
        (Table(path=[*paths[:1], float("nan")], label=["a", "b"]), "Row 1 of the table has no path: nan"),
        (Table(path=[*paths[:1], ""], label=["a", "b"]), "path in row 1"),
        (Table(path=[*paths[:1], 3], label=["a", "b"]), "path in row 1"),
        (Table(path=[*paths[:1], paths[1] + " "], label=["a", "b"]), "ends with a space"),
        (Table(path=[*paths[:1], "b/none.jpg"], label=["a", "b"]), f"for example row 1: '{folder}/b/none.jpg'"),
        (Table(path=[*paths[:1], "b\0"], label=["a", "b"]), "1 of 2 files"),
        (Table(path=[*paths[:1], "b" * 5000], label=["a", "b"]), "1 of 2 files"),
        (Table(path=paths, label=["a", None]), "label[1] is None"),
        (Table(path=paths, label=[0, 1]), "class_names"),
        (
            Table(path=paths, label=["a", "b"], split=["train", "tets"]),
            "Row 1 of the table has the unknown split 'tets'",
        ),
        ({"test": Table(path=paths, label=["a", "b"], split=["test", "train"])}, "contains images of 'train'"),
    ]:
        assert said in refused(table)
    twice = Table(path=paths, label=["a", "b"])
    twice.columns.append("label")
    assert "more than one column 'label'" in refused(twice)


def test_an_iterable_that_is_endless() -> None:
    forever = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(4).repeat()
    assert "INFINITE" in refused(forever)
    assert "num_batches is None" in refused(Endless())

    def endless() -> Iterator[Any]:
        while True:
            yield IMAGES, LABELS

    assert "more than 100 images and has no known length" in refused(endless(), max_images=100)
    unknown = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).filter(lambda image, label: True)
    assert "raise the limit: data=zoo.data.as_source(data, max_images=200)" in refused(unknown, max_images=20)
    known = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
    assert pixels_and_labels(as_source(known, max_images=20)) == EXPECTED
    assert pixels_and_labels(as_source(unknown, max_images=24)) == EXPECTED


def test_an_iterable_that_is_endless_and_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_CACHE_GB", "0.000005")
    assert "raise ZOO_CACHE_GB" in refused(generated())


def test_an_iterable_that_has_more_than_it_says() -> None:
    class Loader:
        def __len__(self) -> int:
            return 2

        def __iter__(self) -> Iterator[Any]:
            while True:
                yield IMAGES, LABELS

    assert "It may be infinite" in refused(Loader(), max_images=100)


def test_an_iterable_that_is_empty() -> None:
    spent = generated()
    list(spent)
    assert "A generator can be read only once" in refused(spent)
    assert "is empty" in refused([])
    assert "is empty" in refused(tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).take(0))
    assert "contains no images" in refused([(IMAGES[:0], [])])


def test_an_iterable_that_raises_in_the_middle() -> None:
    def broken() -> Iterator[Any]:
        yield IMAGES[:3], LABELS[:3]
        raise OSError("the camera is gone")

    with pytest.raises(DataError, match="after 1 items: OSError: the camera is gone") as raised:
        as_source(broken())
    assert isinstance(raised.value.__cause__, OSError)
    assert given_folders() == []

    def interrupted() -> Iterator[Any]:
        yield IMAGES[:3], LABELS[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        as_source(interrupted())
    assert given_folders() == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([IMAGES, NUMBERS], "To give images and labels without an iterable, use a tuple"),
        ([(IMAGES, LABELS, np.ones(24))], "item 0 of the iterable, 3 parts"),
        ([{"image": IMAGES[0], "label": 1}], "item 0 of the iterable, dict"),
        ([("a.jpg", "rugby")], "pandas.DataFrame({"),
        ([(IMAGES, LABELS), (IMAGES, LABELS[1:])], "24 images and 23 labels in item 1 of the iterable"),
        ([(IMAGES, LABELS), (IMAGES, NUMBERS)], "Some labels are strings and some are numbers"),
        ([(IMAGES, LABELS), (SCALED, LABELS)], "Multiply by 255"),
        ([(IMAGES[0], np.array([0, 1, 0]))], "Give 3 class_names"),
        ([(IMAGES[0], [0, 1, 0])], "Give 3 class_names"),
        ([(7, "a")], "Expected an array or a list of images"),
    ],
)
def test_items_that_are_none(data: Any, said: str) -> None:
    assert said in refused(data, NAMES if "class_names" in said or "neither" in said else None)


def test_a_full_disk_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.name == "000009.png":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert "No space left on device" in refused((IMAGES, LABELS))
    monkeypatch.undo()


def test_what_cannot_fit_is_refused_before_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=64 * 2**20))
    assert "0.00 GB are free" in refused((IMAGES, LABELS))


def test_a_cache_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert "a file is in the way" in refused((IMAGES, LABELS))


def test_a_picture_that_pillow_cannot_read(photo_folder: PhotoFolder) -> None:
    path = photo_folder({"a": 1}) / "a" / "photo_000.jpg"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with Image.open(path) as cut:
        assert "Could not read images[0]: Pillow could not read it: " in refused(([cut], ["a"]))


def test_the_manifest_says_what_was_written() -> None:
    rows = read_csv(Path(as_source({"test": (IMAGES[:2], LABELS[:2])})))
    assert [(row["path"], row["label"], row["split"]) for row in rows] == [
        ("test/000000.png", "soccer", "test"),
        ("test/000001.png", "rugby", "test"),
    ]
