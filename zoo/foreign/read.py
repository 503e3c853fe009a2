"""Reads a model file. Its content is inspected before Keras runs any of it, and failures are explained."""

from __future__ import annotations

import json
import zipfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.array_files import DAMAGED, check_keras_file
from zoo.errors import UsageError
from zoo.records import read_object

if TYPE_CHECKING:
    import keras


_HDF5 = b"\x89HDF\r\n\x1a\n"
_HDF5_SUFFIXES = (".h5", ".hdf5")
#: Model files of other programs, by suffix.
_OTHERS = {
    ".pt": "PyTorch",
    ".pth": "PyTorch",
    ".safetensors": "PyTorch or JAX",
    ".pb": "a frozen TensorFlow graph",
    ".ckpt": "a TensorFlow checkpoint",
}


def is_foreign(path: Path) -> bool:
    """Whether a path looks like a model file or folder that was not written by a zoo exporter."""
    suffix = path.suffix.lower()
    return suffix in (".keras", *_HDF5_SUFFIXES, *_OTHERS) or (path / "saved_model.pb").is_file()


def read_model(path: Path) -> keras.Model:
    """Reads the model of a ``.keras`` file. No code from the file is run.

    Raises:
        UsageError: The file has another format, contains custom code, or is damaged.
    """
    check_kind(path)
    try:
        check_keras_file(path)
    except ValueError as error:
        raise UsageError(f"'{path}' is damaged: {_first_line(error)}", "Copy it again.") from error
    config = _configuration(path)
    _refuse_code(path, config)
    import keras

    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras and h5py raise many kinds of errors
        saved = _saved_with(path)
        by = f", which Keras {saved} saved" if saved else ""
        again = (
            f"Install the same version of Keras: pip install keras=={saved}" if saved else "Save it again with Keras 3."
        )
        raise UsageError(
            f"Keras {keras.__version__} could not read '{path}'{by}: {_first_line(error)}",
            _from_keras_2(path) if saved.startswith("2.") else again,
        ) from error


def check_kind(path: Path) -> None:
    """Raises ``UsageError`` if a path is not a ``.keras`` file. Its hint shows how to convert the file, if possible."""
    suffix = path.suffix.lower()
    if path.is_dir() and (path / "saved_model.pb").is_file():
        raise UsageError(
            f"'{path}' is a SavedModel: a TensorFlow graph without the Keras layers that zoo needs.",
            'Save the model as a .keras file, in the program that built it: model.save("model.keras"). If only the '
            "SavedModel of a Keras 2 model exists: " + _from_keras_2(path),
        )
    if path.is_dir() or not path.exists():
        raise UsageError(f"The file '{path}' does not exist.")
    if path.name.lower().endswith(".weights.h5"):
        raise UsageError(
            f"'{path}' contains only weights, not the layers to which they belong.",
            "Build the model with the program that made it, and:"
            + indented(f"model.load_weights({str(path)!r})", 'model.save("model.keras")'),
        )
    with path.open("rb") as file:
        start = file.read(len(_HDF5))
    if suffix in _HDF5_SUFFIXES or start == _HDF5:
        name = path if suffix in _HDF5_SUFFIXES else path.with_suffix(".h5")
        renaming = [] if name == path else [f"import os; os.rename({str(path)!r}, {str(name)!r})"]
        saved = f"model.save({str(name.with_suffix('.keras'))!r})"
        raise UsageError(
            f"'{path}' is an HDF5 file, the format of Keras before version 3. Opening it can run code from the file.",
            "If you trust its author, convert it once:" + indented(*renaming) + loading(str(name), saved),
        )
    if suffix in _OTHERS:
        raise UsageError(
            f"'{path}' is a file of {_OTHERS[suffix]}. zoo can export only models that Keras can read.",
            'Build the model with Keras, copy the weights, and save it: model.save("model.keras").',
        )
    if suffix != ".keras":
        raise UsageError(f"'{path}' is not a .keras file.", 'Save the model with model.save("model.keras").')


def _from_keras_2(path: Path) -> str:
    return "Build the same layers with Keras 3 as `new`, and copy the weights:" + indented(
        "import tf_keras  # Keras 2: pip install tf_keras",
        f"new.set_weights(tf_keras.models.load_model({str(path)!r}, compile=False).get_weights())",
        'new.save("model.keras")',
    )


def _configuration(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    except (*DAMAGED, KeyError, ValueError, RecursionError) as error:
        raise UsageError(
            f"'{path}' is damaged or is not a .keras file: {_first_line(error)}",
            'Copy the file again, or save the model again: model.save("model.keras").',
        ) from error


def _saved_with(path: Path) -> str:
    """The Keras release that wrote the file. Empty if the file does not record it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return str(read_object(archive.read("metadata.json"))["keras_version"])
    except (*DAMAGED, KeyError, ValueError, TypeError):
        return ""


def _refuse_code(path: Path, config: Any) -> None:
    """Raises an error if a configuration refers to objects that are not part of Keras."""
    lambdas: list[str] = []
    classes: dict[str, str] = {}
    for entry in _entries(config):
        kind, name = str(entry["class_name"]), _name(entry)
        if kind == "Lambda":
            lambdas.append(name)
        elif not _is_custom(entry):
            continue
        elif entry is config:
            raise UsageError(
                f"'{path}' contains a subclassed model, {kind}: its layers are called in Python code that is not in "
                "the file.",
                "Run the code once on a symbolic image, in the program that has it, to save the graph with the same "
                "weights (insert your height and width):"
                + indented(
                    "import keras",
                    "image = keras.Input((224, 224, 3))",
                    'keras.Model(image, model.call(image)).save("model.keras")  # keras.Model(inputs, outputs)',
                ),
            )
        elif kind == "function":
            raise UsageError(
                f"'{path}' uses a custom function, '{name}', whose code is not in the file.",
                "Replace it by a separate layer that uses keras.activations or keras.ops, and save the model again.",
            )
        else:
            classes.setdefault(kind, name)
    if lambdas:
        raise UsageError(
            f"'{path}' contains a Lambda layer, '{lambdas[0]}'. Its Python code could do anything when it is loaded, "
            "and no other runtime can run it.",
            "Replace it by operations of keras.ops. Or, if you trust the author of the file, let Keras replace it by "
            "its operations (this works if it uses Python's operators and keras.ops):"
            + opening(str(path), ("keras.layers.Lambda", *classes), tuple(classes), unsafe=True),
        )
    if classes:
        (kind, name), *_ = classes.items()
        raise UsageError(
            f"'{path}' contains a custom layer, '{name}' of the class {kind}. Its code is not in the file, not even "
            "with @keras.saving.register_keras_serializable.",
            "Let Keras replace it by its operations, in a program that has the class (this works if its call() uses "
            "Keras's layers, Python's operators and keras.ops):" + opening(str(path), tuple(classes), tuple(classes)),
        )


def _entries(config: Any) -> Iterator[dict[str, Any]]:
    """All objects in a configuration, outer ones first."""
    waiting = deque([config])
    while waiting:
        value = waiting.popleft()
        if isinstance(value, dict):
            if "class_name" in value and "config" in value:
                yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _is_custom(entry: dict[str, Any]) -> bool:
    module, kind = entry.get("module"), str(entry["class_name"])
    if module is None and not entry.get("registered_name"):
        return False  # the form in which Keras writes tensors and slices
    if isinstance(module, str) and (module == "keras" or module.startswith("keras.")):
        return False
    if kind != "function" and module == "builtins":
        return False
    import keras

    return keras.saving.get_registered_object(str(entry.get("registered_name"))) is None


def _name(entry: dict[str, Any]) -> str:
    config = entry["config"]
    return str(config.get("name", entry["class_name"])) if isinstance(config, dict) else str(config)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300] or type(error).__name__


def indented(*lines: str) -> str:
    """Indents lines below a sentence."""
    return "".join(f"\n    {line}" for line in lines)


def loading(name: str, *lines: str, settings: str = "compile=False") -> str:
    """Lines that load a file as ``model`` and use it.

    Args:
        name: Path of the file.
        lines: Lines that use ``model``.
        settings: Arguments for loading.
    """
    return indented("import keras", f"model = keras.models.load_model({name!r}, {settings})", *lines)


def opening(name: str, opened: tuple[str, ...], custom: tuple[str, ...], *, unsafe: bool = False) -> str:
    """Lines that replace layers with Python code by the layers and operations that they call.

    Args:
        name: Path of the file.
        opened: Classes of these layers.
        custom: Those of them that are not Keras classes.
        unsafe: Whether loading the model runs code from the file.
    """
    objects = ", ".join(f'"{kind}": {kind}' for kind in custom)
    settings = ["compile=False", *(["safe_mode=False"] if unsafe else [])]
    settings += [f"custom_objects={{{objects}}}"] if custom else []
    classes = opened[0] if len(opened) == 1 else f"({', '.join(opened)})"
    return loading(
        name,
        "model = keras.Model(model.inputs[0], model.outputs[0])",
        "def opened(layer, *args, **kwargs):",
        f"    return layer.call(*args, **kwargs) if isinstance(layer, {classes}) else layer(*args, **kwargs)",
        "opened = keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=opened)",
        'opened.save("opened.keras")',
        settings=", ".join(settings),
    )
