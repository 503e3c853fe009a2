"""The models that ``zoo.train``, ``zoo.load`` and ``zoo.export`` return."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from zoo.backend import hush
from zoo.errors import DataError, UsageError
from zoo.figures import percent
from zoo.image_spec import ImageSpec
from zoo.reporter import Reporter
from zoo.run_folder import Run as RunFolder
from zoo.run_folder.info import Metrics
from zoo.terminal import readable
from zoo.workflows.host import host_kept
from zoo.workflows.predict import Answering, PredictRequest, open_model

if TYPE_CHECKING:
    import keras

    from zoo.edge.classify import Answer
    from zoo.exported import Metadata
    from zoo.images import ImageError

#: Creates a reporter when work begins. ``quiet`` suppresses everything except warnings.
MakeReporter = Callable[[bool], Reporter]

#: A path, the bytes of a file, RGB pixels (uint8, height x width x 3, or height x width in gray), or a PIL image.
PictureLike = Any


class Model:
    """A model that can predict: a run, an exported file, a bundle or a ``.keras`` file.

    Args:
        request: Describes the model.
        make_reporter: Creates the reporter of progress and messages.

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
    def predict(
        self,
        pictures: PictureLike,
        *,
        top: int = 1,
        min_confidence: float | str | None = None,
        out: str | os.PathLike[str] | None = None,
        shard: str | None = None,
        on: str | None = None,
    ) -> Any: ...

    def predict(
        self,
        pictures: Any,
        *,
        top: int = 1,
        min_confidence: float | str | None = None,
        out: str | os.PathLike[str] | None = None,
        shard: str | None = None,
        on: str | None = None,
    ) -> Any:
        """Predicts the class of images.

        Args:
            pictures: One image: a path, the bytes of a file, RGB pixels (uint8, ``(height, width, 3)`` of any size, or
                gray) or a PIL image. Or several images: a folder, a list, or pixels ``(n, height, width, 3)``. With
                ``out``: paths of images, folders and lists of paths (``.txt``, ``.csv``, ``.parquet``).
            top: Number of likeliest classes to return for each image.
            min_confidence: Threshold for the probability of the most probable class. Below it, ``known`` is ``False``.
                ``auto`` uses the model's own threshold, and ``accuracy=0.98`` the threshold for that share of correct
                predictions.
            out: A ``.csv``, ``.jsonl`` or ``.parquet`` file to write, with a row for each image. An image that cannot
                be used has a row with the error. The same call continues after an interruption.
            shard: With ``out``: the share of the images to predict, such as ``2/8`` for the second of eight.
            on: With ``out``: the Ray cluster that predicts: ``ray`` or ``ray://HOST:PORT``.

        Returns:
            An ``Answer(label, probability, top, known, remark)`` for one image, or a list of them in the order of the
            images. The remark describes a problem of an image that was used nevertheless, such as damaged data that
            the decoder filled in. With ``out``, a ``PredictionFile(path, photos, errors, model)``.

        Raises:
            DataError: An image cannot be used; the message names it. ``zoo predict`` skips such files.
            UsageError: There is no image, or the model defines no threshold.
        """
        confidence = None if min_confidence is None else str(min_confidence)
        if out is not None:
            from zoo.workflows.predict_files import PredictFilesRequest, predict_files

            asked = PredictFilesRequest(
                model=replace(self._request, min_confidence=confidence),
                photos=_paths(pictures),
                out=Path(out),
                top=top,
                shard=shard,
                on=on,
            )
            return predict_files(asked, self._make_reporter(False))
        if shard is not None or on is not None:
            raise UsageError(f"{'shard' if on is None else 'on'} requires out.", "Such as out='found.parquet'.")
        from zoo.edge.pictures import as_pictures
        from zoo.images import ImageError

        answering = self._answering(confidence)
        answers = []
        with host_kept():
            hush()
            for name, answer in answering.ask(as_pictures(pictures), top):
                if isinstance(answer, ImageError):
                    raise _unusable(name, answer)
                answers.append(answer)
        if not answers:
            raise DataError("No pictures were given.")
        return answers[0] if _is_one(pictures) else answers

    def explain(self, pictures: Any, *, label: str | None = None) -> Any:
        """Computes the evidence map of a class for images.

        The map is exact if the network's head is linear in its feature maps (pooling and one dense layer). Otherwise it
        is approximated by LayerCAM. An exported file must have been exported with ``with_map=True``.

        Args:
            pictures: As in ``predict``.
            label: The class to explain. ``None``: the predicted class of each image.

        Returns:
            An ``Explanation`` for one image, or a list of them in the order of the images. A notebook displays it as an
            image, and its method ``save(path)`` writes it to a PNG file.

        Raises:
            DataError: An image cannot be used; the message names it.
            UsageError: The class does not exist, the file has no map, or the model has no feature maps with spatial
                dimensions.
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
            raise DataError("No pictures were given.")
        return found[0] if _is_one(pictures) else found

    def _answering(self, min_confidence: str | None) -> Answering:
        if min_confidence not in self._opened:
            request = replace(self._request, min_confidence=min_confidence)
            self._opened[min_confidence] = open_model(request, self._make_reporter(True))
        return self._opened[min_confidence]


def _unusable(name: str, error: ImageError) -> DataError:
    return DataError(f"'{name}' cannot be used: {error.reason}.", "Leave it out, or save it as JPEG or PNG.")


def _paths(pictures: Any) -> tuple[str, ...]:
    given = (pictures,) if isinstance(pictures, str | os.PathLike) else pictures
    if isinstance(given, Iterable) and not isinstance(given, bytes | bytearray | memoryview):
        paths = tuple(given)
        if paths and all(isinstance(path, str | os.PathLike) for path in paths):
            return tuple(os.fsdecode(path) for path in paths)
    raise UsageError(
        f"With out, pictures must be paths. Received: {type(pictures).__name__}.",
        "Give paths of images, folders or lists of paths.",
    )


def _is_one(pictures: Any) -> bool:
    """Whether the argument is one image, and not a list, a folder or a batch of images."""
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
    """The verification recorded in an exported file.

    Args:
        passed: Whether the file agreed with its Keras model.
        evidence: ``enough``, or ``thin`` if there were so few images that a bad file might have passed too.
        n: Number of images compared.
        agreement: Share of images with the same prediction as Keras, 0 to 1.
        accuracy, keras_accuracy: Share of correct predictions of the file and of Keras.
        max_abs_difference: Maximum absolute difference of a probability.
        warnings: Names of the warnings that apply. Each means that the Keras model itself may be unusable.
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
    """An exported file, or a bundle that contains one, ready to predict.

    Args:
        path: Path of the file, or of the archive if the bundle is an archive.
        metadata: Metadata of the file. ``None`` if zoo did not export it.

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
        """``float32``, ``float16`` or ``int8``. Empty if the file does not record it."""
        return self.metadata.precision if self.metadata else ""

    @property
    def image(self) -> ImageSpec | None:
        """The preprocessing: how an image becomes the input of the model."""
        return self.metadata.image if self.metadata else None

    @cached_property
    def verification(self) -> FileVerification:
        """The verification recorded in the file. If zoo did not export the file, ``passed`` is ``False``."""
        said: Mapping[str, Any] = self.metadata.verification if self.metadata else {}
        from zoo.records import read_record

        values = {name: value for name, value in said.items() if name != "status"}
        return read_record(FileVerification, {"passed": said.get("status") == "verified", **values})


class Run(RunFolder, Model):
    """A training run, with its settings, metrics and model.

    Args:
        folder: The run folder.
        make_reporter: Creates the reporter of progress and messages.

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
        """The trained network, a plain Keras model that maps raw pixels to probabilities."""
        from zoo.backend import start_keras
        from zoo.evaluation.trained import of_run

        with host_kept():
            start_keras()
            return of_run(self).load()

    @property
    def report(self) -> Path:
        """Path of the report, ``report.html``."""
        return self.path / "report.html"

    @cached_property
    def predictions(self) -> Any:
        """The prediction of every test image: file, true class, predicted class, and the probability of each class
        (``p:<label>``).

        A ``pandas.DataFrame`` if pandas is installed, otherwise a list of dictionaries.
        """
        return _table(list(self._answers()))

    def mistakes(self) -> Any:
        """The wrong predictions, most confident first, with the additional column ``confidence``."""
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
        """Evaluates the model on its own test images or on others; see ``zoo.evaluate``."""
        from zoo.workflows.api import evaluate

        return evaluate(self, data, **options)

    def export(self, format: str, precision: str = "float32", **options: Any) -> ExportedFile:
        """Exports the model to a file for another runtime and verifies it against Keras; see ``zoo.export``."""
        from zoo.workflows.api import export

        return export(self, format, precision, **options)

    def _repr_html_(self) -> str:
        """The display of a run in a notebook."""
        from markupsafe import Markup

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
        left = "text-align:left;vertical-align:top;overflow-wrap:anywhere"
        row = Markup(f"<tr><th style='{left};white-space:nowrap'>{{}}</th><td style='{left}'>{{}}</td></tr>")
        cells = Markup().join(row.format(title, readable(value)) for title, value in rows)
        caption = Markup(f"<caption style='{left}'><b>{{}}</b></caption>").format(self.name)
        return Markup("<table>{}{}</table>").format(caption, cells)


def _table(rows: list[dict[str, Any]]) -> Any:
    try:
        import pandas
    except ModuleNotFoundError:
        return rows
    return pandas.DataFrame(rows)
