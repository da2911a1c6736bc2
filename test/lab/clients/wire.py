"""What the clients share: addresses, errors by name, one HTTP exchange on a blocking socket."""
import errno
import socket
import struct

REQUEST = b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n"
REQUEST_CLOSE = b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n"


class BadAnswer(Exception):
    """The peer ended or said something that is no answer."""


def target(host, port, family):
    """(address family, socket address) of an IP address; family is None, 4, 6 or mapped (IPv4 on an IPv6 socket)."""
    if family == "mapped":
        return socket.AF_INET6, ("::ffff:" + host, port, 0, 0)
    if family == "6" or (family is None and ":" in host):
        return socket.AF_INET6, (host, port, 0, 0)
    return socket.AF_INET, (host, port)


def set_timeout(sock, seconds):
    """Kernel timeouts: settimeout() would cost a poll() for every call."""
    timeval = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)


def error_name(error):
    """ECONNREFUSED and the like. A kernel timeout shows as EAGAIN or EINPROGRESS."""
    if not isinstance(error, OSError) or error.errno is None:
        return str(error) or type(error).__name__
    if error.errno in (errno.EAGAIN, errno.EINPROGRESS):
        return "TIMEOUT"
    return errno.errorcode.get(error.errno, str(error.errno))


def same_address(a, b):
    """True when both are one address and port; text forms of IPv6 may differ."""
    def form(address):
        version = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        return socket.inet_pton(version, address[0]), address[1]

    return form(a) == form(b)


def read_response(sock):
    """Body of one HTTP response with a content-length, or the first bytes of anything else."""
    data = sock.recv(65536)
    if data[:5] != b"HTTP/":
        if not data:
            raise BadAnswer("EOF")
        return data
    while (end := data.find(b"\r\n\r\n")) < 0:
        data = data + more(sock)
    if data[9:12] != b"200":
        raise BadAnswer("HTTP " + data[9:12].decode())
    head = data[:end].lower()
    at = head.index(b"content-length:") + 15
    stop = head.find(b"\r\n", at)
    length = int(head[at:] if stop < 0 else head[at:stop])
    while len(data) < end + 4 + length:
        data = data + more(sock)
    return data[end + 4:]


def more(sock):
    data = sock.recv(65536)
    if not data:
        raise BadAnswer("EOF")
    return data


def first_word(data):
    """The server's name."""
    return data.split(None, 1)[0].decode()


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
