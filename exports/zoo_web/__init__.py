"""A page that classifies photos in the browser. It runs the ONNX file with onnxruntime-web.

The file is identical to that of the ONNX exporter. ``site/`` contains the page, and the module ``onnxruntime_web``
finds the files that come from npm. The plugin manager imports this module, so it needs none of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from zoo_onnx import EXPORTER

from zoo import App, Exporter, hookimpl

MANUAL = """Serve this folder with any static web server, under any path. A browser cannot open a model from a
local file. On this machine:

```console
$ python3 -m http.server --bind 127.0.0.1       # in this folder; then open http://127.0.0.1:8000
```

The page sends no requests to other servers, and no photo leaves the browser. Once it is open, it works offline. Its
self-test runs `golden/` in the same browser. The camera and offline use need https or `localhost`. The files to serve
are `index.html`, `sw.js`, `page/`, `onnxruntime-web/`, `golden/`, `spec.json` and the model."""


@hookimpl
def zoo_exporters() -> Iterable[Exporter]:
    return [
        replace(
            EXPORTER,
            name="web",
            summary="A page for browsers around the ONNX file; it works offline",
            runtime_module="",
            requires=(),
            app=App(
                files="zoo_web.site_files:site_files",
                start="In a browser: python -m http.server --bind 127.0.0.1 --directory {folder}",
                manual=MANUAL,
                licence="`onnxruntime-web/` is ONNX Runtime Web by Microsoft, MIT (`onnxruntime-web/LICENSE.txt`).",
            ),
            variant_of="onnx",
        )
    ]
