"""http_client.py JSON: http.client (kept alive) and urllib (not) as clients of the lab. The argument is what
http-clients.ts calls an Exercise; each line on stdout is one finding, none when all is well."""
import hashlib
import http.client
import json
import sys
import urllib.request
from urllib.parse import urlsplit


def complain(*words):
    print(*words, flush=True)


class Kept:
    """One connection for everything."""

    def __init__(self, exercise):
        parts = urlsplit(exercise["base"])
        self.host = exercise["host"]
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)

    def ask(self, method, path, body=None, size=None):
        headers = {"Host": self.host}
        if size is not None:
            headers["Content-Length"] = str(size)
        self.connection.request(method, path, body=body, headers=headers, encode_chunked=size is None and body is not None)
        response = self.connection.getresponse()
        data = response.read()
        if response.status != 200:
            raise ValueError(f"status {response.status}")
        return data


class Fresh:
    """urllib: a connection for each request."""

    def __init__(self, exercise):
        self.exercise = exercise

    def ask(self, method, path, body=None, size=None):
        request = urllib.request.Request(self.exercise["base"] + path, data=body, method=method)
        request.add_header("Host", self.exercise["host"])
        if size is not None:
            request.add_header("Content-Length", str(size))
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.read()


def blocks(file):
    with open(file, "rb") as source:
        while block := source.read(50_000):
            yield block


def run(exercise):
    client = Fresh(exercise) if exercise["noKeepAlive"] else Kept(exercise)
    for i in range(exercise["requests"]):
        words = client.ask("GET", "/").decode().split()
        if not words or words[0] not in exercise["names"]:
            complain(f"GET / {i}: answered by", words)
    for download in exercise["downloads"]:
        data = client.ask("GET", download["path"])
        if hashlib.sha256(data).hexdigest() != download["sha256"]:
            complain("GET", download["path"], len(data), "bytes")
    for upload in exercise["uploads"]:
        for way, size in (("length", upload["size"]), ("chunked", None)):
            answer = json.loads(client.ask("POST", "/digest", blocks(upload["file"]), size))
            if (answer["length"], answer["sha256"]) != (upload["size"], upload["sha256"]):
                complain("POST", upload["size"], "bytes", way, answer)


try:
    run(json.loads(sys.argv[1]))
except Exception as error:  # what went wrong is the finding
    complain(type(error).__name__, error)
