"""replay.py DEVICE ADDRESS PORT: a client whose handshake can be acknowledged a second time, later.

Reads commands from standard input: `ask HOST PATH` sends a request and prints `answer TEXT` when the answer is there, or
`error NAME`; `replay` sends the packet again that ended the handshake, and prints `replayed`. Prints `ready` first.
"""
import socket
import struct
import sys
import threading

from late import MARK, packet_socket

ETH_P_ALL = 3
OUTGOING = 4
VNET_HEADER, ETHERNET = 10, 14
FLAGS, ACK = 13, 0x10


def is_bare_ack(frame, header, port):
    tcp = VNET_HEADER + ETHERNET + header
    if len(frame) < tcp + 20 or frame[tcp + FLAGS] != ACK:
        return False
    return struct.unpack_from("!H", frame, tcp + 2)[0] == port and len(frame) == tcp + (frame[tcp + 12] >> 4) * 4


def ask(sock, host, path):
    try:
        sock.sendall(f"GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
        data = sock.recv(65536)
        print("answer", data.decode().rsplit("\r\n", 1)[-1].strip() if data else "", flush=True)
    except OSError as error:
        print("error", type(error).__name__, flush=True)


def main():
    device, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    taps = packet_socket(device, ETH_P_ALL)
    taps.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
    sock = socket.create_connection((address, port))
    while True:
        frame, (_, _, kind, _, _) = taps.recvfrom(70_000)
        if kind == OUTGOING and is_bare_ack(frame, 40 if ":" in address else 20, port):
            break
    print("ready", flush=True)
    for line in sys.stdin:
        words = line.split()
        if words[0] == "ask":
            threading.Thread(target=ask, args=(sock, words[1], words[2])).start()
        else:
            taps.send(frame)
            print("replayed", flush=True)


main()
