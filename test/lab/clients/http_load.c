// SPDX-License-Identifier: Apache-2.0
/*
 * http_load [OPTION…] HOST PORT CASE…: requests as fast as they are answered, each answer checked; JSON on
 * the last line.
 *
 * A CASE is `NAMES|METHOD|PATH|FIELD|…`, each request takes one at random. NAMES, with commas, is who may
 * answer: the text in front of the path in the answer's body, or a status other than 200. Each path gets
 * `?n=SERIAL`, and the answer must say it back. A misrouted answer came from someone else, a crossed one
 * belongs to another request.
 *
 *   --requests N       of all connections together (1000)
 *   --seconds S        end then, whatever was done
 *   --until-eof        end when stdin does
 *   --connections C    side by side (1)
 *   --rate R           requests a second, of all together
 *   --new              a connection for each request
 *   --abort P          with --new: so many of 1000 connections are left by the client in a random state, in a
 * random way
 *   --pieces           a request's head in pieces of random sizes
 *   --pad N            a field of random size up to N in each request
 *   --direct HOST,PORT,NAME --ports LOW-HIGH
 *                      pairs: from each local port one connection to HOST PORT and one to this address, both
 * in use
 *   --timeout MS       of connect, send and receive each (5000)
 *   --seed N
 * Prints `ready` when all connections are open.
 */
#include "load_options.h"
#include <pthread.h>
#include <stdatomic.h>

#define MAX_NAMES 64
#define TENTHS	  10
#define SAMPLES	  2000000
#define DIRECT	  (1ul << 40) /* added to serial numbers of --direct: no pair has one twice */

struct count {
	char name[128];
	unsigned long count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t opened;
static struct count names[MAX_NAMES], errors[MAX_NAMES];
static atomic_ulong begun, done, misrouted, crossed, failed, aborted, connected;
static atomic_int stop;
static float *samples; /* microseconds */
static atomic_ulong sample_count;
static double start, tenths[TENTHS];

struct worker {
	pthread_t thread;
	unsigned long random;
	int fd, port;
};

static unsigned long dice(struct worker *w, unsigned long below)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random % below;
}

static void tally(struct count *table, const char *name)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < MAX_NAMES; i++) {
		if (!table[i].count)
			snprintf(table[i].name, sizeof(table[i].name), "%s", name);
		if (!strcmp(table[i].name, name)) {
			table[i].count++;
			break;
		}
	}
	pthread_mutex_unlock(&lock);
}

static int is_one_of(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = list; at; at = strchr(at, ','), at = at ? at + 1 : NULL)
		if (!strncmp(at, name, length) && (at[length] == ',' || !at[length]))
			return 1;
	return 0;
}

static void failure(struct worker *w, const char *what)
{
	failed++;
	tally(errors, what);
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

/* Writes the request of a case; its length. */
static int build(struct worker *w, int which, unsigned long serial, int last, char *out, size_t size)
{
	int n = snprintf(out, size, "%s%lu%s", o.cases[which].head, serial, o.cases[which].rest);

	if (o.pad)
		n += snprintf(out + n, size - n, "x-pad: %0*d\r\n", (int)dice(w, o.pad) + 1, 0);
	n += snprintf(out + n, size - n, "%s\r\n", last ? "connection: close\r\n" : "");
	return n;
}

static int send_request(struct worker *w, const char *data, int length)
{
	static const int steps[] = {1, 2, 3, 10, 100, 1000};
	int step = o.pieces ? steps[dice(w, 6)] : length;

	for (int at = 0; at < length; at += step)
		if (send_all(w->fd, data + at, step < length - at ? step : length - at))
			return -1;
	return 0;
}

static void check(int which, unsigned long serial, const struct answer *a, const char *only)
{
	tally(names, a->name);
	if (only ? strcmp(only, a->name) : !is_one_of(o.cases[which].names, a->name)) {
		misrouted++;
		fprintf(stderr, "misrouted: request %lu of case %s was answered by %s\n", serial,
			only ? only : o.cases[which].names, a->name);
	} else if (a->serial && a->serial != serial) {
		crossed++;
		fprintf(stderr, "crossed: request %lu got the answer of %lu\n", serial, a->serial);
	}
}

/* One request and its answer on the worker's connection; 0 when it can go on. */
static int exchange(struct worker *w, unsigned long serial, int last, const char *only)
{
	int which = dice(w, o.case_count);
	char request[o.pad + 4608];
	int length = build(w, which, serial, last, request, sizeof(request));
	double from = now();
	struct answer a;
	const char *wrong;

	if (send_request(w, request, length)) {
		failure(w, error_name(errno));
		return -1;
	}
	wrong = read_answer(w->fd, &a);
	if (wrong) {
		failure(w, wrong);
		return -1;
	}
	unsigned long sample = sample_count++;
	if (sample < SAMPLES)
		samples[sample] = (now() - from) * 1e6;
	check(which, serial, &a, only);
	if (a.close || last) {
		char c;
		/* The server closes first and so keeps the TIME_WAIT. */
		if (recv(w->fd, &c, 1, 0) > 0)
			fprintf(stderr, "bytes behind the last answer\n"), crossed++;
		close(w->fd);
		w->fd = -1;
	}
	return 0;
}

static int reconnect(struct worker *w, const struct target *target)
{
	w->fd = open_connection(target, w->port, o.timeout_ms);
	if (w->fd < 0) {
		failure(w, error_name(errno));
		return -1;
	}
	connected++;
	return 0;
}

/* A connection that its client leaves: before a byte, in the head, behind it, while the answer comes. */
static void leave(struct worker *w, unsigned long serial)
{
	char request[o.pad + 4608];
	int length = build(w, dice(w, o.case_count), serial, 0, request, sizeof(request)), state = dice(w, 4);

	if (reconnect(w, &o.target))
		return;
	if (state)
		send_all(w->fd, request, state == 1 ? 1 + dice(w, length - 1) : length);
	if (state == 3)
		recv(w->fd, request, 1, 0);
	switch (dice(w, 3)) {
	case 0:
		reset_connection(w->fd);
		break;
	case 1:
		shutdown(w->fd, SHUT_WR);
		/* fall through */
	default:
		close(w->fd);
	}
	w->fd = -1;
	aborted++;
}

/* From one local port to both addresses: what belongs to one must not come out of the other. */
static void pair(struct worker *w, unsigned long serial)
{
	struct worker other = *w;

	w->port = other.port = o.low + serial % (o.high - o.low + 1);
	other.random ^= 0x9e3779b97f4a7c15ul;
	if (reconnect(w, &o.target))
		return;
	if (reconnect(&other, &o.direct)) {
		close(w->fd);
		w->fd = -1;
		return;
	}
	for (int i = 0; i < 2; i++)
		if (exchange(w, serial, i, NULL) || exchange(&other, serial + DIRECT, i, o.direct_name))
			break;
	if (w->fd >= 0)
		close(w->fd);
	if (other.fd >= 0)
		close(other.fd);
	w->fd = -1;
}

static int finished(void)
{
	return stop || (o.seconds && now() - start >= o.seconds);
}

static void pace(unsigned long serial)
{
	double wait = start + serial / o.rate - now();

	while (wait > 0 && !finished()) {
		usleep(wait > 0.05 ? 50000 : wait * 1e6);
		wait = start + serial / o.rate - now();
	}
}

static void *work(void *argument)
{
	struct worker *w = argument;

	if (!o.fresh && !o.high)
		reconnect(w, &o.target);
	pthread_barrier_wait(&opened);
	for (;;) {
		unsigned long serial = ++begun, count;

		if (serial > o.requests || finished())
			break;
		if (o.rate)
			pace(serial - 1);
		if (o.high)
			pair(w, serial);
		else if (o.fresh && (int)dice(w, 1000) < o.abort_share)
			leave(w, serial);
		else if (w->fd >= 0 || !reconnect(w, &o.target))
			exchange(w, serial, o.fresh, NULL);
		count = ++done;
		if (count % (o.requests / TENTHS ?: 1) == 0 && count * TENTHS / o.requests - 1 < TENTHS)
			tenths[count * TENTHS / o.requests - 1] = now() - start;
	}
	if (w->fd >= 0)
		close(w->fd);
	return NULL;
}

static void *watch(void *unused)
{
	char c[64];

	while (read(0, c, sizeof(c)) > 0)
		;
	stop = 1;
	return unused;
}

static void print_counts(const char *name, const struct count *table)
{
	printf("\"%s\":{", name);
	for (int i = 0; i < MAX_NAMES && table[i].count; i++) {
		printf("%s\"", i ? "," : "");
		for (const char *c = table[i].name; *c; c++)
			if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ')
				printf("\\u%04x", (unsigned char)*c);
			else
				putchar(*c);
		printf("\":%lu", table[i].count);
	}
	printf("},");
}

static int ascending(const void *a, const void *b)
{
	return (*(const float *)a > *(const float *)b) - (*(const float *)a < *(const float *)b);
}

static void report(double seconds)
{
	unsigned long n = sample_count < SAMPLES ? sample_count : SAMPLES;

	qsort(samples, n, sizeof(*samples), ascending);
	printf("{");
	print_counts("answers", names);
	print_counts("errors", errors);
	printf("\"requests\":%lu,\"misrouted\":%lu,\"crossed\":%lu,\"failed\":%lu,\"aborted\":%lu,"
	       "\"connections\":%lu,",
	       (unsigned long)done, (unsigned long)misrouted, (unsigned long)crossed, (unsigned long)failed,
	       (unsigned long)aborted, (unsigned long)connected);
	printf("\"seconds\":%.3f,\"rate\":%.1f,\"p50Us\":%.1f,\"p90Us\":%.1f,\"p99Us\":%.1f,\"maxUs\":%.1f,",
	       seconds, done / seconds, n ? samples[n / 2] : 0, n ? samples[n * 9 / 10] : 0,
	       n ? samples[n * 99 / 100] : 0, n ? samples[n - 1] : 0);
	/* Requests a second in each tenth of the run. */
	printf("\"rates\":[");
	for (int i = 0; i < TENTHS && tenths[i]; i++)
		printf("%s%.1f", i ? "," : "",
		       o.requests / (double)TENTHS / (tenths[i] - (i ? tenths[i - 1] : 0)));
	printf("]}\n");
}

int main(int argc, char **argv)
{
	struct worker *workers;
	pthread_t watcher;

	options(argc, argv);
	samples = malloc(SAMPLES * sizeof(*samples));
	workers = calloc(o.connections, sizeof(*workers));
	pthread_barrier_init(&opened, NULL, o.connections + 1);
	for (int i = 0; i < o.connections; i++) {
		workers[i] = (struct worker){.random = (o.seed << 16) + i + 1, .fd = -1};
		dice(&workers[i], 2);
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			return 1;
	}
	start = now();
	pthread_barrier_wait(&opened);
	start = now();
	printf("ready\n");
	fflush(stdout);
	if (o.until_eof)
		pthread_create(&watcher, NULL, watch, NULL);
	for (int i = 0; i < o.connections; i++)
		pthread_join(workers[i].thread, NULL);
	report(now() - start);
	return 0;
}
