"""Error messages for failed conversions. They name the operator and its layer instead of showing pages of MLIR."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from zoo import ExportError

if TYPE_CHECKING:
    import keras

#: A line of the converter's message, such as
#: ``error: loc(callsite(fused["FFT2D:", "model_1/odd_layer_1/FFT2D@__inference_42"] at ..)): 'tf.FFT2D' op is neither``
_UNSUPPORTED = re.compile(r"error: loc\((?P<where>.*)\): '(?P<op>[\w.]+)' op is neither a custom op nor a flex op")
_SCOPE = re.compile(r'fused\["[^"]*", "(?P<scope>[^"@]+)')
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")

_HINT = "Replace it with layers that TFLite has operators for, or export to another format."


def unsupported(message: str, model: keras.Model) -> ExportError:
    """The error for a conversion that ended with ``message``.

    >>> print(unsupported("...", model))
    TFLite has no operator for tf.FFT2D (layer 'odd_layer').
      Replace it with layers that TFLite has operators for, or export to another format.
    """
    found = {match["op"]: _layer(match["where"], model) for match in _UNSUPPORTED.finditer(message)}
    if not found:
        return ExportError(f"The TFLite converter failed on model '{model.name}': {brief(message)}", _HINT)
    told = [f"{op} (layer '{layer}')" if layer else op for op, layer in found.items()]
    return ExportError(f"TFLite has no operator for {', '.join(told)}.", _HINT)


def brief(message: str) -> str:
    """The first line that is not empty, without colours, at most 200 characters."""
    lines = [line.strip() for line in _ESCAPE.sub("", message).splitlines()]
    line = next((line for line in lines if line), "no reason given")
    return line if len(line) <= 200 else f"{line[:200]}..."


def _layer(location: str, model: keras.Model) -> str | None:
    """Name of the layer whose scope is in a location. TensorFlow may have appended a number to it."""
    names = {layer.name for layer in model.layers}
    scope = _SCOPE.search(location)
    parts = scope["scope"].split("/") if scope else []
    candidates = [name for part in parts for name in (part, re.sub(r"_\d+$", "", part))]
    return next((name for name in candidates if name in names), None)
