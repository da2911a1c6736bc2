"""unread.py ADDRESS PORT WAY: asks the kernel what there is to read (FIONREAD) and compares it with what is there.

`answers`: answers of many sizes on one connection, each all there before it is read. `upgrade`, `connect`, `other`: connections that
stop being HTTP, or never are; they are also read by splice(). `early`: bytes of the new protocol are sent before the 101 is there.
Prints `ready` when all is as it should be, else what is not, and keeps its connection until it is killed.
"""
import array
import fcntl
import os
import signal
import socket
import sys
import termios

ADDRESS, PORT, WAY = sys.argv[1], int(sys.argv[2]), sys.argv[3]
PUSHED = bytes(i % 251 for i in range(3000))


def wrong(*what):
    print(*what, flush=True)
    sys.exit(1)


def unread(sock):
    count = array.array("i", [-1])
    fcntl.ioctl(sock, termios.FIONREAD, count)
    return count[0]


def arrived(sock, size):
    """Waits until so many bytes are there, without reading any."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
    peeked = b""
    while len(peeked) < size:
        peeked = sock.recv(size, socket.MSG_PEEK)
        if not peeked:
            wrong("closed")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
    return peeked


def exactly(sock, size):
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            wrong("closed after", len(data), "of", size)
        data += part
    return data


def head(sock):
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        data += exactly(sock, 1)
    return data


def answers(sock):
    for turn in range(3):
        for size in (1100, 4096, 5000, 10, 30_000, 1, 60_000):
            sock.sendall(f"GET /bytes?n={size} HTTP/1.1\r\nHost: shop\r\n\r\n".encode())
            first = exactly(sock, 1)
            answer = first + head(sock)
            if not answer.startswith(b"HTTP/1.1 200"):
                wrong(answer)
            body = arrived(sock, size)
            if unread(sock) != size and size > 1024:
                wrong("turn", turn, "size", size, "FIONREAD", unread(sock))
            for part in (size // 3, size // 2):
                if exactly(sock, part) != body[:part]:
                    wrong("turn", turn, "size", size, "other bytes")
                body = body[part:]
                if unread(sock) != len(body) and size > 1024:
                    wrong("turn", turn, "size", size, "FIONREAD", unread(sock), "of", len(body))
            exactly(sock, len(body))


def tunnel(sock):
    """Echoes come, are told by FIONREAD, and go by splice()."""
    source, sink = os.pipe()
    for size in (1, 100, 5000, 50_000):
        data = os.urandom(size)
        sock.sendall(data)
        arrived(sock, size)
        if unread(sock) != size:
            wrong("tunnel: FIONREAD", unread(sock), "of", size)
        got = b""
        while len(got) < size:
            got += os.read(source, os.splice(sock.fileno(), sink, size - len(got)))
        if got != data:
            wrong("tunnel: other bytes")


def upgraded(sock, query=""):
    sock.sendall(f"GET /{query} HTTP/1.1\r\nHost: up\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n".encode())


def main():
    sock = socket.create_connection((ADDRESS, PORT), timeout=20)
    sock.settimeout(20)
    if WAY == "answers":
        answers(sock)
    elif WAY == "early":
        upgraded(sock, "?ms=100")
        # It could be the beginning of a request, so it is held back.
        sock.sendall(b"G")
        if not head(sock).startswith(b"HTTP/1.1 101") or exactly(sock, 3000) != PUSHED:
            wrong("no upgrade")
        sock.sendall(b"ET out")
        echo = exactly(sock, 7)
        if echo != b"GET out":
            wrong("echo", echo)
        tunnel(sock)
    else:
        if WAY == "upgrade":
            upgraded(sock)
            if not head(sock).startswith(b"HTTP/1.1 101"):
                wrong("no upgrade")
            arrived(sock, 3000)
            if unread(sock) != 3000:
                wrong("pushed: FIONREAD", unread(sock))
            if exactly(sock, 3000) != PUSHED:
                wrong("pushed: other bytes")
        elif WAY == "connect":
            sock.sendall(b"CONNECT up:443 HTTP/1.1\r\nHost: up:443\r\n\r\n")
            if not head(sock).startswith(b"HTTP/1.1 200"):
                wrong("no tunnel")
        else:
            # The beginning of a TLS record; none of its end comes.
            sock.sendall(b"\x16\x03\x01\x02\x00\x01")
            exactly(sock, 6)
        tunnel(sock)
    print("ready", flush=True)
    signal.pause()


main()
