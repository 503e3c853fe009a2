"""Weight files: an ``.npz`` file with one array per variable, named ``layer/variable``.

Plugins include their pretrained weights in this form (``write_weights``, then ``load_weights`` with the returned
SHA-256). ``--weights PATH`` reads a file of the user, or a whole ``.keras`` model, with the same function.

Kernels are stored in float16, which halves the size of the file. Vectors (biases, BatchNormalization statistics) are
stored in float32, because they are only a few per cent of the bytes, and variances range from 1e-44 to 500, while
float16 is limited to 6e-8 to 65504.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from zoo.array_files import ArrayFile, check_keras_file, open_arrays
from zoo.errors import PluginError, UsageError

if TYPE_CHECKING:
    import keras

Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]


class _Described(Protocol):
    """An array, or the header of an array."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...


#: Number of mismatches listed in an error; the others are only counted.
_MISMATCHES_SHOWN = 6


def write_weights(path: Path, arrays: Mapping[str, np.ndarray[Any, np.dtype[Any]]]) -> str:
    """Writes a weight file. Its bytes depend only on the arrays: it is sorted, uncompressed and contains no date.

    Args:
        path: Path of the file. An existing file is replaced.
        arrays: Arrays by ``layer/variable``. Those with two or more axes are stored in float16, the others in float32.

    Returns:
        SHA-256 of the file, 64 hexadecimal digits.

    Raises:
        UsageError: A value is not finite in the stored type, such as a kernel value above 65504.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            with np.errstate(over="ignore"):  # reported below, with the name
                stored = np.asarray(arrays[name], dtype=np.float16 if arrays[name].ndim >= 2 else np.float32)
            if not np.isfinite(stored).all():
                raise UsageError(f"'{name}' has values that are not finite in {stored.dtype}.")
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.ascontiguousarray(stored), version=(1, 0), allow_pickle=False)
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system = 3  # Unix, on every system, so that the bytes are the same
            archive.writestr(member, entry.getvalue())
    path.write_bytes(buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def read_weights(path: Path, sha256: str | None = None) -> Arrays:
    """Reads the arrays of a weight file by ``layer/variable``, in their stored type.

    Args:
        path: The ``.npz`` file.
        sha256: Expected SHA-256 of the file. ``None``: it is not checked.

    Raises:
        PluginError: ``sha256`` is given, and the file is missing or has another SHA-256.
        UsageError: ``sha256`` is not given, and the file is missing or not a weight file.
    """
    with _opened(path, sha256) as file, _told(path):
        return {name: file.read(name) for name in file.names}


@contextmanager
def _opened(path: Path, sha256: str | None) -> Iterator[ArrayFile]:
    """Opens the arrays of a weight file without reading them. Arguments and errors are those of ``read_weights``."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("rb"))
            actual = hashlib.file_digest(file, "sha256").hexdigest() if sha256 is not None else None
            file.seek(0)
        except OSError as error:
            message = f"Could not read the weights {path}: {error.strerror or error}."
            if sha256 is None:
                raise UsageError(message) from error
            raise PluginError(message, "Reinstall the plugin that contains them.") from error
        if actual != sha256:
            size_bytes = path.stat().st_size
            raise PluginError(
                f"The weights {path} are damaged: expected SHA-256 {sha256}, actual {actual} ({size_bytes} bytes).",
                "Reinstall the plugin that contains them.",
            )
        with _told(path):
            arrays = stack.enter_context(open_arrays(file))
        yield arrays


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Converts an error on reading to an error that names the file."""
    try:
        yield
    except Exception as error:  # zipfile, zlib and NumPy raise many kinds of errors
        raise UsageError(
            f"{path} is not a weight file: {error}",
            "Give an .npz written by zoo.weights.write_weights, or a .keras model.",
        ) from error


def model_arrays(model: keras.Model) -> Arrays:
    """All weights of a model by ``layer/variable``, float32, for ``write_weights``."""
    return {name: np.asarray(_numpy(variable), dtype=np.float32) for name, variable in _variables(model).items()}


def load_weights(
    model: keras.Model,
    path: Path,
    *,
    backbone: str | None,
    with_head: bool | None = None,
    sha256: str | None = None,
    hint: str | None = None,
) -> bool:
    """Loads weights from a weight file or a ``.keras`` model into a built model, by layer name.

    After an error, the model is unchanged.

    Args:
        model: A built model. Its variables are changed in place.
        path: An ``.npz`` file written by ``write_weights``, or a ``.keras`` model.
        backbone: Name of the last layer of the backbone. The layers after it are the head. ``None``: no head.
        with_head: ``True`` also loads the head. ``False`` keeps the current head. ``None`` loads the head if its shape
            matches, which means that the number of classes is the same, but not necessarily the classes.
        sha256: See ``read_weights``.
        hint: How to fix a mismatch of the backbone, for the error message.

    Returns:
        Whether the head was loaded.

    Raises:
        PluginError: See ``read_weights``.
        UsageError: See ``read_weights``. Also raised if variables are missing in the file or have another shape; the
            message lists them.
    """
    if path.suffix == ".keras":
        arrays = _keras_arrays(path)
        return _fill(model, path, arrays, arrays.__getitem__, backbone, with_head, hint)
    with _opened(path, sha256) as file:
        # Names, shapes and types are checked first, so that arrays that do not match the model are never read, whatever
        # size they declare.
        with _told(path):
            declared = {name: file.declared(name) for name in set(file.names) & set(_variables(model))}

        def read(name: str) -> np.ndarray[Any, np.dtype[Any]]:
            with _told(path):
                return file.read(name)

        return _fill(model, path, declared, read, backbone, with_head, hint)


def _fill(
    model: keras.Model,
    path: Path,
    declared: Mapping[str, _Described],
    read: Callable[[str], np.ndarray[Any, np.dtype[Any]]],
    backbone: str | None,
    with_head: bool | None,
    hint: str | None,
) -> bool:
    variables = _variables(model)
    head = set(variables) - set(_variables(_backbone(model, backbone))) if backbone else set()

    body_wrong = _mismatches({name: variables[name] for name in variables if name not in head}, declared)
    head_wrong = _mismatches({name: variables[name] for name in variables if name in head}, declared)
    if body_wrong:
        hint = hint or "Build the model with the options the weights were trained with, or train without them."
        raise _misfit(path, model, body_wrong, hint)
    if head_wrong and with_head:
        raise _misfit(
            path,
            model,
            head_wrong,
            "Load only the backbone, or build the model with the number of classes in the file.",
        )
    fill_head = with_head is not False and not head_wrong
    arrays = {name: read(name) for name in variables if fill_head or name not in head}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise UsageError(f"'{name}' in {path} has values that are not finite.", "Did that training diverge?")
    for name, array in arrays.items():
        variables[name].assign(array.astype(np.float32))
    return fill_head


def _mismatches(variables: Mapping[str, Any], arrays: Mapping[str, _Described]) -> list[str]:
    lines = []
    for name, variable in variables.items():
        shape = tuple(variable.shape)
        if name not in arrays:
            lines.append(f"{name}: expected {shape}, missing in the file")
        elif arrays[name].shape != shape:
            lines.append(f"{name}: expected {shape}, shape in the file {arrays[name].shape}")
        elif arrays[name].dtype.kind != "f":
            lines.append(f"{name}: expected floating point, {arrays[name].dtype} in the file")
    return lines


def _misfit(path: Path, model: keras.Model, lines: list[str], hint: str) -> UsageError:
    shown = lines[:_MISMATCHES_SHOWN]
    if len(lines) > len(shown):
        shown.append(f"and {len(lines) - len(shown)} more")
    return UsageError("\n    ".join([f"The weights {path} do not match the model '{model.name}':", *shown]), hint)


def _variables(model: keras.Model) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for variable in model.weights:
        if named.setdefault(variable.path, variable) is not variable:
            raise PluginError(f"Two weights of the model '{model.name}' have the name '{variable.path}'.")
    return named


def _backbone(model: keras.Model, layer_name: str) -> keras.Model:
    import keras

    names = [layer.name for layer in model.layers]
    if layer_name not in names:
        raise PluginError(
            f"The model '{model.name}' has no layer '{layer_name}', which is declared as the end of its backbone."
        )
    return keras.Model(model.inputs, model.get_layer(layer_name).output)


def _keras_arrays(path: Path) -> Arrays:
    import keras

    if not path.is_file():
        raise UsageError(f"Could not read the weights {path}: no such file.")
    try:
        check_keras_file(path)
        return model_arrays(keras.saving.load_model(path, compile=False))
    except Exception as error:  # a foreign model may contain anything
        raise UsageError(f"Keras could not open {path}: {error}") from error


def _numpy(variable: Any) -> Any:
    import keras

    return keras.ops.convert_to_numpy(variable)
