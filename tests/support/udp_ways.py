"""What lies between two ends of UDP: passes packets on as a NAT does, and can be cut."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

Address = tuple[str, int]
PACKET_BYTES = 65_536
LOOK_SECONDS = 0.1


class Ways:
    """`port(address)` is where to send what is for `address`; it comes there from a port of ours, which leads back.

    `cut`: nothing passes. `passed`: packets so far. `lose`: what there is now leads nowhere any more, as after a phone
    has changed networks.
    """

    def __init__(self) -> None:
        self.cut = False
        self.passed = 0
        self._selector = selectors.DefaultSelector()
        self._ends: dict[Address, socket.socket] = {}
        self._targets: dict[socket.socket, Address] = {}  # of a way's end
        self._backs: dict[tuple[socket.socket, Address], socket.socket] = {}  # by way's end and who sends there
        self._lost: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.ended = False

    def port(self, address: Address) -> int:
        """The port of this machine that leads to the address."""
        with self._lock:
            if address not in self._ends:
                end = self._ends[address] = self._opened()
                self._targets[end] = address
            port: int = self._ends[address].getsockname()[1]
            return port

    def lose(self) -> None:
        with self._lock:
            self._lost |= self._targets.keys()

    def run(self) -> None:
        while not self.ended:
            for key, _ in self._selector.select(LOOK_SECONDS):
                at: socket.socket = key.data[0]
                packet, source = at.recvfrom(PACKET_BYTES)
                with self._lock:
                    out, target = self._way(at, source)
                    if self.cut or {at, out} & self._lost:
                        continue
                    self.passed += 1
                out.sendto(packet, target)
        for key in list(self._selector.get_map().values()):
            key.data[0].close()
        self._selector.close()

    def _way(self, at: socket.socket, source: Address) -> tuple[socket.socket, Address]:
        if at not in self._targets:  # an answer
            return next((end, sender) for (end, sender), back in self._backs.items() if back is at)
        if (at, source) not in self._backs:
            self._backs[at, source] = self._opened()
        return self._backs[at, source], self._targets[at]

    def _opened(self) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("0.0.0.0", 0))
        self._selector.register(made, selectors.EVENT_READ, (made,))
        return made


@contextmanager
def udp_ways() -> Iterator[Ways]:
    ways = Ways()
    thread = threading.Thread(target=ways.run, daemon=True)
    thread.start()
    try:
        yield ways
    finally:
        ways.ended = True
        thread.join()
