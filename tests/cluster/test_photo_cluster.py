"""Reading photos and running models on the machines of a cluster, and what workers refuse. No test starts Ray."""

from __future__ import annotations

import json
import pickle
import socket
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import zoo as library
from tests.cluster.works import open_small
from tests.conftest import PhotoFolder, Zoo, draw_photo
from zoo.audit.facts import facts_of
from zoo.data.reading import DECODER, Read, read_files
from zoo.data.source import Entry
from zoo.errors import ClusterError, DataError
from zoo.evaluation import photo_cluster
from zoo.evaluation.photo_cluster import open_outputs, open_reader, software
from zoo.evaluation.predict import predict_inputs
from zoo.evaluation.trained import model_digest
from zoo.image_spec import ImageSpec

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
