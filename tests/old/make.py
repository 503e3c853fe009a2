"""Creates a run of a tiny network and its exported files with a version of zoo.

    python tests/old/make.py NAME [PLUGIN.py]

creates `tests/old/NAME/` with the installed zoo, or the zoo on PYTHONPATH. PLUGIN.py provides the network. The default
is `tests/tiny_net.py`, whose record an older version may be unable to read. The release checklist
(`docs/how-to/release.md`) says when to do this. The run is trained in a folder that is removed afterwards, like the
folders of most old runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLUGIN = HERE.parent / "tiny_net.py"
#: Files of a run folder, without those that only people read.
KEPT = ("*.json", "*.csv", "zoo.yaml", "model.keras")


def main(name: str, plugin: Path = PLUGIN) -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        shutil.copytree(HERE / "photos", work / "photos")
        site = work / "site"
        (site / "zoo_tiny-1.0.dist-info").mkdir(parents=True)
        shutil.copy(plugin, site / "zoo_tiny.py")
        (site / "zoo_tiny-1.0.dist-info" / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: zoo-tiny\nVersion: 1.0\n"
        )
        (site / "zoo_tiny-1.0.dist-info" / "entry_points.txt").write_text("[zoo]\nzoo_tiny = zoo_tiny\n")
        path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": path, "ZOO_CACHE_DIR": str(work / "cache")}

        def zoo(*arguments: str) -> None:
            code = "from zoo.cli.main import main; main()"
            subprocess.run([sys.executable, "-c", code, *arguments], cwd=work, env=environment, check=True)

        zoo("train", "tiny_net", "--data", "photos", "--size", "24", "--precision", "float32")
        (run,) = (work / "runs").iterdir()
        zoo("export", str(run), "--format", "tflite", "--format", "onnx", "--out", "out")
        into = HERE / name
        shutil.rmtree(into, ignore_errors=True)
        (into / "run").mkdir(parents=True)
        for pattern in KEPT:
            for file in run.glob(pattern):
                shutil.copy(file, into / "run")
        shutil.copy(next(work.glob("out/tiny_net-onnx-float32/tiny_net.onnx")), into)
        shutil.copy(next(work.glob("out/tiny_net-tflite-float32.zip")), into)
        shutil.copy(next(work.glob("out/tiny_net-tflite-float32/tiny_net.tflite")), into)


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
