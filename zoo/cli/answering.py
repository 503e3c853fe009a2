"""What MODEL names in ``zoo predict``, made ready to answer, and its answers to pictures, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from zoo.errors import UsageError, VerificationError
from zoo.registry import architectures, exporters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoo.edge.classify import Answer, Classifier
    from zoo.edge.sources import Picture
    from zoo.exported import TensorInfo
    from zoo.images import ImageError
    from zoo.interfaces import Exporter


@dataclass(frozen=True)
class Answering:
    """A model that is ready to answer.

    Args:
        classifier: Makes its input of pictures, and answers of probabilities.
        predict: Probabilities, float32 ``(n, classes)``, of pixels, uint8 ``(n, height, width, 3)``.
        batch_size: Images that are asked about at once.
    """

    classifier: Classifier
    predict: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    batch_size: int = 1


def open_model(text: str, runs: Path, weights: str | None, threads: int | None, total: int) -> Answering:
    """Finds a model by what the command line calls it, and loads it.

    Args:
        text: A bundle's folder, an exported file, a run or an architecture.
        runs: Folder of runs.
        weights: Name of pretrained weights; ``text`` then is an architecture.
        threads: Of the runtime of a bundle or a file.
        total: How many images there will be.

    Raises:
        UsageError: It is none of these, or a file without our metadata, or its runtime is not installed.
        VerificationError: The bundle is damaged.
        ExportError: The file is damaged.
    """
    path = Path(text)
    kind = "keras" if weights is not None else _kind(path, text, runs)
    if kind == "bundle":
        return _bundle(path, threads or 1)
    if kind == "file":
        return _file(path, threads or 1)
    if threads is not None:
        raise UsageError(
            f"--threads goes with a bundle or an exported file, not with '{text}'.", "Keras takes all cores by itself."
        )
    return _keras(text, runs, weights, total)


def ask(
    model: Answering, pictures: Iterable[tuple[str, Picture]], top: int
) -> Iterator[tuple[str, Answer | ImageError]]:
    """Name and answer of each picture, or why there is none; in flat memory.

    Pictures are decoded in threads while the model answers about those before them.

    Raises:
        VerificationError: The model answers with something that is no number.
    """
    import numpy as np

    from zoo.images import ImageError
    from zoo.images.ahead import ahead
    from zoo.runs.machine import core_count

    def decoded(named: tuple[str, Picture]) -> tuple[str, NDArray[np.uint8] | ImageError]:
        name, picture = named
        if isinstance(picture, ImageError):
            return name, picture
        try:
            return name, model.classifier.pixels(picture)
        except ImageError as error:
            return name, error

    def answered() -> Iterator[tuple[str, Answer]]:
        probabilities = model.predict(np.stack(batch))
        for name, row in zip(names, probabilities, strict=True):
            yield name, model.classifier.answer(row, top)
        names.clear()
        batch.clear()

    names: list[str] = []
    batch: list[NDArray[np.uint8]] = []
    for name, made in ahead(decoded, pictures, min(4, core_count())):
        if isinstance(made, ImageError):
            yield name, made
            continue
        names.append(name)
        batch.append(made)
        if len(batch) == model.batch_size:
            yield from answered()
    if batch:
        yield from answered()


def _kind(path: Path, text: str, runs: Path) -> str:
    """``bundle``, ``file`` or ``keras``."""
    if path.is_dir():
        # A folder with the runner and no spec.json is a bundle that lost it, and should hear so.
        if any((path / name).is_file() for name in ("spec.json", "run.py")):
            return "bundle"
    else:
        suffixes = tuple(offer.record.suffix.lower() for offer in exporters())
        if suffixes and path.name.lower().endswith(suffixes):
            return "file"
        if path.suffix.lower() == ".zip":
            if not path.is_file():
                raise UsageError(f"There is no file '{path}'.")
            raise UsageError(
                f"'{path}' is packed: unpack it first, and give the folder.",
                f"python -m zipfile -e {path} {path.with_suffix('')}",
            )
    if text in architectures() or any((place / "run.json").is_file() for place in (path, runs / text)):
        return "keras"
    missing = "" if path.exists() else ", and there is no such file or folder"
    files = ", ".join(sorted({offer.record.suffix for offer in exporters()}))
    raise UsageError(
        f"'{text}' is not a model{missing}.",
        f"MODEL is the folder of a bundle (with spec.json in it), an exported file ({files}), the folder of a run, or "
        f"an architecture ({', '.join(sorted({offer.record.name for offer in architectures()}))}).",
    )


def _bundle(folder: Path, threads: int) -> Answering:
    from zoo.edge.bundle import read_bundle
    from zoo.edge.classify import open_bundle

    bundle = read_bundle(folder)
    if altered := bundle.altered():
        raise VerificationError(
            f"The bundle {folder} is damaged: {' '.join(altered)}", "Copy it anew, or export the model again."
        )
    # The exporter installed here and not the bundle's own copy: a bundle may come from anywhere, and runs no code.
    classifier = open_bundle(bundle, exporters().get(str(bundle.values["format"])).load, threads)
    return Answering(classifier, lambda pixels: classifier.probabilities(pixels[0])[None])


def _file(path: Path, threads: int) -> Answering:
    from zoo.edge.classify import Classifier
    from zoo.parity.formats import exporter_of

    exporter = exporter_of(path)
    try:
        metadata = exporter.read_metadata(path)
        if metadata is None:
            raise UsageError(
                f"'{path}' does not say what its classes are called, nor how a photo becomes its input: it has none of "
                "zoo's metadata.",
                "Give a file that 'zoo export' wrote.",
            )
        runtime = exporter.load(path, threads)
    except ModuleNotFoundError as error:
        raise _not_installed(exporter, error) from error
    classifier = Classifier(runtime, metadata.image, metadata.labels)
    return Answering(classifier, lambda pixels: classifier.probabilities(pixels[0])[None])


def _not_installed(exporter: Exporter, error: ModuleNotFoundError) -> UsageError:
    wanted = " ".join(f'"{requirement}"' for requirement in exporter.requires) or error.name
    return UsageError(f"'{error.name}' is not installed.", f"python -m pip install {wanted}")


def _keras(text: str, runs: Path, weights: str | None, total: int) -> Answering:
    from zoo.cli.backend import start_keras
    from zoo.cli.runs import find_trained
    from zoo.edge.classify import Classifier
    from zoo.evaluation.predict import BATCH_SIZE, answers

    found = find_trained(text, runs, weights)
    start_keras()
    model = found.load()

    class Runtime:
        inputs = (_tensor("image", model.input_shape),)
        outputs = (_tensor("probabilities", model.output_shape),)

        def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
            return answers(model, images, total)

    runtime = Runtime()
    return Answering(Classifier(runtime, found.image, found.labels), runtime.predict, BATCH_SIZE)


def _tensor(name: str, shape: object) -> TensorInfo:
    from zoo.exported import TensorInfo

    return TensorInfo(name=name, shape=cast("tuple[int | None, ...]", shape), dtype="float32")
