"""bend.py A B: a cable between the network cards A and B, which carries every frame unchanged until
SIGUSR1; then one byte of the next message between nodes is another, with all checksums right.

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


def attach(card):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    s.bind((card, 0))
    return s


def payload_of(frame):
    """Where the payload of a TCP segment begins that is not ssh's; 0: there is none."""
    ip = NOTES + 14
    if frame[ip - 2:ip] != b"\x08\x00" or frame[ip + 9] != 6:
        return 0
    tcp = ip + (frame[ip] & 15) * 4
    if 22 in (int.from_bytes(frame[tcp:tcp + 2], "big"), int.from_bytes(frame[tcp + 2:tcp + 4], "big")):
        return 0
    return tcp + (frame[tcp + 12] >> 4) * 4


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
