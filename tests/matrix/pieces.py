# SPDX-License-Identifier: BSD-2-Clause
"""Many clients that take turns, so that what one of them sends in pieces arrives in pieces.

    for got, end in converse(address, [([b"GET / HT", b"TP/1.0\\r\\n\\r\\n"], Ending.SHUT), ...]): ...

`got` is all that the server sent, `end` how that ended: None, or the exception."""

import enum
import socket
import struct

TOGETHER = 100          # clients that take turns
WAIT_S = 30.0           # no answer on loopback takes so long, even under sanitizers


class Ending(enum.Enum):
    WAIT = "waits for the server to close"
    SHUT = "shuts its sending half down, then waits"
    RESET = "resets the connection and reads nothing"


class Client:
    """One connection that sends its pieces one by one."""

    def __init__(self, address, pieces, ending):
        self.pieces, self.ending, self.shut = list(reversed(pieces)), ending, ending is Ending.SHUT
        self.sock = socket.create_connection(address, timeout=WAIT_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send_next(self):
        """False when nothing is left to be sent."""
        try:
            if self.pieces:
                self.sock.sendall(self.pieces.pop())
            elif self.shut:
                self.shut = False
                self.sock.shutdown(socket.SHUT_WR)
        except OSError:         # a reset, too, makes shutdown(2) fail in its own way
            self.pieces, self.shut = [], False      # the server has heard enough
        return bool(self.pieces) or self.shut

    def read_all(self):
        got, end = bytearray(), None
        if self.ending is Ending.RESET:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.close()
            return b"", None
        try:
            while piece := self.sock.recv(1 << 16):
                got += piece
        except OSError as e:
            end = e
        self.sock.close()
        return bytes(got), end


def converse(address, plans):
    """Plans are (pieces, ending)."""
    for at in range(0, len(plans), TOGETHER):
        clients = [Client(address, *plan) for plan in plans[at:at + TOGETHER]]
        sending = clients
        while sending:
            sending = [c for c in sending if c.send_next()]
        for c in clients:
            yield c.read_all()


