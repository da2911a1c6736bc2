"""leave.py HOST PORT STATE HOW [--count N] [--path PATH]: a client that leaves in the middle.

STATE, what was done before: connect (nothing), half-head, head (a POST's whole head, no body), half-body, request (all of
it, nothing was read), answer (the answer's first byte was read; PATH should be a long one), idle (a whole exchange).
HOW: close, reset (SO_LINGER 0), shutdown (SHUT_WR, then reads to the end, then closes).

Last line: JSON {"done": n, "errors": {name: n}, "ends": {what: n}, "ports": [local ports], "slowestMs": x}. `ends` says,
for shutdown, how the stream ended: `fin` after so many whole answers (`fin/1`), or the error.
"""
import argparse
import collections
import json
import socket
import struct
import time

import wire

STATES = ("connect", "half-head", "head", "half-body", "request", "answer", "idle")


def write_state(sock, state, path):
    body = b"b" * 2000
    get = f"GET {path} HTTP/1.1\r\nHost: lab\r\n\r\n".encode()
    post = f"POST {path} HTTP/1.1\r\nHost: lab\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    if state == "half-head":
        sock.sendall(get[:len(get) // 2])
    elif state == "head":
        sock.sendall(post)
    elif state == "half-body":
        sock.sendall(post)
        sock.sendall(body[:1000])
    elif state in ("request", "answer", "idle"):
        sock.sendall(get)
    if state == "answer":
        if not sock.recv(1):
            raise wire.BadAnswer("EOF")
    elif state == "idle":
        wire.read_response(sock)


def read_to_end(sock):
    """Reads until the server ends; how many answers began and how it ended."""
    answers, tail = 0, b""
    try:
        while data := sock.recv(65536):
            answers += (tail + data).count(b"HTTP/1.") - tail.count(b"HTTP/1.")
            tail = data[-6:]
    except OSError as error:
        return f"{wire.error_name(error)}/{answers}"
    return f"fin/{answers}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("state", choices=STATES)
    parser.add_argument("how", choices=["close", "reset", "shutdown"])
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--path", default="/")
    options = parser.parse_args()
    family, address = wire.target(options.host, options.port, None)
    errors, ends = collections.Counter(), collections.Counter()
    ports, done, slowest = [], 0, 0
    for _ in range(options.count):
        start = time.monotonic()
        sock = socket.socket(family, socket.SOCK_STREAM)
        wire.set_timeout(sock, 10)
        try:
            sock.connect(address)
            ports.append(sock.getsockname()[1])
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            write_state(sock, options.state, options.path)
            if options.how == "reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif options.how == "shutdown":
                sock.shutdown(socket.SHUT_WR)
                ends[read_to_end(sock)] += 1
            done += 1
        except (OSError, wire.BadAnswer) as error:
            errors[wire.error_name(error)] += 1
        sock.close()
        slowest = max(slowest, time.monotonic() - start)
    print(json.dumps({"done": done, "errors": errors, "ends": ends, "ports": ports, "slowestMs": round(slowest * 1000, 1)}))


main()
