"""pieces.py NAME=HOST,PORT… : the same requests to several addresses, written in every way a program may write them.

Each way and size is done --rounds times at each address in turn; every answer is checked (servers/web-server.ts must stand
there: it answers with length and SHA-256 of the body). Ways:

  whole      head and body in one write
  separate   the head, then the body
  bytes      the head one byte a write, then the body
  split      the head in two writes, cut anywhere, then the body
  random     head and body in pieces of random sizes
  writev     head and body by one writev()
  vectors    head and body by writev() of random pieces
  more       the head with MSG_MORE, then the body
  cork       under TCP_CORK: head in lines, body, uncork
  sendfile   the head, then the body by sendfile()
  splice     the head, then the body through a pipe by splice()
  chunked    chunked: head, then each chunk in a write
  crumbs     chunked: size line, data and CRLF in writes of their own
  expect     head with Expect: 100-continue, body after the 100
  impatient  the same, the body after 20 ms without waiting for the 100
  uring      head and body by io_uring (clients/uring_send.c); with --uring PROGRAM

Last line: JSON {"failures": [text], "rows": [{"way", "size", "name", "p50Us", "p90Us", "maxUs"}]}.
"""
import argparse
import hashlib
import json
import os
import random
import socket
import subprocess
import time

import wire

MSG_MORE = socket.MSG_MORE
CHUNK = 4000


class Target:
    def __init__(self, text):
        self.name, address = text.split("=", 1)
        host, port = address.rsplit(",", 1)
        self.family, self.address = wire.target(host, int(port), None)
        self.sock = None

    def connect(self, nodelay=True):
        self.sock = socket.socket(self.family, socket.SOCK_STREAM)
        wire.set_timeout(self.sock, 10)
        self.sock.connect(self.address)
        # Without it the socket stays as the system makes it.
        if nodelay:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.sock

    def close(self):
        if self.sock is not None:
            self.sock.close()
        self.sock = None


class Request:
    def __init__(self, body, sha256, file, chunked=False, expect=False):
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
        extra = "Expect: 100-continue\r\n" if expect else ""
        text = f"POST /digest HTTP/1.1\r\nHost: lab\r\nX-Pad: {'p' * random.randrange(300)}\r\n{framing}\r\n{extra}\r\n"
        self.head = text.encode()
        self.body = body
        self.sha256 = sha256
        self.file = file


def whole(sock, request):
    sock.sendall(request.head + request.body)


def separate(sock, request):
    sock.sendall(request.head)
    if request.body:
        sock.sendall(request.body)


def one_byte(sock, request):
    for i in range(len(request.head)):
        sock.sendall(request.head[i:i + 1])
    if request.body:
        sock.sendall(request.body)


def split(sock, request):
    at = random.randrange(1, len(request.head))
    sock.sendall(request.head[:at])
    sock.sendall(request.head[at:])
    if request.body:
        sock.sendall(request.body)


def cuts(data, most):
    at = 0
    while at < len(data):
        size = random.choice((1, 2, 10, 100, 1000, 1408, 1409, most))
        yield data[at:at + size]
        at += size


def in_pieces(sock, request):
    for piece in cuts(request.head, 5000):
        sock.sendall(piece)
    for piece in cuts(request.body, max(5000, len(request.body) // 50)):
        sock.sendall(piece)


def sendall_vectors(sock, parts):
    """writev() with what is left, until nothing is."""
    parts = [memoryview(part) for part in parts if part]
    while parts:
        sent = os.writev(sock.fileno(), parts[:64])
        while parts and sent >= len(parts[0]):
            sent -= len(parts.pop(0))
        if sent:
            parts[0] = parts[0][sent:]


def writev(sock, request):
    sendall_vectors(sock, [request.head, request.body])


def vectors(sock, request):
    sendall_vectors(sock, list(cuts(request.head + request.body, max(5000, len(request.body) // 50))))


def more(sock, request):
    sock.sendall(request.head, MSG_MORE if request.body else 0)
    if request.body:
        sock.sendall(request.body)


def cork(sock, request):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    for line in request.head.splitlines(keepends=True):
        sock.sendall(line)
    if request.body:
        sock.sendall(request.body)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)


def sendfile(sock, request):
    sock.sendall(request.head)
    at = 0
    while at < len(request.body):
        at += os.sendfile(sock.fileno(), request.file.fileno(), at, len(request.body) - at)


def splice(sock, request):
    sock.sendall(request.head)
    read, write = os.pipe()
    at = 0
    while at < len(request.body):
        filled = os.splice(request.file.fileno(), write, len(request.body) - at, offset_src=at)
        at += filled
        while filled:
            filled -= os.splice(read, sock.fileno(), filled)
    os.close(read)
    os.close(write)


def chunks(body):
    for at in range(0, len(body), CHUNK):
        yield body[at:at + CHUNK]


def chunked(sock, request):
    sock.sendall(request.head)
    for chunk in chunks(request.body):
        sock.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
    sock.sendall(b"0\r\n\r\n")


def crumbs(sock, request):
    sock.sendall(request.head)
    for chunk in chunks(request.body):
        sock.sendall(b"%x;a=b\r\n" % len(chunk))
        sock.sendall(chunk)
        sock.sendall(b"\r\n")
    sock.sendall(b"0\r\n")
    sock.sendall(b"X-Trailer: 1\r\n\r\n")


def expect(sock, request):
    sock.sendall(request.head)
    interim = b""
    # Byte by byte: the final answer may be right behind it.
    while not interim.endswith(b"\r\n\r\n"):
        interim += sock.recv(1) or wire.more(sock)
    if not interim.startswith(b"HTTP/1.1 100"):
        raise wire.BadAnswer("instead of 100: " + interim[:40].decode())
    if request.body:
        sock.sendall(request.body)


def impatient(sock, request):
    sock.sendall(request.head)
    time.sleep(0.02)
    if request.body:
        sock.sendall(request.body)


WAYS = {
    "whole": whole, "separate": separate, "bytes": one_byte, "split": split, "random": in_pieces, "writev": writev,
    "vectors": vectors, "more": more, "cork": cork, "sendfile": sendfile, "splice": splice, "chunked": chunked,
    "crumbs": crumbs, "expect": expect, "impatient": impatient,
}


def answer(sock):
    """The final answer; a 100 that comes late is passed over."""
    data = b""
    while True:
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += wire.more(sock)
        if data[9:12] != b"100":
            break
        data = data[end + 4:]
    length = int(data[:end].lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(data) < end + 4 + length:
        data += wire.more(sock)
    if data[9:12] != b"200":
        raise wire.BadAnswer("HTTP " + data[9:12].decode())
    return json.loads(data[end + 4:])


def once(way, target, request, options):
    """One exchange; its microseconds."""
    if way == "uring":
        return by_uring(target, request, options)
    sock = target.sock or target.connect(way not in ("more", "cork"))
    start = time.perf_counter_ns()
    WAYS[way](sock, request)
    got = answer(sock)
    took = (time.perf_counter_ns() - start) / 1000
    check(got, request)
    if options.new:
        target.close()
    return took


def by_uring(target, request, options):
    host, port = target.address[:2]
    start = time.perf_counter_ns()
    run = subprocess.run([options.uring, host, str(port), str(len(request.head))], input=request.head + request.body,
                         stdout=subprocess.PIPE, timeout=20, check=True)
    took = (time.perf_counter_ns() - start) / 1000
    check(json.loads(run.stdout[run.stdout.index(b"\r\n\r\n") + 4:]), request)
    return took


def check(got, request):
    if (got["length"], got["sha256"]) != (len(request.body), request.sha256):
        raise wire.BadAnswer(f"{got['length']} bytes {got['sha256'][:8]} instead of {len(request.body)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="+", type=Target)
    parser.add_argument("--file", required=True, help="where bodies come from; at least the largest size")
    parser.add_argument("--sizes", default="0,1,1000,1408,1409,3000,20000,300000")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--new", action="store_true", help="a connection for each request")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--uring", help="path of uring_send")
    options = parser.parse_args()
    random.seed(options.seed)
    ways = options.ways.split(",") + (["uring"] if options.uring else [])
    failures, rows = [], []
    for way in ways:
        for target in options.targets:
            target.close()
        for size in map(int, options.sizes.split(",")):
            with open(options.file, "rb") as file:
                body = file.read(size)
                digest = hashlib.sha256(body).hexdigest()
                samples = {target.name: [] for target in options.targets}
                order = list(options.targets)
                for _ in range(options.rounds):
                    for target in order:
                        request = Request(body, digest, file, way in ("chunked", "crumbs"), way in ("expect", "impatient"))
                        try:
                            samples[target.name].append(once(way, target, request, options))
                        except (OSError, wire.BadAnswer, ValueError, KeyError, subprocess.SubprocessError) as error:
                            failures.append(f"{way} {size} {target.name}: {wire.error_name(error)}")
                            target.close()
                    order.reverse()
            for name, values in samples.items():
                ordered = sorted(values)
                if ordered:
                    figures = (("p50Us", 0.5), ("p90Us", 0.9), ("maxUs", 1))
                    row = {key: round(wire.percentile(ordered, share), 1) for key, share in figures}
                    rows.append({"way": way, "size": size, "name": name, **row})
    print(json.dumps({"failures": failures, "rows": rows}))


main()
