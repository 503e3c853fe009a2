"""The place of a process among the hosts of a training: ``2/4@node1:5000``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from zoo.errors import UsageError

_FORM = re.compile(r"(\d{1,6})/(\d{1,6})@(\[[0-9a-fA-F:.%\w]+\]|[^\s:@/\[\]]+):(\d{1,5})")
#: Maximum number of hosts. Host 1 has about four connections for each of them: one of zoo, two that pass on those of
#: JAX, and at least one of the backend. A process may usually open 1024 files.
MOST = 128


@dataclass(frozen=True)
class Place:
    """Which host a process is, and where host 1 listens.

    Args:
        number: Number of the host, from 1.
        count: Number of hosts, at least 2.
        address: Name or IP address of host 1.
        port: TCP port on which host 1 listens.

    >>> Place.parse("2/4@node1:5000")
    Place(number=2, count=4, address='node1', port=5000)
    """

    number: int
    count: int
    address: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Place:
        """Reads ``I/N@ADDRESS:PORT``. An IPv6 address is in brackets.

        Raises:
            UsageError: The text has another form, or a number is out of its range.
        """
        found = _FORM.fullmatch(str(text))
        if not found:
            raise UsageError(
                f"--host must have the form I/N@ADDRESS:PORT. Received: {text!r:.100}.",
                "For example, the second of four hosts is 2/4@node1:5000 if host 1 runs on node1.",
            )
        number, count, port = int(found[1]), int(found[2]), int(found[4])
        if not 2 <= count <= MOST:
            raise UsageError(
                f"--host {text}: the number of hosts must be from 2 to {MOST}. Received: {count}.",
                "Leave --host out to train with one process.",
            )
        if not 1 <= number <= count:
            raise UsageError(
                f"--host {text}: there is no host {number} of {count}.", f"Hosts are numbered from 1 to {count}."
            )
        if not 1 <= port <= 65535:
            raise UsageError(f"--host {text}: the port must be from 1 to 65535. Received: {port}.")
        address = found[3].strip("[]")
        try:
            address.encode("idna")  # as sockets do
        except UnicodeError as error:
            raise UsageError(f"--host {text:.100}: '{address:.80}' is not the name of a machine.") from error
        return cls(number, count, address, port)

    @property
    def first(self) -> bool:
        """Whether this is host 1, which listens and writes the run."""
        return self.number == 1

    @property
    def where(self) -> str:
        """Address and port of host 1."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    def __str__(self) -> str:
        return f"{self.number}/{self.count}@{self.where}"
