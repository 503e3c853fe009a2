"""What a decoder says of a file that it decodes all the same, such as damage that it painted over."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from zoo.images.decode import decode
from zoo.quiet import Messages, messages_aside


class Listener:
    """Decodes in any number of threads, and knows which file a message on stderr is about.

    The descriptor belongs to the whole process, so a message may be about any of the files that are being decoded at
    that moment. Each of these is decoded once more, while no other is.
    """

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._state = threading.Condition()
        self._decoding = 0

    def decode(self, data: bytes) -> tuple[NDArray[np.uint8], str]:
        """What ``zoo.images.decode`` returns, and what the decoder said; mostly nothing.

        Raises:
            ImageError: As ``zoo.images.decode`` does.
        """
        with self._beside_others():
            before = self._messages.size()
            pixels = decode(data)
            if self._messages.size() == before:
                return pixels, ""
        with self._alone():
            before = self._messages.size()
            pixels = decode(data)
            return pixels, self._messages.since(before)

    @contextmanager
    def _beside_others(self) -> Iterator[None]:
        with self._state:
            self._decoding += 1
        try:
            yield
        finally:
            with self._state:
                self._decoding -= 1
                self._state.notify_all()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._state:  # held meanwhile, so that no other thread begins
            self._state.wait_for(lambda: not self._decoding)
            yield


@contextmanager
def listening() -> Iterator[Listener]:
    """A listener, while what decoders write to stderr is turned aside."""
    with messages_aside() as messages:
        yield Listener(messages)
