# SPDX-License-Identifier: BSD-2-Clause
"""A service manager, as far as it keeps descriptors for a daemon and gives them to the next one."""

import array
import os
import socket
import threading

from harness import wait_until


class Keeper:
    """Hears what a daemon says to its manager, and keeps what it is to keep."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        path.chmod(0o777)
        self.kept, self.said = {}, []
        self.room = 4096                    # FileDescriptorStoreMax
        self.slow = threading.Lock()        # who has it makes it wait
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()

    def listen(self):
        while True:
            text, ancillary, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(64))
            if text == b"end":
                return
            with self.slow:
                pass
            words = dict(line.split("=", 1) for line in text.decode().split("\n"))
            fds = array.array("i")
            for _, _, data in ancillary:
                fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
            if words.get("FDSTORE") == "1" and len(self.kept) >= self.room:
                os.close(fds[0])            # without a word
            elif words.get("FDSTORE") == "1":
                self.kept[words["FDNAME"]] = os.fdopen(fds[0], "rb", closefd=True, buffering=0)
            elif words.get("FDSTOREREMOVE") == "1":
                self.kept.pop(words["FDNAME"]).close()
            self.said.append(words)

    def handed(self):
        """All of it, in an order that means nothing."""
        return sorted(self.kept.items(), key=lambda item: hash(item[0]))

    def start(self, daemon, services, workers=2, **more):
        """A daemon that it starts."""
        return daemon(services, workers=workers, env={"NOTIFY_SOCKET": str(self.path)}, handed=self.handed(), **more)

    def lobbies(self):
        """Where connections wait: a daemon has one of its own, and those before it that are not over."""
        return [name for name in list(self.kept) if name.startswith("kept.lobby.")]

    def wait_for(self, *names):
        """Until it has these, one lobby, and nothing else."""
        wanted = {f"kept.{name}" for name in names}
        wait_until(lambda: len(self.lobbies()) == 1 and set(self.kept) - set(self.lobbies()) == wanted,
                   what=f"{sorted(wanted)} being kept")

    def end(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"end", str(self.path))
        self.thread.join()
        self.socket.close()
        for one in self.kept.values():
            one.close()
