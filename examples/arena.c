// SPDX-License-Identifier: MIT
//
// arena - three workers build lists in shared memory; one is killed with a block in its hands. A block goes into
// the list's `spare` before it is linked, so that it is the list's from the first moment on: whoever goes on with a
// dead worker's list calls ph_arena_check, and looks at what is spare.
#include <posthaste/shm.h>

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BYTES = 1 << 20, NODES = 1000, WORKERS = 3, KILLED = 1 };

struct node {
	uint64_t next; // offsets: every process has the arena elsewhere
	uint64_t value;
};

struct list {
	uint64_t first;
	uint64_t spare;
};

static struct list *find(struct ph_arena *a, const char *name)
{
	return ph_arena_at(a, ph_arena_find(a, name));
}

static void push(struct ph_arena *a, struct list *list, uint64_t value)
{
	if (list->spare == 0 && ph_arena_alloc_to(a, sizeof(struct node), &list->spare) == 0)
		perror("allocate"), _exit(1);
	struct node *node = ph_arena_at(a, list->spare);
	node->value = value;
	node->next = list->first;
	__atomic_store_n(&list->first, list->spare, __ATOMIC_RELEASE);
	__atomic_store_n(&list->spare, 0, __ATOMIC_RELEASE);
}

static void work(struct ph_arena *a, const char *name, int killed)
{
	struct list *list = find(a, name);

	for (uint64_t i = 1; i <= NODES; i++) {
		if (killed && i == NODES / 2) {
			ph_arena_alloc_to(a, sizeof(struct node), &list->spare);
			raise(SIGKILL);
		}
		push(a, list, i);
	}
	_exit(0);
}

// The dead worker's heir: what is spare may have been linked already.
static void inherit(struct ph_arena *a, struct list *list)
{
	ph_arena_check(a, NULL);
	if (list->spare == list->first)
		list->spare = 0;
	for (uint64_t i = NODES / 2; i <= NODES; i++)
		push(a, list, i);
}

static uint64_t sum_and_free(struct ph_arena *a, const char *name)
{
	uint64_t sum = 0, at = find(a, name)->first;

	while (at != 0) {
		const struct node *node = ph_arena_at(a, at);
		uint64_t next = node->next;
		sum += node->value;
		ph_arena_free(a, at);
		at = next;
	}
	ph_arena_free(a, ph_arena_unbind(a, name));
	return sum;
}

int main(void)
{
	static const char *const names[WORKERS] = {"red", "green", "blue"};
	void *memory = ph_shm_map(NULL, BYTES, PH_SHM_CREATE, 0600, 0);
	struct ph_arena *a = NULL;
	struct ph_arena_report report;
	pid_t worker[WORKERS];
	uint64_t sum = 0;

	if (memory == NULL || ph_arena_make(memory, BYTES) != 0 ||
	    (a = ph_arena_attach(memory, BYTES)) == NULL)
		return perror("arena"), 1;
	for (int i = 0; i < WORKERS; i++) {
		uint64_t list = ph_arena_alloc(a, sizeof(struct list));
		*(struct list *)ph_arena_at(a, list) = (struct list){0, 0};
		ph_arena_bind(a, names[i], list);
		if ((worker[i] = fork()) == 0)
			work(a, names[i], i == KILLED);
	}
	for (int i = 0; i < WORKERS; i++)
		waitpid(worker[i], NULL, 0);
	inherit(a, find(a, names[KILLED]));
	for (int i = 0; i < WORKERS; i++)
		sum += sum_and_free(a, names[i]);
	ph_arena_check(a, &report);
	printf("three lists add up to %lu, and %lu blocks are left\n", (unsigned long)sum,
	       (unsigned long)report.used_blocks);
	ph_arena_detach(a);
	return ph_shm_unmap(memory);
}
