// SPDX-License-Identifier: Apache-2.0
//
// kmesh-cni: the CNI plugin that a node's container runtime runs for each pod, after those that make its
// network. It hands the call to the node's kmesh-daemon by a UNIX socket and waits until the kernel has the
// pod under the mesh. It is a static program that starts in a millisecond, and it does not need the daemon to
// let pods through that the mesh does not concern. docs/adr/018-cni-plugin.md says why; src/cni/protocol.ts
// is the other end.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "json_scan.h"

#define PROTOCOL "kmesh-cni/1"

enum {
	max_config_bytes = 4 << 20,
	max_answer_bytes = 64 << 10,
	// The daemon gives up on a pod sooner than that: src/cni/server.ts.
	deadline_ms = 5000,
	// A node that starts has a hundred pods at once, and the kernel takes its time for each. What is not
	// to start outside the mesh may wait for its turn.
	enrolled_deadline_ms = 20000,
	// The daemon touches the list of enrolled namespaces once a minute. One that is older is a dead
	// daemon's.
	list_valid_seconds = 300,
};

// Codes of the CNI specification.
enum {
	incompatible_version = 1,
	bad_environment = 4,
	io_failure = 5,
	undecodable = 6,
	bad_config = 7,
	try_again = 11
};

static const char *const versions[] = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};
static const char *const passed_on[] = {"CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME",
					"CNI_ARGS"};

static char version[16] = "1.1.0";
static int64_t deadline;

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// Waits until the descriptor can be read or written. False: the deadline came first.
static bool ready(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	for (;;) {
		int64_t left = deadline - now_ms();
		int n = left > 0 ? poll(&p, 1, (int)left) : 0;
		if (n > 0)
			return true;
		if (n == 0 || errno != EINTR)
			return false;
	}
}

// Reads until the end, at most `max` bytes; -1: an error, more than that, or too late.
static ssize_t read_all(int fd, char *into, size_t max)
{
	size_t have = 0;
	while (ready(fd, POLLIN)) {
		ssize_t n = read(fd, into + have, max - have);
		if (n == 0)
			return (ssize_t)have;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -1;
		if (n > 0 && (have += (size_t)n) == max)
			return -1;
	}
	return -1;
}

static bool write_all(int fd, const char *from, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, from, length);
		if (n > 0) {
			from += n;
			length -= (size_t)n;
		} else if (errno == EAGAIN ? !ready(fd, POLLOUT) : errno != EINTR)
			return false;
	}
	return true;
}

// An error as the specification has it. The message must need no escapes.
static int fail(int code, const char *message, const char *detail)
{
	printf("{\"cniVersion\": \"%s\", \"code\": %d, \"msg\": \"kmesh-cni: %s%s\"}\n", version, code,
	       message, detail);
	return 1;
}

// The text of a JSON string that needs no unescaping; false for others, and for those that do not fit.
static bool plain_string(struct json_span value, char *into, size_t size)
{
	if (value.text == NULL || value.length < 2 || value.text[0] != '"' || value.length - 2 >= size)
		return false;
	if (memchr(value.text, '\\', value.length) != NULL)
		return false;
	memcpy(into, value.text + 1, value.length - 2);
	into[value.length - 2] = '\0';
	return true;
}

// The value of NAME in CNI_ARGS, `NAME=value;NAME=value`; its length is 0 when there is none.
static struct json_span argument(const char *name)
{
	const char *at = getenv("CNI_ARGS");
	size_t length = strlen(name);
	while (at != NULL && *at != '\0') {
		size_t part = strcspn(at, ";");
		if (part > length && at[length] == '=' && memcmp(at, name, length) == 0)
			return (struct json_span){at + length + 1, part - length - 1};
		at = at[part] == ';' ? at + part + 1 : NULL;
	}
	return (struct json_span){"", 0};
}

// Whether the list is to be believed. In the first minutes of a node its age says nothing: the daemon starts
// together with the pods.
static bool is_valid(FILE *list)
{
	struct stat s;
	struct timespec up;
	if (fstat(fileno(list), &s) != 0)
		return false;
	if (clock_gettime(CLOCK_BOOTTIME, &up) == 0 && up.tv_sec <= list_valid_seconds)
		return true;
	return llabs((long long)(time(NULL) - s.st_mtime)) <= list_valid_seconds;
}

// Whether the daemon, when it was last alive, had the namespace of this pod under the mesh: a line of its
// list.
static bool in_enrolled_namespace(const char *path)
{
	struct json_span namespace = argument("K8S_POD_NAMESPACE");
	FILE *list = namespace.length > 0 ? fopen(path, "re") : NULL;
	if (list == NULL)
		return false;
	bool found = false;
	if (is_valid(list)) {
		char line[256];
		while (!found && fgets(line, sizeof(line), list) != NULL) {
			size_t length = strcspn(line, "\n");
			found = length == namespace.length && memcmp(line, namespace.text, length) == 0;
		}
	}
	fclose(list);
	return found;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		// EAGAIN: the daemon is alive, and many pods start at once.
		if ((errno != EAGAIN && errno != EINTR) || now_ms() >= deadline) {
			int error = errno;
			close(fd);
			errno = error;
			return -1;
		}
		poll(NULL, 0, 5);
	}
	return fd;
}

// The line of the protocol, the variables, an empty string; then the configuration until the end.
static bool send_call(int fd, const char *config, size_t length)
{
	char head[8192];
	size_t at = (size_t)snprintf(head, sizeof(head), "%s", PROTOCOL) + 1;
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(*passed_on); i++) {
		const char *value = getenv(passed_on[i]);
		if (value == NULL)
			continue;
		size_t n = (size_t)snprintf(head + at, sizeof(head) - at, "%s=%s", passed_on[i], value) + 1;
		if (n >= sizeof(head) - at)
			return false;
		at += n;
	}
	head[at++] = '\0';
	return write_all(fd, head, at) && write_all(fd, config, length) && shutdown(fd, SHUT_WR) == 0;
}

static const char *const silent = "it did not answer";

// Asks the daemon. Returns NULL when it has answered: *error has the length of the error that it gives, 0 for
// none. Otherwise why it has not.
static const char *ask(const char *run_dir, const char *config, size_t length, char *answer, size_t *error)
{
	char path[256];
	if (snprintf(path, sizeof(path), "%s/cni.sock", run_dir) >= (int)sizeof(path))
		return "the path of its socket is too long";
	int fd = connect_to(path);
	if (fd < 0)
		return strerror(errno);
	bool sent = send_call(fd, config, length);
	ssize_t got = read_all(fd, answer, max_answer_bytes);
	close(fd);
	static const char pass[] = PROTOCOL " pass\n", refuse[] = PROTOCOL " error\n", end[] = "\n";
	if (!sent || got < 0)
		return silent;
	size_t n = (size_t)got;
	if (n == sizeof(pass) - 1 && memcmp(answer, pass, n) == 0) {
		*error = 0;
		return NULL;
	}
	// A line that was cut off has no end.
	if (n > sizeof(refuse) && memcmp(answer, refuse, sizeof(refuse) - 1) == 0 &&
	    answer[n - 1] == end[0]) {
		*error = n - (sizeof(refuse) - 1);
		memmove(answer, answer + sizeof(refuse) - 1, *error);
		return NULL;
	}
	return silent;
}

static int print_versions(void)
{
	printf("{\"cniVersion\": \"%s\", \"supportedVersions\": [", version);
	for (size_t i = 0; i < sizeof(versions) / sizeof(*versions); i++)
		printf("%s\"%s\"", i == 0 ? "" : ", ", versions[i]);
	printf("]}\n");
	return 0;
}

static bool is_supported(const char *given)
{
	for (size_t i = 0; i < sizeof(versions) / sizeof(*versions); i++) {
		if (strcmp(given, versions[i]) == 0)
			return true;
	}
	return false;
}

static int run(const char *command, const char *config, size_t length)
{
	struct json_member members[] = {
		{.name = "cniVersion"}, {.name = "runDir"}, {.name = "enrolled"}, {.name = "prevResult"}};
	bool scanned = json_scan(config, length, members, sizeof(members) / sizeof(*members));
	struct json_span result = members[3].value;
	char given[sizeof(version)] = "", run_dir[200], list[256];
	bool versioned = plain_string(members[0].value, given, sizeof(given));
	if (is_supported(given))
		strcpy(version, given);
	if (strcmp(command, "VERSION") == 0)
		return print_versions();
	if (!scanned)
		return fail(undecodable, "the configuration on stdin is no JSON object", "");
	if (!versioned)
		return fail(bad_config, "the configuration has no cniVersion", "");
	if (!is_supported(given))
		return fail(incompatible_version,
			    "this cniVersion is not supported; VERSION lists those that are", "");
	if (!plain_string(members[1].value, run_dir, sizeof(run_dir)))
		return fail(bad_config, "the configuration has no runDir", "");
	if (!plain_string(members[2].value, list, sizeof(list)))
		return fail(bad_config, "the configuration has no enrolled", "");
	bool add = strcmp(command, "ADD") == 0;
	if (add && (result.text == NULL || result.text[0] != '{'))
		return fail(bad_config,
			    "there is no prevResult: kmesh-cni comes after the plugin that makes the network",
			    "");
	// A node whose daemon is away is still one on which pods can start.
	if (strcmp(command, "STATUS") == 0)
		return 0;
	if (!add && strcmp(command, "DEL") != 0 && strcmp(command, "CHECK") != 0 &&
	    strcmp(command, "GC") != 0)
		return fail(bad_environment, "CNI_COMMAND must be ADD, DEL, CHECK, GC, STATUS or VERSION",
			    "");

	bool enrolled = add && in_enrolled_namespace(list);
	if (enrolled)
		deadline += enrolled_deadline_ms - deadline_ms;
	static char answer[max_answer_bytes];
	size_t error = 0;
	const char *why = ask(run_dir, config, length, answer, &error);
	if (why == NULL && error > 0) {
		write_all(STDOUT_FILENO, answer, error);
		return 1;
	}
	if (why != NULL) {
		if (enrolled)
			return fail(try_again,
				    "kmesh-daemon, without which no pod of this namespace starts, is away: ",
				    why);
		fprintf(stderr, "kmesh-cni: %s goes on without kmesh-daemon: %s\n", command, why);
	}
	return !add || (write_all(STDOUT_FILENO, result.text, result.length) &&
			write_all(STDOUT_FILENO, "\n", 1))
		       ? 0
		       : 1;
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	deadline = now_ms() + deadline_ms;
	const char *command = getenv("CNI_COMMAND");
	if (command == NULL)
		return fail(bad_environment,
			    "CNI_COMMAND is not set: this program is run by a container runtime", "");
	static char config[max_config_bytes];
	ssize_t length = read_all(STDIN_FILENO, config, sizeof(config));
	if (length < 0)
		return fail(io_failure, "the configuration cannot be read from stdin", "");
	int code = run(command, config, (size_t)length);
	return fflush(stdout) == 0 ? code : 1;
}
