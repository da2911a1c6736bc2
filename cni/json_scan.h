// SPDX-License-Identifier: Apache-2.0
//
// Finds members of the outermost object of a JSON text (RFC 8259) without copying anything. Strict: a text
// that is not wholly well-formed has no members, nor has one in which a member that is asked for comes twice.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

// Configurations of CNI are a few levels deep; the limit keeps a hostile text from using up the stack.
enum { json_max_depth = 128 };

// A value's text, brackets and quotes included; NULL: there is none.
struct json_span {
	const char *text;
	size_t length;
};

struct json_member {
	const char *name;
	struct json_span value;
};

struct json_reader {
	const char *at;
	const char *end;
	int depth;
};

static bool json_value(struct json_reader *r);

static void json_space(struct json_reader *r)
{
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
		r->at++;
}

static bool json_take(struct json_reader *r, char c)
{
	if (r->at == r->end || *r->at != c)
		return false;
	r->at++;
	return true;
}

static bool json_word(struct json_reader *r, const char *word)
{
	size_t length = strlen(word);
	if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length) != 0)
		return false;
	r->at += length;
	return true;
}

static bool json_is_digit(const struct json_reader *r)
{
	return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

static bool json_digits(struct json_reader *r)
{
	if (!json_is_digit(r))
		return false;
	while (json_is_digit(r))
		r->at++;
	return true;
}

static bool json_number(struct json_reader *r)
{
	json_take(r, '-');
	if (!json_take(r, '0') && !json_digits(r))
		return false;
	if (json_take(r, '.') && !json_digits(r))
		return false;
	if (!json_take(r, 'e') && !json_take(r, 'E'))
		return true;
	if (!json_take(r, '-'))
		json_take(r, '+');
	return json_digits(r);
}

static bool json_is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool json_escape(struct json_reader *r)
{
	if (r->at == r->end)
		return false;
	char c = *r->at++;
	if (c != 'u')
		return c != '\0' && strchr("\"\\/bfnrt", c) != NULL;
	for (int i = 0; i < 4; i++, r->at++) {
		if (r->at == r->end || !json_is_hex(*r->at))
			return false;
	}
	return true;
}

static bool json_string(struct json_reader *r)
{
	if (!json_take(r, '"'))
		return false;
	while (r->at < r->end) {
		unsigned char c = (unsigned char)*r->at++;
		if (c == '"')
			return true;
		if (c < 0x20 || (c == '\\' && !json_escape(r)))
			return false;
	}
	return false;
}

// Whether the text of a name, quotes included, is this one. Names with escapes are no names that are asked
// for.
static bool json_names(struct json_span name, const char *wanted)
{
	size_t length = strlen(wanted);
	return name.length == length + 2 && memcmp(name.text + 1, wanted, length) == 0;
}

// `"name": value`; notes the value when it is one of the `count` members that are asked for.
static bool json_pair(struct json_reader *r, struct json_member *members, size_t count)
{
	struct json_span name = {r->at, 0};
	if (!json_string(r))
		return false;
	name.length = (size_t)(r->at - name.text);
	json_space(r);
	if (!json_take(r, ':'))
		return false;
	json_space(r);
	const char *value = r->at;
	if (!json_value(r))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!json_names(name, members[i].name))
			continue;
		if (members[i].value.text != NULL)
			return false;
		members[i].value = (struct json_span){value, (size_t)(r->at - value)};
	}
	return true;
}

static bool json_object(struct json_reader *r, struct json_member *members, size_t count)
{
	if (!json_take(r, '{') || ++r->depth > json_max_depth)
		return false;
	json_space(r);
	if (!json_take(r, '}')) {
		do {
			json_space(r);
			if (!json_pair(r, members, count))
				return false;
			json_space(r);
		} while (json_take(r, ','));
		if (!json_take(r, '}'))
			return false;
	}
	r->depth--;
	return true;
}

static bool json_array(struct json_reader *r)
{
	if (!json_take(r, '[') || ++r->depth > json_max_depth)
		return false;
	json_space(r);
	if (!json_take(r, ']')) {
		do {
			json_space(r);
			if (!json_value(r))
				return false;
			json_space(r);
		} while (json_take(r, ','));
		if (!json_take(r, ']'))
			return false;
	}
	r->depth--;
	return true;
}

static bool json_value(struct json_reader *r)
{
	if (r->at == r->end)
		return false;
	switch (*r->at) {
	case '{':
		return json_object(r, NULL, 0);
	case '[':
		return json_array(r);
	case '"':
		return json_string(r);
	case 't':
		return json_word(r, "true");
	case 'f':
		return json_word(r, "false");
	case 'n':
		return json_word(r, "null");
	default:
		return json_number(r);
	}
}

// Fills in the values of the members that the object has. False, and no values: it is no JSON object, or has
// one twice.
static bool json_scan(const char *text, size_t length, struct json_member *members, size_t count)
{
	struct json_reader r = {text, text + length, 0};
	json_space(&r);
	bool good = json_object(&r, members, count);
	json_space(&r);
	if (good && r.at == r.end)
		return true;
	for (size_t i = 0; i < count; i++)
		members[i].value = (struct json_span){NULL, 0};
	return false;
}
