"""The verbs as Python functions: what ``import zoo`` offers.

They take what is at hand in a notebook, ask the same workflows as the command line, and return objects that can be
asked for more.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import UsageError
from zoo.image_spec import ImageSpec
from zoo.reporter import Reporter
from zoo.run_folder import DEFAULT_ROOT
from zoo.workflows.models import ExportedFile, Model, Run

if TYPE_CHECKING:
    from zoo.audit.audit import Audit
    from zoo.evaluation.compare import Comparison
    from zoo.parity import Verification
    from zoo.run_folder.info import Metrics
    from zoo.workflows.search import Found

    AnyPath = str | os.PathLike[str]


def _reporter(quiet: bool) -> Reporter:
    from zoo.progress import QuietReporter, make_reporter

    return QuietReporter() if quiet else make_reporter()


def train(
    architecture: str | None = None,
    *,
    data: Any = None,
    class_names: Any = None,
    name: str | None = None,
    size: int | tuple[int, int] | None = None,
    resize: str | None = None,
    interpolation: str | None = None,
    recipe: str | None = None,
    weights: str | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int | None = None,
    split_seed: int | None = None,
    callbacks: Iterable[Any] = (),
    tensorboard: bool = False,
    resume: AnyPath | Run | None = None,
    repeat: AnyPath | Run | None = None,
    teachers: AnyPath | Run | Iterable[AnyPath | Run] = (),
    unlabelled: AnyPath | None = None,
    runs: AnyPath = DEFAULT_ROOT,
    quiet: bool = False,
    **settings: Any,
) -> Run:
    """Trains a model, measures it on images it never saw, and writes a report: ``zoo train``.

    Args:
        architecture: Its name, as ``zoo list`` shows it.
        data: A folder of class folders, a CSV, the name of a dataset; or ``(images, labels)``, a dictionary of splits,
            a DataFrame with ``path`` and ``label``, a ``tf.data.Dataset`` or other batches: ``zoo.data.given`` says
            which. ``None``: the handwritten digits.
        class_names: Names of the classes, where the labels in ``data`` are numbers.
        name: Of the run, as in ``zoo.load``; ``None``: architecture and time.
        size: Side of the images in px, or ``(width, height)``; ``None``: the architecture's.
        resize, interpolation: Of the ``ImageSpec``.
        recipe: Name of a recipe, or a YAML file of its fields.
        weights: ``imagenet``, ``none``, or a file; ``None``: the architecture's first.
        options: Of the architecture, such as ``{"width": 0.5}``.
        seed: Of weights, shuffling and augmentation, 0 to 2**31 - 1.
        split_seed: Of the splits that are made.
        callbacks: Keras callbacks to add.
        tensorboard: Whether TensorBoard logs are written.
        resume: A run to continue exactly.
        repeat: A run whose settings a new one starts with.
        teachers: Finished runs on the same classes, whose probabilities the model learns beside the labels.
        unlabelled: A folder of photos without labels, of which it learns the teachers' probabilities alone.
        runs: Folder of runs.
        quiet: Whether nothing but warnings is told.
        settings: Fields of the ``Recipe`` and ranges of its ``Augmentation``, such as ``epochs=4`` or ``flip="none"``.

    Returns:
        The finished run: ``run.metrics.accuracy``, ``run.model``, ``run.predict(...)``, ``run.export("tflite")``.

    Raises:
        UsageError, DataError, TrainingError: As ``zoo train`` says them.

    >>> run = zoo.train("simple_cnn", data="digits", size=16, epochs=1, precision="float32", quiet=True)
    >>> run.metrics.n
    376
    """
    from zoo.workflows.planning import TrainRequest
    from zoo.workflows.train import train as begin

    reporter = _reporter(quiet)
    request = TrainRequest(
        architecture=architecture,
        data=_source(data, class_names, reporter),
        image=_image(size, resize, interpolation),
        recipe=recipe,
        settings=_settings(settings),
        weights=weights,
        options=dict(options or {}),
        seed=_whole("seed", seed),
        split_seed=_whole("split_seed", split_seed),
        runs=Path(runs),
        name=name,
        resume=_folder(resume),
        repeat=_folder(repeat),
        tensorboard=tensorboard,
        callbacks=tuple(callbacks),
        teachers=_folders(teachers),
        unlabelled=None if unlabelled is None else Path(unlabelled),
    )
    return Run(begin(request, reporter).run, _reporter)


def _source(data: Any, class_names: Any, reporter: Reporter) -> str | None:
    if data is None:
        return None
    from zoo.data.given import as_source

    return as_source(data, class_names, progress=reporter.counter("writing"))


def _image(size: Any, resize: str | None, interpolation: str | None) -> dict[str, Any]:
    given = {"resize": resize, "interpolation": interpolation}
    fields = {name: value for name, value in given.items() if value is not None}
    if size is None:
        return fields
    sides = (size, size) if isinstance(size, int) else size
    if not (isinstance(sides, tuple | list) and len(sides) == 2 and all(isinstance(side, int) for side in sides)):
        raise UsageError(f"size must be pixels, such as 224 or (320, 240) for width and height. Received: {size!r}.")
    return {"width_px": sides[0], "height_px": sides[1], **fields}


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    from zoo.errors import unknown_name
    from zoo.recipe import FIELDS, read_field

    for name in given:
        if name not in FIELDS:
            raise unknown_name("argument of zoo.train", name, FIELDS)
    return {name: read_field(name, value) for name, value in given.items()}


def _whole(name: str, value: int | None) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31):
        raise UsageError(f"{name} must be a whole number from 0 to 2147483647. Received: {value!r}.")
    return value


def _folder(run: AnyPath | Run | None) -> Path | None:
    return run.path if isinstance(run, Run) else None if run is None else Path(run)


def _folders(runs: AnyPath | Run | Iterable[AnyPath | Run]) -> tuple[Path, ...]:
    several = (runs,) if isinstance(runs, str | os.PathLike | Run) else runs
    return tuple(run.path if isinstance(run, Run) else Path(run) for run in several)


def load(
    model: AnyPath,
    *,
    weights: str | None = None,
    spec: AnyPath | ImageSpec | None = None,
    labels: AnyPath | Sequence[str] | None = None,
    pixels: str | None = None,
    runs: AnyPath = DEFAULT_ROOT,
) -> Model:
    """Opens whatever can be asked about pictures: a run, an exported file, a bundle, a ``.keras`` file.

    Args:
        model: A run's folder or its name in ``runs``; an exported file; a bundle's folder or ``.zip``; an architecture:
            its newest finished run, or with its pretrained weights; a ``.keras`` file, with ``labels``.
        weights: Name of pretrained weights; ``model`` then is an architecture.
        spec, labels, pixels: What a file that is not from zoo does not say itself: an ``ImageSpec`` or a JSON file of
            one; the class names in the order of the outputs, or a text file of them; the range of pixels that a lone
            ``.keras`` file expects, ``0..1``, ``-1..1``, ``caffe`` or ``torch``, where it is not 0 to 255.
        runs: Folder of runs.

    Returns:
        A ``Run``, an ``ExportedFile``, or another ``Model``; all have ``labels`` and ``predict``.

    Raises:
        UsageError: There is nothing of that name, or it cannot be asked.

    >>> [type(zoo.load(path)).__name__ for path in ("runs/digits", "bundle", "bundle/simple_cnn.onnx")]
    ['Run', 'ExportedFile', 'ExportedFile']
    """
    from zoo.workflows.finding import find_model
    from zoo.workflows.predict import PredictRequest, kind_of, metadata_of

    request = PredictRequest(
        model=_named(model),
        runs=Path(runs),
        weights=weights,
        spec=spec if spec is None or isinstance(spec, ImageSpec) else Path(spec),
        labels=_labels(labels),
        pixels=pixels,
    )
    kind = "keras" if weights is not None else kind_of(request)
    if kind in ("file", "bundle", "archive"):
        opened: Model = ExportedFile(Path(request.model), metadata_of(request), request, _reporter)
    else:
        found = find_model(request.model, request.runs, weights, request.labels, pixels)
        if found.run is not None:
            return Run(found.run, _reporter)
        opened = Model(request, _reporter)
    opened._answering(None)  # what cannot be opened is refused here, and not when it is asked
    return opened


def runs(root: AnyPath = DEFAULT_ROOT, *, architecture: str | None = None, data: str | None = None) -> list[Run]:
    """The finished runs of a folder, the newest first.

    Args:
        root: Folder of runs.
        architecture: Those of it alone.
        data: Those that were trained on it alone: a path or the name of a dataset.

    >>> "digits" in [run.name for run in zoo.runs(data="digits")]
    True
    """
    from zoo.workflows.finding import finished_runs

    return [Run(run, _reporter) for run in finished_runs(Path(root), architecture, data)]


def search(
    data: Any,
    *,
    class_names: Any = None,
    time: str | float = "10m",
    max_latency_ms: float | None = None,
    max_size_mb: float | None = None,
    format: str | None = None,
    precision: str = "float32",
    architectures: Iterable[str] = (),
    device: AnyPath | None = None,
    name: str | None = None,
    runs: AnyPath = DEFAULT_ROOT,
    quiet: bool = False,
) -> Found:
    """Searches for the most accurate model whose exported file meets the limits of a device: ``zoo search``.

    Candidates are judged by cross-validation on the training images; the test images measure the winner alone, at the
    end. The same call continues a search that was interrupted.

    Args:
        data, class_names: As ``zoo.train`` takes them.
        time: For the whole search: ``"10m"``, ``"1h30m"``, or seconds.
        max_latency_ms: Most milliseconds for one image, the model alone, on one thread.
        max_size_mb: Largest exported file, in 10^6 bytes.
        format, precision: Of the exported file; without a format, that of the first exporter whose files can be timed.
        architectures: Names of those to try; empty: all with pretrained weights that nobody has to download.
        device: JSON of ``zoo bench`` on the device that the limits are of; ``None``: this machine.
        name: Of the winner's run; ``None``: after the data.
        runs: Folder of runs.
        quiet: Whether nothing but warnings is told.

    Returns:
        ``found.run``, the winner, a run like any other; ``found.file``, its exported file; ``found.ranked``, all
        candidates with their figures; ``found.page``, the page with the picture.

    Raises:
        UsageError: No architecture meets the limits (the message names the nearest), or the time is too short.
        PluginError: There is no architecture to try, or all failed.

    >>> zoo.search("photos", time="10 minutes", max_size_mb=4, quiet=True)
    Traceback (most recent call last):
        ...
    zoo.errors.UsageError: --time must be such as 10m, 90s or 1h30m. Received: '10 minutes'.
    """
    from zoo.searching.clock import read_time
    from zoo.workflows.search import SearchRequest
    from zoo.workflows.search import search as begin

    reporter = _reporter(quiet)
    source = _source(data, class_names, reporter)
    if source is None:
        raise UsageError("Which data should be searched with?", "Give a folder, or whatever else zoo.train takes.")
    request = SearchRequest(
        data=source,
        time_s=read_time(time) if isinstance(time, str) else float(time),
        max_latency_ms=max_latency_ms,
        max_size_mb=max_size_mb,
        format=format,
        precision=precision,
        architectures=tuple(architectures),
        device=None if device is None else Path(device),
        runs=Path(runs),
        name=name,
    )
    return begin(request, reporter)


def evaluate(
    model: AnyPath | Run,
    data: Any = None,
    *,
    class_names: Any = None,
    weights: str | None = None,
    runs: AnyPath = DEFAULT_ROOT,
    quiet: bool = False,
) -> Metrics:
    """Measures a model on images: ``zoo evaluate``.

    Args:
        model: A run, or an architecture: its newest finished run, or with its pretrained weights.
        data, class_names: As ``zoo.train`` takes them; ``None``: the test images of the run.
        weights: Name of pretrained weights; ``model`` then is an architecture.
        runs: Folder of runs.
        quiet: Whether nothing but warnings is told.

    >>> zoo.evaluate("runs/digits", "photos", quiet=True).n
    6
    """
    from zoo.workflows.evaluate import EvaluateRequest
    from zoo.workflows.evaluate import evaluate as measure

    reporter = _reporter(quiet)
    source = _source(data, class_names, reporter)
    return measure(
        EvaluateRequest(model=_named(model), data=source, weights=weights, runs=Path(runs)), reporter
    ).metrics


def compare(*models: AnyPath | Run, runs: AnyPath = DEFAULT_ROOT) -> Comparison:
    """Runs side by side, and which differences between them are more than noise: ``zoo compare``.

    Args:
        models: Runs, or architectures: the newest finished run of each.
        runs: Folder of runs.

    >>> found = zoo.compare("runs/digits")  # print(found) shows a table
    >>> found.runs[0].name, found.runs[0].test_images
    ('digits', 376)
    """
    from zoo.workflows.compare import CompareRequest
    from zoo.workflows.compare import compare as side_by_side

    return side_by_side(CompareRequest(models=tuple(map(_named, models)), runs=Path(runs)), _reporter(False))


def export(
    model: AnyPath | Run,
    format: str,
    precision: str = "float32",
    *,
    data: Any = None,
    class_names: Any = None,
    weights: str | None = None,
    labels: AnyPath | Sequence[str] | None = None,
    pixels: str | None = None,
    runs: AnyPath = DEFAULT_ROOT,
    out: AnyPath | None = None,
    verify: bool = True,
    photos: bool = True,
    with_map: bool = False,
    quiet: bool = False,
    **gates: float,
) -> ExportedFile:
    """Writes a model to a file for another runtime, verified against Keras photo by photo: ``zoo export``.

    Args:
        model: A run, an architecture, or a ``.keras`` file.
        format: Name of an exporter, such as ``tflite`` or ``onnx``.
        precision: ``float32``, ``float16`` or ``int8``.
        data, class_names: Images to verify on, as ``zoo.train`` takes them; ``None``: the test images of the run.
        weights: Name of pretrained weights; ``model`` then is an architecture.
        labels, pixels: What a lone ``.keras`` file does not say itself, as ``zoo.load`` takes them.
        runs: Folder of runs.
        out: Folder for the bundle; ``None``: ``exports`` of the run.
        verify: Whether the file is compared with Keras; without, it says that it is unverified.
        photos: Whether a few photos may travel in the bundle.
        with_map: Whether the file gets a second output that says where the evidence lies, for ``file.explain(...)``.
        quiet: Whether nothing but warnings is told.
        gates: ``min_agreement``, ``max_accuracy_drop``, ``max_difference`` in place of the precision's own.

    Returns:
        The file, in its bundle: ``file.path``, ``file.verification.passed``, ``file.predict(...)``.

    Raises:
        VerificationError: It does not predict like Keras, and is not kept.
        ExportError: The model cannot be translated.

    >>> file = zoo.export("runs/digits", "onnx", quiet=True)
    >>> file.path.name, file.verification.agreement
    ('simple_cnn.onnx', 1.0)
    """
    from zoo.workflows.export import ExportRequest
    from zoo.workflows.export import export as make

    reporter = _reporter(quiet)
    request = ExportRequest(
        model=_named(model),
        formats=(format,),
        precisions=(precision,),
        data=_source(data, class_names, reporter),
        weights=weights,
        labels=_labels(labels),
        pixels=pixels,
        runs=Path(runs),
        out=None if out is None else Path(out),
        verify=verify,
        photos=photos,
        with_map=with_map,
        gates=_gates(gates),
    )
    made = make(request, reporter)
    made.refuse()
    (target,) = made.targets
    opened = load(target.path)
    assert isinstance(opened, ExportedFile)
    return opened


def verify(
    file: AnyPath | ExportedFile,
    against: AnyPath | Run,
    *,
    data: Any = None,
    class_names: Any = None,
    weights: str | None = None,
    labels: AnyPath | Sequence[str] | None = None,
    pixels: str | None = None,
    runs: AnyPath = DEFAULT_ROOT,
    threads: int = 1,
    report: AnyPath | None = None,
    quiet: bool = False,
    **gates: float,
) -> Verification:
    """Asks an exported file and the Keras model it was made from about the same photos: ``zoo verify``.

    Nothing is raised where they differ: ``found.passed`` says whether they do, ``found.failures`` how.

    Args:
        file: An exported file, or the folder of a bundle.
        against: What it should predict like: a run, an architecture, or a ``.keras`` file.
        data, class_names: Images to ask both, as ``zoo.train`` takes them; ``None``: the test images of the run.
        weights: Name of pretrained weights; ``against`` then is an architecture.
        labels, pixels: What a lone ``.keras`` file does not say itself, as ``zoo.load`` takes them.
        runs: Folder of runs.
        threads: Of the file's runtime.
        report: A page to write.
        quiet: Whether nothing but warnings is told.
        gates: ``min_agreement``, ``max_accuracy_drop``, ``max_difference`` in place of the precision's own.

    >>> found = zoo.verify("bundle", "runs/digits", data="photos", quiet=True)  # print(found) shows all figures
    >>> found.passed, found.n
    (True, 6)
    """
    from zoo.workflows.verify import VerifyRequest
    from zoo.workflows.verify import verify as ask

    reporter = _reporter(quiet)
    request = VerifyRequest(
        file=file.path if isinstance(file, ExportedFile) else Path(file),
        against=_named(against),
        weights=weights,
        labels=_labels(labels),
        pixels=pixels,
        data=_source(data, class_names, reporter),
        runs=Path(runs),
        threads=threads,
        gates=_gates(gates),
        report=None if report is None else Path(report),
    )
    found = ask(request, reporter).verification
    for sentence in found.warnings:
        reporter.warning(sentence)
    return found


def predict(model: AnyPath | Model, pictures: Any, *, top: int = 1, min_confidence: float | str | None = None) -> Any:
    """What pictures show: ``zoo.load(model).predict(pictures)``, for once.

    Args:
        model: Whatever ``zoo.load`` opens.
        pictures, top, min_confidence: As ``Model.predict`` takes them.

    >>> zoo.predict("bundle", "photo.png").label
    '0'
    """
    opened = model if isinstance(model, Model) else load(model)
    return opened.predict(pictures, top=top, min_confidence=min_confidence)


def check(
    data: Any,
    *,
    class_names: Any = None,
    backbone: str | None = None,
    html: AnyPath | None = None,
    quiet: bool = False,
) -> Audit:
    """Finds what is wrong with a dataset: ``zoo data check``. No file of it is changed.

    Args:
        data, class_names: As ``zoo.train`` takes them.
        backbone: The architecture whose pretrained features are used; ``None``: the first that has some.
        html: A page to write, with the pictures side by side.
        quiet: Whether nothing but warnings is told.

    >>> found = zoo.check("photos", quiet=True)  # print(found) shows what to mend
    >>> len(found.photos)
    6
    """
    from zoo.workflows.check import CheckRequest
    from zoo.workflows.check import check as look

    reporter = _reporter(quiet)
    source = _source(data, class_names, reporter)
    if source is None:
        raise UsageError("Which data should be checked?", "Give a folder, or whatever else zoo.train takes as data.")
    return look(CheckRequest(data=source, backbone=backbone, html=None if html is None else Path(html)), reporter)


def _named(model: AnyPath | Model) -> str:
    if isinstance(model, Run | ExportedFile):
        return str(model.path)
    if not isinstance(model, str | os.PathLike):
        raise UsageError(
            f"Expected a run, an exported file or an architecture, or the path or the name of one. "
            f"Received: {model!r:.80}.",
            'A Keras model has to be a file: model.save("model.keras"), and give its path.',
        )
    return os.fsdecode(model)


def _labels(given: AnyPath | Sequence[str] | None) -> Path | tuple[str, ...] | None:
    if given is None or isinstance(given, str | os.PathLike):
        return None if given is None else Path(given)
    names = tuple(given)
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise UsageError(
            f"labels must be the names of the classes, or a text file of them. Received: {given!r:.80}.",
            'Such as ["rugby", "soccer"], in the order of the outputs.',
        )
    return names


def _gates(given: Mapping[str, float]) -> dict[str, float]:
    from zoo.errors import unknown_name

    known = ("min_agreement", "max_accuracy_drop", "max_difference")
    for name, value in given.items():
        if name not in known:
            raise unknown_name("argument", name, known)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise UsageError(f"{name} must be a number from 0 to 1. Received: {value!r}.")
    return dict(given)
