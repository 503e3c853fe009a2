"""The named, frozen records that plugins return. Keras is not needed here; builders import it when they are called.

A function may be given by name, ``"package.module:function"``. Its module is then imported when the function is called,
so that a plugin needs no wrapper functions. The metadata of a field that holds a function has two keys, which
``zoo.plugin_guard`` reads: ``does`` describes the action for error messages (``{args}`` stands for the arguments), and
``returns`` lists the types that the function may return.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from zoo.augmentation import FLIPS, Flip
from zoo.errors import ExportError, PluginError
from zoo.exported import Metadata, Runtime
from zoo.image_spec import ImageSpec
from zoo.named_function import NamedFunction, is_name
from zoo.recipe import Recipe

if TYPE_CHECKING:
    import keras

#: Precisions of exported files.
PRECISIONS = ("float32", "float16", "int8")
#: How much time the quantisation of an int8 file may take.
INT8_EFFORTS = ("quick", "best")

#: The name of a function, ``"package.module:function"``. The record replaces it by a function.
Named: TypeAlias = Any

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


def _check_name(kind: str, name: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PluginError(
            f"{kind} name {name!r} is not valid.", "Use lower-case letters, digits and underscores, a letter first."
        )


def _find_when_called(record: Any) -> None:
    """Replaces names of functions by functions that are imported when they are called."""
    for each in fields(record):
        value = getattr(record, each.name)
        if "does" in each.metadata and isinstance(value, str):
            if not is_name(value):
                kind = type(record).__name__
                raise PluginError(f"{kind} has {each.name}={value!r}.", "Give a function, or package.module:function.")
            object.__setattr__(record, each.name, NamedFunction(value))


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Named pretrained weights of an architecture.

    Args:
        name: Name, as in ``--weights``, such as ``imagenet``.
        summary: One line with source and licence.
        labels: Returns the class names in the order of the outputs.
        aliases: Returns alternative names of the classes, such as WordNet IDs, each with its class name.
        load: ``load(model, with_head)`` sets the weights of a model created by ``build``. If ``with_head`` is false, it
            sets only those of the backbone.
        top1: Published top-1 accuracy on the ImageNet validation set, 0 to 1. If no architecture is given, ``zoo train
            --data`` uses the architecture with the highest value. ``None``: unknown, or the weights must be downloaded
            first.

    >>> def load(model, with_head):
    ...     model.load_weights("weights.h5", skip_mismatch=not with_head)
    >>> zoo.Weights(name="birds", summary="200 birds, MIT", labels=lambda: ("crow", "owl"), load=load).labels()
    ('crow', 'owl')
    """

    name: str
    summary: str
    labels: Callable[[], tuple[str, ...]] | Named = field(
        metadata={"does": "naming the classes of the weights '{name}' of '{owner}'", "returns": (tuple,)}
    )
    load: Callable[[keras.Model, bool], None] | Named = field(
        metadata={"does": "loading the weights '{name}' of '{owner}'"}
    )
    aliases: Callable[[], Mapping[str, str]] | Named = field(
        default=dict,
        metadata={"does": "returning other class names of the weights '{name}' of '{owner}'", "returns": (Mapping,)},
    )
    top1: float | None = None

    def __post_init__(self) -> None:
        _find_when_called(self)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A family of models that the harness can build, train, measure and export.

    Args:
        name: Name on the command line: lower-case letters, digits and underscores.
        summary: One line for ``zoo list``.
        build: ``build(input_shape, num_classes, **options) -> keras.Model``. The model takes ``image``,
            ``(batch, height, width, 3)``, RGB float32 0..255, and returns ``probabilities``, ``(batch, num_classes)``
            float32, with rows that sum to 1. Scaling and normalisation must be layers of the model. ``dropout`` is
            passed if the recipe sets it.
        recipes: Recipes by name. ``default`` is required.
        image: The default preprocessing of files.
        backbone: Name of the layer whose output is the feature vector, ``(batch, features)``. Everything after it is
            the head. ``None``: there is no backbone that can be reused.
        depths: Names of earlier layers, ordered from the input, whose outputs are feature maps, ``(batch, height,
            width, channels)``, such as the ends of all blocks. A head may also use the means over these maps.
        weights: Available pretrained weights.
        expected_failures: Conformance checks that are expected to fail (``zoo plugin check``), each with the reason.

    >>> import keras
    >>> def build(input_shape, num_classes):
    ...     image = keras.Input(input_shape, name="image")
    ...     x = keras.layers.Rescaling(1 / 255)(image)
    ...     x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3, activation="relu")(x))
    ...     head = keras.layers.Dense(num_classes, "softmax", dtype="float32", name="probabilities")
    ...     return keras.Model(image, head(x))
    >>> architecture = zoo.Architecture(
    ...     name="one_layer",
    ...     summary="One convolution",
    ...     build=build,
    ...     recipes={"default": zoo.Recipe(epochs=5)},
    ...     image=zoo.ImageSpec(height_px=32, width_px=32),
    ... )
    >>> architecture.build(architecture.image.input_shape, 2).output_shape
    (None, 2)
    """

    name: str
    summary: str
    build: Callable[..., keras.Model] | Named = field(metadata={"does": "building '{name}'"})
    recipes: Mapping[str, Recipe] = field(default_factory=lambda: {"default": Recipe()})
    image: ImageSpec = field(default_factory=ImageSpec)
    backbone: str | None = None
    depths: tuple[str, ...] = ()
    weights: tuple[Weights, ...] = ()
    expected_failures: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_name("Architecture", self.name)
        _find_when_called(self)
        if self.depths and self.backbone is None:
            raise PluginError(f"Architecture '{self.name}' declares depths but no backbone.")
        if "default" not in self.recipes:
            raise PluginError(f"Architecture '{self.name}' has no recipe named 'default'.")


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A named dataset.

    Args:
        name: Name, as in ``--data``.
        summary: One line for ``zoo list``.
        write: ``write(folder)`` fills an empty folder with class folders of image files, optionally below
            train/val/test. It is called once, and the result is stored.
        image: The default ImageSpec for this dataset. ``None``: that of the architecture.
        flip: The meaning of ``flip="auto"`` in a recipe for this dataset: ``none`` if a mirrored image would not be a
            valid example, as for text. ``auto`` leaves the decision to the check of class names and images.
        expected_failures: Conformance checks that are expected to fail (``zoo plugin check``), each with the reason.

    >>> def write(folder):
    ...     for label in ("dark", "bright"):
    ...         (folder / label).mkdir()  # and image files in it
    >>> zoo.Dataset(name="shades", summary="Dark and bright pictures", write=write).flip
    'auto'
    """

    name: str
    summary: str
    write: Callable[[Path], None] | Named = field(metadata={"does": "writing the dataset '{name}'"})
    image: ImageSpec | None = None
    flip: Flip = "auto"
    expected_failures: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _check_name("Dataset", self.name)
        _find_when_called(self)
        if self.flip not in FLIPS:
            raise PluginError(f"Dataset '{self.name}' has flip={self.flip!r}.", f"Known: {', '.join(FLIPS)}.")


@dataclass(frozen=True, kw_only=True)
class App:
    """A program that runs an exported file without Python, such as a web page. It replaces the runner in the bundle.

    It reads the name of the model file, the labels and the preprocessing from ``spec.json``, and is verified with
    ``golden/``.

    Args:
        files: Returns the content of each file of the app, by its path in the bundle. ``zoo export`` calls it at the
            start, and again for every bundle. It raises ``ExportError`` with the command that installs missing files.
        start: How to start a bundle: the last line printed by ``zoo export``. ``{folder}`` stands for the bundle.
        manual: Longer instructions for the model card, in Markdown.
        licence: Authors and licences of the files that are not part of zoo, in Markdown.

    >>> page = zoo.App(
    ...     files=lambda: {"index.html": b"<!doctype html>"}, start="Open {folder}/index.html", manual="Open the page."
    ... )
    >>> list(page.files())
    ['index.html']
    """

    files: Callable[[], Mapping[str, bytes]] | Named = field(
        metadata={"does": "gathering the files of its app", "returns": (Mapping,)}
    )
    start: str
    manual: str
    licence: str = ""

    def __post_init__(self) -> None:
        _find_when_called(self)


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """A file format to which a trained model can be exported.

    The harness prepares the model, requests the file, verifies it against Keras and writes the result into its
    metadata. An exporter only converts.

    Args:
        name: Name of the format.
        summary: One line for ``zoo list``.
        suffix: Suffix of the file, with its dot.
        precisions: Supported precisions out of ``float32``, ``float16`` and ``int8``. The first one is the default.
        convert: ``convert(model, path, precision)`` writes the file. The model is functional, on the TensorFlow
            backend, with folded BatchNorm. For ``int8``, it contains a ``zoo.exporting.quantize.FakeQuantize`` layer
            after every tensor that is to be stored in 8 bits. The file has one input ``image`` with free batch size or
            batch size 1, of type ``float32`` (in an ``int8`` file: ``uint8`` with scale 1 and zero point 0), and one
            output ``probabilities`` of type ``float32``.
        write_metadata: ``write_metadata(path, metadata)`` stores the metadata inside the file and replaces existing
            metadata.
        read_metadata: ``read_metadata(path)`` returns the metadata. ``None`` if the file has no zoo metadata.
        load: ``load(path, threads)`` loads a file for prediction.
        parts: ``parts(path)`` returns further files that ``convert`` writes next to a file and that ``load`` needs,
            such as the weights of an XML file. They are in the same folder, and the file itself is not included. It
            returns their paths even if the parts do not exist. A file is moved, copied and removed together with its
            parts. Without this function, there are no parts.
        versions: Packages whose versions affect the content of the file.
        stored: ``stored(path)`` counts the numbers in the file's constants by the NumPy name of their type, such as
            ``{"int8": 2200000, "float32": 40000}``. An ``int8`` or ``float16`` file that stores float32 weights is
            refused. Without this function, the size of the file is checked.
        float_operators: ``float_operators(path)`` counts the operators of an ``int8`` file that the runtime computes in
            floating point, by their name in the format, such as ``{"Elu": 3}``. Conversions between types and the
            softmax that computes an output are not counted. The export names these operators. Without this function,
            it names none.
        runtime_module: Name of the module whose source is copied to the device, such as ``zoo_onnx.runtime``. Empty if
            there is none; bundles then have no runner. The module defines ``load(path, threads)``, which returns the
            same as ``load`` above and raises ``ValueError`` on failure. It may import only the standard library, NumPy
            and the packages in ``requires``, but not ``zoo`` or its own package.
        requires: Requirements for ``pip``, with the lowest tested release, such as ``onnxruntime>=1.23``.
        notes: For each precision, what a program other than zoo and its runner must do to get the verified predictions.
            It is written into the model card and ``verify.json``.
        app: The program that runs the file instead of a Python runner.
        variant_of: Name of the exporter that writes the same files, if only the bundle differs. ``zoo export`` writes a
            variant only if ``--format`` names it, and a single file is treated as a file of the other exporter.
        maps: Whether ``convert`` supports a model with two outputs, the second of which is ``map``, float32
            ``(batch, height, width, classes)``, for ``zoo export --with-map``. The file has both outputs in this order,
            and the object returned by ``load`` then has ``explain(images)``, which returns both.
        expected_failures: Conformance checks that are expected to fail (``zoo plugin check``), each with the reason.

    All functions raise ``ExportError`` if a layer cannot be converted or a file cannot be read.

    >>> from zoo_onnx import zoo_exporters
    >>> (onnx,) = zoo_exporters()
    >>> onnx.name, onnx.suffix, onnx.precisions
    ('onnx', '.onnx', ('float32', 'float16', 'int8'))
    >>> onnx.load(Path("bundle/simple_cnn.onnx"), 1).outputs[0].name
    'probabilities'
    """

    name: str
    summary: str
    suffix: str
    precisions: tuple[str, ...]
    convert: Callable[[keras.Model, Path, str], None] | Named = field(
        metadata={"does": "converting to {name} {args[2]}"}
    )
    write_metadata: Callable[[Path, Metadata], None] | Named = field(
        metadata={"does": "writing metadata into {args[0]}"}
    )
    read_metadata: Callable[[Path], Metadata | None] | Named = field(
        metadata={"does": "reading the metadata of {args[0]}", "returns": (Metadata, type(None))}
    )
    load: Callable[[Path, int], Runtime] | Named = field(
        metadata={"does": "loading {args[0]}", "then": "predicting with {args[0]}"}
    )
    parts: Callable[[Path], tuple[Path, ...]] | Named | None = field(
        default=None, metadata={"does": "naming the parts of {args[0]}", "returns": (tuple,)}
    )
    versions: tuple[str, ...] = ()
    stored: Callable[[Path], Mapping[str, int]] | Named | None = field(
        default=None, metadata={"does": "counting what {args[0]} stores", "returns": (Mapping,)}
    )
    float_operators: Callable[[Path], Mapping[str, int]] | Named | None = field(
        default=None, metadata={"does": "counting the float operators of {args[0]}", "returns": (Mapping,)}
    )
    runtime_module: str = ""
    requires: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict, hash=False)
    app: App | None = None
    variant_of: str = ""
    maps: bool = False
    expected_failures: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _check_name("Exporter", self.name)
        _find_when_called(self)
        if not self.precisions or not set(self.precisions) <= set(PRECISIONS):
            raise PluginError(
                f"Exporter '{self.name}' offers the precisions {self.precisions}.", f"Known: {', '.join(PRECISIONS)}."
            )
        if self.app and self.runtime_module:
            raise PluginError(
                f"Exporter '{self.name}' declares a runtime module and an app, but a bundle can have only one."
            )

    def files(self, path: Path) -> tuple[Path, ...]:
        """An exported file and its parts, the file first.

        Raises:
            ExportError: A part is missing.
            PluginError: A part is not in the folder of the file.
        """
        parts = self.parts(path) if self.parts else ()
        for part in parts:
            if part.parent != path.parent or part == path:
                raise PluginError(
                    f"Exporter '{self.name}' declares the part '{part}', which is not a file next to '{path}'."
                )
            if not part.is_file():
                raise ExportError(
                    f"{path} is incomplete: its part '{part.name}' is missing.",
                    "Copy all files of the model, or export it again.",
                )
        return (path, *parts)
