"""Loads any kind of model for prediction."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from zoo.edge.confidence import min_confidence
from zoo.errors import UsageError, VerificationError, did_you_mean
from zoo.registry import architectures, exporters
from zoo.reporter import Reporter
from zoo.run_folder import DEFAULT_ROOT
from zoo.workflows.host import host_kept

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoo.edge.classify import Classifier
    from zoo.edge.explanation import Explanation
    from zoo.explain import Explainer
    from zoo.exported import Metadata, TensorInfo
    from zoo.image_spec import ImageSpec
    from zoo.workflows.finding import Labels
    from zoo.workflows.stream import Answered, Named

#: Maximum default number of threads. Each has its own copy of the model.
MOST_THREADS = 8

#: Number of images that justifies loading a second copy of the model.
_PICTURES_A_THREAD = 8


@dataclass(frozen=True, kw_only=True)
class PredictRequest:
    """The model to load for prediction.

    Args:
        model: A bundle's folder or archive, an exported file, a run, an architecture or a ``.keras`` file.
        runs: Folder of runs.
        weights: Name of pretrained weights. ``model`` must then be an architecture.
        threads: Number of threads for a bundle or a file. ``None``: all cores, but at most ``MOST_THREADS``.
        min_confidence: ``auto`` or a probability. A prediction below it is ``unknown``.
        spec, labels: Preprocessing and class names of a file that zoo did not export, or files that contain them. A
            ``.keras`` file without a run needs only the labels.
        pixels: The pixel range that the model in a ``.keras`` file without a run expects.
        pictures: Number of images to predict.
    """

    model: str
    runs: Path = DEFAULT_ROOT
    weights: str | None = None
    threads: int | None = None
    min_confidence: str | None = None
    spec: Path | ImageSpec | None = None
    labels: Labels | None = None
    pixels: str | None = None
    pictures: int = 1


@dataclass(frozen=True)
class Answering:
    """A model that is ready to predict.

    Args:
        labels: Class names in the order of the outputs.
        ask: ``ask(pictures, top)`` yields the name and the prediction of each image, or the reason why there is none.
        explain: ``explain(picture, name, label)`` returns the evidence map of a class.
        digest: Returns the SHA-256 of the model's file, or of its weights if they are the pretrained ones of an
            architecture.
        packages: Names of the packages whose versions determine the predictions, besides zoo and OpenCV.
        notes: Notes on the model, one sentence each.
    """

    labels: tuple[str, ...]
    ask: Callable[[Iterable[Named], int], Iterator[Answered]]
    explain: Callable[[Path | bytes | NDArray[np.uint8], str, str | None], Explanation]
    digest: Callable[[], str]
    packages: tuple[str, ...]
    notes: tuple[str, ...] = ()


def open_model(request: PredictRequest, reporter: Reporter) -> Answering:
    """Finds a model and loads it.

    Raises:
        UsageError: There is no such model, its file lacks metadata, or its runtime is not installed.
        VerificationError: The bundle is damaged.
        ExportError: The file is damaged.
    """
    with host_kept():
        return _open(request, reporter)


def _open(request: PredictRequest, reporter: Reporter) -> Answering:
    path = Path(request.model)
    kind = "keras" if request.weights is not None else kind_of(request)
    if kind != "lone" and request.pixels:
        raise UsageError(f"--pixels applies only to a .keras file without a run, not to '{path}'.")
    if kind == "lone" and request.spec:
        raise UsageError(
            f"--spec applies to an exported file only, not to '{path}'.", "A .keras file contains its own input size."
        )
    if kind not in ("file", "lone") and (request.spec or request.labels):
        raise UsageError(f"--spec and --labels apply only to files without metadata; '{path}' has its own.")
    if kind == "bundle":
        return _bundle(path, path, request)
    if kind == "archive":
        from zoo.exporting.unpack import unpacked

        with unpacked(path) as folder:  # a loaded model does not need its file any more
            return _bundle(folder, path, request)
    if kind == "file":
        return _file(path, request)
    if request.threads is not None:
        raise UsageError(
            f"--threads applies to a bundle or an exported file only, not to '{path}'.", "Keras uses all cores."
        )
    return _keras(request, reporter)


def kind_of(request: PredictRequest) -> str:
    """The type of a model: ``bundle``, ``archive``, ``file``, ``lone`` or ``keras``.

    ``lone`` is a Keras file from outside zoo. ``keras`` is a run (by its folder, name or model) or an architecture.

    Raises:
        UsageError: There is no such model.
    """
    from zoo.edge.bundle import is_bundle
    from zoo.workflows.finding import is_lone

    text = request.model
    path = Path(text)
    if is_lone(path, request.labels):
        return "lone"
    if path.is_dir():
        if is_bundle(path):
            return "bundle"
    else:
        suffixes = tuple(offer.record.suffix.lower() for offer in exporters())
        if suffixes and path.name.lower().endswith(suffixes):
            return "file"
        if path.suffix.lower() == ".zip":
            return "archive"
    if (
        path.suffix == ".keras"
        or text in architectures()
        or any((place / "run.json").is_file() for place in (path, request.runs / text))
    ):
        return "keras"
    if not_here := architectures().missing(text):
        raise not_here
    missing = "" if path.exists() else ", and there is no such file or folder"
    files = ", ".join(sorted({offer.record.suffix for offer in exporters()}))
    names = sorted({offer.record.name for offer in architectures()})
    raise UsageError(
        f"'{text}' is not a model{missing}.{did_you_mean(text, names)}",
        f"MODEL is a bundle (its .zip, or the folder with spec.json in it), an exported file ({files}), the folder of "
        f"a run, an architecture that `zoo list` shows, or a .keras file.",
    )


def metadata_of(request: PredictRequest) -> Metadata | None:
    """Metadata of an exported file, which may be in a bundle or an archive. ``None`` if zoo did not write any."""
    from zoo.edge.bundle import read_bundle
    from zoo.exporting.unpack import unpacked
    from zoo.parity.formats import exporter_of

    path = Path(request.model)
    if path.is_file() and path.suffix.lower() != ".zip":
        return exporter_of(path).read_metadata(path)
    with nullcontext(path) if path.is_dir() else unpacked(path) as folder:
        model = read_bundle(folder).model_path
        return exporter_of(model).read_metadata(model)


def _bundle(folder: Path, named: Path, request: PredictRequest) -> Answering:
    from zoo.edge.bundle import read_bundle
    from zoo.edge.classify import open_bundle

    bundle = read_bundle(folder)
    if altered := bundle.altered():
        raise VerificationError(
            f"The bundle {named} is damaged: {' '.join(altered)}", "Copy it again, or export the model again."
        )
    # The installed exporter is used instead of the copy in the bundle, because no code of an untrusted bundle may run.
    load = exporters().get(str(bundle.values["format"])).load
    least = min_confidence(request.min_confidence, bundle.values, f"The bundle {named}")
    _, digest = bundle.files[bundle.model_path.name]
    return _in_threads(lambda: open_bundle(bundle, load, 1, least), request, bundle.values, lambda: digest)


def _file(path: Path, request: PredictRequest) -> Answering:
    from zoo.edge.classify import Classifier
    from zoo.parity.formats import exporter_of
    from zoo.workflows.foreign import complete, refuse_unfit

    exporter = exporter_of(path)
    metadata = exporter.read_metadata(path)
    if metadata is not None and (request.spec or request.labels):
        raise UsageError(
            f"'{path}' contains its own class names and preprocessing.",
            "Omit --spec and --labels.",
        )
    image, labels, values = complete(path, metadata, request.spec, request.labels)
    least = min_confidence(
        request.min_confidence, values, f"'{request.spec if isinstance(request.spec, Path) else path}'"
    )
    if metadata is None:
        refuse_unfit(path, exporter.load(path, 1), image, labels)
    said = {"source": metadata.source, "precision": metadata.precision} if metadata else {"precision": "float32"}
    return _in_threads(
        lambda: Classifier(exporter.load(path, 1), image, labels, least),
        request,
        {"format": exporter.name, **said},
        lambda: file_digest(path),
    )


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _in_threads(
    load: Callable[[], Classifier], request: PredictRequest, values: Mapping[str, Any], digest: Callable[[], str]
) -> Answering:
    from zoo.edge.explain import explain, export_with_map, map_reader
    from zoo.machine import core_count
    from zoo.workflows.stream import one_by_one

    threads = request.threads or min(core_count(), MOST_THREADS)
    worth = max(1, -(-request.pictures // _PICTURES_A_THREAD))
    # All models are loaded in this thread, because stderr is captured while a model is loaded, and only one thread may
    # capture it at a time.
    classifiers = [load() for _ in range(min(threads, worth))]
    first = classifiers[0]
    return Answering(
        first.labels,
        lambda pictures, top: one_by_one(classifiers, pictures, top),
        lambda picture, name, label: explain(
            first, map_reader(first.runtime, export_with_map(values)), picture, name, label
        ),
        digest,
        tuple(re.split(r"[^\w.-]", text)[0] for text in exporters().get(str(values["format"])).requires),
    )


def _keras(request: PredictRequest, reporter: Reporter) -> Answering:
    from zoo.backend import start_keras
    from zoo.edge.classify import Classifier
    from zoo.edge.explain import explain
    from zoo.evaluation.predict import batch_size, predict_inputs
    from zoo.evaluation.trained import model_digest
    from zoo.workflows.finding import described, find_model
    from zoo.workflows.stream import in_batches

    found = find_model(request.model, request.runs, request.weights, request.labels, request.pixels)
    if request.model == found.architecture:
        reporter.note(f"Using {described(request.model, found)}")
    measured = found.run.metrics.as_dict() if found.run else {}
    least = min_confidence(request.min_confidence, measured, found.name)
    start_keras()
    import keras

    model = found.load()

    class Runtime:
        inputs = (_tensor("image", model.input_shape),)
        outputs = (_tensor("probabilities", model.output_shape),)

        def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
            return predict_inputs(model, images, request.pictures)

    @cache
    def explainer() -> Explainer:
        from zoo.explain import Explainer

        return Explainer(model, found.name)

    def digest() -> str:
        if found.run is None and not found.lone:
            return model_digest(model)
        return file_digest(found.run.model_path if found.run else Path(request.model))

    runtime = Runtime()
    at_once = batch_size(found.image.input_shape)
    classifier = Classifier(runtime, found.image, found.labels, least)
    return Answering(
        found.labels,
        lambda pictures, top: in_batches(classifier, runtime.predict, at_once, pictures, top),
        lambda picture, name, label: explain(classifier, explainer().find, picture, name, label),
        digest,
        ("keras", str(keras.backend.backend())),
        found.notes,
    )


def _tensor(name: str, shape: object) -> TensorInfo:
    from zoo.exported import TensorInfo

    return TensorInfo(name=name, shape=cast("tuple[int | None, ...]", shape), dtype="float32")
