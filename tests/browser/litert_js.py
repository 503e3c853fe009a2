"""LiteRT.js, Google's runtime for TFLite files in browsers, loaded as in its documentation."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PACKAGE, RELEASE = "@litertjs/core", "2.5.3"

#: Environment variable with a folder to which npm installed LiteRT.js.
VARIABLE = "ZOO_LITERT_JS"

PAGE = """<!doctype html>
<script type="importmap">
{"imports": {
  "@litertjs/core": "./node_modules/@litertjs/core/dist/index.js",
  "@litertjs/wasm-utils": "./node_modules/@litertjs/wasm-utils/dist/index.js"
}}
</script>
"""

PREDICT = """async ([file, pixels, count, shape]) => {
  const { loadLiteRt, loadAndCompile, Tensor } = await import("@litertjs/core");
  globalThis.loaded ??= loadLiteRt("./node_modules/@litertjs/core/wasm/");
  await globalThis.loaded;
  const model = await loadAndCompile(file, { accelerator: "wasm" });
  const bytes = Uint8Array.from(atob(pixels), (c) => c.charCodeAt(0));
  const size = bytes.length / count;
  const [details] = model.getInputDetails();
  const rows = [];
  for (let place = 0; place < count; place += 1) {
    const image = bytes.slice(place * size, (place + 1) * size);
    const input = new Tensor(details.dtype === "float32" ? Float32Array.from(image) : image, [1, ...shape]);
    const [output] = await model.run([input]);
    rows.push([...(await output.data())]);
    input.delete();
    output.delete();
  }
  model.delete();
  return rows;
}"""


def prepare(folder: Path, installed: Path) -> None:
    """Copies the page and the installed package to a folder that is served."""
    (folder / "litert.html").write_text(PAGE)
    (folder / "node_modules").symlink_to((installed / "node_modules").resolve())


def predict(page: Any, file: str, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Predicts the class probabilities of images, one at a time, with a model file next to the page."""
    pixels = base64.b64encode(images.tobytes()).decode()
    return np.array(page.evaluate(PREDICT, [file, pixels, len(images), list(images.shape[1:])]))
