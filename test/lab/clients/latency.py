"""latency.py NAME=HOST,PORT NAME=HOST,PORT ... --requests N: request latency of several targets, interleaved, as JSON.

Every target gets a request in each round, and every other round goes backwards, so that what else the machine does meets
all alike. Keep-alive connections, or with --new a connection for each request (its opening counts).
Answer: {NAME: {"p50_us": x, "p99_us": x, "mean_us": x, "requests": n}}. A failure is fatal: nothing may fail here.
"""
import argparse
import json
import socket
import sys
import time

import wire


class Target:
    def __init__(self, text):
        self.name, address = text.split("=", 1)
        host, port = address.rsplit(",", 1)
        self.family, self.address = wire.target(host, int(port), None)
        self.samples = []
        self.kept = None

    def connect(self):
        sock = socket.socket(self.family, socket.SOCK_STREAM)
        wire.set_timeout(sock, 5)
        sock.connect(self.address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def keep_alive(self):
        if self.kept is None:
            self.kept = self.connect()
        start = time.perf_counter_ns()
        self.kept.sendall(wire.REQUEST)
        wire.read_response(self.kept)
        return time.perf_counter_ns() - start

    def fresh(self):
        start = time.perf_counter_ns()
        with self.connect() as sock:
            sock.sendall(wire.REQUEST_CLOSE)
            wire.read_response(sock)
            sample = time.perf_counter_ns() - start
            sock.recv(1)
        return sample

    def result(self):
        ordered = sorted(self.samples)
        return {
            "p50_us": wire.percentile(ordered, 0.5) / 1000,
            "p99_us": wire.percentile(ordered, 0.99) / 1000,
            "mean_us": sum(ordered) / len(ordered) / 1000,
            "requests": len(ordered),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="+", type=Target)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--new", action="store_true")
    options = parser.parse_args()
    order = list(options.targets)
    warm_up = max(1, options.requests // 20)
    for i in range(warm_up + options.requests):
        for target in order:
            sample = target.fresh() if options.new else target.keep_alive()
            if i >= warm_up:
                target.samples.append(sample)
        order.reverse()
    json.dump({target.name: target.result() for target in options.targets}, sys.stdout)
    print()


main()
