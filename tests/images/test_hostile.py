"""The shared folder of bad inputs: each file is loaded or refused, as the table of the folder states."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

from zoo.image_spec import ImageSpec
from zoo.images import ImageError, load_image

LOADS = None

#: What we do where the table leaves the choice. What a folder walk decides (names, links, duplicates, strays) is not
#: decided here: as pictures they load.
POLICY = {
    "rugby/truncated_half.jpg": "truncated JPEG",
    "rugby/truncated.png": "truncated PNG",
    "soccer/noextension": LOADS,
    "soccer/IMG_0001.heic": LOADS,  # its content is JPEG
    "rugby/comma,tab\tnewline\nname.jpg": LOADS,
    "rugby/good_link.jpg": LOADS,
    "stray.jpg": LOADS,
    "soccer/duplicate_of_rugby_ok_00.jpg": LOADS,
    "empty_class/": "folder",
    'a,b"c/a.jpg': LOADS,
}
REJECTED = {
    "rugby/html_renamed.jpg": "not an image: HTML text",
    "rugby/bomb_declared_only.png": "declares 50000 x 50000 pixels, more than 268 Mpx",
    "rugby/broken_link.jpg": "broken symbolic link",
    "rugby/unreadable.jpg": "no permission to read it",
    "rugby/pipe.jpg": "named pipe",
}


def import_script(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def outcome(path: str) -> str | None:
    try:
        image = load_image(path, ImageSpec())
    except ImageError as error:
        return error.reason
    assert image.shape == (224, 224, 3)
    return LOADS


def test_hostile_folder(shared_data: Path, tmp_path: Path) -> None:
    script = shared_data / "make_hostile.py"
    if not script.is_file():
        pytest.skip(f"needs {script}")
    folder = tmp_path / "hostile"
    folder.mkdir()
    table = import_script(script).build(str(folder), shared_data / "rugby_soccer")
    outcomes = {path: outcome(os.path.join(folder, path)) for path, *_ in table}  # noqa: PTH118

    for path, _, verdict, _ in table:
        if verdict == "usable":
            assert outcomes[path] is LOADS, path
        elif verdict == "policy":
            assert outcomes[path] == POLICY[path], path
        elif verdict == "reject":
            may_read_all = path == "rugby/unreadable.jpg" and os.access(folder / path, os.R_OK)
            assert outcomes[path] == (LOADS if may_read_all else REJECTED[path]), path
    assert len(table) > 50
