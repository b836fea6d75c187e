// SPDX-License-Identifier: MIT
//
// json.h - a writer of JSON: each value goes out as it is named, commas and quoting are looked after.
// key is NULL inside an array and at the top.
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *out;
	bool comma; // a value stands before this place
};

void json_open(struct json *json, const char *key, char bracket); // '{' or '['
void json_close(struct json *json, char bracket);                 // '}' or ']'
void json_string(struct json *json, const char *key, const char *value);
void json_signed(struct json *json, const char *key, int64_t value);
void json_unsigned(struct json *json, const char *key, uint64_t value);
void json_real(struct json *json, const char *key, double value);
void json_bool(struct json *json, const char *key, bool value);

// Bytes of any kind: as the string KEY if they are UTF-8, else as KEY_base64.
void json_bytes(struct json *json, const char *key, const void *data, size_t size);

// The length of the UTF-8 sequence at p, or 0 if there is none (overlong, surrogate, cut off).
size_t json_sequence(const unsigned char *p, size_t left);

#endif
