// SPDX-License-Identifier: Apache-2.0
/* The command line of http_load.c, which says what each option means. */
#ifndef LOAD_OPTIONS_H
#define LOAD_OPTIONS_H

#include "http_wire.h"
#include <getopt.h>

#define MAX_CASES 64

struct options {
	struct target target, direct;
	const char *direct_name;
	struct {
		const char *names;
		char head[2048]; /* up to the serial number */
		char rest[2048]; /* behind it, without the last CRLF */
	} cases[MAX_CASES];
	int case_count, connections, until_eof, fresh, abort_share, pieces, pad, low, high, timeout_ms;
	unsigned long requests, seed;
	double seconds, rate;
};

static struct options o = {.connections = 1, .requests = 1000, .timeout_ms = 5000, .seed = 1};

static void add_case(char *text)
{
	char *fields[32], *at;
	int n = 0;

	while (n < 32 && (at = strsep(&text, "|")))
		fields[n++] = at;
	if (n < 3 || o.case_count == MAX_CASES) {
		fprintf(stderr, "a case is NAMES|METHOD|PATH|FIELD…\n");
		exit(64);
	}
	typeof(&o.cases[0]) c = &o.cases[o.case_count++];
	int host = 0, length;
	c->names = fields[0];
	snprintf(c->head, sizeof(c->head), "%s %s%cn=", fields[1], fields[2],
		 strchr(fields[2], '?') ? '&' : '?');
	for (int i = 3; i < n; i++)
		host |= !strncasecmp(fields[i], "host:", 5);
	length = snprintf(c->rest, sizeof(c->rest), " HTTP/1.1\r\n%s", host ? "" : "Host: lab\r\n");
	for (int i = 3; i < n; i++)
		length += snprintf(c->rest + length, sizeof(c->rest) - length, "%s\r\n", fields[i]);
}

static void options(int argc, char **argv)
{
	static const struct option known[] = {
		{"requests", 1, NULL, 'n'},    {"seconds", 1, NULL, 's'}, {"until-eof", 0, NULL, 'e'},
		{"connections", 1, NULL, 'c'}, {"rate", 1, NULL, 'r'},	  {"new", 0, NULL, 'f'},
		{"abort", 1, NULL, 'a'},       {"pieces", 0, NULL, 'p'},  {"pad", 1, NULL, 'P'},
		{"direct", 1, NULL, 'd'},      {"ports", 1, NULL, 'l'},	  {"timeout", 1, NULL, 't'},
		{"seed", 1, NULL, 'S'},	       {NULL, 0, NULL, 0}};
	char host[64];
	int port, c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) >= 0) {
		switch (c) {
		case 'n':
			o.requests = strtoul(optarg, NULL, 10);
			break;
		case 's':
			o.seconds = atof(optarg);
			o.requests = ~0ul >> 8;
			break;
		case 'e':
			o.until_eof = 1;
			o.requests = ~0ul >> 8;
			break;
		case 'c':
			o.connections = atoi(optarg);
			break;
		case 'r':
			o.rate = atof(optarg);
			break;
		case 'f':
			o.fresh = 1;
			break;
		case 'a':
			o.abort_share = atoi(optarg);
			break;
		case 'p':
			o.pieces = 1;
			break;
		case 'P':
			o.pad = atoi(optarg);
			break;
		case 'd':
			o.direct_name = strrchr(optarg, ',') + 1;
			if (sscanf(optarg, "%63[^,],%d,", host, &port) != 2 ||
			    parse_target(&o.direct, host, port))
				exit(64);
			break;
		case 'l':
			if (sscanf(optarg, "%d-%d", &o.low, &o.high) != 2)
				exit(64);
			break;
		case 't':
			o.timeout_ms = atoi(optarg);
			break;
		case 'S':
			o.seed = strtoul(optarg, NULL, 10);
			break;
		default:
			exit(64);
		}
	}
	if (argc - optind < 3 || parse_target(&o.target, argv[optind], atoi(argv[optind + 1]))) {
		fprintf(stderr, "http_load [OPTION…] HOST PORT CASE…\n");
		exit(64);
	}
	for (int i = optind + 2; i < argc; i++)
		add_case(argv[i]);
}

#endif
