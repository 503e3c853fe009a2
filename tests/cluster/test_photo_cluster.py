"""Reading photos and running models on the machines of a cluster, and what workers refuse. No test starts Ray."""

from __future__ import annotations

import json
import os
import pickle
import socket
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import zoo as library
from tests.cluster.works import open_small
from tests.conftest import PhotoFolder, Zoo, draw_photo
from zoo.audit.facts import facts_of
from zoo.cluster import address
from zoo.cluster.worker import Make
from zoo.data.reading import DECODER, Read, read_files
from zoo.data.source import Entry
from zoo.errors import ClusterError, DataError
from zoo.evaluation import photo_cluster
from zoo.evaluation.photo_cluster import PhotoCluster, open_outputs, open_reader, software
from zoo.evaluation.predict import predict_inputs
from zoo.evaluation.trained import model_digest
from zoo.image_spec import ImageSpec
from zoo.reporter import Reporter
from zoo.workflows import predict_cluster

SPEC = ImageSpec(height_px=16, width_px=16)


@pytest.fixture
def entries(photo_folder: PhotoFolder) -> list[Entry]:
    root = photo_folder({"a": 5, "b": 6})
    (root / "b" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return [Entry(str(path), path.name, path.parent.name, None) for path in sorted(root.rglob("*.jpg"))]


def test_where_nobody_listens_nothing_is_read(
    zoo: Zoo, photo_folder: PhotoFolder, own_cache: Path, digits_run: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        on = f"ray://127.0.0.1:{free.getsockname()[1]}"
    root = photo_folder({"0": 2, "1": 2})
    for command in (["data", "check", root], ["evaluate", digits_run, "--data", root]):
        done = zoo(*command, "--on", on)
        assert (done.code, f"No Ray cluster answers at {on}: " in done.err) == (7, True)
    with pytest.raises(ClusterError, match="No Ray cluster answers"):
        library.check(root, on=on)
    with pytest.raises(ClusterError, match="No Ray cluster answers"):
        library.evaluate(digits_run, root, on=on)
    assert not own_cache.exists() or not list(own_cache.glob("images/*"))


def test_a_worker_reads_what_this_machine_reads(entries: list[Entry]) -> None:
    here = list(read_files(entries, SPEC, lambda _: False, facts_of, lambda _: True, 1))
    host, there = pickle.loads(open_reader(SPEC, DECODER, facts_of, 2)(pickle.dumps(entries)))
    assert host == socket.gethostname()
    assert [(read.entry, read.state, read.sha256, read.reason, read.observed) for read in there] == [
        (read.entry, read.state, read.sha256, read.reason, read.observed) for read in here
    ]
    assert sum(read.reason is not None for read in there) == 1
    assert all(np.array_equal(one.pixels, other.pixels) for one, other in zip(there, here, strict=True))


def test_a_file_that_only_this_machine_can_read_is_refused(entries: list[Entry], tmp_path: Path) -> None:
    again = partial(photo_cluster._read_again, host="node-7", spec=SPEC, known=lambda _: False, observer=None)
    with pytest.raises(ClusterError, match=r"node-7 cannot read the photo .*photo_000\.jpg, which this machine can"):
        list(again(Read(entries[0], reason="No such file or directory")))
    gone = Entry(str(tmp_path / "gone.jpg"), "gone.jpg", "a", None)
    (read,) = again(Read(gone, reason="No such file or directory"))
    assert (read.sha256, read.reason) == (None, "no such file")


Disk = Callable[[Path], None]


def other_size(photo: Path) -> None:
    draw_photo(photo, hue=200, seed=7, size=(300, 200))


def other_bytes(photo: Path) -> None:
    data = bytearray(photo.read_bytes())
    data[-9] ^= 1
    photo.write_bytes(data)


def works_on(monkeypatch: pytest.MonkeyPatch, module: ModuleType, photo: Path, change: Disk) -> None:
    """Replaces the cluster by this process. Its disk has another file under the path of ``photo``."""
    original = photo.read_bytes()

    def spread(make: Make, items: Iterable[tuple[int, bytes]], *_: object) -> Iterator[tuple[int, bytes]]:
        work = make(1)
        for number, item in list(items):
            change(photo)
            result = work(item)
            photo.write_bytes(original)
            yield number, result

    monkeypatch.setattr(module, "spread", spread)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (other_size, r"has another file under .*photo_000\.jpg than this machine"),
        (other_bytes, r"has another file under .*photo_000\.jpg than this machine"),
        (lambda photo: photo.unlink(), r"cannot read the photo .*photo_000\.jpg, .* can read: no such file"),
        (lambda photo: os.truncate(photo, 99), r"(has another file under|cannot read the photo) .*photo_000\.jpg"),
    ],
)
def test_a_machine_with_other_photos_is_refused(
    entries: list[Entry],
    own_cache: Path,
    digits_exports: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Disk,
    said: str,
) -> None:
    photo = Path(entries[0].path)
    works_on(monkeypatch, predict_cluster, photo, change)
    works_on(monkeypatch, photo_cluster, photo, change)
    monkeypatch.setattr(address, "check_cluster", lambda on: None)
    bundle = digits_exports / "simple_cnn-onnx-float32"
    with pytest.raises(ClusterError, match=said):
        library.predict(bundle, photo.parent, out=tmp_path / "found.jsonl", on="ray")
    assert not (tmp_path / "found.jsonl").exists()
    with pytest.raises(ClusterError, match=said):
        list(PhotoCluster("ray", Reporter()).read(entries, SPEC, lambda _: False, None))


def test_a_photo_that_no_machine_can_read_is_a_row_with_an_error(
    entries: list[Entry], own_cache: Path, digits_exports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = Path(entries[-1].path)
    works_on(monkeypatch, predict_cluster, photo, lambda _: None)
    monkeypatch.setattr(address, "check_cluster", lambda on: None)
    bundle = digits_exports / "simple_cnn-onnx-float32"
    library.predict(bundle, photo.parent.parent, out=tmp_path / "there.jsonl", on="ray")
    monkeypatch.undo()
    library.predict(bundle, photo.parent.parent, out=tmp_path / "here.jsonl")
    assert (tmp_path / "there.jsonl").read_text() == (tmp_path / "here.jsonl").read_text()
    rows = [json.loads(line) for line in (tmp_path / "here.jsonl").read_text().splitlines()]
    assert sum(row["error"] is not None for row in rows) == 1


def test_a_copy_of_a_model_has_the_same_outputs(entries: list[Entry]) -> None:
    usable = [
        read for read in read_files(entries, SPEC, lambda _: False, None, lambda _: False, 1) if read.reason is None
    ]
    model = open_small(1)
    expected = predict_inputs(model, np.stack([read.pixels for read in usable if read.pixels is not None]), 12, 4)
    item = json.dumps([(read.entry.path, read.sha256) for read in usable]).encode()
    outputs = open_outputs(partial(open_small, 1), model_digest(model), software(), SPEC, 12, 4, 2)
    assert outputs(item) == expected.tobytes()

    Path(usable[0].entry.path).unlink()
    with pytest.raises(ClusterError, match=r"does not have the photo .*photo_000\.jpg"):
        outputs(item)
    draw_photo(Path(usable[0].entry.path), hue=1, seed=1)
    with pytest.raises(DataError, match="was changed while it was in use"):
        outputs(item)


def test_a_machine_with_other_weights_or_libraries_is_refused() -> None:
    digest = model_digest(open_small(1))
    with pytest.raises(ClusterError, match=f"other weights on that machine: SHA-256 .*, expected {digest}"):
        open_outputs(partial(open_small, 2), digest, software(), SPEC, 12, 4, 2)
    expected = {**software(), "keras": "9.9"}
    with pytest.raises(ClusterError, match=r"A worker has another keras .*, expected 9\.9"):
        open_outputs(partial(open_small, 1), digest, expected, SPEC, 12, 4, 2)
    with pytest.raises(ClusterError, match=f"A worker has another decoder .*: {DECODER}, expected 5-opencv5"):
        open_reader(SPEC, "5-opencv5", None, 1)
