"""ONNX, for ONNX Runtime on servers, boards, phones and in the browser, and for other programs that read it.

The plugin manager imports this module, so it needs neither onnx nor a runtime.
"""

from __future__ import annotations

from collections.abc import Iterable

from zoo import Exporter, hookimpl

EXPORTER = Exporter(
    name="onnx",
    summary="ONNX, opset 17, for ONNX Runtime 1.13 or later, OpenCV and browsers",
    suffix=".onnx",
    precisions=("float32", "float16", "int8"),
    convert="zoo_onnx.translate:convert",
    write_metadata="zoo_onnx.metadata:write_metadata",
    read_metadata="zoo_onnx.metadata:read_metadata",
    load="zoo_onnx.loading:load",
    versions=("tensorflow", "tf2onnx", "onnx", "onnxruntime"),
    stored="zoo_onnx.metadata:stored",
    float_operators="zoo_onnx.quantized:float_operators",
    runtime_module="zoo_onnx.runtime",
    requires=("onnxruntime>=1.23",),
    maps=True,
    notes={
        "int8": "On x86 processors without VNNI, the 8-bit kernels of ONNX Runtime overflow and predictions change. "
        "Programs other than zoo and its runner must set the session option session.x64quantprecision to 1 there, and "
        "only there, because it makes the file slower elsewhere. "
        "WebAssembly does not overflow."
    },
)


@hookimpl
def zoo_exporters() -> Iterable[Exporter]:
    return [EXPORTER]
