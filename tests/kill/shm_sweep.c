// SPDX-License-Identifier: MIT
//
// tests/kill/shm_sweep.c - the kill sweep of shared memory: objects made, mapped, grown, zeroed, reclaimed, unlinked by
// one who dies at any instruction of it. A name leads to a whole object or to nothing, the next one to come is
// served, who has the object mapped goes on, and what nobody has and was to be reclaimed goes.
#include "sweep.h"

#include <posthaste/posthaste.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "/object"

enum { PAGE = 4096, SIZE = 3 * PAGE, LARGER = 7 * PAGE, REACH = 16 * PAGE };

static uint8_t *mine;    // the survivor's
static uint8_t *victims; // made by enter
static int received = -1;

// ---- the survivor's tools ----

static unsigned count_names(void)
{
	DIR *dir = opendir(kill_scratch());
	unsigned count = 0;

	KILL_CHECK(dir != NULL, "the namespace is gone");
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(dir);
	return count;
}

static uint8_t *map(const char *name, size_t size, int flags)
{
	uint8_t *p = ph_shm_map(name, size, flags, 0600, REACH);

	KILL_CHECK(p != NULL, "map fails: %s", strerror(errno));
	return p;
}

static void fill(uint8_t *p, size_t from, size_t to, unsigned seed)
{
	for (size_t i = from; i < to; i += 97)
		p[i] = (uint8_t)(i / 97 + seed);
}

static void check(const uint8_t *p, size_t from, size_t to, unsigned seed)
{
	for (size_t i = from; i < to; i += 97)
		KILL_CHECK(p[i] == (uint8_t)(i / 97 + seed), "byte %zu is not of pattern %u", i, seed);
}

static bool is_zero(const uint8_t *p, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (p[i] != 0)
			return false;
	return true;
}

static bool is_there(const char *name, struct ph_shm_info *info)
{
	const int r = ph_shm_look(name, info);

	KILL_CHECK(r == 0 || errno == ENOENT, "look fails: %s", strerror(errno));
	return r == 0;
}

static void drop(uint8_t *p)
{
	KILL_CHECK(ph_shm_unmap(p) == 0, "unmap fails: %s", strerror(errno));
	KILL_CHECK(ph_shm_unlink(NAME) == 0, "unlink fails: %s", strerror(errno));
}

static void expect_names(unsigned count)
{
	KILL_CHECK(count_names() == count, "%u names instead of %u", count_names(), count);
}

// The next one to come is served, and leaves nothing.
static void serve(void)
{
	uint8_t *p = map(NAME, SIZE, PH_SHM_CREATE);

	KILL_CHECK(ph_shm_size(p) >= SIZE, "it has %zu bytes", ph_shm_size(p));
	fill(p, 0, SIZE, 9);
	KILL_CHECK(ph_shm_grow(p, LARGER) == 0, "grow fails: %s", strerror(errno));
	check(p, 0, SIZE, 9);
	drop(p);
	expect_names(0);
}

// ---- before ----

static void nothing(void)
{
	mine = NULL;
}

static void an_object(void)
{
	uint8_t *p = map(NAME, SIZE, PH_SHM_CREATE);

	fill(p, 0, SIZE, 1);
	KILL_CHECK(ph_shm_unmap(p) == 0, "unmap fails: %s", strerror(errno));
}

static void an_object_in_use(void)
{
	mine = map(NAME, SIZE, PH_SHM_CREATE);
	fill(mine, 0, SIZE, 1);
}

static void a_reclaimed_one_in_use(void)
{
	mine = map(NAME, SIZE, PH_SHM_CREATE | PH_SHM_RECLAIM);
	fill(mine, 0, SIZE, 1);
}

static void make_and_end(void)
{
	fill(map(NAME, SIZE, PH_SHM_CREATE | PH_SHM_RECLAIM), 0, SIZE, 2);
}

// One that somebody left who is gone.
static void a_leftover(void)
{
	struct ph_shm_info info;

	kill_join(kill_party(make_and_end), "who leaves an object");
	do
		KILL_CHECK(is_there(NAME, &info), "it is gone");
	while (info.mapped && sched_yield() == 0);
}

static void one_without_a_name(void)
{
	mine = ph_shm_map(NULL, SIZE, 0, 0, REACH);
	KILL_CHECK(mine != NULL, "map fails: %s", strerror(errno));
	fill(mine, 0, SIZE, 1);
	received = ph_shm_fd(mine);
}

// ---- what the victim does ----

static void create_it(void)
{
	ph_shm_map(NAME, SIZE, PH_SHM_CREATE | PH_SHM_EXCL, 0600, REACH);
}

static void create_huge(void)
{
	ph_shm_map(NAME, SIZE, PH_SHM_CREATE | PH_SHM_HUGE, 0600, REACH);
}

static void create_view(void)
{
	ph_shm_map(NAME, SIZE, PH_SHM_CREATE | PH_SHM_RDONLY, 0600, REACH);
}

static void create_reclaimed(void)
{
	ph_shm_map(NAME, SIZE, PH_SHM_CREATE | PH_SHM_RECLAIM, 0600, REACH);
}

static void create_and_unmap(void)
{
	void *p = ph_shm_map(NAME, SIZE, PH_SHM_CREATE | PH_SHM_RECLAIM, 0600, REACH);

	ph_shm_unmap(p);
}

static void open_it(void)
{
	victims = ph_shm_map(NAME, 0, 0, 0, REACH);
}

static void open_larger(void)
{
	ph_shm_map(NAME, LARGER, PH_SHM_CREATE, 0600, REACH);
}

static void zero_it(void)
{
	ph_shm_map(NAME, 0, PH_SHM_TRUNC, 0, 0);
}

static void unmap_it(void)
{
	ph_shm_unmap(victims);
}

static void grow_it(void)
{
	ph_shm_grow(victims, LARGER);
}

static void unlink_it(void)
{
	ph_shm_unlink(NAME);
}

static void posix_create(void)
{
	ph_shm_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600);
}

static void posix_open(void)
{
	ph_shm_open(NAME, O_RDWR | O_CREAT, 0600);
}

static void map_received(void)
{
	ph_shm_map_fd(received, 0, 0, REACH);
}

static void seal_it(void)
{
	ph_shm_seal(mine, PH_SHM_SEAL_SHRINK | PH_SHM_SEAL_GROW);
}

static void sweep_it(void)
{
	ph_shm_sweep();
}

// ---- after ----

static int whole_or_nothing(void)
{
	struct ph_shm_info info;
	const bool there = is_there(NAME, &info);

	expect_names(there);
	if (there) {
		uint8_t *p = map(NAME, 0, 0);
		KILL_CHECK(info.bytes == SIZE && info.allocated >= SIZE, "it is half made");
		KILL_CHECK(is_zero(p, 0, SIZE), "it is not zero");
		KILL_CHECK(ph_shm_unmap(p) == 0, "unmap fails: %s", strerror(errno));
	}
	serve();
	return there;
}

// A victim lets go of its memory before it can be waited for.
static int reclaimed(void)
{
	struct ph_shm_info info;

	if (is_there(NAME, &info))
		KILL_CHECK(info.reclaim && !info.mapped && info.bytes == SIZE, "it is not to be reclaimed");
	ph_shm_sweep();
	expect_names(0);
	serve();
	return 0;
}

static int replaced(void)
{
	uint8_t *p = map(NAME, SIZE, PH_SHM_CREATE | PH_SHM_RECLAIM);

	KILL_CHECK(is_zero(p, 0, SIZE), "it has bytes of the dead");
	KILL_CHECK(ph_shm_unmap(p) == 0, "unmap fails: %s", strerror(errno));
	expect_names(0);
	serve();
	return 0;
}

static int still_there(void)
{
	uint8_t *p = map(NAME, 0, 0);

	KILL_CHECK(ph_shm_size(p) == SIZE, "it has %zu bytes", ph_shm_size(p));
	check(p, 0, SIZE, 1);
	drop(p);
	serve();
	return 0;
}

// Who has it mapped goes on, and sees what another sees; the name is there.
static void go_on(size_t from)
{
	uint8_t *p = map(NAME, 0, 0);

	fill(mine, from, SIZE, 3);
	check(p, from, SIZE, 3);
	KILL_CHECK(ph_shm_unmap(p) == 0, "unmap fails: %s", strerror(errno));
}

static int user_goes_on(void)
{
	const size_t size = ph_shm_size(mine);

	KILL_CHECK(size == SIZE || size == LARGER, "it has %zu bytes", size);
	check(mine, 0, SIZE, 1);
	KILL_CHECK(is_zero(mine, SIZE, size), "new bytes are not zero");
	go_on(0);
	drop(mine);
	serve();
	return size == LARGER;
}

static int user_of_reclaimed_goes_on(void)
{
	KILL_CHECK(ph_shm_sweep() == 0, "it is swept under its user");
	check(mine, 0, SIZE, 1);
	go_on(0);
	KILL_CHECK(ph_shm_unmap(mine) == 0, "unmap fails: %s", strerror(errno));
	expect_names(0);
	serve();
	return 0;
}

// The zeros are written one after the other.
static int zeroed(void)
{
	const bool all = is_zero(mine, 0, SIZE);

	KILL_CHECK(ph_shm_size(mine) == SIZE, "it was cut");
	go_on(0);
	drop(mine);
	serve();
	return all;
}

static int unlinked(void)
{
	struct ph_shm_info info;
	const bool there = is_there(NAME, &info);

	check(mine, 0, SIZE, 1);
	KILL_CHECK(ph_shm_unmap(mine) == 0, "unmap fails: %s", strerror(errno));
	ph_shm_unlink(NAME);
	serve();
	return !there;
}

static int made_by_posix(void)
{
	struct ph_shm_info info;
	const bool there = is_there(NAME, &info);

	KILL_CHECK(!there || info.bytes == 0, "it has bytes");
	serve();
	return there;
}

// The dead one's object, or a new one without bytes, or none.
static int made_or_left(void)
{
	struct ph_shm_info info;

	if (is_there(NAME, &info))
		KILL_CHECK(info.reclaim ? info.bytes == SIZE : info.bytes == 0, "it is neither");
	serve();
	return 0;
}

static int without_a_name(void)
{
	struct ph_shm_info info;

	check(mine, 0, SIZE, 1);
	KILL_CHECK(ph_shm_info(mine, &info) == 0, "info fails: %s", strerror(errno));
	KILL_CHECK((ph_shm_grow(mine, LARGER) == 0) == ((info.seals & PH_SHM_SEAL_GROW) == 0),
	           "it grows although it is sealed, or the other way round");
	KILL_CHECK(ph_shm_unmap(mine) == 0, "unmap fails: %s", strerror(errno));
	expect_names(0);
	return info.seals != 0;
}

static const struct kill_scenario scenarios[] = {
	{.name = "create",
     .prepare = nothing,
     .operation = create_it,
     .after = whole_or_nothing,
     .last = 1},
	{.name = "create_huge",
     .prepare = nothing,
     .operation = create_huge,
     .after = whole_or_nothing,
     .last = 1},
	{.name = "create_view",
     .prepare = nothing,
     .operation = create_view,
     .after = whole_or_nothing,
     .last = 1},
	{.name = "create_reclaimed",
     .prepare = nothing,
     .operation = create_reclaimed,
     .after = reclaimed},
	{.name = "create_and_unmap_reclaimed",
     .prepare = nothing,
     .operation = create_and_unmap,
     .after = reclaimed},
	{.name = "open", .prepare = an_object, .operation = open_it, .after = still_there},
	{.name = "open_beside_user",
     .prepare = an_object_in_use,
     .operation = open_it,
     .after = user_goes_on},
	{.name = "open_larger_beside_user",
     .prepare = an_object_in_use,
     .operation = open_larger,
     .after = user_goes_on,
     .last = 1},
	{.name = "grow_beside_user",
     .prepare = an_object_in_use,
     .enter = open_it,
     .operation = grow_it,
     .after = user_goes_on,
     .last = 1},
	{.name = "unmap_beside_user",
     .prepare = an_object_in_use,
     .enter = open_it,
     .operation = unmap_it,
     .after = user_goes_on},
	{.name = "open_reclaimed_beside_user",
     .prepare = a_reclaimed_one_in_use,
     .operation = open_it,
     .after = user_of_reclaimed_goes_on},
	{.name = "unmap_reclaimed_beside_user",
     .prepare = a_reclaimed_one_in_use,
     .enter = open_it,
     .operation = unmap_it,
     .after = user_of_reclaimed_goes_on},
	{.name = "sweep_beside_user",
     .prepare = a_reclaimed_one_in_use,
     .operation = sweep_it,
     .after = user_of_reclaimed_goes_on},
	{.name = "unmap_last_reclaimed",
     .prepare = a_leftover,
     .enter = open_it,
     .operation = unmap_it,
     .after = reclaimed},
	{.name = "sweep_leftover", .prepare = a_leftover, .operation = sweep_it, .after = reclaimed},
	{.name = "create_over_leftover",
     .prepare = a_leftover,
     .operation = create_reclaimed,
     .after = replaced},
	{.name = "posix_create_over_leftover",
     .prepare = a_leftover,
     .operation = posix_open,
     .after = made_or_left},
	{.name = "truncate_beside_user",
     .prepare = an_object_in_use,
     .operation = zero_it,
     .after = zeroed,
     .last = 1},
	{.name = "unlink_beside_user",
     .prepare = an_object_in_use,
     .operation = unlink_it,
     .after = unlinked,
     .last = 1},
	{.name = "unlink_reclaimed_beside_user",
     .prepare = a_reclaimed_one_in_use,
     .operation = unlink_it,
     .after = unlinked,
     .last = 1},
	{.name = "posix_create",
     .prepare = nothing,
     .operation = posix_create,
     .after = made_by_posix,
     .last = 1},
	{.name = "map_received",
     .prepare = one_without_a_name,
     .operation = map_received,
     .after = without_a_name},
	{.name = "seal",
     .prepare = one_without_a_name,
     .operation = seal_it,
     .after = without_a_name,
     .last = 1},
};

int main(int argc, char **argv)
{
	return kill_main(argc, argv, scenarios, sizeof(scenarios) / sizeof(scenarios[0]));
}
