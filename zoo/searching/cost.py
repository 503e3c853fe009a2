"""The cost of an architecture's exported file on this machine.

It does not depend on the weights, so nothing is trained.
"""

from __future__ import annotations

import gc
import math
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo.atomic import write_json
from zoo.edge.bench import latency_ms
from zoo.exported import Metadata
from zoo.exporting.staged import staged
from zoo.image_spec import ImageSpec
from zoo.interfaces import Architecture, Exporter
from zoo.parity.result import size_bytes
from zoo.records import read_object, read_record
from zoo.registry import architectures
from zoo.searching.candidate import Cost
from zoo.searching.judge import blaming_the_plugin

#: Seconds for which a file is run to measure its latency.
_TIMED_S = 1.0

#: Maximum number of such measurements in a row. Other processes can only slow a file down, so the lowest counts.
_IN_A_ROW = 3

#: Estimated latency of float32 divided by that of int8. MobileNetV2 on a processor with VNNI: 2.0 as ONNX and 1.9 as
#: TFLite (benchmarks/RESULTS.md).
_FLOAT_PER_INT8 = 2.0

#: Number of images for the ranges of an 8-bit file. The ranges do not affect latency and size.
_RANGED_IMAGES = 2

#: Whether the latency of a file on this machine may be too high, because other processes slowed it down.
Doubtful = Callable[[Cost], bool]

#: Prevents other processes of a search from measuring latencies during a block.
Alone = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, kw_only=True)
class Form:
    """The form in which every candidate is exported.

    Args:
        exporter: The exporter of the format.
        precision: A precision that it supports.
        labels: Class names of the data.
    """

    exporter: Exporter
    precision: str
    labels: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.exporter.name} {self.precision}"


def kept_cost(file: Path) -> Cost | None:
    """The stored result of ``measure_cost``. ``None`` if there is none, or if it cannot be read."""
    try:
        return read_record(Cost, read_object(file.read_bytes()))
    except (OSError, ValueError):
        return None


def measure_cost(name: str, image: ImageSpec, form: Form, file: Path, doubtful: Doubtful, alone: Alone) -> Cost:
    """Latency and size of an architecture's exported file on this machine.

    Args:
        name: Name of the architecture.
        image: The image specification. Only its size matters.
        form: The form of the export.
        file: The file that stores the figures, in a folder that exists. If it stores a lower latency, that one is kept.
        doubtful: Whether the latency may be too high. Then it is measured again at once, twice at most.
        alone: Is used while the latency is measured, but not during the export.

    Raises:
        ZooError: The plugin fails, the model cannot be converted, or the file does not run.
    """
    cost = _measure(architectures().get(name), image, form, doubtful, alone)
    if (kept := kept_cost(file)) is not None:
        cost = replace(min(cost, kept, key=lambda each: each.latency_ms), measured=kept.measured + 1)
    write_json(file, asdict(cost))
    return cost


def time_file(path: Path) -> float:
    """Median milliseconds of an exported file for one image on one thread of this machine."""
    with staged(path) as bundle:
        return latency_ms(bundle, 1, _TIMED_S)


def _measure(architecture: Architecture, image: ImageSpec, form: Form, doubtful: Doubtful, alone: Alone) -> Cost:
    import keras

    with tempfile.TemporaryDirectory(prefix="zoo-search-") as aside:
        file = Path(aside, f"{architecture.name}{form.exporter.suffix}")
        form.exporter.convert(_prepared(architecture, image, form), file, form.precision)
        form.exporter.write_metadata(file, _metadata(architecture, image, form))
        size = size_bytes(form.exporter.files(file))
        keras.backend.clear_session()
        gc.collect()
        in_float = _FLOAT_PER_INT8 if form.precision == "int8" else 1.0
        best = math.inf
        with alone():
            for _ in range(_IN_A_ROW):
                best = min(best, time_file(file))
                cost = Cost(latency_ms=best, size_bytes=size, float_ms=in_float * best)
                if not doubtful(cost):
                    break
        return cost


def _prepared(architecture: Architecture, image: ImageSpec, form: Form) -> Any:
    """A model whose exported file costs as much as that of a trained model.

    It has the most expensive head, on all depths.
    """
    from zoo.exporting.fold import fold
    from zoo.exporting.quantize import outline
    from zoo.training.heads.attach import depth_widths, with_head
    from zoo.training.heads.linear import LinearHead
    from zoo.training.model import build_model

    with blaming_the_plugin():
        model = build_model(architecture, image.input_shape, len(form.labels))
        if form.precision == "int8":
            architecture.weights[0].load(model, False)  # with random weights, tensors may have no range
    random = np.random.default_rng(0)
    if architecture.backbone is not None:
        width = sum(depth_widths(model, architecture.depths, architecture.backbone))
        head = LinearHead(random.normal(0, 0.01, (width, len(form.labels))), np.zeros(len(form.labels)))
        model = with_head(model, architecture.depths, architecture.backbone, head, np.ones(width, np.bool_))
    if form.precision != "int8":
        return fold(model)
    return outline(fold(model), random.integers(0, 256, (_RANGED_IMAGES, *image.input_shape)).astype(np.uint8))


def _metadata(architecture: Architecture, image: ImageSpec, form: Form) -> Metadata:
    return Metadata(
        labels=tuple(f"class {number}" for number in range(len(form.labels))),
        image=image,
        precision=form.precision,
        architecture=architecture.name,
        source="zoo search",
        model_digest="",
    )
