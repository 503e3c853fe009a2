"""The public Python functions of ``import zoo``.

They accept the objects that are common in a notebook, run the same workflows as the command line, and return objects
with further methods.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

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


@overload
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
    devices: int | str | None = None,
    host: None = None,
    on: str | None = None,
    runs: AnyPath = DEFAULT_ROOT,
    quiet: bool = False,
    **settings: Any,
) -> Run: ...


@overload
def train(architecture: str | None = None, *, host: str | None, **arguments: Any) -> Run | None: ...


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
    devices: int | str | None = None,
    host: str | None = None,
    on: str | None = None,
    runs: AnyPath = DEFAULT_ROOT,
    quiet: bool = False,
    **settings: Any,
) -> Run | None:
    """Trains a model, evaluates it on test images, and writes a report, like ``zoo train``.

    Args:
        architecture: Name of the architecture, as shown by ``zoo list``.
        data: A folder of class folders, a CSV file, the name of a dataset, ``(images, labels)``, a dictionary of
            splits, a DataFrame with ``path`` and ``label``, a ``tf.data.Dataset``, or other batches. ``zoo.data.given``
            lists all forms. ``None``: the handwritten digits.
        class_names: Names of the classes, if the labels in ``data`` are numbers.
        name: Name of the run, as in ``zoo.load``. ``None``: architecture and time.
        size: Side of the images in px, or ``(width, height)``. ``None``: the default of the architecture.
        resize, interpolation: Fields of the ``ImageSpec``.
        recipe: Name of a recipe, or path of a YAML file of recipe fields.
        weights: ``imagenet``, ``none``, or a file. ``None``: the first weights that the architecture lists.
        options: Options of the architecture, such as ``{"width": 0.5}``.
        seed: Seed of weights, shuffling and augmentation, 0 to 2**31 - 1.
        split_seed: Seed of the random split.
        callbacks: Keras callbacks to add.
        tensorboard: Whether to write TensorBoard logs.
        resume: An interrupted run to continue exactly.
        repeat: A run whose settings the new run uses.
        teachers: Finished runs on the same classes. The model learns their probabilities in addition to the labels.
        unlabelled: A folder of photos without labels. The model learns the teachers' probabilities on them.
        devices: Number of devices that share every batch, or ``"all"``; needs Keras on JAX. ``None``: one.
        host: ``"I/N@ADDRESS:PORT"`` for number I of N processes that train the model together. Host 1 runs at that
            address and listens on that port. Needs Keras on JAX, which must not have been used in this process before.
            After an error, such as a lost host, this process ends with the exit code of the error as soon as its main
            thread ends. If JAX waits for a lost host, the process ends after ten seconds without an exception.
        on: The Ray cluster that trains the model with one process on each of its machines: ``ray`` or
            ``ray://HOST:PORT``. Needs JAX on all machines, but this process may use any backend of Keras.
        runs: Folder of runs.
        quiet: Whether to print only warnings.
        settings: Fields of the ``Recipe`` and ranges of its ``Augmentation``, such as ``epochs=4`` or ``flip="none"``.

    Returns:
        The finished run: ``run.metrics.accuracy``, ``run.model``, ``run.predict(...)``, ``run.export("tflite")``.
        ``None`` on other hosts than host 1.

    Raises:
        UsageError, DataError, TrainingError, ClusterError: In the same cases as ``zoo train``.

    >>> run = zoo.train("simple_cnn", data="digits", size=16, epochs=1, precision="float32", quiet=True)
    >>> run.metrics.n
    376
    """
    from zoo.hosts.place import Place
    from zoo.workflows.assist import train_or_assist
    from zoo.workflows.planning import TrainRequest

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
        devices=devices,
        host=None if host is None else Place.parse(host),
        on=on,
    )
    trained = train_or_assist(request, reporter)
    return Run(trained.run, _reporter) if trained else None


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
    """Loads a model that can predict: a run, an exported file, a bundle or a ``.keras`` file.

    Args:
        model: One of: a run's folder or its name in ``runs``; an exported file; a bundle's folder or ``.zip``; an
            architecture, which stands for its newest finished run or else its pretrained weights; a ``.keras`` file,
            with ``labels``.
        weights: Name of pretrained weights. ``model`` must then be an architecture.
        spec: Preprocessing of a file that was not exported by zoo: an ``ImageSpec``, or a JSON file of one.
        labels: Class names of a file without metadata, in the order of the outputs, or a text file with one name per
            line.
        pixels: Pixel range that the model in a ``.keras`` file without a run expects: ``0..1``, ``-1..1``, ``caffe`` or
            ``torch``. ``None``: raw pixels, 0 to 255.
        runs: Folder of runs.

    Returns:
        A ``Run``, an ``ExportedFile``, or another ``Model``. All have ``labels`` and ``predict``.

    Raises:
        UsageError: Nothing of that name exists, or it is not a model that can predict.

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
    opened._answering(None)  # a model that cannot be opened is refused here instead of at the first prediction
    return opened


def runs(root: AnyPath = DEFAULT_ROOT, *, architecture: str | None = None, data: str | None = None) -> list[Run]:
    """Lists the finished runs of a folder, newest first.

    Args:
        root: Folder of runs.
        architecture: Include only runs of this architecture.
        data: Include only runs trained on this data: a path or the name of a dataset.

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
    architectures: str | Iterable[str] = (),
    device: AnyPath | None = None,
    name: str | None = None,
    runs: AnyPath = DEFAULT_ROOT,
    on: str | None = None,
    quiet: bool = False,
) -> Found:
    """Searches for the most accurate model whose exported file meets the limits of a device, like ``zoo search``.

    Candidates are compared by cross-validation on the training images. The test images are used once, at the end, to
    evaluate the winner. The same call continues an interrupted search.

    Args:
        data, class_names: As in ``zoo.train``.
        time: Time for the whole search: ``"10m"``, ``"1h30m"``, or a number of seconds.
        max_latency_ms: Maximum latency of the model on one thread, for one image, in milliseconds.
        max_size_mb: Maximum size of the exported file, in 10^6 bytes.
        format, precision: Format and precision of the exported file. Without a format, the first exporter whose files
            can be timed is used.
        architectures: Names of the architectures to try. If empty, all whose pretrained weights are on disk.
        device: JSON file written by ``zoo bench`` on the target device. ``None``: this machine.
        name: Name of the winner's run. ``None``: derived from the data.
        runs: Folder of runs.
        on: The Ray cluster that tries candidates: ``ray`` or ``ray://HOST:PORT``. ``None``: this process.
        quiet: Whether to print only warnings.

    Returns:
        The result: ``found.run`` is the run of the winner, ``found.file`` its exported file, ``found.ranked`` the list
        of all candidates with their figures, and ``found.page`` the page with the plot.

    Raises:
        UsageError: No architecture meets the limits (the message names the nearest), or the time is too short.
        PluginError: There is no architecture to try, or all candidates failed.

    >>> zoo.search("photos", time="10 minutes", max_size_mb=4, quiet=True)
    Traceback (most recent call last):
        ...
    zoo.errors.UsageError: --time must be a duration such as 10m, 90s or 1h30m. Received: '10 minutes'.
    """
    from zoo.searching.clock import read_time
    from zoo.workflows.search import SearchRequest
    from zoo.workflows.search import search as begin

    reporter = _reporter(quiet)
    source = _source(data, class_names, reporter)
    if source is None:
        raise UsageError("zoo.search needs data.", "Give a folder or any other data that zoo.train accepts.")
    request = SearchRequest(
        data=source,
        time_s=read_time(time) if isinstance(time, str) else float(time),
        max_latency_ms=max_latency_ms,
        max_size_mb=max_size_mb,
        format=format,
        precision=precision,
        architectures=(architectures,) if isinstance(architectures, str) else tuple(architectures),
        device=None if device is None else Path(device),
        runs=Path(runs),
        name=name,
        on=on,
    )
    return begin(request, reporter)


def evaluate(
    model: AnyPath | Run,
    data: Any = None,
    *,
    class_names: Any = None,
    weights: str | None = None,
    runs: AnyPath = DEFAULT_ROOT,
    on: str | None = None,
    quiet: bool = False,
) -> Metrics:
    """Evaluates a model on images, like ``zoo evaluate``.

    Args:
        model: A run, or an architecture, which stands for its newest finished run or else its pretrained weights.
        data, class_names: As in ``zoo.train``. ``None``: the test images of the run.
        weights: Name of pretrained weights. ``model`` must then be an architecture.
        runs: Folder of runs.
        on: The Ray cluster that reads and predicts the images: ``ray`` or ``ray://HOST:PORT``. ``None``: this process.
        quiet: Whether to print only warnings.

    >>> zoo.evaluate("runs/digits", "photos", quiet=True).n
    6
    """
    from zoo.workflows.evaluate import EvaluateRequest
    from zoo.workflows.evaluate import evaluate as measure

    reporter = _reporter(quiet)
    source = _source(data, class_names, reporter)
    return measure(
        EvaluateRequest(model=_named(model), data=source, weights=weights, runs=Path(runs), on=on), reporter
    ).metrics


def compare(*models: AnyPath | Run, runs: AnyPath = DEFAULT_ROOT, html: AnyPath | None = None) -> Comparison:
    """Compares runs, and tests which differences between them are significant, like ``zoo compare``.

    Args:
        models: Runs, or architectures, each of which stands for its newest finished run.
        runs: Folder of runs.
        html: Path of an HTML page to write, with all figures and tests.

    >>> found = zoo.compare("runs/digits", html="compare.html")  # print(found) shows a table
    >>> found.runs[0].name, found.runs[0].test_images
    ('digits', 376)
    """
    from zoo.workflows.compare import CompareRequest
    from zoo.workflows.compare import compare as side_by_side

    page = None if html is None else Path(html)
    request = CompareRequest(models=tuple(map(_named, models)), runs=Path(runs), html=page)
    return side_by_side(request, _reporter(False))


def export(
    model: AnyPath | Run,
    format: str,
    precision: str = "float32",
    *,
    data: Any = None,
    class_names: Any = None,
    calibration: AnyPath | None = None,
    weights: str | None = None,
    labels: AnyPath | Sequence[str] | None = None,
    pixels: str | None = None,
    runs: AnyPath = DEFAULT_ROOT,
    out: AnyPath | None = None,
    verify: bool = True,
    photos: bool = True,
    with_map: bool = False,
    int8_effort: str | None = None,
    quiet: bool = False,
    **gates: float,
) -> ExportedFile:
    """Exports a model to a file for another runtime and verifies it against Keras on each photo, like ``zoo export``.

    Args:
        model: A run, an architecture, or a ``.keras`` file.
        format: Name of an exporter, such as ``tflite`` or ``onnx``.
        precision: ``float32``, ``float16`` or ``int8``.
        data, class_names: Images to verify on, as in ``zoo.train``. ``None``: the test images of the run.
        calibration: Folder of further photos for the calibration of int8, without labels.
        weights: Name of pretrained weights. ``model`` must then be an architecture.
        labels, pixels: Class names and pixel range of a ``.keras`` file without a run, as in ``zoo.load``.
        runs: Folder of runs.
        out: Folder for the bundle. ``None``: the folder ``exports`` of the run.
        verify: Whether to compare the file with Keras. If not, its metadata records that it is unverified.
        photos: Whether to include a few photos in the bundle.
        with_map: Whether to add a second output with the evidence map, for ``file.explain(...)``.
        int8_effort: ``quick`` takes less time, and ``best`` comes closer to the float model. ``None``: ``best``.
        quiet: Whether to print only warnings.
        gates: ``min_agreement``, ``max_accuracy_drop`` and ``max_difference``, to replace the defaults of the
            precision.

    Returns:
        The file in its bundle, with ``file.path``, ``file.verification.passed`` and ``file.predict(...)``.

    Raises:
        VerificationError: The file does not agree with Keras. It is not kept.
        ExportError: The model cannot be converted.

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
        calibration=None if calibration is None else Path(calibration),
        weights=weights,
        labels=_labels(labels),
        pixels=pixels,
        runs=Path(runs),
        out=None if out is None else Path(out),
        verify=verify,
        photos=photos,
        with_map=with_map,
        int8_effort=int8_effort,
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
    processor: str | None = None,
    fetch: bool = False,
    report: AnyPath | None = None,
    quiet: bool = False,
    **gates: float,
) -> Verification:
    """Compares the predictions of an exported file and of its Keras model on the same photos, like ``zoo verify``.

    If the file differs by more than its precision allows, no error is raised: ``found.passed`` is then ``False``, and
    ``found.failures`` lists what differs.

    Args:
        file: An exported file, or the folder of a bundle.
        against: The reference model: a run, an architecture, or a ``.keras`` file.
        data, class_names: Images to compare on, as in ``zoo.train``. ``None``: the test images of the run.
        weights: Name of pretrained weights. ``against`` must then be an architecture.
        labels, pixels: Class names and pixel range of a ``.keras`` file without a run, as in ``zoo.load``.
        runs: Folder of runs.
        threads: Number of threads of the file's runtime.
        processor: Name of a processor to emulate, such as ``cortex-a72`` of the Raspberry Pi 4. The bundle's own
            ``run.py`` predicts on it, and ``verify.json`` and the model card of the bundle record the result.
        fetch: Whether to download missing parts of the emulation.
        report: Path of an HTML report to write.
        quiet: Whether to print only warnings.
        gates: ``min_agreement``, ``max_accuracy_drop`` and ``max_difference``, to replace the defaults of the
            precision.

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
        processor=processor,
        fetch=fetch,
    )
    found = ask(request, reporter).verification
    for sentence in found.warnings:
        reporter.warning(sentence)
    return found


def predict(
    model: AnyPath | Model,
    pictures: Any,
    *,
    top: int = 1,
    min_confidence: float | str | None = None,
    out: AnyPath | None = None,
    shard: str | None = None,
    on: str | None = None,
) -> Any:
    """Predicts the class of images. A shortcut for ``zoo.load(model).predict(pictures)``.

    Args:
        model: Any model that ``zoo.load`` accepts.
        pictures, top, min_confidence, out, shard, on: As in ``Model.predict``.

    >>> zoo.predict("bundle", "photo.png").label
    '0'
    >>> zoo.predict("bundle", "photos", out="predictions.csv").photos
    6
    """
    opened = model if isinstance(model, Model) else load(model)
    return opened.predict(pictures, top=top, min_confidence=min_confidence, out=out, shard=shard, on=on)


def check(
    data: Any,
    *,
    class_names: Any = None,
    backbone: str | None = None,
    html: AnyPath | None = None,
    on: str | None = None,
    quiet: bool = False,
) -> Audit:
    """Finds problems in a dataset, like ``zoo data check``. No file is changed.

    Args:
        data, class_names: As in ``zoo.train``.
        backbone: The architecture whose pretrained features are used. ``None``: the first that has pretrained weights.
        html: Path of an HTML page to write, which shows the affected images.
        on: The Ray cluster that reads the images and computes their features: ``ray`` or ``ray://HOST:PORT``. ``None``:
            this process.
        quiet: Whether to print only warnings.

    >>> found = zoo.check("photos", quiet=True)  # print(found) shows what to fix
    >>> len(found.photos)
    6
    """
    from zoo.workflows.check import CheckRequest
    from zoo.workflows.check import check as look

    reporter = _reporter(quiet)
    source = _source(data, class_names, reporter)
    if source is None:
        raise UsageError("zoo.check needs data.", "Give a folder or any other data that zoo.train accepts.")
    page = None if html is None else Path(html)
    return look(CheckRequest(data=source, backbone=backbone, html=page, on=on), reporter)


def _named(model: AnyPath | Model) -> str:
    if isinstance(model, Run | ExportedFile):
        return str(model.path)
    if not isinstance(model, str | os.PathLike):
        raise UsageError(
            f"Expected a run, an exported file or an architecture, or the path or the name of one. "
            f"Received: {model!r:.80}.",
            'To use a Keras model, save it with model.save("model.keras"), and give the path of the file.',
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
