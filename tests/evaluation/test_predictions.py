from __future__ import annotations

import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from zoo.errors import DataError, TrainingError
from zoo.evaluation import Predictions

HOSTILE = (
    "plain",
    "a,b",
    'q"uote',
    "two\nlines",
    "carriage\rreturn",
    "класс_é",
    "file",
    "p:x",
    "=1+1",
    " spaces ",
    "byte\udce9",
)


def some(labels: tuple[str, ...] = ("cat", "dog"), n: int = 5, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(len(labels)), n).astype(np.float32)
    files = tuple(f"{HOSTILE[row % len(HOSTILE)]}/{row}.jpg" for row in range(n))
    return Predictions(labels, files, rng.integers(0, len(labels), n), probabilities)


def test_csv_gives_back_every_name_and_every_bit(tmp_path: Path) -> None:
    written = some(HOSTILE, n=40)
    written.write_csv(tmp_path / "predictions.csv")
    read = Predictions.read_csv(tmp_path / "predictions.csv")
    assert read.labels == written.labels
    assert read.files == written.files
    assert read.true.tolist() == written.true.tolist()
    assert read.probabilities.dtype == np.float32
    assert read.probabilities.tobytes() == written.probabilities.tobytes()


def test_extreme_probabilities_survive(tmp_path: Path) -> None:
    tiny = np.finfo(np.float32).smallest_subnormal
    values = np.array([[0.0, 1.0], [tiny, np.nextafter(np.float32(1), np.float32(0))], [1e-7, 0.1]], np.float32)
    Predictions(("a", "b"), ("1", "2", "3"), np.array([0, 1, 1]), values).write_csv(tmp_path / "p.csv")
    assert Predictions.read_csv(tmp_path / "p.csv").probabilities.tobytes() == values.tobytes()


def test_csv_is_readable_by_people(tmp_path: Path) -> None:
    Predictions(("cat", "dog"), ("a.jpg",), np.array([1]), np.array([[0.9, 0.1]])).write_csv(tmp_path / "p.csv")
    assert (
        tmp_path / "p.csv"
    ).read_text() == '"file","true","predicted","p:cat","p:dog"\n"a.jpg","dog","cat",0.9,0.1\n'


def test_no_images_is_an_empty_table(tmp_path: Path) -> None:
    Predictions(("a", "b"), (), np.zeros(0, int), np.zeros((0, 2))).write_csv(tmp_path / "p.csv")
    assert len(Predictions.read_csv(tmp_path / "p.csv")) == 0


def test_of_equal_probabilities_the_first_class_is_predicted() -> None:
    answers = Predictions(("a", "b", "c"), ("1",), np.array([1]), np.array([[0.2, 0.4, 0.4]]))
    assert answers.predicted.tolist() == [1]
    assert answers.correct.tolist() == [True]


@pytest.mark.parametrize(
    ("labels", "files", "true", "probabilities", "message"),
    [
        (("a", "a"), ("1",), [0], [[1, 0]], "must be unique. Received twice: ['a']"),
        ((), ("1",), [0], [[]], "No labels"),
        (("a", "b"), ("1", "2"), [0], [[1, 0]], "`probabilities` (2, 2). Received: (1,) and (1, 2)"),
        (("a", "b"), ("x.jpg",), [2], [[1, 0]], "Class 2 of 'x.jpg' is not from 0 to 1"),
        (("a", "b"), ("x.jpg",), [0.5], [[1, 0]], "must be whole numbers"),
        (("a", "b"), ("x.jpg",), [0], [[float("nan"), 0]], "probability of 'a' for 'x.jpg' is nan"),
        (("a", "b"), ("x.jpg",), [0], [[0.2, 3.5]], "probability of 'b' for 'x.jpg' is 3.5"),
        (("a", "b"), ("x.jpg",), [0], [[-0.1, 1]], "not from 0 to 1"),
    ],
)
def test_wrong_values_are_named(
    labels: tuple[str, ...], files: tuple[str, ...], true: list[int], probabilities: list[list[float]], message: str
) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        Predictions(labels, files, np.array(true), np.array(probabilities))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line must be file,true,predicted"),
        ("name,true\n", "first line must be"),
        ("file,true,predicted,p:a,b\nx,a,a,1,0\n", "first line must be"),
        ("file,true,predicted,p:a,p:b\nx,a,a,1\n", "row 1 has 4 fields, but the header has 5"),
        ("file,true,predicted,p:a,p:b\nx,a,a,1,0\ny,z,a,1,0\n", "row 2 has a class without a column: 'z'"),
        ("file,true,predicted,p:a,p:b\nx,a,a,much,0\n", "row 1: could not convert"),
        ("file,true,predicted,p:a,p:b\nx,a,b,1,0\n", "row 1: the predicted class is not the one"),
    ],
)
def test_a_damaged_file_says_where(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text(text)
    with pytest.raises(TrainingError, match=re.escape(message)) as caught:
        Predictions.read_csv(path)
    assert str(path) in caught.value.message


def test_a_missing_file_is_an_error_of_the_run(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="No such file"):
        Predictions.read_csv(tmp_path / "none.csv")


def test_predictions_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="read-only"):
        some().probabilities[0, 0] = 1


def test_memory_for_many_classes_is_that_of_the_probabilities(tmp_path: Path) -> None:
    labels = tuple(f"class {number}" for number in range(1000))
    drawn = np.random.default_rng(0).dirichlet(np.full(1000, 0.1), 200).astype(np.float32)
    predictions = Predictions(labels, tuple(f"{row}.jpg" for row in range(200)), drawn.argmax(axis=1), drawn)
    assert len(predictions.predicted) == 200
    path = tmp_path / "predictions.csv"
    tracemalloc.start()
    try:
        predictions.write_csv(path)
        written = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        again = Predictions.read_csv(path)
        read = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.array_equal(again.probabilities, drawn)
    assert written < drawn.nbytes
    assert read < 4 * drawn.nbytes
