"""Effects of importing the plugin, in a separate process."""

from __future__ import annotations

import json
import subprocess
import sys

from zoo.records import read_json
from zoo.testing.origin import plugin_module
from zoo.testing.result import CheckError
from zoo.testing.workspace import Workspace

#: Packages that `zoo list` and `zoo --help` must not import.
HEAVY = ("keras", "tensorflow", "jax", "torch", "cv2", "matplotlib", "numpy", "scipy", "sklearn", "pandas", "PIL")

_TIMEOUT_S = 60

_CODE = """
import contextlib, importlib, io, json, os, sys, traceback

heavy, module, sys.path[:] = json.loads(sys.stdin.read())
import zoo

importers = {}


class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in heavy and name not in importers:
            frames = [frame for frame in traceback.extract_stack()[:-1] if "importlib" not in frame.filename]
            importers[name] = f"{frames[-1].filename}:{frames[-1].lineno}"


sys.meta_path.insert(0, Watch())
environment, folder, printed = dict(os.environ), os.getcwd(), io.StringIO()
with contextlib.redirect_stdout(printed):
    plugin = importlib.import_module(module)
    for hook in ("zoo_architectures", "zoo_exporters", "zoo_datasets"):
        if callable(getattr(plugin, hook, None)):
            list(getattr(plugin, hook)())
changed = sorted(name for name, _ in set(environment.items()) ^ set(os.environ.items()))
print(json.dumps({
    "loaded": {name: place for name, place in importers.items() if name in sys.modules},
    "changed": changed + ["the working folder"] * (folder != os.getcwd()),
    "printed": printed.getvalue(),
}))
"""


def check_import_purity(subject: Workspace) -> str:
    module = plugin_module(subject.record)
    done = subprocess.run(
        [sys.executable, "-c", _CODE],
        input=json.dumps([HEAVY, module, sys.path]),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    expected = f"importing {module} and getting its records"
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise CheckError(f"{expected} works in a fresh process", last[0], f'Try: python -c "import {module}"')
    found = read_json(done.stdout.splitlines()[-1])
    if found["loaded"]:
        seen = ", ".join(f"{name} (imported at {place})" for name, place in found["loaded"].items())
        mend = "Import it inside the functions that need it: `zoo list` and `zoo --help` import every plugin."
        raise CheckError(f"{expected} loads none of {', '.join(HEAVY)}", seen, mend)
    if found["printed"]:
        raise CheckError(f"{expected} prints nothing", repr(found["printed"][:80]), "Remove the print.")
    if found["changed"]:
        mend = "Do not change the environment, which is global."
        raise CheckError(f"{expected} changes no environment variable", ", ".join(found["changed"]), mend)
    return f"{module} loads nothing heavy"
