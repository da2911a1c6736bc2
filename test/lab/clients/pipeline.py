"""pipeline.py HOST PORT ROUNDS CONNECTIONS CASE…: requests one behind the other on one connection, without waiting for answers.

CASE is SERVER=PATH: the server that must answer to it. Each round sends a few of them drawn at random, in one of three
ways: all in one write, a write each, or a write each with a pause of the socket's own between its packets (SO_MAX_PACING_RATE), so
that a request is decided while the one before it has not left yet. Answers must come in order, each from its server,
and all on so many connections. What is wrong is printed, a line each.
"""
import random
import socket
import struct
import sys

import wire

SO_MAX_PACING_RATE = 47
# Bytes a second: a segment takes its socket some 15 ms.
SLOW = 100_000
FAST = 4_000_000_000


class Answers:
    def __init__(self, sock):
        self.sock = sock
        self.data = b""

    def next(self):
        """Body of the next answer."""
        while (end := self.data.find(b"\r\n\r\n")) < 0:
            self.more()
        head = self.data[:end].lower()
        length = int(head[head.index(b"content-length:") + 15 :].split(b"\r\n", 1)[0])
        while len(self.data) < end + 4 + length:
            self.more()
        body = self.data[end + 4 : end + 4 + length]
        self.data = self.data[end + 4 + length :]
        return body.decode()

    def more(self):
        part = self.sock.recv(65536)
        if not part:
            raise wire.BadAnswer("EOF")
        self.data += part


class Client:
    def __init__(self, host, port):
        self.family, self.address = wire.target(host, port, None)
        self.connections = 0
        self.connect()

    def connect(self):
        self.sock = socket.socket(self.family, socket.SOCK_STREAM)
        wire.set_timeout(self.sock, 20)
        self.sock.connect(self.address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answers = Answers(self.sock)
        self.connections += 1

    def send(self, way, cases):
        """Sends the requests, and reads the answers. Those that a closed connection leaves open are sent anew (RFC 9112 §9.3.2);
        one at least is answered each time. Returns what was wrong."""
        wrong = []
        while cases:
            self.write(way, cases)
            answered = 0
            try:
                for server, path in cases:
                    answer = self.answers.next()
                    answered += 1
                    if answer.split()[0] != server or path not in answer.split():
                        wrong.append(f"{path} was answered by {answer.strip()!r}, not {server}")
            except wire.BadAnswer as error:
                if answered == 0:
                    return [*wrong, f"{len(cases)} requests, no answer: {error}"]
                self.sock.close()
                self.connect()
            cases = cases[answered:]
        return wrong

    def write(self, way, cases):
        pace = SLOW if way == "paced" else FAST
        self.sock.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, struct.pack("=Q", pace))
        texts = [f"GET {path} HTTP/1.1\r\nHost: fast\r\nX-Pad: {'x' * 1000}\r\n\r\n".encode() for _, path in cases]
        for text in [b"".join(texts)] if way == "whole" else texts:
            self.sock.sendall(text)


def main():
    host, port, rounds, connections = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    cases = [case.split("=", 1) for case in sys.argv[5:]]
    client = Client(host, port)
    for number in range(rounds):
        way = ("whole", "each", "paced")[number % 3]
        drawn = [random.choice(cases) for _ in range(random.randint(2, 5))]
        if way == "paced":
            # One that is alone and answered leaves the socket in debt when the next is written.
            for problem in client.send(way, drawn[:1]):
                print(f"round {number} (alone): {problem}", flush=True)
        try:
            for problem in client.send(way, drawn):
                print(f"round {number} ({way}): {problem}", flush=True)
        except OSError as error:
            print(f"round {number} ({way}): {wire.error_name(error)}")
            return
    if client.connections > connections:
        print(f"{client.connections} connections")


main()
