"""answers.py HOST PORT REQUESTS [CONNECTIONS]: requests on connections that stay open, one after another on each, for answers
of every kind, and what was wrong with them, as JSON: {"requests": n, "wrong": {what: n}, "servers": {name: n}}.

Every answer must have `X-Header-Set: set` once and no `Date`; every body must be the lab's pattern.
"""
import collections
import http.client
import json
import random
import sys
import threading

PERIOD = 65_521


def pattern():
    state, block = 1, bytearray(PERIOD)
    for i in range(PERIOD):
        state = (state * 1_103_515_245 + 12_345) & 0xFFFFFFFF
        block[i] = state >> 16 & 0xFF
    return bytes(block) * 32


BLOCK = pattern()
LARGEST = len(BLOCK)


def request(draw):
    """Method, path, length of the body that comes; None: whatever there is."""
    kind = draw.randrange(8)
    # Around a segment, with and without the new header in it.
    size = draw.choice([0, 1, draw.randrange(600, 1700), draw.randrange(20_000), draw.randrange(400_000)])
    if kind == 0:
        return "GET", "/status?code=204", 0
    if kind == 1:
        return "HEAD", f"/bytes?n={size}", 0
    if kind == 2:
        return "GET", "/echo", None
    if kind <= 4:
        return "GET", f"/chunked?n={size}&piece={draw.randrange(1, 5000)}", size
    return "GET", f"/bytes?n={size}", size


class Client(threading.Thread):
    def __init__(self, host, port, requests, seed):
        super().__init__()
        self.target = (host, port)
        self.count = requests
        self.draw = random.Random(seed)
        self.wrong = collections.Counter()
        self.servers = collections.Counter()
        self.done = 0

    def run(self):
        connection = http.client.HTTPConnection(*self.target, timeout=20)
        for _ in range(self.count):
            method, path, size = request(self.draw)
            try:
                connection.request(method, path, headers={"Host": "web"})
                response = connection.getresponse()
                body = response.read()
            except (OSError, http.client.HTTPException) as error:
                what = f"{method} {path.split('?')[0]}: {error!r}"
                if isinstance(error, http.client.IncompleteRead):
                    good = BLOCK[: len(error.partial)] == error.partial
                    what += ", as it is to be" if good else ", of others"
                self.wrong[what] += 1
                connection.close()
                continue
            self.done += 1
            self.servers[response.headers.get("X-Server", "")] += 1
            if response.headers.get_all("X-Header-Set") != ["set"]:
                self.wrong[f"{path.split('?')[0]}: {response.headers.get_all('X-Header-Set')}"] += 1
            if "Date" in response.headers:
                self.wrong["Date"] += 1
            if size is not None and body != BLOCK[:size]:
                self.wrong[f"{path.split('?')[0]}: another body, {len(body)} bytes of {size}"] += 1
        connection.close()


def main():
    host, port, requests, connections = (sys.argv[1:] + ["1"])[:4]
    clients = [Client(host, int(port), int(requests), i) for i in range(int(connections))]
    for client in clients:
        client.start()
    wrong, servers = collections.Counter(), collections.Counter()
    for client in clients:
        client.join()
        wrong.update(client.wrong)
        servers.update(client.servers)
    print(json.dumps({"requests": sum(one.done for one in clients), "wrong": wrong, "servers": servers}))


main()
