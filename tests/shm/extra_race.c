// SPDX-License-Identifier: MIT
//
// tests/shm/extra_race.c - many processes make, open, unlink and reclaim the same few names at once. Nobody sees an
// object that is half made, nobody keeps one whose name was taken away under him, and nothing stays.
#include <posthaste/posthaste.h>

#include "object.h"

enum { PROCESSES = 6, ROUNDS = 1500, NAMES = 2, BYTES = 3 * PAGE };

static const char *name_of(int which)
{
	return test_name_of(which == 0 ? "a" : "b");
}

// What every user leaves in an object: where it is not zero it is this.
static void check_and_mark(uint8_t *p, unsigned who)
{
	uint64_t *words = (uint64_t *)p;
	CHECK_EQ(ph_shm_size(p) % PAGE, 0);
	CHECK(ph_shm_size(p) >= BYTES);
	for (size_t i = 0; i < BYTES / 8; i += 61) {
		uint64_t w = __atomic_load_n(&words[i], __ATOMIC_RELAXED);
		CHECK(w == 0 || w >> 8 == i);
		__atomic_store_n(&words[i], (uint64_t)i << 8 | who, __ATOMIC_RELAXED);
	}
}

static bool is_named(const void *p, const char *name)
{
	struct stat mine, named;
	CHECK_OK(fstat(ph_shm_fd(p), &mine));
	return stat(path_of(name), &named) == 0 && mine.st_ino == named.st_ino;
}

struct worker {
	unsigned who;
	bool may_unlink;
	bool may_die;
};

static void one_round(const struct worker *w, unsigned dice)
{
	const char *name = name_of(dice & 1);
	const int flags[] = {PH_SHM_CREATE | PH_SHM_RECLAIM, PH_SHM_CREATE | PH_SHM_RECLAIM,
	                     PH_SHM_CREATE | PH_SHM_RECLAIM | PH_SHM_EXCL, 0};
	const int f = flags[dice >> 1 & 3];
	uint8_t *p = ph_shm_map(name, BYTES, f, 0600, 2 * BYTES);
	if (p == NULL) {
		CHECK((errno == EEXIST && (f & PH_SHM_EXCL)) || (errno == ENOENT && f == 0));
		return;
	}
	check_and_mark(p, w->who);
	if (!w->may_unlink)
		CHECK(is_named(p, name)); // while somebody uses it, nobody reclaims it
	else if ((dice >> 3 & 7) == 0)
		CHECK(ph_shm_unlink(name) == 0 || errno == ENOENT);
	if ((dice >> 6 & 7) == 0)
		CHECK_OK(ph_shm_grow(p, 2 * BYTES));
	if ((dice >> 9 & 7) == 0)
		ph_shm_sweep();
	if (w->may_die && (dice >> 12 & 63) == 0)
		kill(getpid(), SIGKILL);
	CHECK_OK(ph_shm_unmap(p));
}

static void work(void *arg)
{
	const struct worker *w = arg;
	unsigned dice = w->who * 2654435761u + (unsigned)getpid();
	for (int i = 0; i < ROUNDS; i++) {
		dice = dice * 1103515245 + 12345;
		one_round(w, dice >> 8);
	}
}

static bool nothing_stays(void *arg)
{
	(void)arg;
	ph_shm_sweep();
	return count_names() == 0;
}

static void run(bool may_unlink, bool may_die)
{
	struct worker workers[PROCESSES];
	pid_t pids[PROCESSES];
	for (unsigned i = 0; i < PROCESSES; i++) {
		workers[i] = (struct worker){i + 1, may_unlink, may_die};
		pids[i] = test_fork(work, &workers[i]);
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;
		CHECK_EQ(waitpid(pids[i], &status, 0), pids[i]);
		CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
		      (may_die && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
	}
	test_wait_until(nothing_stays, NULL);
}

TEST(users_come_and_go_and_nobody_loses_his_name)
{
	run(false, false);
}

TEST(users_come_go_and_die_and_nobody_loses_his_name)
{
	run(false, true);
}

TEST(users_come_and_go_beside_those_who_unlink)
{
	run(true, false);
}

TEST(users_come_go_and_die_beside_those_who_unlink)
{
	run(true, true);
}

static void open_and_create(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		int fd = ph_shm_open(name_of(0), O_RDWR | O_CREAT, 0600);
		CHECK_OK(fd);
		CHECK(ph_shm_unlink(name_of(0)) == 0 || errno == ENOENT);
		close(fd);
	}
	(void)arg;
}

TEST(shm_open_never_fails_beside_unlink)
{
	pid_t pids[3];
	for (int i = 0; i < 3; i++)
		pids[i] = test_fork(open_and_create, NULL);
	for (int i = 0; i < 3; i++)
		test_join(pids[i]);
	ph_shm_unlink(name_of(0));
}

// Exactly one of those who create exclusively does.
static void create_exclusively(void *arg)
{
	uint32_t *made = arg;
	for (uint32_t i = 0; i < 300; i++) {
		char suffix[16];
		snprintf(suffix, sizeof(suffix), "%u", i);
		void *p = ph_shm_map(test_name_of(suffix), PAGE, PH_SHM_CREATE | PH_SHM_EXCL, 0600, 0);
		CHECK(p != NULL || errno == EEXIST);
		if (p == NULL)
			continue;
		__atomic_fetch_add(&made[i], 1, __ATOMIC_RELAXED);
		CHECK_OK(ph_shm_unmap(p));
	}
}

TEST(an_exclusive_create_has_one_winner)
{
	uint32_t *made = ph_shm_map(NULL, PAGE, 0, 0, 0);
	pid_t pids[4];
	CHECK(made != NULL);
	for (int i = 0; i < 4; i++)
		pids[i] = test_fork(create_exclusively, made);
	for (int i = 0; i < 4; i++)
		test_join(pids[i]);
	for (uint32_t i = 0; i < 300; i++) {
		char suffix[16];
		snprintf(suffix, sizeof(suffix), "%u", i);
		CHECK_EQ(made[i], 1);
		CHECK_OK(ph_shm_unlink(test_name_of(suffix)));
	}
	CHECK_OK(ph_shm_unmap(made));
}
