// SPDX-License-Identifier: MIT
//
// recorded.c - recorded operations in words: what each is called, and its object. See recording.h.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "names.h"
#include "recording.h"
#include "signals.h"

static const struct {
	const char *name;
	enum record_kind kind;
} operations[RECORD_OPS] = {
#define X(op, of) [RECORD_##op] = {#op, RECORD_OF_##of},
	RECORD_OPERATIONS(X)
#undef X
};

const char *recorded_op_name(enum record_op op)
{
	return operations[op].name;
}

enum record_kind recorded_kind(enum record_op op)
{
	return operations[op].kind;
}

const char *recorded_kind_name(enum record_kind kind)
{
	static const char *const names[] = {
		[RECORD_OF_QUEUE] = "mq",  [RECORD_OF_SEM] = "sem",        [RECORD_OF_SHM] = "shm",
		[RECORD_OF_PIPE] = "pipe", [RECORD_OF_SIGNAL] = "signals", [RECORD_OF_PORT] = "port",
	};

	return names[kind];
}

static const char *name_of(const struct recording *r, enum record_kind kind, uint64_t key)
{
	for (int i = 0; i < RECORD_NAMES; i++)
		if (r->names[i].serial != 0 && r->names[i].kind == (uint32_t)kind && r->names[i].key == key)
			return r->names[i].text;
	return NULL;
}

static const char *signal_of(char out[RECORDED_TEXT_MAX], enum record_op op, uint64_t key)
{
	const bool sent = op == RECORD_kill || op == RECORD_sigqueue;
	const int pid = (int32_t)(uint32_t)key;
	char name[16];

	if (key == 0)
		return strcpy(out, "-");
	signals_name((int)(key >> 32), name);
	if (pid == 0 && !sent)
		snprintf(out, RECORDED_TEXT_MAX, "%s", name);
	else
		snprintf(out, RECORDED_TEXT_MAX, "%s %s %d", name, sent ? "to" : "from", pid);
	return out;
}

const char *recorded_object(char out[RECORDED_TEXT_MAX], const struct recordings *all,
                            const struct recorded *e)
{
	const enum record_kind kind = recorded_kind(e->op);
	const char *const name = name_of(&all->one[e->recording], kind, e->key);

	if (kind == RECORD_OF_SIGNAL)
		return signal_of(out, e->op, e->key);
	if (name)
		snprintf(out, RECORDED_TEXT_MAX, "%s%s", kind == RECORD_OF_PIPE || *name == '/' ? "" : "/",
		         name);
	else if (e->key == 0)
		strcpy(out, "-");
	else if (kind == RECORD_OF_PIPE)
		snprintf(out, RECORDED_TEXT_MAX, "pipe:[%" PRIu64 "]", e->key);
	else if (kind == RECORD_OF_SEM)
		snprintf(out, RECORDED_TEXT_MAX, "sem at %#" PRIx64, e->key);
	else
		snprintf(out, RECORDED_TEXT_MAX, "%s #%" PRIu64, recorded_kind_name(kind), e->key);
	return out;
}
