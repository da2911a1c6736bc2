"""late.py OUT MILLISECONDS: what is redirected to the loopback device goes out of device OUT up to so much later, each packet
at a time of its own, so that packets overtake each other. Prints `ready`. See bpf/test/wire.bpf.c.

Loopback, because the mesh looks at the packets of every other device of an enrolled namespace.
"""
import heapq
import random
import select
import socket
import sys
import time

SOL_PACKET, PACKET_VNET_HDR, ETH_P_ALL = 263, 15, 3
# Redirected packets are addressed to another device's MAC; loopback's own are not.
OTHERHOST = 3
# Packets with it pass: they were late already.
MARK = 0x6B6D
LARGEST = 70_000


def packet_socket(device, protocol):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    # With the header that says which checksums are still to be filled in and where to cut large packets.
    sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    sock.bind((device, protocol))
    return sock


def main():
    out, most = sys.argv[1], float(sys.argv[2]) / 1000
    source = packet_socket("lo", ETH_P_ALL)
    sink = packet_socket(out, 0)
    sink.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
    waiting, number = [], 0
    print("ready", flush=True)
    while True:
        left = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        if select.select([source], [], [], left)[0]:
            packet, (_, _, kind, _, _) = source.recvfrom(LARGEST)
            if kind == OTHERHOST:
                number += 1
                heapq.heappush(waiting, (time.monotonic() + random.uniform(0, most), number, packet))
        while waiting and waiting[0][0] <= time.monotonic():
            sink.send(heapq.heappop(waiting)[2])


if __name__ == "__main__":
    main()
