"""tcp_echo.py NAME PORT: echoes; the first answer on a connection begins with NAME and a space. Prints `ready`."""
import asyncio
import socket
import sys

NAME, PORT = sys.argv[1].encode(), int(sys.argv[2])


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.greeting = NAME + b" "

    def data_received(self, data):
        self.transport.write(self.greeting + data)
        self.greeting = b""


async def main():
    listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind(("::", PORT))
    server = await asyncio.get_running_loop().create_server(Echo, sock=listener, backlog=4096)
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(main())
