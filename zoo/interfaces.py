"""What plugins return: named, frozen records. Nothing here needs Keras; builders import it when they are called.

A function may be given as its name, ``"package.module:function"``: its module is imported when it is called, so that a
plugin needs no functions that do nothing else. A field that holds a function says in its metadata what the function
``does``, in the words of an error message (``{args}`` are its arguments), and which types it ``returns``.
``zoo.plugin_guard`` reads both.
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

#: What an exported file may hold.
PRECISIONS = ("float32", "float16", "int8")

#: The name of a function, ``"package.module:function"``. The record makes a function of it, which can be called.
Named: TypeAlias = Any

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


def _check_name(kind: str, name: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PluginError(
            f"{kind} name {name!r} is not valid.", "Use lower-case letters, digits and underscores, a letter first."
        )


def _find_when_called(record: Any) -> None:
    """Makes functions of the names of functions."""
    for each in fields(record):
        value = getattr(record, each.name)
        if "does" in each.metadata and isinstance(value, str):
            if not is_name(value):
                kind = type(record).__name__
                raise PluginError(f"{kind} has {each.name}={value!r}.", "Write a function, or package.module:function.")
            object.__setattr__(record, each.name, NamedFunction(value))


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Pretrained weights that an architecture offers under a name.

    Args:
        name: What ``--weights`` takes, such as ``imagenet``.
        summary: One line: source and licence.
        labels: Returns the class names in the order of the outputs they were trained with.
        aliases: Returns other names of those classes, such as WordNet ids, each with the class name it stands for.
        load: ``load(model, with_head)`` fills a model that ``build`` made; without the head only the backbone.
        top1: Share of the ImageNet validation photos that they are right about, 0 to 1, as whoever trained them
            published it. Where nobody names an architecture, ``zoo train --data`` takes the one with the best.
            ``None``: not known, or the weights must be downloaded first.

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
        metadata={"does": "naming the classes of the weights '{name}' of '{owner}' otherwise", "returns": (Mapping,)},
    )
    top1: float | None = None

    def __post_init__(self) -> None:
        _find_when_called(self)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A family of models that the harness can build, train, measure and export.

    Args:
        name: What the command line takes: lower-case letters, digits and underscores.
        summary: One line for ``zoo list``.
        build: ``build(input_shape, num_classes, **options) -> keras.Model``. The model takes ``image``,
            ``(batch, height, width, 3)``, RGB float32 0..255, and returns ``probabilities``, ``(batch, num_classes)``
            float32, rows summing to 1; scaling and normalisation are layers inside. ``dropout`` is passed where the
            recipe sets it.
        recipes: Recipes by name; ``default`` must be there.
        image: How files become its input where the user says nothing else.
        backbone: Name of the layer whose output is the feature vector, ``(batch, features)``; everything after it is
            the head. ``None``: it has no part worth reusing.
        depths: Names of layers before it, from the input on, whose outputs are maps, ``(batch, height, width,
            channels)``, such as those of all blocks. The means over these maps are features that a head may use too.
        weights: Pretrained weights it can start from.
        expected_failures: Conformance checks it cannot pass (``zoo plugin check``), each with the reason.

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
            raise PluginError(f"Architecture '{self.name}' names depths and no backbone.")
        if "default" not in self.recipes:
            raise PluginError(f"Architecture '{self.name}' has no recipe named 'default'.")


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset that is named instead of found in a folder.

    Args:
        name: What ``--data`` takes.
        summary: One line for ``zoo list``.
        write: ``write(folder)`` fills an empty folder with class folders of image files (or train/val/test above
            them). It is called once; the result is kept.
        image: The ImageSpec that suits it where neither user nor architecture insists; ``None``: the architecture's.
        flip: What ``flip="auto"`` of a recipe means for its images: ``none`` where a mirrored image is not one that the
            dataset could hold, as with text. ``auto`` leaves it to the check of the class names and images.
        expected_failures: Conformance checks it cannot pass (``zoo plugin check``), each with the reason.

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
    """What runs an exported file where Python does not, such as a page: it goes into the bundle in place of the runner.

    It finds the model, its labels and the image rule in ``spec.json``, and proves itself by ``golden/``.

    Args:
        files: Returns its files, path in the bundle to content. ``zoo export`` calls it before it begins to work, and
            once more for every bundle; it raises ``ExportError`` with the command that brings what is missing.
        start: What to do with a bundle, the last line that ``zoo export`` prints; ``{folder}`` stands for the bundle.
        manual: The same at more length for the model card, Markdown.
        licence: Who made the files that are not zoo's, and under which licence, Markdown.

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
    """A file format that a trained model can leave in.

    The harness prepares the model, asks for the file, verifies it against Keras and writes what came out into its
    metadata; an exporter only translates.

    Args:
        name: Of the format.
        summary: One line for ``zoo list``.
        suffix: Of the file, with its dot.
        precisions: What the file may hold, the default first; of ``float32``, ``float16`` and ``int8``.
        convert: ``convert(model, path, precision)`` writes the file. The model is functional, on the TensorFlow
            backend, its BatchNorm folded; for ``int8`` it holds a ``zoo.exporting.quantize.FakeQuantize`` layer
            wherever a tensor is to be stored in 8 bits. The file has one input ``image``, its batch free or 1,
            ``float32`` (``int8``: ``uint8``, scale 1, zero point 0), and one output ``probabilities``, ``float32``.
        write_metadata: ``write_metadata(path, metadata)`` stores it inside the file, in place of what it said before.
        read_metadata: ``read_metadata(path)`` returns it; ``None`` where a file has none of ours.
        load: ``load(path, threads)`` makes a file ready to answer.
        parts: ``parts(path)`` names the files that ``convert`` writes beside a file and that ``load`` needs as well,
            such as the weights that an XML refers to: in the same folder, the file itself not among them. They need not
            be there. A file of ours is moved, copied and removed together with its parts. Without it a file is all.
        versions: Packages whose versions decide what the file holds.
        stored: ``stored(path)`` counts the numbers that the file's constants hold, by NumPy name of their type, such as
            ``{"int8": 2200000, "float32": 40000}``. A file that ``int8`` or ``float16`` is asked of and that holds
            float32 is refused. Without it the size of the file decides.
        runtime_module: Name of the module whose source goes onto the device, such as ``zoo_onnx.runtime``; empty where
            there is none, and a bundle then comes without a runner. It has ``load(path, threads)``, which returns what
            ``load`` above does and raises ``ValueError`` where it cannot. It may import the standard library, NumPy and
            what ``requires`` names, and nothing of ``zoo`` or of its own package.
        requires: What ``pip`` installs for it, with the lowest release that was tried, such as ``onnxruntime>=1.23``.
        notes: By precision, what a program other than zoo and its runner must do to get the verified predictions. It is
            written into the model card and ``verify.json``.
        app: What runs the file instead, where that is not Python.
        variant_of: Name of the exporter whose files these are, where only the bundle is another. ``zoo export`` makes a
            variant if ``--format`` names it, and a file by itself counts as the other's.
        maps: Whether ``convert`` takes a model of two outputs, the second of them ``map``, float32
            ``(batch, height, width, classes)``, for ``zoo export --with-map``. The file has both in this order, and
            what ``load`` returns then has ``explain(images)``, which gives both.
        expected_failures: Conformance checks it cannot pass (``zoo plugin check``), each with the reason.

    All of them raise ``ExportError`` where a layer cannot be translated or a file cannot be read.

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
            raise PluginError(f"Exporter '{self.name}' names both a runtime module and an app; a bundle has one.")

    def files(self, path: Path) -> tuple[Path, ...]:
        """An exported file and its parts, the file first.

        Raises:
            ExportError: A part is missing.
            PluginError: A part does not lie beside the file.
        """
        parts = self.parts(path) if self.parts else ()
        for part in parts:
            if part.parent != path.parent or part == path:
                raise PluginError(f"Exporter '{self.name}' names the part '{part}', which is no file beside '{path}'.")
            if not part.is_file():
                raise ExportError(
                    f"{path} is not whole: its part '{part.name}' is missing beside it.",
                    "Copy all files of the model, or export it again.",
                )
        return (path, *parts)
