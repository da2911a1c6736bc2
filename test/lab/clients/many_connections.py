"""many_connections.py HOST PORT [COUNT]: fresh connections, one request each, and who answered, as JSON.

One after another by default; --parallel P shares COUNT among P processes; --rate R --seconds S opens R a second whatever
the earlier ones do. --udp uses datagrams: a new socket for each unless --one-socket.
Answer: {"answers": {name: n}, "failures": n, "errors": {name: n}, "failed": [{"at": s, "error": e}], "mismatches": n,
"first_at": {name: unix time}, "seconds": s, "rate": r, "latency_us": {"p50", "p99", "max"}}; `failed` holds the first 50.
Exit code 0 whatever failed.
"""
import argparse
import collections
import json
import os
import socket
import sys
import threading
import time

import wire

KEPT_FAILURES = 50


class Client:
    def __init__(self, options):
        self.options = options
        self.family, self.address = wire.target(options.host, options.port, options.family)
        self.answers = collections.Counter()
        self.errors = collections.Counter()
        self.failed = []
        self.mismatches = 0
        self.latencies = []
        self.sequence = []
        self.first_at = {}
        self.begin = time.monotonic()
        self.shared = None
        self.lock = threading.Lock()
        self.exchange = self.datagram if options.udp else self.connection

    def once(self):
        """One connection or datagram, counted."""
        start = time.perf_counter_ns()
        try:
            name = self.exchange()
        except (OSError, wire.BadAnswer, ValueError) as error:
            text = wire.error_name(error)
            self.errors[text] += 1
            self.sequence.append(text)
            with self.lock:
                if len(self.failed) < KEPT_FAILURES:
                    self.failed.append({"at": round(time.monotonic() - self.begin, 3), "error": text})
            return
        self.latencies.append(time.perf_counter_ns() - start)
        self.answers[name] += 1
        if name not in self.first_at:
            self.first_at[name] = time.time()
        self.sequence.append(name)

    def connection(self):
        with socket.socket(self.family, socket.SOCK_STREAM) as sock:
            wire.set_timeout(sock, self.options.timeout)
            sock.connect(self.address)
            if self.options.getpeername:
                self.compare(sock.getpeername())
            sock.sendall(wire.REQUEST_CLOSE)
            answer = wire.read_response(sock)
            # An HTTP server closes first and so keeps the TIME_WAIT; waiting for that spares the client's ports.
            if not answer.endswith(wire.REQUEST_CLOSE):
                sock.recv(1)
            return wire.first_word(answer)

    def datagram(self):
        if not self.options.one_socket:
            with self.datagram_socket() as sock:
                return self.ask(sock)
        if self.shared is None:
            self.shared = self.datagram_socket()
        return self.ask(self.shared)

    def datagram_socket(self):
        sock = socket.socket(self.family, socket.SOCK_DGRAM)
        wire.set_timeout(sock, self.options.timeout)
        if self.options.connected:
            sock.connect(self.address)
        return sock

    def ask(self, sock):
        query = os.urandom(12)
        if self.options.connected:
            if self.options.sendmsg:
                sock.sendmsg([query])
                answer = sock.recvmsg(2048)[0]
            else:
                sock.send(query)
                answer = sock.recv(2048)
            if self.options.getpeername:
                self.compare(sock.getpeername())
        else:
            if self.options.sendmsg:
                sock.sendmsg([query], [], 0, self.address)
                answer, _, _, sender = sock.recvmsg(2048)
            else:
                sock.sendto(query, self.address)
                answer, sender = sock.recvfrom(2048)
            if self.options.getpeername:
                self.compare(sender)
        if not answer.endswith(query):
            raise wire.BadAnswer("WRONG ANSWER")
        return answer[: -len(query) - 1].decode()

    def compare(self, seen):
        if not wire.same_address(seen, self.address):
            self.mismatches += 1

    def result(self):
        return {
            "answers": self.answers,
            "errors": self.errors,
            "failed": self.failed,
            "mismatches": self.mismatches,
            "latencies": self.latencies,
            "sequence": self.sequence,
            "first_at": self.first_at,
        }


def run_count(options, count):
    client = Client(options)
    for _ in range(count):
        client.once()
    return client.result()


def run_parallel(options):
    """Each process writes its result to a pipe of its own."""
    share, rest = divmod(options.count, options.parallel)
    pipes = []
    for i in range(options.parallel):
        read, write = os.pipe()
        if os.fork() == 0:
            with os.fdopen(write, "w") as out:
                json.dump(run_count(options, share + (i < rest)), out)
            os._exit(0)
        os.close(write)
        pipes.append(read)
    results = []
    for read in pipes:
        with os.fdopen(read) as source:
            results.append(json.load(source))
    while pipes:
        os.wait()
        pipes.pop()
    return merge(results)


def merge(results):
    total = results[0]
    for other in results[1:]:
        for key in ("answers", "errors"):
            total[key] = collections.Counter(total[key]) + collections.Counter(other[key])
        for key in ("failed", "latencies", "sequence"):
            total[key] = total[key] + other[key]
        for name, at in other["first_at"].items():
            total["first_at"][name] = min(at, total["first_at"].get(name, at))
        total["mismatches"] += other["mismatches"]
    return total


def run_rate(options):
    """Thread i of T opens connections i, i+T, ...: one that hangs delays only its own thread's next."""
    client = Client(options)
    total = int(options.rate * options.seconds)

    def work(first):
        for i in range(first, total, options.threads):
            wait = client.begin + i / options.rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            client.once()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(min(options.threads, total))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return client.result()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("host", help="an IP address")
    parser.add_argument("port", type=int)
    parser.add_argument("count", type=int, nargs="?", default=1)
    parser.add_argument("--parallel", type=int, default=1, help="processes that share COUNT")
    parser.add_argument("--rate", type=float, help="connections a second")
    parser.add_argument("--seconds", type=float, default=10, help="how long, with --rate")
    parser.add_argument("--threads", type=int, default=16, help="connections at once at most, with --rate")
    parser.add_argument("--timeout", type=float, default=5, help="seconds for connect, send and receive each")
    parser.add_argument("--family", choices=["4", "6", "mapped"], help="mapped: IPv4 by an IPv6 socket")
    parser.add_argument("--getpeername", action="store_true", help="count peers that are not the address asked for")
    parser.add_argument("--sequence", action="store_true", help="also list who answered, in order")
    parser.add_argument("--udp", action="store_true")
    parser.add_argument("--connected", action="store_true", help="connect() the datagram socket")
    parser.add_argument("--sendmsg", action="store_true", help="sendmsg()/recvmsg() in place of send/recv")
    parser.add_argument("--one-socket", action="store_true", help="one datagram socket for all")
    return parser.parse_args()


def main():
    options = arguments()
    begin = time.monotonic()
    if options.rate:
        result = run_rate(options)
    elif options.parallel > 1:
        result = run_parallel(options)
    else:
        result = run_count(options, options.count)
    seconds = time.monotonic() - begin
    latencies = sorted(result.pop("latencies"))
    sequence = result.pop("sequence")
    done = len(sequence)
    result["failures"] = sum(result["errors"].values())
    result["failed"] = sorted(result["failed"], key=lambda failure: failure["at"])[:KEPT_FAILURES]
    result["seconds"] = round(seconds, 3)
    result["rate"] = round(done / seconds, 1) if seconds > 0 else 0
    result["latency_us"] = {
        name: wire.percentile(latencies, share) // 1000 if latencies else None
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1))
    }
    if options.sequence:
        result["sequence"] = sequence
    json.dump(result, sys.stdout)
    print()


main()
