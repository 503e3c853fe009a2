"""The next export removes the files that a killed export left."""

from __future__ import annotations

import time
from pathlib import Path

from tests import warm
from tests.conftest import RunZoo, zoo_environment


def test_leftovers_of_a_killed_export_are_swept(digits_run: Path, run_zoo: RunZoo, tmp_path: Path, site: Path) -> None:
    command = ("export", digits_run, "--format", "onnx", "--no-verify", "--out", tmp_path / "out")
    words = [str(word) for word in command]
    process = warm.start(words, tmp_path, zoo_environment(site), tmp_path / "said", tmp_path / "errors")
    while not list((tmp_path / "out").glob(".*/*")) and process.exitcode is None:
        time.sleep(0.002)
    process.kill()
    process.join()
    assert list((tmp_path / "out").glob(".simple_cnn-onnx-float32.*"))
    done = run_zoo(*command)
    assert done.code == 0, done.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "simple_cnn-onnx-float32",
        "simple_cnn-onnx-float32.zip",
    ]
