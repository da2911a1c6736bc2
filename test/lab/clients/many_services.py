"""many_services.py FILE: one HTTP request after another, each on a connection of its own to a random address of FILE
(`ADDRESS PORT` a line), at a steady pace until stdin ends. Prints `ready` at the first answer.

Last line: {"requests": n, "services": n, "answers": {name: n}, "failures": n, "errors": {text: n}, "longest_ms": ms}.
"""
import argparse
import collections
import json
import random
import select
import socket
import sys
import time


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--rate", type=float, default=100, help="requests a second")
    parser.add_argument("--timeout", type=float, default=5)
    return parser.parse_args()


def request(address, port, timeout):
    """The answer's body; the server closes."""
    with socket.create_connection((address, port), timeout) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nhost: any\r\nconnection: close\r\n\r\n")
        answer = b""
        while part := sock.recv(65536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0].decode()
    if " 200 " not in status:
        raise OSError(f"answer {status!r}")
    return body.decode().strip()


def main():
    options = arguments()
    with open(options.file) as lines:
        targets = [(address, int(port)) for address, port in map(str.split, lines)]
    answers, errors = collections.Counter(), collections.Counter()
    used, done, longest = set(), 0, 0
    begin = time.monotonic()
    while True:
        wait = begin + done / options.rate - time.monotonic()
        if select.select([sys.stdin], [], [], max(wait, 0))[0]:
            break
        target = random.choice(targets)
        used.add(target)
        started = time.monotonic()
        try:
            answers[request(*target, options.timeout)] += 1
        except OSError as error:
            errors[f"{target[0]}: {error}"] += 1
        longest = max(longest, time.monotonic() - started)
        done += 1
        if done == 1:
            print("ready", flush=True)
    result = {"requests": done, "services": len(used), "answers": answers, "failures": sum(errors.values())}
    print(json.dumps({**result, "errors": errors, "longest_ms": longest * 1000}))


main()
