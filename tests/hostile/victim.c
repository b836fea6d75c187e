// SPDX-License-Identifier: MIT
//
// tests/hostile/victim.c - see victim.h. Each call stands in a small function that names the errors
// which its documentation allows; `ended` judges.
#include "victim.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "runner.h"

static int64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static unsigned draw(struct victim *v, unsigned below)
{
	v->random = v->random * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned)(v->random >> 33) % below;
}

struct diary *diaries_new(int n)
{
	void *p = mmap(NULL, (size_t)n * sizeof(struct diary), PROT_READ | PROT_WRITE,
	               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	return p;
}

static void begins(struct victim *v, const char *call)
{
	atomic_store(&v->diary->call, call);
	atomic_store(&v->diary->since_ns, now_ns());
}

// The errors that any call may have (the head of posthaste/mqueue.h), and those listed for this one, up
// to 0. True: it succeeded.
static bool ended(struct victim *v, long result, const int *errors)
{
	const int e = errno;
	atomic_store(&v->diary->since_ns, 0);
	atomic_fetch_add(&v->diary->calls, 1);
	if (result >= 0)
		return true;
	if (e == EBADMSG)
		atomic_fetch_add(&v->diary->refused, 1);
	if (e == EBADMSG || e == EDEADLK)
		return false;
	for (; *errors != 0; errors++)
		if (e == *errors)
			return false;
	test_failed(__FILE__, __LINE__, "%s fails as documented (%s); the attack: %s",
	            atomic_load(&v->diary->call), strerror(e), v->diary->note);
}

#define ERRORS(...) ((const int[]){__VA_ARGS__, 0})

static struct timespec in_us(unsigned us)
{
	const int64_t at = now_ns() + (int64_t)us * 1000;
	return (struct timespec){at / 1000000000, at % 1000000000};
}

static void do_send(struct victim *v, unsigned us)
{
	char buf[VICTIM_SIZE] = {0};
	const struct timespec until = in_us(us);
	begins(v, "send");
	const int r = ph_mq_clocksend(v->q, buf, draw(v, VICTIM_SIZE + 1),
	                              draw(v, 4) * 10000 + draw(v, 3), CLOCK_MONOTONIC, &until);
	ended(v, r, ERRORS(EAGAIN, ETIMEDOUT));
}

static void do_receive(struct victim *v, unsigned us)
{
	char buf[VICTIM_SIZE];
	unsigned prio = 0;
	const struct timespec until = in_us(us);
	begins(v, "receive");
	const long r = ph_mq_clockreceive(v->q, buf, sizeof(buf), &prio, CLOCK_MONOTONIC, &until);
	if (ended(v, r, ERRORS(EAGAIN, ETIMEDOUT)))
		CHECK(r <= VICTIM_SIZE && prio < PH_MQ_PRIO_MAX);
}

static void do_peek(struct victim *v)
{
	char buf[VICTIM_SIZE];
	unsigned prio = 0;
	begins(v, "peek");
	const long r = ph_mq_peek(v->q, buf, sizeof(buf), &prio);
	if (ended(v, r, ERRORS(EAGAIN)))
		CHECK(r <= VICTIM_SIZE && prio < PH_MQ_PRIO_MAX);
}

static void do_reserve(struct victim *v)
{
	if (v->has_reserved)
		return;
	begins(v, "reserve");
	v->has_reserved = ended(v, ph_mq_reserve(v->q, &v->reserved), ERRORS(ENOBUFS));
	if (v->has_reserved)
		memset(v->reserved.data, 1, v->reserved.size);
}

static void do_commit(struct victim *v, unsigned us)
{
	const struct timespec until = in_us(us);
	if (!v->has_reserved)
		return;
	begins(v, "commit");
	const int r = ph_mq_clockcommit(v->q, &v->reserved, VICTIM_SIZE, 7, CLOCK_MONOTONIC, &until);
	ended(v, r, ERRORS(EAGAIN, ETIMEDOUT, ESTALE, EMSGSIZE));
	v->has_reserved = r < 0 && (errno == EAGAIN || errno == ETIMEDOUT);
}

static void do_borrow(struct victim *v, unsigned us)
{
	const struct timespec until = in_us(us);
	volatile unsigned char sum = 0;
	if (v->has_borrowed)
		return;
	begins(v, "borrow");
	const int r = ph_mq_clockborrow(v->q, &v->borrowed, CLOCK_MONOTONIC, &until);
	v->has_borrowed = ended(v, r, ERRORS(EAGAIN, ETIMEDOUT, ENOBUFS));
	if (!v->has_borrowed)
		return;
	CHECK(v->borrowed.size <= VICTIM_SIZE && v->borrowed.prio < PH_MQ_PRIO_MAX);
	for (size_t i = 0; i < v->borrowed.size; i++)
		sum = (unsigned char)(sum + ((const unsigned char *)v->borrowed.data)[i]);
}

static void do_release(struct victim *v)
{
	if (!v->has_borrowed)
		return;
	begins(v, "release");
	ended(v, ph_mq_release(v->q, &v->borrowed), ERRORS(ESTALE));
	v->has_borrowed = false;
}

static void do_cancel(struct victim *v)
{
	if (!v->has_borrowed && !v->has_reserved)
		return;
	begins(v, "cancel");
	ended(v, ph_mq_cancel(v->q, v->has_borrowed ? &v->borrowed : &v->reserved), ERRORS(ESTALE));
	*(v->has_borrowed ? &v->has_borrowed : &v->has_reserved) = false;
}

static void do_getattr(struct victim *v)
{
	struct mq_attr attr;
	begins(v, "getattr");
	if (ended(v, ph_mq_getattr(v->q, &attr), ERRORS(0)))
		CHECK(attr.mq_curmsgs >= 0 && attr.mq_curmsgs <= attr.mq_maxmsg);
}

static void do_info(struct victim *v)
{
	struct ph_mq_info info;
	begins(v, "info");
	if (ended(v, ph_mq_info(v->name, &info), ERRORS(ENOENT)))
		CHECK(memchr(info.name, 0, sizeof(info.name)) != NULL);
}

static void do_notify(struct victim *v)
{
	const struct sigevent ev = {.sigev_notify = SIGEV_NONE};
	begins(v, "notify");
	ended(v, ph_mq_notify(v->q, &ev), ERRORS(EBUSY, ENOMEM));
	begins(v, "notify, to take it back");
	ended(v, ph_mq_notify(v->q, NULL), ERRORS(EBUSY, ENOMEM));
}

static void do_open(struct victim *v)
{
	begins(v, "open");
	const mqd_t q = ph_mq_open(v->name, O_RDWR | O_NONBLOCK);
	if (!ended(v, q, ERRORS(ENOENT, EXDEV, ENOMEM)))
		return;
	begins(v, "close of a second descriptor");
	ended(v, ph_mq_close(q), ERRORS(0));
}

void victim_do_everything(struct victim *v)
{
	do_getattr(v);
	do_release(v); // of what was borrowed before the attack
	do_peek(v);
	do_receive(v, 0);
	do_send(v, 0);
	do_reserve(v);
	do_commit(v, 0);
	do_borrow(v, 0);
	do_cancel(v);
	do_send(v, 0);
	do_reserve(v);
	do_cancel(v);
	do_borrow(v, 0);
	do_release(v);
	do_notify(v);
	do_receive(v, 0);
	do_info(v);
	do_open(v);
}

// Open the queue once more if the one at hand is spoiled for good (truncated), or just to try.
static void renew(struct victim *v)
{
	begins(v, "open again");
	const mqd_t q = ph_mq_open(v->name, O_RDWR);
	if (!ended(v, q, ERRORS(ENOENT, EXDEV, ENOMEM)))
		return;
	begins(v, "close");
	ended(v, ph_mq_close(v->q), ERRORS(0));
	v->q = q;
	v->has_borrowed = v->has_reserved = false;
}

void victim_do_something(struct victim *v)
{
	const unsigned refused = atomic_load(&v->diary->refused);
	const unsigned us = v->hasty ? draw(v, 20) : draw(v, 8) ? draw(v, 300) : 3000;
	switch (draw(v, 16)) {
	case 0: do_peek(v); break;
	case 1: do_reserve(v); break;
	case 2: do_commit(v, us); break;
	case 3: do_borrow(v, us); break;
	case 4: do_release(v); break;
	case 5: do_cancel(v); break;
	case 6: do_getattr(v); break;
	case 7: do_info(v); break;
	case 8: do_notify(v); break;
	case 9: do_open(v); break;
	case 10:
	case 11:
	case 12: do_receive(v, us); break;
	default: do_send(v, us); break;
	}
	if (atomic_load(&v->diary->refused) != refused && draw(v, 4) == 0)
		renew(v);
}

void victim_begin(struct victim *v, const char *name, struct diary *diary)
{
	*v = (struct victim){.name = name, .diary = diary, .random = 1};
	v->q = (mqd_t)CHECK_OK(ph_mq_open(name, O_RDWR));
}

void victim_end(struct victim *v)
{
	begins(v, "the last close");
	ended(v, ph_mq_close(v->q), ERRORS(0));
}

void victim_main(void *arg)
{
	const struct victim_job *job = arg;
	struct victim v;
	victim_begin(&v, job->name, job->diary);
	v.random = job->seed;
	while (!atomic_load(&job->diary->stop))
		victim_do_something(&v);
	victim_end(&v);
}

static void watch_one(const struct diary *d)
{
	const int64_t since = atomic_load(&d->since_ns);
	if (since != 0 && now_ns() - since > (int64_t)STEP_LIMIT_S * 1000000000)
		test_failed(__FILE__, __LINE__, "%s ends within %d s; the attack: %s",
		            atomic_load(&d->call), STEP_LIMIT_S, d->note);
}

// A victim that ended before it was told to has failed or crashed.
static void judge(const struct diary *d, int status)
{
	if (WIFSIGNALED(status))
		test_failed(__FILE__, __LINE__, "%s does not crash (signal %d); the attack: %s",
		            atomic_load(&d->call), WTERMSIG(status), d->note);
	CHECK_EQ(WEXITSTATUS(status), 0);
}

void victims_watch(struct diary *diaries, const pid_t *pids, int n)
{
	for (int i = 0; i < n; i++) {
		int status = 0;
		watch_one(&diaries[i]);
		if (waitpid(pids[i], &status, WNOHANG) == pids[i]) {
			judge(&diaries[i], status);
			test_failed(__FILE__, __LINE__, "victim %d goes on", i);
		}
	}
}

void victims_join(struct diary *diaries, pid_t *pids, int n)
{
	for (int i = 0; i < n; i++)
		atomic_store(&diaries[i].stop, true);
	for (int left = n; left > 0;) {
		for (int i = 0; i < n; i++) {
			int status = 0;
			watch_one(&diaries[i]);
			if (pids[i] == 0 || waitpid(pids[i], &status, WNOHANG) != pids[i])
				continue;
			judge(&diaries[i], status);
			pids[i] = 0;
			left--;
		}
		sched_yield();
	}
}

void remove_fifos(void)
{
	DIR *dir = opendir(getenv("POSTHASTE_DIR"));
	CHECK(dir != NULL);
	for (struct dirent *entry; (entry = readdir(dir));)
		if (strncmp(entry->d_name, ".poll.", 6) == 0)
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
}

void queue_works(const char *name)
{
	struct mq_attr attr = {.mq_maxmsg = VICTIM_DEPTH, .mq_msgsize = VICTIM_SIZE};
	char buf[VICTIM_SIZE];
	unsigned prio;
	const mqd_t q =
		(mqd_t)CHECK_OK(ph_mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600, &attr));
	for (unsigned i = 0; i < VICTIM_DEPTH; i++)
		CHECK_OK(ph_mq_send(q, "abcdef", i, i % 3));
	CHECK_ERR(ph_mq_send(q, "a", 1, 0), EAGAIN);
	for (unsigned i = 0; i < VICTIM_DEPTH; i++) {
		const unsigned expected[] = {2, 5, 1, 4, 0, 3};
		CHECK_EQ(ph_mq_receive(q, buf, sizeof(buf), &prio), expected[i]);
		CHECK_EQ(prio, expected[i] % 3);
	}
	CHECK_ERR(ph_mq_receive(q, buf, sizeof(buf), &prio), EAGAIN);
	CHECK_OK(ph_mq_close(q));
	CHECK_OK(ph_mq_unlink(name));
}
