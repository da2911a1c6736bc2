// SPDX-License-Identifier: Apache-2.0
/* One HTTP/1.1 exchange on a blocking socket, and errors by name: what the C clients of the lab share. */
#ifndef HTTP_WIRE_H
#define HTTP_WIRE_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct target {
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t length;
};

/* The answer to one request. `name` is the text up to the path, ` /…`, or the status where that is not 200.
 */
struct answer {
	char name[128];
	unsigned long serial; /* the number behind `n=` in the text; 0: none */
	int close;	      /* the server ends the connection */
};

static inline double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static inline int parse_target(struct target *target, const char *host, int port)
{
	memset(target, 0, sizeof(*target));
	if (inet_pton(AF_INET, host, &target->v4.sin_addr) == 1) {
		target->v4.sin_family = AF_INET;
		target->v4.sin_port = htons(port);
		target->length = sizeof(target->v4);
		return 0;
	}
	if (inet_pton(AF_INET6, host, &target->v6.sin6_addr) != 1)
		return -1;
	target->v6.sin6_family = AF_INET6;
	target->v6.sin6_port = htons(port);
	target->length = sizeof(target->v6);
	return 0;
}

/* ECONNREFUSED and the like. A kernel time-out shows as EAGAIN or EINPROGRESS. */
static inline const char *error_name(int error)
{
	if (error == EAGAIN || error == EINPROGRESS)
		return "TIMEOUT";
	return strerrorname_np(error) ?: "UNKNOWN";
}

/* A connected socket, or -1. `port`: the local one; 0: any. */
static inline int open_connection(const struct target *target, int port, int timeout_ms)
{
	struct timeval tv = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
	int fd = socket(target->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, error;
	struct target local = {.length = target->length};

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	local.sa.sa_family = target->sa.sa_family;
	/* Both families have the port at the same place. */
	local.v4.sin_port = htons(port);
	if (port) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(fd, &local.sa, local.length) < 0)
			goto failed;
	}
	if (connect(fd, &target->sa, target->length) == 0)
		return fd;
failed:
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* The connection's end without a FIN: close() then sends RST. */
static inline void reset_connection(int fd)
{
	struct linger linger = {1, 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

static inline int send_all(int fd, const char *data, size_t length)
{
	while (length) {
		ssize_t n = send(fd, data, length, MSG_NOSIGNAL);

		if (n < 0)
			return -1;
		data += n;
		length -= n;
	}
	return 0;
}

/* Reads an answer that has a content-length. Null, or what is wrong with it. */
static inline const char *read_answer(int fd, struct answer *answer)
{
	char data[16384];
	size_t length = 0;
	char *end, *field, *stop, *serial;
	long body = 0;

	do {
		ssize_t n = recv(fd, data + length, sizeof(data) - 1 - length, 0);

		if (n < 0)
			return error_name(errno);
		if (n == 0)
			return length ? "EOF IN HEAD" : "EOF";
		length += n;
		data[length] = 0;
		if (length == sizeof(data) - 1)
			return "TOO LONG";
	} while (!(end = strstr(data, "\r\n\r\n")));
	if (strncmp(data, "HTTP/1.", 7))
		return "NO HTTP";
	*end = 0;
	answer->close = strcasestr(data, "\r\nconnection: close") != NULL;
	field = strcasestr(data, "\r\ncontent-length:");
	if (field)
		body = strtol(field + 17, NULL, 10);
	else if (strncmp(data + 9, "204", 3) && strncmp(data + 9, "304", 3))
		return "NO LENGTH";
	end += 4;
	if (end + body >= data + sizeof(data))
		return "TOO LONG";
	while (data + length < end + body) {
		ssize_t n = recv(fd, data + length, end + body - (data + length), 0);

		if (n < 0)
			return error_name(errno);
		if (n == 0)
			return "EOF IN BODY";
		length += n;
	}
	if (data + length > end + body)
		return "SURPLUS";
	end[body] = 0;
	if (strncmp(data + 9, "200", 3)) {
		snprintf(answer->name, sizeof(answer->name), "%.3s", data + 9);
		answer->serial = 0;
		return NULL;
	}
	stop = strstr(end, " /") ?: end + strcspn(end, "\n");
	snprintf(answer->name, sizeof(answer->name), "%.*s", (int)(stop - end), end);
	serial = strstr(stop, "n=");
	answer->serial = serial ? strtoul(serial + 2, NULL, 10) : 0;
	return NULL;
}

#endif
