"""tunnel_server.py NAME PORT: what HTTP makes way for. A request with `Upgrade` gets 101 after /?ms=MILLISECONDS and 3000 bytes that nobody
asked for, CONNECT gets 200; from then on, or at once when the first byte is none of HTTP, it echoes. Prints `ready`.
"""
import asyncio
import re
import socket
import sys

PORT = int(sys.argv[2])
PUSHED = bytes(i % 251 for i in range(3000))


async def serve(reader, writer):
    data = await reader.read(65536)
    if data[:1].isupper():
        while b"\r\n\r\n" not in data:
            data += await reader.read(65536)
        head, data = data.split(b"\r\n\r\n", 1)
        wait = re.match(rb"\S+ /\?ms=(\d+)", head)
        await asyncio.sleep(int(wait[1]) / 1000 if wait else 0)
        if head.startswith(b"CONNECT"):
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n" + PUSHED)
        data = data or await reader.read(65536)
    while data:
        writer.write(data)
        await writer.drain()
        data = await reader.read(65536)
    writer.close()


async def main():
    listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind(("::", PORT))
    server = await asyncio.start_server(serve, sock=listener, backlog=4096)
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(main())
