// SPDX-License-Identifier: MIT
//
// words.c - see words.h.
#include "words.h"

#include <inttypes.h>
#include <string.h>

static const char *const kind_words[WORLD_KINDS] = {
	"queue", "semaphore", "shared memory", "FIFO", "pipe", "signals of", "port",
};

const char *words_object(char out[WORDS_MAX], const struct world_object *object)
{
	snprintf(out, WORDS_MAX, "the %s %s%s", kind_words[object->kind], object->name,
	         object->unlinked ? " (unlinked)" : "");
	return out;
}

static bool is_pipe(const struct world_object *object)
{
	return object->kind == WORLD_PIPE || object->kind == WORLD_FIFO;
}

static const char *units(unsigned count)
{
	return count == 1 ? "unit" : "units";
}

// Where there is no object.
static void of_process(char out[WORDS_MAX], const struct world_wait *wait)
{
	if (wait->want == WANT_CHILD && wait->owner)
		snprintf(out, WORDS_MAX, "waits for its child, pid %d, to end", (int)wait->owner);
	else if (wait->want == WANT_CHILD)
		snprintf(out, WORDS_MAX, "waits for a child to end");
	else
		snprintf(out, WORDS_MAX, "waits for another thread of its own");
}

static void of_object(char out[WORDS_MAX], const struct world_object *object,
                      const struct world_wait *wait)
{
	char what[WORDS_MAX];

	words_object(what, object);
	switch (wait->want) {
	case WANT_CONTENT:
		snprintf(out, WORDS_MAX,
		         is_pipe(object) ? "waits for bytes from %.256s" : "waits for a message in %.256s",
		         what);
		break;
	case WANT_ROOM: snprintf(out, WORDS_MAX, "waits for room in %.256s", what); break;
	case WANT_UNITS:
		snprintf(out, WORDS_MAX, "waits for %u %s of %.256s", wait->units, units(wait->units),
		         what);
		break;
	case WANT_LOCK: snprintf(out, WORDS_MAX, "waits for a lock of %.256s", what); break;
	case WANT_PLACE:
		snprintf(out, WORDS_MAX, "waits for a place in the ring of %.256s", what);
		break;
	case WANT_NEWS: snprintf(out, WORDS_MAX, "listens for messages in %.256s", what); break;
	case WANT_WORD:
		snprintf(out, WORDS_MAX, "waits for %s at byte %" PRIu64 " of %.256s",
		         wait->is_sem ? "a unit of the semaphore" : "a futex", wait->offset, what);
		break;
	case WANT_PARTNER:
		snprintf(out, WORDS_MAX, "waits until somebody opens the other end of %.256s", what);
		break;
	default: snprintf(out, WORDS_MAX, "waits at %.256s", what); break;
	}
}

const char *words_wait(char out[WORDS_MAX], const struct world *world,
                       const struct world_wait *wait)
{
	if (wait->object == WORLD_NONE)
		of_process(out, wait);
	else
		of_object(out, &world->object[wait->object], wait);
	return out;
}

static unsigned units_held(const struct world *world, size_t object, size_t process)
{
	unsigned held = 0;

	for (size_t i = 0; i < world->holds; i++)
		if (world->hold[i].object == object && world->hold[i].process == process &&
		    world->hold[i].what == HOLD_UNITS)
			held += world->hold[i].units;
	return held;
}

static const char *of_queue(pid_t last, pid_t pid, const char *what)
{
	return last == pid ? what : "has it open, too";
}

static void of_end(char out[WORDS_MAX], pid_t pid, const char *what)
{
	snprintf(out, WORDS_MAX, "pid %d %s", (int)pid, what);
}

const char *words_why(char out[WORDS_MAX], const struct world *world, const struct world_wait *wait,
                      size_t process)
{
	const pid_t pid = world->process[process].pid;
	const struct world_object *const o =
		wait->object == WORLD_NONE ? NULL : &world->object[wait->object];
	const bool pipe = o && is_pipe(o);
	const pid_t last_in = o ? o->last_in : 0, last_out = o ? o->last_out : 0;

	out[0] = '\0';
	switch (wait->want) {
	case WANT_UNITS:
		snprintf(out, WORDS_MAX, "pid %d holds %u", (int)pid,
		         units_held(world, wait->object, process));
		break;
	case WANT_ROOM:
		of_end(out, pid, pipe ? "reads it" : of_queue(last_out, pid, "receives from it"));
		break;
	case WANT_CONTENT:
		of_end(out, pid, pipe ? "writes to it" : of_queue(last_in, pid, "sends to it"));
		break;
	case WANT_LOCK:
	case WANT_PLACE: snprintf(out, WORDS_MAX, "pid %d has it", (int)pid); break;
	default: break;
	}
	return out;
}

const char *words_hold(char out[WORDS_MAX], const struct world *world,
                       const struct world_hold *hold)
{
	char what[WORDS_MAX];

	words_object(what, &world->object[hold->object]);
	switch (hold->what) {
	case HOLD_UNITS:
		snprintf(out, WORDS_MAX, "%u %s of %.256s", hold->units, units(hold->units), what);
		break;
	case HOLD_LOCK: snprintf(out, WORDS_MAX, "a lock of %.256s", what); break;
	case HOLD_BORROWED:
		snprintf(out, WORDS_MAX, "%u borrowed %s of %.256s", hold->units,
		         hold->units == 1 ? "message" : "messages", what);
		break;
	case HOLD_RESERVED:
		snprintf(out, WORDS_MAX, "%u reserved %s in %.256s", hold->units,
		         hold->units == 1 ? "place" : "places", what);
		break;
	default: snprintf(out, WORDS_MAX, "a place in the ring of %.256s", what); break;
	}
	return out;
}

const char *words_process(char out[WORDS_MAX], const struct world *world, size_t process)
{
	const struct world_process *const p = &world->process[process];

	snprintf(out, WORDS_MAX, "pid %d (%s)%s", (int)p->pid, p->command,
	         p->state == 'T' || p->state == 't' ? ", stopped" : "");
	return out;
}

const char *words_since(char out[SHOW_MAX], const struct world *world,
                        const struct world_wait *wait)
{
	const int64_t age = world_age_ms(world, wait->since_ns);

	if (age < 0)
		snprintf(out, SHOW_MAX, "?");
	else
		show_age(out, age);
	return out;
}

void words_put(FILE *out, const char *text)
{
	for (; *text; text++)
		fputc((unsigned char)*text < 32 || *text == 127 ? '?' : *text, out);
}
