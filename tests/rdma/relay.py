#!/usr/bin/python3
# Nodes on other machines, for the tests: a stand-in for a remote shell.
#
#   relay.py serve PORT             on each machine: starts the nodes it is asked to, until killed
#   relay.py start PORT NODE ARG... in dqemu-launch --wrap: node 0 here, node K on machine vm<K+1>
#
# What goes over the connection: a line of JSON (argv, environment, folder), then the control
# channel's bytes; back come frames: a letter, a length, bytes. d: the control channel, o: what
# the node wrote, s: its wait status, the last one.
#
# SPDX-License-Identifier: GPL-2.0-or-later
import json
import os
import selectors
import socket
import struct
import subprocess
import sys

CONTROL = "--dqemu-control="


def frame(kind, data):
    return kind + struct.pack("<I", len(data)) + data


def run_node(peer):
    job = json.loads(peer.makefile("rb", buffering=0).readline())
    ours, theirs = socket.socketpair()
    argv = [CONTROL + str(theirs.fileno()) if a.startswith(CONTROL) else a for a in job["argv"]]
    node = subprocess.Popen(argv, env=job["env"], cwd=job["folder"], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            pass_fds=[theirs.fileno()])
    theirs.close()
    watch = selectors.DefaultSelector()
    watch.register(peer, selectors.EVENT_READ, "peer")
    watch.register(ours, selectors.EVENT_READ, "d")
    watch.register(node.stdout, selectors.EVENT_READ, "o")
    try:
        while len(watch.get_map()) > 1:
            for key, _ in watch.select():
                data = os.read(key.fd, 65536)
                if key.data == "peer" and data:
                    ours.sendall(data)
                elif key.data == "peer":
                    return
                elif data:
                    peer.sendall(frame(key.data.encode(), data))
                else:
                    watch.unregister(key.fileobj)
        peer.sendall(frame(b"s", str(node.wait()).encode()))
    except (BrokenPipeError, ConnectionResetError):
        return
    finally:
        node.kill()
        node.wait()


def serve(port):
    listener = socket.create_server(("0.0.0.0", port))
    while True:
        peer, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            run_node(peer)
            os._exit(0)
        peer.close()


def read_exactly(peer, length):
    data = b""
    while len(data) < length:
        more = peer.recv(length - len(data))
        if not more:
            sys.exit("relay.py: the other machine is gone")
        data += more
    return data


def leave_with(status):
    if status < 0:
        os.kill(os.getpid(), -status)
    sys.exit(status)


def start(port, node, argv):
    if node == 0:
        os.execv(argv[0], argv)
    fd = next(int(a[len(CONTROL):]) for a in argv if a.startswith(CONTROL))
    control = socket.socket(fileno=fd)
    peer = socket.create_connection(("vm%d" % (node + 1), port))
    job = {"argv": argv, "env": dict(os.environ), "folder": os.getcwd()}
    peer.sendall(json.dumps(job).encode() + b"\n")
    watch = selectors.DefaultSelector()
    watch.register(peer, selectors.EVENT_READ)
    watch.register(control, selectors.EVENT_READ)
    while True:
        for key, _ in watch.select():
            if key.fileobj is control:
                data = control.recv(65536)
                if not data:  # the launcher has ended
                    return
                peer.sendall(data)
                continue
            kind, length = struct.unpack("<cI", read_exactly(peer, 5))
            data = read_exactly(peer, length)
            if kind == b"d":
                control.sendall(data)
            elif kind == b"o":
                os.write(2, data)
            else:
                leave_with(int(data))


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
else:
    start(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
