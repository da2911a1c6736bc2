"""udp_echo.py NAME PORT: answers a datagram with NAME, a space and the datagram. Prints `ready`."""
import socket
import sys

name, port = sys.argv[1].encode() + b" ", int(sys.argv[2])
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
server.bind(("::", port))
print("ready", flush=True)
while True:
    data, client = server.recvfrom(65535)
    server.sendto(name + data, client)
