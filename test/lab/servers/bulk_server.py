"""bulk_server.py NAME PORT: large bodies at full speed. GET /N: N bytes. PUT or POST: reads the body, then answers with its
length. One exchange after the other on each connection. Prints `ready`."""
import socket
import sys
import threading

BLOCK = bytes(1 << 20)


def head(data):
    """(method, path, body bytes declared, what came behind the head) of a head that is all of `data` up to the empty line."""
    text, rest = data.split(b"\r\n\r\n", 1)
    lines = text.split(b"\r\n")
    method, path, _ = lines[0].split(b" ", 2)
    lengths = [int(line.split(b":")[1]) for line in lines[1:] if line.lower().startswith(b"content-length:")]
    expects = any(line.lower().startswith(b"expect:") for line in lines[1:])
    return method, path, sum(lengths), expects, rest


def serve(sock):
    room = bytearray(1 << 20)
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            more = sock.recv(65536)
            if not more:
                return
            data += more
        method, path, left, expects, data = head(data)
        if expects:
            sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if method == b"GET":
            size = int(path[1:] or 0)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            while size > 0:
                sock.sendall(BLOCK[:size])
                size -= len(BLOCK)
            continue
        length = left
        left -= len(data)
        data = b""
        while left > 0:
            n = sock.recv_into(room, min(left, len(room)))
            if n == 0:
                return
            left -= n
        text = b"%d\n" % length
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))


def handle(sock):
    with sock:
        try:
            serve(sock)
        except (ConnectionResetError, BrokenPipeError):
            pass


def main():
    listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind(("::", int(sys.argv[2])))
    listener.listen(4096)
    print("ready", flush=True)
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=handle, args=(sock,), daemon=True).start()


main()
