"""Talk nonsense to a node's port: strangers.py PORT...

Half-open connections that say nothing, cut-off and endless greetings, garbage of all lengths,
and connections that are reset. Some stay open until standard input ends.

SPDX-License-Identifier: GPL-2.0-or-later
"""

import random
import socket
import struct
import sys


def connect(port):
    s = socket.create_connection(("127.0.0.1", port), timeout=5)
    s.settimeout(0.2)
    return s


def talk(s, data):
    """The node may close at any moment; that is its right."""
    try:
        s.sendall(data)
        s.recv(100)
    except OSError:
        pass


def main():
    rng = random.Random(1)
    kept = []
    for port in map(int, sys.argv[1:]):
        for _ in range(5):
            kept.append(connect(port))
        for length in (1, 3, 8, 16, 64, 1000, 100000):
            s = connect(port)
            talk(s, rng.randbytes(length))
            s.close()
        for data in (b"GET / HTTP/1.0\r\n\r\n", b"\0" * 4096, b"\xff" * 4096, b"dqemu"):
            s = connect(port)
            talk(s, data)
            kept.append(s)
        for _ in range(5):
            s = connect(port)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
    print("said", flush=True)
    sys.stdin.read()


main()
