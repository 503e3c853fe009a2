"""ImageNet weights: from a folder, from Keras's cache, or downloaded by Keras."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import PluginError, UsageError

from zoo_keras_applications.applications import BY_NAME

if TYPE_CHECKING:
    import keras

    from zoo_keras_applications.applications import Application

#: Environment variable with a folder of weight files, for machines without a network.
FOLDER_VARIABLE = "ZOO_KERAS_APPLICATIONS_WEIGHTS"

LABELS = Path(__file__).with_name("imagenet_labels.txt")

CLASSES = 1000

#: Seconds without data after which a download is cancelled.
_PATIENCE_S = 30.0


def load_imagenet(application: Application, model: keras.Model, with_head: bool) -> None:
    """Sets the weights of a model created by ``build``. With the head, it must have 1000 classes.

    Raises:
        UsageError: The file was not found and cannot be downloaded, or the model has another number of classes or
            another size.
        PluginError: The file is damaged.
    """
    _check_fits(application, model, with_head)
    from zoo_keras_applications.model import adapt, copy_weights

    published, pairs = adapt(application, _published(application), dropout=0.0)
    copy_weights(application, pairs)
    values = {variable.path: variable for variable in published.weights}
    for variable in model.weights:
        if with_head or not variable.path.startswith("probabilities/"):
            variable.assign(values[variable.path])


def imagenet_labels() -> tuple[str, ...]:
    """Returns 1000 names in the order of the outputs. No two are equal, even if case is ignored."""
    return tuple(name for _, name in imagenet_classes())


def imagenet_classes() -> tuple[tuple[str, str], ...]:
    """``(wnid, name)`` in the order of the outputs. The wnid is the WordNet ID, such as ``n01440764``."""
    rows = (line.split("\t") for line in LABELS.read_text(encoding="utf-8").splitlines())
    return tuple((wnid, name) for wnid, name in rows)


def wordnet_ids() -> dict[str, str]:
    """The class names by WordNet ID, such as ``tench`` for ``n01440764``."""
    return dict(imagenet_classes())


def _check_fits(application: Application, model: keras.Model, with_head: bool) -> None:
    if with_head and model.output_shape[-1] != CLASSES:
        raise UsageError(
            f"The ImageNet weights of {application.name} are for {CLASSES} classes. Received: {model.output_shape[-1]}.",
            "Load the backbone alone.",
        )


def _published(application: Application) -> keras.Model:
    from zoo_keras_applications.model import original

    path = _in_folder(application)
    shape = (application.size_px, application.size_px, 3)
    try:
        with _patience(), contextlib.redirect_stdout(sys.stderr):  # Keras prints the progress of a download
            return original(application, shape, CLASSES, weights=str(path) if path else "imagenet")
    except Exception as error:  # Keras raises the errors of urllib, h5py and its own checks
        reason = " ".join(str(error).split())[:300]
        if path is not None:
            raise PluginError(
                f"Could not read the weights {path} of {application.name}: {reason}", "Copy the file again."
            ) from error
        raise _nowhere(application, reason) from error


def _in_folder(application: Application) -> Path | None:
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return None
    if not Path(folder).is_dir():
        raise UsageError(f"{FOLDER_VARIABLE} names '{folder}', which is not a folder.")
    path = Path(folder) / application.file
    if not path.is_file():
        return None
    if application.checksum:
        algorithm = "sha256" if len(application.checksum) == 64 else "md5"
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, algorithm).hexdigest()
        if actual != application.checksum:
            raise PluginError(
                f"The weights {path} of {application.name} are damaged, or are a different file with this name: "
                f"expected {algorithm} {application.checksum}, actual {actual} ({path.stat().st_size} bytes).",
                "Copy the file again.",
            )
    return path


def _nowhere(application: Application, reason: str) -> UsageError:
    folder = os.environ.get(FOLDER_VARIABLE)
    cache = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models"
    return UsageError(
        f"The ImageNet weights of {application.name} are missing: the file {application.file} is neither in the folder "
        f"{FOLDER_VARIABLE} ({folder or 'not set'}) nor complete in {cache}, and Keras could not download it: {reason}",
        f"With a network, python -c 'import keras; keras.applications.{application.factory}()' downloads it to "
        f"~/.keras/models. Copy it to a folder on this machine, and set {FOLDER_VARIABLE} to that folder. "
        "Or train without it: --weights none --recipe scratch.",
    )


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """Cancels a download that receives no data. Keras itself would wait forever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def __getattr__(name: str) -> Callable[[keras.Model, bool], None]:
    """``load_imagenet`` of an application, by its name, because the records refer to it by this name."""
    if name not in BY_NAME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return partial(load_imagenet, BY_NAME[name])
