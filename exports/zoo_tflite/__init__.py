"""TFLite files: what LiteRT, MediaPipe Tasks and ML Kit run.

The plugin manager imports this module, so it needs no TensorFlow. The conversion is in ``convert.py``, and the metadata
of a file in ``metadata.py``. ``runtime.py`` needs only NumPy and LiteRT, and is also copied to devices.
"""

from __future__ import annotations

from collections.abc import Iterable

from zoo import Exporter, hookimpl

EXPORTER = Exporter(
    name="tflite",
    summary="TFLite for LiteRT, MediaPipe Tasks and ML Kit; built-in operators only",
    suffix=".tflite",
    precisions=("float32", "float16", "int8"),
    convert="zoo_tflite.convert:convert",
    write_metadata="zoo_tflite.metadata:write_metadata",
    read_metadata="zoo_tflite.metadata:read_metadata",
    load="zoo_tflite.loading:load",
    versions=("tensorflow", "ai-edge-litert"),
    stored="zoo_tflite.model_file:stored",
    float_operators="zoo_tflite.operators:float_operators",
    runtime_module="zoo_tflite.runtime",
    requires=("ai-edge-litert>=2.3",),
    maps=True,
)


@hookimpl
def zoo_exporters() -> Iterable[Exporter]:
    return [EXPORTER]
