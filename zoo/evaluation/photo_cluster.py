"""Reads photos and runs models on them on the machines of a cluster. The results are those of one machine."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.cluster.address import check_cluster
from zoo.cluster.spread import spread
from zoo.data.arrays import OnFile
from zoo.data.reading import DECODER, Observe, Observer, Read, read_files, read_here
from zoo.data.source import Entry
from zoo.errors import ClusterError, DataError
from zoo.evaluation.predict import predict_inputs
from zoo.evaluation.trained import model_digest
from zoo.image_spec import ImageSpec
from zoo.images import ImageError, patiently, read_file
from zoo.images.ahead import ahead
from zoo.images.listen import Listener, listening
from zoo.machine import installed
from zoo.reporter import Reporter

if TYPE_CHECKING:
    import keras

#: Number of items of work between the limits of their size, so that all workers have some.
_ITEMS = 64
#: Limits of the number of photos that are read in one item, and maximum size of their images, which the item returns.
_FEWEST_READ, _MOST_READ, _MOST_BYTES = 8, 64, 4 << 20
#: Maximum number of batches in one item.
_MOST_BATCHES = 8

_SHARED_DISK = "Put the photos on a disk that all machines of the cluster mount under the same path."
_SAME_VERSIONS = "Install the same versions on all machines of the cluster."

#: Returns a model. It is pickled, so it is a function of a module, or a ``functools.partial`` of one.
Opener = Callable[[], "keras.Model"]


@dataclass(frozen=True)
class PhotoCluster:
    """A cluster whose machines have the photos and the models under the same paths.

    Args:
        on: ``ray``, or ``ray://HOST:PORT``.
        reporter: Receives the number of workers.
    """

    on: str
    reporter: Reporter

    def read(
        self, entries: Sequence[Entry], spec: ImageSpec, known: Callable[[str], bool], observer: Observer | None
    ) -> Iterator[Read]:
        """Reads files like ``read_here``. Workers decode all of them, because they do not know what is known.

        Raises:
            ClusterError: The cluster cannot be reached, a worker cannot read a file that this machine can read, or a
                worker has another file under the same path.
        """
        image_bytes = int(np.prod(spec.input_shape))
        size = _size(len(entries), _FEWEST_READ, max(1, min(_MOST_READ, _MOST_BYTES // image_bytes)))
        parts = (entries[start : start + size] for start in range(0, len(entries), size))
        items = ((number, pickle.dumps(part)) for number, part in enumerate(parts))
        make = partial(open_reader, spec, DECODER, observer.observe if observer else None)
        for _, result in spread(make, items, self.on, self.reporter):
            host, found = pickle.loads(result)
            usable = [read for read in found if read.state is not None]
            refuse_other_copies(
                host,
                {read.entry.path: read.state.size for read in usable},
                {read.entry.path: read.sha256 for read in usable[:1]},
            )
            for read in found:
                if read.sha256 is None:
                    yield from _read_again(read, host, spec, known, observer)
                else:
                    yield replace(read, pixels=None) if known(read.sha256) else read

    def outputs(
        self, opener: Opener, model: keras.Model, files: Sequence[OnFile], total: int, size: int
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yields the position of the first file of an item, and a model's outputs on the files of the item.

        Items consist of whole batches, so each file is in the same batch as without a cluster.

        Args:
            opener: Returns the model on another machine.
            model: The same model on this machine.
            files: The files.
            total, size: As for ``predict_inputs``.

        Raises:
            ClusterError: The cluster cannot be reached, or a worker does not have the photos or the model.
        """
        step = size * _size(-(-len(files) // size), 1, _MOST_BATCHES)
        items = (
            (start, json.dumps([(file.path, file.sha256) for file in files[start : start + step]]).encode())
            for start in range(0, len(files), step)
        )
        spec = files[0].spec
        make = partial(open_outputs, opener, model_digest(model), software(), spec, max(total, len(files)), size)
        for start, result in spread(make, items, self.on, self.reporter):
            yield start, np.frombuffer(result, np.float32).reshape(min(step, len(files) - start), -1)


def find_cluster(on: str | None, reporter: Reporter) -> PhotoCluster | None:
    """The cluster of ``--on``. ``None`` if it is not given.

    Raises:
        UsageError: The value is invalid, or Ray is not installed.
        ClusterError: No server listens at the address.
    """
    if on is None:
        return None
    check_cluster(on)
    return PhotoCluster(on, reporter)


def _size(count: int, fewest: int, most: int) -> int:
    return min(most, max(fewest, -(-count // _ITEMS)))


def _read_again(
    read: Read, host: str, spec: ImageSpec, known: Callable[[str], bool], observer: Observer | None
) -> Iterator[Read]:
    """Reads a file that a worker could not read. The outcome on this machine must be the same."""
    for here in read_here([read.entry], spec, known, observer):
        if here.sha256 is not None:
            raise unreadable_there(host, read.entry.path, read.reason)
        yield here


def unreadable_there(host: str, path: str, reason: str | None) -> ClusterError:
    """The error for a photo that a machine of the cluster cannot read, although this machine can."""
    return ClusterError(
        f"{host} cannot read the photo {path}, which this machine can read: {reason}.",
        f"{_SHARED_DISK} {_SAME_VERSIONS}",
    )


def refuse_other_copies(host: str, sizes: Mapping[str, int], contents: Mapping[str, str]) -> None:
    """Refuses a machine of the cluster that has other photos under the same paths.

    Args:
        host: Name of that machine.
        sizes: Its sizes of files in bytes, by path. Files that are not on this machine are not compared.
        contents: Its SHA-256 of a few of the files. This machine cannot read all of them, because it would become the
            bottleneck of the cluster.

    Raises:
        ClusterError: A file has another size or content on this machine.
    """
    for path, size in sizes.items():
        try:
            same = patiently(os.stat, path).st_size == size
            if same and path in contents:
                same = hashlib.sha256(read_file(path)).hexdigest() == contents[path]
        except (OSError, ImageError):
            continue
        if not same:
            raise ClusterError(f"{host} has another file under {path} than this machine.", _SHARED_DISK)


def open_reader(spec: ImageSpec, decoder: str, observe: Observe | None, threads: int) -> Callable[[bytes], bytes]:
    """Returns the function that reads files on a machine of the cluster, for ``PhotoCluster.read``."""
    compare_versions({"decoder": DECODER}, {"decoder": decoder})

    def read(item: bytes) -> bytes:
        found = read_files(pickle.loads(item), spec, lambda _: False, observe, lambda _: True, threads)
        return pickle.dumps((socket.gethostname(), list(found)))

    return read


def open_outputs(
    opener: Opener, digest: str, versions: dict[str, str], spec: ImageSpec, total: int, size: int, threads: int
) -> Callable[[bytes], bytes]:
    """Opens a model on a machine of the cluster. Returns the function for ``PhotoCluster.outputs``."""
    from zoo.backend import start_keras

    start_keras()
    compare_versions(software(), versions)
    model = opener()
    if (found := model_digest(model)) != digest:
        raise ClusterError(
            f"The model has other weights on that machine: SHA-256 {found}, expected {digest}.",
            "Put the model on a disk that all machines of the cluster mount under the same path.",
        )

    def outputs(item: bytes) -> bytes:
        files = [OnFile(path, sha256, spec) for path, sha256 in json.loads(item)]
        with listening() as listener:
            inputs = np.stack(list(ahead(lambda file: _pixels(file, listener), files, threads)))
        return predict_inputs(model, inputs, total, size).tobytes()

    return outputs


def _pixels(file: OnFile, listener: Listener) -> NDArray[np.uint8]:
    try:
        return file.pixels(listener)
    except DataError as error:
        if os.path.lexists(file.path):
            raise
        raise ClusterError(f"{socket.gethostname()} does not have the photo {file.path}.", _SHARED_DISK) from error


def software() -> dict[str, str]:
    """Versions of what determines the outputs of a model on a photo."""
    import keras

    backend = str(keras.backend.backend())
    return {"decoder": DECODER, "backend": backend, **installed(["keras", backend])}


def compare_versions(here: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Compares the versions on a worker with those on the machine of the command.

    Raises:
        ClusterError: They differ.
    """
    for name in sorted(here.keys() | expected.keys()):
        if here.get(name) != expected.get(name):
            raise ClusterError(
                f"A worker has another {name} than the machine of the command: {here.get(name)}, expected"
                f" {expected.get(name)}.",
                _SAME_VERSIONS,
            )
