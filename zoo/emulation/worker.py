"""Runs on the emulated processor: the runner of a bundle, with requests on stdin and replies on stdout.

    python worker.py BUNDLE THREADS

A request is a line of JSON, followed by the bytes of the pixels, if any. A reply is a line of JSON. It describes an
error, or arrays whose bytes follow the line. The package ``zoo`` cannot be imported here.
"""

import importlib
import json
import os
import platform
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

_FIELDS = ("name", "shape", "dtype", "scale", "zero_point")


def main() -> None:
    folder, threads = Path(sys.argv[1]), int(sys.argv[2])
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output of libraries must not mix with replies
    requests = sys.stdin.buffer

    def reply(values: Mapping[str, Any], arrays: Sequence[Any] = ()) -> None:
        described = [{"dtype": array.dtype.name, "shape": list(array.shape)} for array in arrays]
        replies.write(json.dumps({**values, "arrays": described}).encode() + b"\n")
        for array in arrays:
            replies.write(np.ascontiguousarray(array).tobytes())
        replies.flush()

    cv2.setNumThreads(threads)
    load = runpy.run_path(str(folder / "run.py"))["load"]
    sys.path.insert(0, str(folder))
    edge = importlib.import_module("runner.edge.classify")
    bundle = importlib.import_module("runner.edge.bundle").read_bundle(folder)
    image_error = importlib.import_module("runner.images").ImageError
    classifier = edge.open_bundle(bundle, load, threads)
    runtime = classifier.runtime
    tensors = {
        side: [{field: getattr(tensor, field) for field in _FIELDS} for tensor in getattr(runtime, side)]
        for side in ("inputs", "outputs")
    }
    reply({"machine": platform.machine(), "python": platform.python_version(), **tensors})
    while line := requests.readline():
        request = json.loads(line)
        try:
            if "look" in request:
                reply({}, [classifier.look(request["look"])[0]])
                continue
            shape = request["shape"]
            pixels = np.frombuffer(requests.read(int(np.prod(shape))), np.uint8).reshape(shape)
            found = getattr(runtime, request["ask"])(pixels)
            reply({}, [np.asarray(array, np.float32) for array in (found if request["ask"] == "explain" else [found])])
        except image_error as error:
            reply({"image": error.reason})
        except Exception as error:
            reply({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
