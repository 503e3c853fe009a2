"""What is installed: only ``zoo`` and ``zoo_*``, with every file they need."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("project", [".", "plugins/zoo-efficientnet-lite"])
def test_wheels_hold_only_our_names_and_everything_they_need(project: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(tmp_path), "."]
    shutil.rmtree(REPOSITORY / project / "build", ignore_errors=True)  # an older build would leak into the wheel
    subprocess.run(command, cwd=REPOSITORY / project, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert all(top == "zoo" or top.startswith("zoo_") for top in tops), tops
    packages = [top for top in tops if top != "zoo"]
    assert all(f"{package}/py.typed" in names for package in packages)
    for package in packages:
        sources = ("plugins", "exports") if project == "." else (project,)
        (root,) = (found for source in sources if (found := REPOSITORY / source / package).is_dir())
        data = {f"{package}/{path.name}" for path in root.iterdir() if path.suffix in (".npz", ".txt")}
        assert data <= set(names)
    if project == ".":
        assert {"zoo/report/page.html", "zoo/report/page.css", "zoo/py.typed"} <= set(names)
