// SPDX-License-Identifier: MIT
//
// json.c - see json.h. Strings that are not UTF-8 (a file name may be anything) are written with
// U+FFFD in place of each bad byte, so that the output is always valid JSON.
#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

size_t json_sequence(const unsigned char *p, size_t left)
{
	static const struct {
		unsigned char mask, lead, second_min, second_max;
		size_t length;
	} forms[] = {
		{0x80, 0x00, 0, 0, 1},       {0xff, 0xe0, 0xa0, 0xbf, 3}, {0xff, 0xed, 0x80, 0x9f, 3},
		{0xff, 0xf0, 0x90, 0xbf, 4}, {0xff, 0xf4, 0x80, 0x8f, 4}, {0xe0, 0xc0, 0x80, 0xbf, 2},
		{0xf0, 0xe0, 0x80, 0xbf, 3}, {0xfc, 0xf0, 0x80, 0xbf, 4},
	};

	if (*p == 0xc0 || *p == 0xc1)
		return 0;
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		if ((*p & forms[i].mask) != forms[i].lead)
			continue;
		if (forms[i].length > left)
			return 0;
		for (size_t k = 1; k < forms[i].length; k++)
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		if (forms[i].length > 1 && (p[1] < forms[i].second_min || p[1] > forms[i].second_max))
			return 0;
		return forms[i].length;
	}
	return 0;
}

static void put_quoted(FILE *out, const unsigned char *p, size_t size)
{
	fputc('"', out);
	while (size > 0) {
		const size_t n = json_sequence(p, size);

		if (n == 0)
			fputs("\\ufffd", out);
		else if (*p == '"' || *p == '\\')
			fprintf(out, "\\%c", *p);
		else if (*p < 0x20 || *p == 0x7f)
			fprintf(out, "\\u%04x", *p);
		else
			fwrite(p, 1, n, out);
		p += n ? n : 1;
		size -= n ? n : 1;
	}
	fputc('"', out);
}

static void put_base64(FILE *out, const unsigned char *p, size_t size)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	fputc('"', out);
	for (size_t i = 0; i < size; i += 3) {
		const size_t left = size - i;
		const uint32_t bits = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
		                      (left > 2 ? p[i + 2] : 0);

		fputc(digits[bits >> 18], out);
		fputc(digits[bits >> 12 & 63], out);
		fputc(left > 1 ? digits[bits >> 6 & 63] : '=', out);
		fputc(left > 2 ? digits[bits & 63] : '=', out);
	}
	fputc('"', out);
}

static void begin_value(struct json *json, const char *key, const char *key_suffix)
{
	if (json->comma)
		fputc(',', json->out);
	json->comma = true;
	if (key)
		fprintf(json->out, "\"%s%s\":", key, key_suffix);
}

void json_open(struct json *json, const char *key, char bracket)
{
	begin_value(json, key, "");
	fputc(bracket, json->out);
	json->comma = false;
}

void json_close(struct json *json, char bracket)
{
	fputc(bracket, json->out);
	json->comma = true;
}

void json_string(struct json *json, const char *key, const char *value)
{
	begin_value(json, key, "");
	put_quoted(json->out, (const unsigned char *)value, strlen(value));
}

void json_signed(struct json *json, const char *key, int64_t value)
{
	begin_value(json, key, "");
	fprintf(json->out, "%" PRId64, value);
}

void json_unsigned(struct json *json, const char *key, uint64_t value)
{
	begin_value(json, key, "");
	fprintf(json->out, "%" PRIu64, value);
}

void json_real(struct json *json, const char *key, double value)
{
	begin_value(json, key, "");
	if (isfinite(value))
		fprintf(json->out, "%.6g", value);
	else
		fputs("null", json->out);
}

void json_bool(struct json *json, const char *key, bool value)
{
	begin_value(json, key, "");
	fputs(value ? "true" : "false", json->out);
}

void json_bytes(struct json *json, const char *key, const void *data, size_t size)
{
	const unsigned char *bytes = data;
	size_t at = 0, n;

	while (at < size && (n = json_sequence(bytes + at, size - at)) > 0)
		at += n;
	if (at == size) {
		begin_value(json, key, "");
		put_quoted(json->out, bytes, size);
	} else {
		begin_value(json, key, "_base64");
		put_base64(json->out, bytes, size);
	}
}
