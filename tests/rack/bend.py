"""bend.py A B: a cable between the network cards A and B, which carries every frame unchanged until
SIGUSR1; then one byte of the next message between nodes is another, with all checksums right. (Of one that
TCP sends for the first time: who has it already would not look at it.)

Frames keep the kernel's notes on checksums and segments that are still to be made (PACKET_VNET_HDR), so
that the receiver takes the payload as it comes. Ends with SIGTERM.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import select
import signal
import socket
import sys

SOL_PACKET, PACKET_VNET_HDR, PACKET_OUTGOING = 263, 15, 4
NOTES = 10  # bytes of struct virtio_net_hdr before each frame
bend = False
seen_to = {}  # of each direction of each connection: the sequence number after the last byte


def attach(card):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    s.bind((card, 0))
    return s


def number(frame, start, size):
    return int.from_bytes(frame[start:start + size], "big")


def payload_of(frame):
    """Where the payload of a TCP segment begins that is not ssh's, and is new; 0: there is none."""
    ip = NOTES + 14
    if frame[ip - 2:ip] != b"\x08\x00" or frame[ip + 9] != 6:
        return 0
    tcp = ip + (frame[ip] & 15) * 4
    if 22 in (number(frame, tcp, 2), number(frame, tcp + 2, 2)):
        return 0
    start = tcp + (frame[tcp + 12] >> 4) * 4
    end = ip + number(frame, ip + 2, 2)
    if start >= end:
        return 0
    stream = frame[ip + 12:ip + 20] + frame[tcp:tcp + 4]  # addresses, ports
    first = number(frame, tcp + 4, 4)
    ahead = (first - seen_to.get(stream, first)) % (1 << 32)
    if ahead >= 1 << 31:
        return 0
    seen_to[stream] = (first + end - start) % (1 << 32)
    return start


def start_bending(*_):
    global bend
    bend = True


def main():
    global bend
    signal.signal(signal.SIGUSR1, start_bending)
    a, b = attach(sys.argv[1]), attach(sys.argv[2])
    print("up", flush=True)
    while True:
        for s in select.select([a, b], [], [])[0]:
            frame, sender = s.recvfrom(1 << 17)
            if sender[2] == PACKET_OUTGOING:
                continue
            start = payload_of(frame)
            if bend and start and len(frame) - start > 64:
                bend = False
                frame = bytearray(frame)
                frame[(start + len(frame)) // 2] ^= 1
                print("bent", flush=True)
            (b if s is a else a).send(frame)


main()
