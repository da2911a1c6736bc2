"""bad_server.py NAME PORT MODE [NUMBER]: a TCP server that does what no HTTP client hopes for. Prints `ready`.

  silent       accepts, reads and never answers
  deaf         accepts and never even reads
  reset        accepts and resets at once
  close        accepts and closes at once
  hang-up      reads a request's head, then closes without an answer
  reset-head   reads a request's head, then resets
  idle MS      answers, and closes the connection when no request came for MS milliseconds
  one          answers one request as if the connection stayed open, then closes it at once
  timeout MS   answers; after MS milliseconds without a request it says 408 and closes
  half-close   answers one request, ends its direction, and goes on reading until the client closes
  http10       answers in HTTP/1.0, the body ends with the connection
  until-close  the same in HTTP/1.1 without a length
  cut          promises 1000 bytes, sends 500, closes
  reset-body   promises 1000 bytes, sends 500, resets
  garbage      answers with bytes that are no HTTP
  interim N    N answers 103 before the real one
  surplus      answers with one byte more than its content-length
  pieces       answers with one byte a write

What is answered has `x-server: NAME` and the body `NAME\\n`. A line `closed PORT HOW` tells how each client's connection
ended: `fin`, `rst`, or `mine` when this server ended it. With IPv4 and IPv6.
"""
import socket
import struct
import sys
import threading
import time

NAME, PORT, MODE = sys.argv[1], int(sys.argv[2]), sys.argv[3]
NUMBER = int(sys.argv[4]) if len(sys.argv) > 4 else 0
BODY = NAME.encode() + b"\n"
HALF = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\nx-server: " + NAME.encode() + b"\r\n\r\n" + b"k" * 500


def head(version="1.1", status="200 OK", fields=()):
    lines = [f"HTTP/{version} {status}", f"x-server: {NAME}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


ANSWER = head(fields=[f"content-length: {len(BODY)}"]) + BODY


class Client:
    def __init__(self, sock):
        self.sock = sock
        self.data = b""

    def request(self):
        """Reads one request with its body; False at the end of the stream, None when nothing came in time."""
        try:
            while (end := self.data.find(b"\r\n\r\n")) < 0:
                more = self.sock.recv(65536)
                if not more:
                    return False
                self.data += more
            fields = self.data[:end].lower().split(b"\r\n")[1:]
            left = sum(int(f.split(b":")[1]) for f in fields if f.startswith(b"content-length:"))
            self.data = self.data[end + 4:]
            while len(self.data) < left:
                more = self.sock.recv(65536)
                if not more:
                    return False
                self.data += more
            self.data = self.data[left:]
            return True
        except BlockingIOError:
            return None

    def wait(self, milliseconds):
        timeval = struct.pack("ll", milliseconds // 1000, milliseconds % 1000 * 1000)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)

    def drain(self):
        """Reads until the client ends."""
        while self.sock.recv(65536):
            pass
        return "fin"

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return "mine"

    def serve(self, answer):
        """Answers request after request; how it ended."""
        while True:
            asked = self.request()
            if asked is None:
                return "mine"
            if not asked:
                return "fin"
            answer()


def silent(client):
    return client.drain()


def deaf(client):
    # Until the client is gone: TCP_INFO's first byte is the state, and only 1 (established) has a client that waits.
    while client.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1:
        time.sleep(0.01)
    return "fin"


def reset(client):
    return client.reset()


def close(client):
    return "mine"


def hang_up(client):
    return "mine" if client.request() else "fin"


def reset_head(client):
    return client.reset() if client.request() else "fin"


def idle(client):
    client.wait(NUMBER)
    return client.serve(lambda: client.sock.sendall(ANSWER))


def one(client):
    if not client.request():
        return "fin"
    client.sock.sendall(ANSWER)
    return "mine"


def timeout(client):
    how = idle(client)
    if how == "mine":
        client.sock.sendall(head(status="408 Request Timeout", fields=["connection: close", "content-length: 0"]))
    return how


def half_close(client):
    if not client.request():
        return "fin"
    client.sock.sendall(ANSWER)
    client.sock.shutdown(socket.SHUT_WR)
    return client.drain()


def http10(client):
    if not client.request():
        return "fin"
    client.sock.sendall(head(version="1.0") + BODY)
    return "mine"


def until_close(client):
    if not client.request():
        return "fin"
    client.sock.sendall(head() + BODY)
    return "mine"


def cut(client):
    if not client.request():
        return "fin"
    client.sock.sendall(HALF)
    return "mine"


def reset_body(client):
    if not client.request():
        return "fin"
    client.sock.sendall(HALF)
    return client.reset()


def garbage(client):
    if not client.request():
        return "fin"
    client.sock.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")
    return "mine"


def interim(client):
    early = head(status="103 Early Hints", fields=["link: </a.css>; rel=preload"])

    def answer():
        for _ in range(NUMBER):
            client.sock.sendall(early)
        client.sock.sendall(ANSWER)

    return client.serve(answer)


def surplus(client):
    return client.serve(lambda: client.sock.sendall(ANSWER + b"!"))


def pieces(client):
    def answer():
        for i in range(len(ANSWER)):
            client.sock.sendall(ANSWER[i:i + 1])

    return client.serve(answer)


def handle(sock, port, mode):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        how = mode(Client(sock))
    except (ConnectionResetError, BrokenPipeError):
        how = "rst"
    sock.close()
    print("closed", port, how, flush=True)


def main():
    mode = globals()[MODE.replace("-", "_")]
    listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind(("::", PORT))
    listener.listen(4096)
    print("ready", flush=True)
    while True:
        try:
            sock, address = listener.accept()
        except OSError:
            continue
        try:
            threading.Thread(target=handle, args=(sock, address[1], mode), daemon=True).start()
        except OSError:
            sock.close()


main()
