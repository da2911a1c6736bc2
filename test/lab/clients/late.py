"""late.py DEVICE OUT MILLISECONDS: makes the TAP device DEVICE; what is redirected to it goes out of device OUT up to so much
later, each packet at a time of its own, so that packets overtake each other. Prints `ready`. See bpf/test/wire.bpf.c.
"""
import fcntl
import heapq
import os
import random
import select
import socket
import struct
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
# Packets with it pass: they were late already.
MARK = 0x6B6D
LARGEST = 70_000


def open_tap(name):
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    # Without offloads: the kernel cuts large packets and fills in checksums before they come here.
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), IFF_UP))
    return tap


def main():
    name, out, most = sys.argv[1], sys.argv[2], float(sys.argv[3]) / 1000
    with open("/proc/sys/net/ipv6/conf/default/disable_ipv6", "w") as quiet:
        quiet.write("1")
    source = open_tap(name)
    with open("/proc/sys/net/ipv6/conf/default/disable_ipv6", "w") as quiet:
        quiet.write("0")
    sink = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sink.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
    sink.bind((out, 0))
    waiting, number = [], 0
    print("ready", flush=True)
    while True:
        left = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        if select.select([source], [], [], left)[0]:
            number += 1
            heapq.heappush(waiting, (time.monotonic() + random.uniform(0, most), number, os.read(source, LARGEST)))
        while waiting and waiting[0][0] <= time.monotonic():
            sink.send(heapq.heappop(waiting)[2])


main()
