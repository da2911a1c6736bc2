// SPDX-License-Identifier: Apache-2.0
/*
 * uring_send HOST PORT HEAD: sends stdin by io_uring, its first HEAD bytes in one request and the rest in
 * others that are linked to it, and writes the answer to stdout. By io_uring_enter() itself: the lab needs no
 * liburing.
 */
#include "http_wire.h"
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define ENTRIES 8

struct ring {
	int fd;
	unsigned *head, *tail, *mask, *array, *done_head, *done_tail, *done_mask;
	struct io_uring_sqe *requests;
	struct io_uring_cqe *done;
};

static void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, error_name(errno));
	exit(1);
}

static void *map(int fd, size_t size, off_t at)
{
	void *place = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, at);

	if (place == MAP_FAILED)
		fail("mmap");
	return place;
}

static struct ring open_ring(void)
{
	struct io_uring_params p = {};
	struct ring r = {.fd = syscall(__NR_io_uring_setup, ENTRIES, &p)};
	char *sq, *cq;

	if (r.fd < 0)
		fail("io_uring_setup");
	sq = map(r.fd, p.sq_off.array + p.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
	cq = map(r.fd, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
	r.requests = map(r.fd, p.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
	r.head = (void *)(sq + p.sq_off.head);
	r.tail = (void *)(sq + p.sq_off.tail);
	r.mask = (void *)(sq + p.sq_off.ring_mask);
	r.array = (void *)(sq + p.sq_off.array);
	r.done_head = (void *)(cq + p.cq_off.head);
	r.done_tail = (void *)(cq + p.cq_off.tail);
	r.done_mask = (void *)(cq + p.cq_off.ring_mask);
	r.done = (void *)(cq + p.cq_off.cqes);
	return r;
}

static void push(struct ring *r, int socket, const char *data, size_t length, int linked)
{
	unsigned at = *r->tail, slot = at & *r->mask;

	r->requests[slot] = (struct io_uring_sqe){
		.opcode = IORING_OP_SEND,
		.fd = socket,
		.addr = (unsigned long)data,
		.len = length,
		.msg_flags = MSG_NOSIGNAL | MSG_WAITALL,
		.flags = linked ? IOSQE_IO_LINK : 0,
	};
	r->array[slot] = slot;
	__atomic_store_n(r->tail, at + 1, __ATOMIC_RELEASE);
}

/* Bytes that were sent of those pushed; a short one breaks the links behind it. */
static size_t submit(struct ring *r, unsigned count)
{
	size_t sent = 0;

	if (syscall(__NR_io_uring_enter, r->fd, count, count, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		fail("io_uring_enter");
	for (unsigned i = 0; i < count; i++) {
		struct io_uring_cqe *one = &r->done[(*r->done_head + i) & *r->done_mask];

		if (one->res < 0 && one->res != -ECANCELED) {
			errno = -one->res;
			fail("send");
		}
		if (one->res > 0)
			sent += one->res;
	}
	__atomic_store_n(r->done_head, *r->done_head + count, __ATOMIC_RELEASE);
	return sent;
}

int main(int argc, char **argv)
{
	size_t length = 0, room = 1 << 16, head, at = 0;
	char *data = malloc(room), answer[65536], *end, *field;
	struct target target;
	struct ring ring;
	ssize_t n;
	int fd;

	if (argc < 4 || parse_target(&target, argv[1], atoi(argv[2])))
		return 64;
	while ((n = read(0, data + length, room - length)) > 0)
		if ((length += n) == room)
			data = realloc(data, room *= 2);
	head = strtoul(argv[3], NULL, 10);
	fd = open_connection(&target, 0, 10000);
	if (fd < 0)
		fail("connect");
	ring = open_ring();
	push(&ring, fd, data, head, length > head);
	if (length > head)
		push(&ring, fd, data + head, length - head, 0);
	at = submit(&ring, 1 + (length > head));
	while (at < length) {
		push(&ring, fd, data + at, length - at, 0);
		at += submit(&ring, 1);
	}
	for (length = 0;; length += n) {
		n = recv(fd, answer + length, sizeof(answer) - 1 - length, 0);
		if (n <= 0)
			fail("no answer");
		answer[length + n] = 0;
		end = strstr(answer, "\r\n\r\n");
		field = strcasestr(answer, "\r\ncontent-length:");
		if (end && field && answer + length + n >= end + 4 + atol(field + 17))
			break;
	}
	fputs(answer, stdout);
	return 0;
}
