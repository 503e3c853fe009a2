"""What ``zoo.train``, ``zoo.load`` and ``zoo.export`` return: models that can be asked about pictures."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from zoo.backend import hush
from zoo.errors import DataError
from zoo.figures import percent
from zoo.image_spec import ImageSpec
from zoo.reporter import Reporter
from zoo.run_folder import Run as RunFolder
from zoo.run_folder.info import Metrics
from zoo.workflows.host import host_kept
from zoo.workflows.predict import Answering, PredictRequest, open_model

if TYPE_CHECKING:
    import keras

    from zoo.edge.classify import Answer
    from zoo.exported import Metadata
    from zoo.images import ImageError

#: Gives a reporter when work begins; ``quiet`` keeps all but warnings back.
MakeReporter = Callable[[bool], Reporter]

#: A path, the bytes of a file, RGB pixels (uint8, height x width x 3, or height x width in gray), or a PIL image.
PictureLike = Any


class Model:
    """Whatever can be asked about pictures: a run, an exported file, a bundle, a ``.keras`` file.

    Args:
        request: Which model.
        make_reporter: Who tells of the work.

    >>> model = zoo.load("runs/digits/model.keras")
    >>> model.labels[:3]
    ('0', '1', '2')
    >>> answer = model.predict("photo.png")
    >>> answer.label, answer.probability > 0.5
    ('0', True)
    """

    def __init__(self, request: PredictRequest, make_reporter: MakeReporter) -> None:
        self._request = request
        self._make_reporter = make_reporter
        self._opened: dict[str | None, Answering] = {}

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the outputs."""
        return self._answering(None).labels

    @overload
    def predict(
        self, pictures: Sequence[PictureLike], *, top: int = 1, min_confidence: float | str | None = None
    ) -> list[Answer]: ...

    @overload
    def predict(self, pictures: PictureLike, *, top: int = 1, min_confidence: float | str | None = None) -> Any: ...

    def predict(self, pictures: Any, *, top: int = 1, min_confidence: float | str | None = None) -> Any:
        """What pictures show.

        Args:
            pictures: A path, the bytes of a file, RGB pixels (uint8, ``(height, width, 3)`` of any size, or gray) or a
                PIL image: one answer comes back. A folder, a list of them, or pixels ``(n, height, width, 3)``: a list.
            top: Classes wanted of each.
            min_confidence: Probability of the likeliest class below which an answer is not ``known``; ``auto``: the
                model's own threshold; ``accuracy=0.98``: the one for that share of right answers.

        Returns:
            ``Answer(label, probability, top, known, remark)``, or a list of them in the order of the pictures. The
            remark says what is odd about a picture that is used, such as damage that its decoder painted over.

        Raises:
            DataError: A picture cannot be used; the message names it. ``zoo predict`` passes over such files.
            UsageError: There is no picture, or the model suggests no threshold.
        """
        from zoo.edge.pictures import as_pictures
        from zoo.images import ImageError

        answering = self._answering(None if min_confidence is None else str(min_confidence))
        answers = []
        with host_kept():
            hush()
            for name, answer in answering.ask(as_pictures(pictures), top):
                if isinstance(answer, ImageError):
                    raise _unusable(name, answer)
                answers.append(answer)
        if not answers:
            raise DataError("There are no pictures in what was given.")
        return answers[0] if _is_one(pictures) else answers

    def explain(self, pictures: Any, *, label: str | None = None) -> Any:
        """Where in pictures the evidence for a class lies.

        Exact where the network's head is linear in its feature maps (pooling and a dense layer), else by LayerCAM. An
        exported file must have been exported with ``with_map=True``.

        Args:
            pictures: As for ``predict``.
            label: The class; ``None``: the likeliest of each picture.

        Returns:
            An ``Explanation``, which a notebook shows as a picture and ``save(path)`` writes to a PNG file; or a list
            of them in the order of the pictures.

        Raises:
            DataError: A picture cannot be used; the message names it.
            UsageError: There is no such class, the file has no map, or the model has no feature maps with places.
        """
        from zoo.edge.pictures import as_pictures
        from zoo.images import ImageError

        answering = self._answering(None)
        found = []
        with host_kept():
            hush()
            for name, picture in as_pictures(pictures):
                try:
                    if isinstance(picture, ImageError):
                        raise picture
                    found.append(answering.explain(picture, name, label))
                except ImageError as error:
                    raise _unusable(name, error) from error
        if not found:
            raise DataError("There are no pictures in what was given.")
        return found[0] if _is_one(pictures) else found

    def _answering(self, min_confidence: str | None) -> Answering:
        if min_confidence not in self._opened:
            request = replace(self._request, min_confidence=min_confidence)
            self._opened[min_confidence] = open_model(request, self._make_reporter(True))
        return self._opened[min_confidence]


def _unusable(name: str, error: ImageError) -> DataError:
    return DataError(f"'{name}' cannot be used: {error.reason}.", "Leave it out, or save it as JPEG or PNG.")


def _is_one(pictures: Any) -> bool:
    """Whether it is a picture, and not a list, a folder or a batch of them."""
    import numpy as np

    from zoo.images.arrays import is_array, is_batch
    from zoo.images.pillow import is_pillow

    if isinstance(pictures, str | os.PathLike):
        return not Path(pictures).is_dir()
    if is_array(pictures):
        shape = np.shape(pictures)
        return len(shape) in (2, 3) and not is_batch(shape)
    return isinstance(pictures, bytes | bytearray | memoryview) or is_pillow(pictures)


@dataclass(frozen=True, kw_only=True)
class FileVerification:
    """What an exported file says of its verification.

    Args:
        passed: Whether it was found to predict like the Keras model it was made from.
        evidence: ``enough``, or ``thin`` where a bad file might have passed too.
        n: Images that both were asked about.
        agreement: Share of them with the prediction of Keras, 0 to 1.
        accuracy, keras_accuracy: Share of right predictions of the file and of Keras.
        max_abs_difference: Largest difference of a probability.
        warnings: Kinds of signs that the model itself is of no use.
    """

    passed: bool
    evidence: str = ""
    n: int = 0
    agreement: float | None = None
    accuracy: float | None = None
    keras_accuracy: float | None = None
    max_abs_difference: float | None = None
    warnings: tuple[str, ...] = ()


class ExportedFile(Model):
    """An exported file, or a bundle with one in it, ready to be asked.

    Args:
        path: Of the file; of a bundle that is an archive, of the archive.
        metadata: What the file says of itself; ``None`` where somebody else made it.

    >>> file = zoo.load("bundle/simple_cnn.onnx")
    >>> file.precision, file.image.input_shape, file.verification.passed
    ('float32', (32, 32, 3), True)
    >>> file.predict("photo.png").label
    '0'
    """

    def __init__(
        self, path: Path, metadata: Metadata | None, request: PredictRequest, make_reporter: MakeReporter
    ) -> None:
        super().__init__(request, make_reporter)
        self.path = path
        self.metadata = metadata

    def __repr__(self) -> str:
        said = "unverified" if not self.verification.passed else "verified"
        return f"<ExportedFile {self.path}, {said}>"

    @property
    def bundle(self) -> Path:
        """The folder to copy to a device."""
        return self.path.parent if self.path.is_file() else self.path

    @property
    def precision(self) -> str:
        """``float32``, ``float16`` or ``int8``; empty where the file does not say it."""
        return self.metadata.precision if self.metadata else ""

    @property
    def image(self) -> ImageSpec | None:
        """How a picture becomes the input."""
        return self.metadata.image if self.metadata else None

    @cached_property
    def verification(self) -> FileVerification:
        """What the file says of its verification; one from elsewhere has none."""
        said: Mapping[str, Any] = self.metadata.verification if self.metadata else {}
        from zoo.records import read_record

        values = {name: value for name, value in said.items() if name != "status"}
        return read_record(FileVerification, {"passed": said.get("status") == "verified", **values})


class Run(RunFolder, Model):
    """A training run: its record, its figures, and its model.

    Args:
        folder: Of the run.
        make_reporter: Who tells of further work.

    >>> run = zoo.load("runs/digits")
    >>> run.metrics.accuracy > 0.5, len(run.history["val_loss"]), run.report.name
    (True, 6, 'report.html')
    >>> [answer.label for answer in run.predict(["photo.png", "photo.png"])]
    ['0', '0']
    >>> run.model.output_shape
    (None, 10)
    >>> len(run.mistakes()) < len(run.predictions)
    True
    """

    def __init__(self, folder: RunFolder, make_reporter: MakeReporter) -> None:
        RunFolder.__init__(self, folder.path, folder.info)
        Model.__init__(self, PredictRequest(model=str(folder.path), runs=folder.path.parent), make_reporter)

    @cached_property
    def model(self) -> keras.Model:
        """The trained network, a plain Keras model: raw pixels in, probabilities out."""
        from zoo.backend import start_keras
        from zoo.evaluation.trained import of_run

        with host_kept():
            start_keras()
            return of_run(self).load()

    @property
    def report(self) -> Path:
        """The page ``report.html``."""
        return self.path / "report.html"

    @cached_property
    def predictions(self) -> Any:
        """Every test image: file, true and predicted class, and the probability of each class (``p:<label>``).

        A ``pandas.DataFrame`` where pandas is installed, else a list of dictionaries.
        """
        return _table(list(self._answers()))

    def mistakes(self) -> Any:
        """The wrong ones of ``predictions``, the most confident first, with the column ``confidence``."""
        rows = [row for row in self._answers() if row["true"] != row["predicted"]]
        for row in rows:
            row["confidence"] = row[f"p:{row['predicted']}"]
        return _table(sorted(rows, key=lambda row: -row["confidence"]))

    def _answers(self) -> Iterator[dict[str, Any]]:
        from zoo.evaluation.predictions import Predictions

        found = Predictions.read_csv(self.path / "predictions.csv")
        for file, true, predicted, row in zip(
            found.files, found.true, found.predicted, found.probabilities, strict=True
        ):
            named = {f"p:{label}": float(share) for label, share in zip(found.labels, row, strict=True)}
            yield {"file": file, "true": found.labels[true], "predicted": found.labels[predicted], **named}

    def evaluate(self, data: Any = None, **options: Any) -> Metrics:
        """Measures the model: on its own test images, or on others; see ``zoo.evaluate``."""
        from zoo.workflows.api import evaluate

        return evaluate(self, data, **options)

    def export(self, format: str, precision: str = "float32", **options: Any) -> ExportedFile:
        """Writes the model to a file for another runtime, verified against Keras; see ``zoo.export``."""
        from zoo.workflows.api import export

        return export(self, format, precision, **options)

    def _repr_html_(self) -> str:
        """A card for notebooks."""
        data = self.info.data
        counts = ", ".join(f"{sum(of_class.values())} {split}" for split, of_class in data.counts.items())
        rows = [("architecture", self.architecture), ("data", f"{Path(data.source).name}: {counts} images")]
        if self.finished:
            low, high = map(percent, self.metrics.accuracy_interval)
            rows.append(("accuracy", f"{percent(self.metrics.accuracy)} (95 % interval {low} to {high})"))
            rows += [("warning", warning.sentence) for warning in self.metrics.warnings]
        else:
            rows.append(("state", "not finished"))
        rows.append(("folder", str(self.path)))
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(title)}</th>"
            f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
            for title, value in rows
        )
        return f"<table><caption><b>{html.escape(self.name)}</b></caption>{cells}</table>"


def _table(rows: list[dict[str, Any]]) -> Any:
    try:
        import pandas
    except ModuleNotFoundError:
        return rows
    return pandas.DataFrame(rows)
