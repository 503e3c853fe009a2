"""Downloads many images in parallel, checks them, and moves them to their class folders."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from zoo.errors import ZooError
from zoo.fetch.addresses import Access
from zoo.fetch.connection import Network
from zoo.fetch.disk import remove_file, unwritable
from zoo.fetch.errors import RefusedError, StoppedError
from zoo.fetch.folder import Credit, Failure, ImageFolder
from zoo.fetch.names import digest
from zoo.fetch.orient import turned
from zoo.fetch.patience import Hosts, Patience
from zoo.fetch.transfer import Remote, Transfer
from zoo.images import ImageError, look, probe

DEFAULT_JOBS = 32
DEFAULT_MAX_BYTES = 50 * 10**6
#: Seconds in which transfers may finish after the user interrupts.
_GRACE_S = 2.0
SUFFIX = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "GIF": ".gif",
    "WebP": ".webp",
    "BMP": ".bmp",
    "TIFF": ".tif",
    "AVIF": ".avif",
    "HEIC": ".heic",
}

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """An image to download.

    Args:
        url: URL of the image.
        folder: Folder of its class, a name from ``ImageFolder.labels``.
        stem: Safe file name without suffix. The suffix depends on the format of the downloaded file.
        credit: Source, author and licence.
        md5: Hexadecimal MD5 of the file as it is served, if known.
        sha256: Hexadecimal SHA-256 of that file, if known.
        turn_degrees: Counter-clockwise rotation that makes the image upright: 0, 90, 180 or 270.
        size_bytes: Size of the file, if the list contains it.
    """

    url: str
    folder: str
    stem: str
    credit: Credit = field(default_factory=Credit)
    md5: str = ""
    sha256: str = ""
    turn_degrees: int = 0
    size_bytes: int | None = None

    @property
    def key(self) -> str:
        """Key of the partial file on disk. It depends on the URL, the checksums, the folder and the stem."""
        return digest(f"{self.url}\n{self.md5}\n{self.sha256}\n{self.folder}/{self.stem}")[:32]


@dataclass(frozen=True)
class Fetched:
    """The result of a download.

    Args:
        kept: Path of each image that is now in the folder, relative to it, in the order of the list.
        new: Number of images downloaded in this run.
        failures: Failed downloads.
    """

    kept: Sequence[tuple[Wanted, str]]
    new: int
    failures: Sequence[Failure]


class Downloader:
    """Downloads in threads that share connections, pauses and limits.

    Args:
        access: The allowed connections.
        jobs: Number of parallel downloads.
        patience: Limits of a transfer.
        max_bytes: Maximum size of an image.
    """

    def __init__(
        self,
        access: Access,
        *,
        jobs: int = DEFAULT_JOBS,
        patience: Patience | None = None,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        patience = patience or Patience()
        network = Network(
            access, connections=jobs, connect_s=patience.connect_s, read_s=patience.read_s, answer_s=patience.answer_s
        )
        self._hosts = Hosts(patience)
        self._jobs = jobs
        self._max_bytes = max_bytes
        # The size of a picture is limited, but every thread could still decode a few hundred megapixels at the same
        # time.
        self._decoding = threading.Semaphore(min(4, os.cpu_count() or 1))
        self.transfer = Transfer(network, self._hosts, patience)

    def run(
        self,
        wanted: Sequence[Wanted],
        folder: ImageFolder,
        beforehand: Sequence[Failure] = (),
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Fetched:
        """Downloads missing images. ``attribution.csv`` grows with the images; ``failed.csv`` is written at the end.

        Args:
            wanted: The images. Each pair of folder and stem must be unique.
            folder: The target folder. ``folder.filling()`` must be active.
            beforehand: Failures that are known before any request is sent.
            progress: Called with images done and images to do.

        Raises:
            DataError: The disk is full. The files that are present are complete.
        """
        refused = folder.refused()
        kept = {item.key: path for item in wanted if (path := folder.has(item.folder, item.stem))}
        failures = {
            item.key: RefusedError(refused[item.key]) for item in wanted if item.key in refused and item.key not in kept
        }
        missing = [item for item in wanted if item.key not in kept and item.key not in failures]
        folder.write_credits([item.credit.row(kept[item.key], item.folder) for item in wanted if item.key in kept])
        before = len(kept)

        def failed() -> list[Failure]:
            asked = [(item, failures[item.key]) for item in wanted if item.key in failures]
            return [*beforehand, *(Failure(i.url, i.folder, error.reason, error.temporary) for i, error in asked)]

        try:
            # Closed explicitly, so that an interruption reaches the threads at once.
            with closing(self._results(missing, folder)) as results:
                for item, result in results:
                    if isinstance(result, str):
                        kept[item.key] = result
                        folder.credit([item.credit.row(result, item.folder)])
                    else:
                        failures[item.key] = result
                        if not (result.temporary or result.optional):
                            folder.refuse(item.key, result.reason)
                    progress(len(kept) - before + len(failures), len(wanted) - before)
        except BaseException:
            with suppress(ZooError):
                folder.write_failures(failed())
            raise
        folder.write_failures(failed())
        there = [(item, kept[item.key]) for item in wanted if item.key in kept]
        folder.write_credits([item.credit.row(path, item.folder) for item, path in there])
        return Fetched(there, len(kept) - before, failed())

    def sizes(self, urls: Sequence[str]) -> list[int]:
        """Sizes of files in bytes, as reported by the servers. Unknown sizes are left out."""
        with ThreadPoolExecutor(min(self._jobs, len(urls)) or 1) as pool:
            return [size for size in pool.map(self.transfer.size_bytes, urls) if size is not None]

    def _results(self, wanted: Sequence[Wanted], folder: ImageFolder) -> Generator[tuple[Wanted, str | RefusedError]]:
        """Yields each image with its path or its failure, in order of completion."""
        done: queue.SimpleQueue[tuple[Wanted, str | BaseException]] = queue.SimpleQueue()
        todo = _Todo(wanted)

        def work() -> None:
            while (item := todo.take()) is not None:
                try:
                    done.put((item, self._fetch(item, folder)))
                except StoppedError:
                    return
                except BaseException as error:
                    done.put((item, error))

        # Daemon threads, so that an interrupted process does not wait for a server that does not respond.
        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(self._jobs, len(wanted)))]
        for thread in threads:
            thread.start()
        left = len(wanted)
        try:
            while left:
                item, result = done.get()
                left -= 1
                if isinstance(result, str | RefusedError):
                    yield item, result
                else:
                    raise result
        finally:
            if left:
                self._end(threads)
                while not done.empty():
                    item, result = done.get()
                    if isinstance(result, str):
                        folder.credit([item.credit.row(result, item.folder)])

    def _end(self, threads: Sequence[threading.Thread]) -> None:
        """Waits briefly for running downloads. Those that do not finish remain as partial files."""
        self._hosts.stop()
        until = time.monotonic() + _GRACE_S
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._hosts.abort()
        for thread in threads:
            thread.join(0.1)

    def _fetch(self, item: Wanted, folder: ImageFolder) -> str:
        remote = Remote(url=item.url, key=item.key, max_bytes=self._max_bytes, md5=item.md5, sha256=item.sha256)
        part = self.transfer.fetch(remote, folder.state)
        try:
            data = part.read_bytes()
        except OSError as error:
            raise unwritable(part, error) from error
        try:
            with self._decoding:
                look(data)
                upright = turned(data, item.turn_degrees)
        except ImageError as error:
            remove_file(part)
            raise RefusedError(error.reason) from None
        name = item.stem + SUFFIX[probe(upright).format]
        if upright is data:
            return folder.place(part, item.folder, name)
        path = folder.place(_written(part.with_suffix(".turned"), upright), item.folder, name)
        remove_file(part)
        return path


class _Todo(Generic[Item]):
    """Items that threads take one by one."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = iter(items)
        self._lock = threading.Lock()

    def take(self) -> Item | None:
        with self._lock:
            return next(self._items, None)


def _written(path: Path, data: bytes) -> Path:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise unwritable(path, error) from error
    return path
