"""The augmentation of training images, described by one frozen record. Each range in it can be set separately."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from zoo.errors import UsageError, unknown_name
from zoo.keras_names import read_mapping
from zoo.named_function import NotFoundError, is_name, name_of

Aspect = float | Literal["free"]
Flip = Literal["auto", "none", "horizontal", "vertical", "both"]
AugmentationName = Literal["none", "article", "strong"]

FLIPS: tuple[Flip, ...] = get_args(Flip)

_LIMITS: tuple[tuple[str, float, float], ...] = (
    ("rotation_degrees", 0, 180),
    ("aspect", 1, 10),
    ("shift", 0, 1),
    ("brightness", 0, 1),
    ("contrast", 0, 1),
    ("saturation", 0, 1),
)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Ranges of random changes of training images. New changes are drawn for every image in every epoch.

    Args:
        flip: Half of the images are mirrored left to right (``horizontal``), top to bottom (``vertical``), or in both
            directions independently (``both``). ``none`` mirrors nothing. ``auto`` is ``horizontal``, unless the
            dataset disables it or a class looks like another class when it is mirrored.
        rotation_degrees: Maximum rotation in both directions, 0 to 180.
        view: Minimum and maximum visible part of the image, as a fraction of its side, such as ``0.8,1.2``. Below 1,
            the image is cropped; above 1, its edges are repeated.
        aspect: Maximum factor by which one side of the view is stretched relative to the other, 1 to 10. ``free`` draws
            both sides of the view independently, like Keras's ImageDataGenerator.
        shift: Maximum shift along each side, as a fraction of that side.
        brightness: Maximum change of the brightness factor, 0 to 1.
        contrast: Maximum change of the contrast factor, about the mean of the image, 0 to 1.
        saturation: Maximum change of the saturation factor, 0 to 1.
        function: ``package.module:function`` that changes the images after the ranges were applied. Empty: no function.
            It is called as ``function(images, random)`` with a batch, uint8 ``(n, height, width, 3)``, and a
            ``numpy.random.Generator``, whose state depends only on the batch. It must return a batch of the same shape
            and type. It may be called from several threads at the same time.

    >>> zoo.Recipe(augmentation=zoo.Augmentation(flip="horizontal", rotation_degrees=15)).augmentation.view
    (1.0, 1.0)
    """

    flip: Flip = "none"
    rotation_degrees: float = 0.0
    view: tuple[float, float] = (1.0, 1.0)
    aspect: Aspect = 1.0
    shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    function: str = ""

    def __post_init__(self) -> None:
        if self.flip not in FLIPS:
            raise UsageError(f"Recipe field 'flip' cannot be {self.flip!r}.", f"Known: {', '.join(FLIPS)}.")
        for name, low, high in _LIMITS:
            value = getattr(self, name)
            if value != "free" and not low <= value <= high:
                raise UsageError(f"Recipe field '{name}' must be from {low:g} to {high:g}. Received: {value!r}.")
            if isinstance(value, int):  # so that 12 and 12.0 have the same key in the cache
                object.__setattr__(self, name, float(value))
        smallest, largest = self.view
        if not 0.05 <= smallest <= largest <= 10:
            raise UsageError(
                f"Recipe field 'view' must be two fractions from 0.05 to 10, the smaller one first. "
                f"Received: {smallest:g},{largest:g}.",
                "For example: 0.8,1.2.",
            )
        object.__setattr__(self, "view", (float(smallest), float(largest)))
        if self.function and not is_name(self.function):
            raise UsageError(
                f"Recipe field 'augmentation' cannot be the function {self.function!r}.",
                "Write package.module:function.",
            )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def digest(self) -> str:
        """8 hexadecimal digits that identify the ranges in a cache."""
        values = self.as_dict()
        if not self.function:  # the same key as before functions existed
            del values["function"]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]

    @property
    def changes_nothing(self) -> bool:
        """Whether images are never changed. ``free`` stretches nothing if the range of the view is 1 to 1."""
        plain = replace(self, aspect=1.0) if self.aspect == "free" and self.view == (1.0, 1.0) else self
        return plain == NAMED["none"]


#: Types that ``Recipe.augmentation`` accepts. ``Recipe.ranges`` is the resulting record.
AnyAugmentation = Augmentation | AugmentationName | str | Mapping[str, Any] | Callable[..., Any]

#: The named augmentations.
NAMED: dict[str, Augmentation] = {
    "none": Augmentation(),
    # The ImageDataGenerator of the original tutorial: rotation 30, zoom 0.2, shifts 0.1, horizontal flip, edges
    # repeated.
    "article": Augmentation(flip="auto", rotation_degrees=30, view=(0.8, 1.2), aspect="free", shift=0.1),
    # Chosen by cross-validation; docs/decisions/0003-simple-cnn-recipe.md.
    "strong": Augmentation(
        flip="auto",
        rotation_degrees=12,
        view=(0.55, 1.1),
        aspect=1.25,
        shift=0.08,
        brightness=0.2,
        contrast=0.25,
        saturation=0.3,
    ),
}

#: The ranges, by name.
RANGES: tuple[str, ...] = tuple(field.name for field in fields(Augmentation) if field.name != "function")


def read_augmentation(value: Any) -> Augmentation:
    """Reads an augmentation from its name, a mapping of ranges (also as JSON), a function, or the name of a function. A
    record is returned unchanged.

    Raises:
        UsageError: The name or range does not exist, a value is out of range, or another process could not import the
            function.
    """
    if isinstance(value, Augmentation):
        return value
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = read_mapping("augmentation", value)
    if isinstance(value, Mapping):
        ranges = {name: read_range(name, given) for name, given in value.items() if name != "function"}
        function = value.get("function") or ""
        return Augmentation(**ranges, function=_importable(function) if callable(function) else str(function))
    if is_name(value):
        return Augmentation(function=value)
    if callable(value):
        return Augmentation(function=_importable(value))
    if not isinstance(value, str):
        raise UsageError(f"Recipe field 'augmentation' cannot be {value!r:.80}.", f"Known: {', '.join(NAMED)}.")
    if value not in NAMED:
        raise unknown_name("augmentation", value, [*NAMED, "package.module:function"])
    return NAMED[value]


def _importable(function: Any) -> str:
    try:
        return name_of(function)
    except NotFoundError as error:
        raise UsageError(
            f"The augmentation function cannot be found by name: {error}. A resumed run could not import it.",
            "Define it at the top level of an importable module, and pass the function or its name.",
        ) from None


def read_range(name: str, value: Any) -> Any:
    """Reads a value for one range. Text is converted to the type of the range. Limits are checked by the record.

    Raises:
        UsageError: The range does not exist, or the value has another type.
    """
    if name not in RANGES:
        raise unknown_name("range of the augmentation", name, RANGES)
    if name == "flip":
        # YAML reads a bare `none` as text, but `no` and `off` as false.
        chosen = "none" if value is False else value
        if chosen not in FLIPS:
            raise UsageError(f"Recipe field 'flip' cannot be {value!r}.", f"Known: {', '.join(FLIPS)}.")
        return chosen
    if name == "aspect" and value == "free":
        return value
    if name == "view":
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, Sequence) or len(parts) != 2:
            raise UsageError(f"Recipe field 'view' must be two numbers. Received: {value!r}.", "For example: 0.8,1.2.")
        return tuple(_number(name, part) for part in parts)
    return _number(name, value)


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
        if isinstance(value, bool) or number != number:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"Recipe field '{name}' must be a number. Received: {value!r}.") from None
    return number
