"""keep_alive.py HOST PORT: connections that stay open, requests on them at a steady pace, and what broke, as JSON.

Prints `ready` when all connections are open. Ends after --seconds, or when its stdin ends with --until-eof.
Last line: {"answers": {name: n}, "requests": n, "failures": n, "errors": {name: n}, "connections": n, "longest_ms": ms}.
With --report there is a line `report I {name: n}` every so many seconds before that: answers since the last one.
A connection that failed is not opened again.
"""
import argparse
import collections
import json
import select
import socket
import sys
import time

import wire


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("host", help="an IP address")
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, default=10)
    parser.add_argument("--rate", type=float, default=100, help="requests a second, of all connections together")
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--until-eof", action="store_true")
    parser.add_argument("--report", type=float, default=0, help="seconds; 0: none")
    parser.add_argument("--timeout", type=float, default=5)
    parser.add_argument("--family", choices=["4", "6", "mapped"])
    return parser.parse_args()


def connect(options):
    family, address = wire.target(options.host, options.port, options.family)
    sock = socket.socket(family, socket.SOCK_STREAM)
    wire.set_timeout(sock, options.timeout)
    sock.connect(address)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def paced(options):
    """True at each request's time, until the end."""
    begin = time.monotonic()
    sources = [sys.stdin] if options.until_eof else []
    done = 0
    while (now := time.monotonic()) < begin + options.seconds:
        wait = begin + done / options.rate - now
        if wait <= 0:
            done += 1
            yield True
        elif sources and select.select(sources, [], [], wait)[0]:
            return
        elif not sources:
            time.sleep(wait)


def main():
    options = arguments()
    sockets = collections.deque(connect(options) for _ in range(options.connections))
    print("ready", flush=True)
    answers, errors = collections.Counter(), collections.Counter()
    requests, longest = 0, 0.0
    reports, reported, due = 0, collections.Counter(), time.monotonic() + options.report
    for _ in paced(options):
        if options.report and time.monotonic() >= due:
            reports += 1
            print("report", reports, json.dumps(answers - reported), flush=True)
            reported, due = answers.copy(), due + options.report
        if not sockets:
            break
        sock = sockets.popleft()
        requests += 1
        start = time.monotonic()
        try:
            sock.sendall(wire.REQUEST)
            answers[wire.first_word(wire.read_response(sock))] += 1
            sockets.append(sock)
        except (OSError, wire.BadAnswer, ValueError) as error:
            errors[wire.error_name(error)] += 1
            sock.close()
        longest = max(longest, time.monotonic() - start)
    json.dump(
        {
            "answers": answers,
            "requests": requests,
            "failures": sum(errors.values()),
            "errors": errors,
            "connections": len(sockets),
            "longest_ms": round(longest * 1000, 2),
        },
        sys.stdout,
    )
    print()


main()
