// SPDX-License-Identifier: MIT
//
// party SCENE - processes that wait for each other, or seem to, for the tests of what looks on. Prints a line
// "NAME PID" for each of them, when all have done what comes before the sleep; they end with this one. A scene's
// name says what is to be seen: knot_ a deadlock, free_ none.
#include <posthaste/posthaste.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 16, MEMORY = 4096 };

#define NEEDED(call) needed((call) ? 1 : 0, #call)

static void needed(int well, const char *call)
{
	if (well)
		return;
	perror(call);
	_exit(1);
}

// ---- members ----

static int told[2]; // a member is at its last step before the sleep
static int members;

static void ready(void)
{
	NEEDED(write(told[1], "x", 1) == 1);
}

static void member(const char *name, void (*play)(void))
{
	const pid_t pid = fork();

	NEEDED(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		play();
		_exit(1);
	}
	printf("%s %d\n", name, (int)pid);
	members++;
}

// ---- what they do ----

static sem_t *semaphore(const char *name, int flags)
{
	sem_t *const sem = ph_sem_open(name, O_CREAT | flags, 0600, 1);

	NEEDED(sem != SEM_FAILED);
	return sem;
}

static mqd_t queue(const char *name, int depth)
{
	const mqd_t mq = ph_mq_open(name, O_CREAT | O_RDWR, 0600,
	                            &(struct mq_attr){.mq_maxmsg = depth, .mq_msgsize = SIZE});

	NEEDED(mq != (mqd_t)-1);
	return mq;
}

static void take(sem_t *sem)
{
	NEEDED(ph_sem_wait(sem) == 0);
}

static void put(mqd_t mq)
{
	NEEDED(ph_mq_send(mq, "x", 1, 0) == 0);
}

static void get(mqd_t mq)
{
	char message[SIZE];

	NEEDED(ph_mq_receive(mq, message, sizeof message, NULL) >= 0);
}

static void fill(mqd_t mq)
{
	struct mq_attr attr;

	NEEDED(ph_mq_getattr(mq, &attr) == 0);
	for (long n = attr.mq_curmsgs; n < attr.mq_maxmsg; n++)
		put(mq);
}

// A meeting that leaves no trace in any object: all have come this far.
static pthread_barrier_t *meeting;

static void meet_of(unsigned count)
{
	pthread_barrierattr_t attr;

	meeting = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEEDED(meeting != MAP_FAILED);
	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	NEEDED(pthread_barrier_init(meeting, &attr, count) == 0);
}

static void meet(void)
{
	pthread_barrier_wait(meeting);
}

// ---- three: one sends to a full queue and holds /s, one receives from it and waits for /t, one has /t and waits
// for /s ----

static void sender(void)
{
	sem_t *const s = semaphore("/s", PH_SEM_HOLDERS);
	const mqd_t q = queue("/q", 2);

	take(s);
	fill(q);
	meet();
	meet();
	fill(q);
	ready();
	put(q);
}

static void receiver_until(const struct timespec *end)
{
	sem_t *const t = semaphore("/t", PH_SEM_HOLDERS);
	const mqd_t q = queue("/q", 2);

	meet();
	get(q);
	meet();
	ready();
	NEEDED(ph_sem_take(t, 1, CLOCK_REALTIME, end) == 0);
}

static void receiver(void)
{
	receiver_until(NULL);
}

static void patient_receiver(void)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 100;
	receiver_until(&end);
}

static void third(void)
{
	sem_t *const s = semaphore("/s", PH_SEM_HOLDERS);
	sem_t *const t = semaphore("/t", PH_SEM_HOLDERS);

	take(t);
	meet();
	meet();
	ready();
	take(s);
}

static void *sleeper(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void *take_s(void *arg)
{
	take(semaphore("/s", PH_SEM_HOLDERS));
	return arg;
}

// With another thread, of which nobody knows what it will do.
static void third_with_another(void)
{
	pthread_t thread;

	NEEDED(pthread_create(&thread, NULL, sleeper, NULL) == 0);
	third();
}

// Its first thread waits for the one that waits.
static void third_that_joins(void)
{
	sem_t *const t = semaphore("/t", PH_SEM_HOLDERS);
	pthread_t thread;

	take(t);
	meet();
	meet();
	NEEDED(pthread_create(&thread, NULL, take_s, NULL) == 0);
	ready();
	pthread_join(thread, NULL);
}

// Its child waits in its place.
static void third_with_child(void)
{
	sem_t *const t = semaphore("/t", PH_SEM_HOLDERS);

	take(t);
	meet();
	meet();
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		take(semaphore("/s", PH_SEM_HOLDERS));
		_exit(0);
	}
	ready();
	wait(NULL);
}

static void three(void (*second)(void), void (*last)(void))
{
	meet_of(3);
	member("sender", sender);
	member("receiver", second);
	member("third", last);
}

static void knot_three(void)
{
	three(receiver, third);
}

static void knot_join(void)
{
	three(receiver, third_that_joins);
}

static void knot_child(void)
{
	three(receiver, third_with_child);
}

static void free_deadline(void)
{
	three(patient_receiver, third);
}

static void free_thread(void)
{
	three(receiver, third_with_another);
}

// ---- two with two locks ----

static void cross(int flags, const char *first, const char *second)
{
	sem_t *const a = semaphore(first, flags);
	sem_t *const b = semaphore(second, flags);

	take(a);
	meet();
	ready();
	take(b);
}

static void one_way(void)
{
	cross(PH_SEM_HOLDERS, "/a", "/b");
}

static void other_way(void)
{
	cross(PH_SEM_HOLDERS, "/b", "/a");
}

static void one_way_plain(void)
{
	cross(0, "/a", "/b");
}

static void other_way_plain(void)
{
	cross(0, "/b", "/a");
}

static void knot_cross(void)
{
	meet_of(2);
	member("one", one_way);
	member("other", other_way);
}

// Anybody may post.
static void free_plain(void)
{
	meet_of(2);
	member("one", one_way_plain);
	member("other", other_way_plain);
}

static void wait_unnamed(void)
{
	char *const lake = ph_shm_map("/lake", MEMORY, PH_SHM_CREATE, 0600, 0);

	NEEDED(lake != NULL);
	ready();
	take((sem_t *)(lake + 64));
}

static void free_unnamed(void)
{
	char *const lake = ph_shm_map("/lake", MEMORY, PH_SHM_CREATE, 0600, 0);

	NEEDED(lake != NULL && ph_sem_init((sem_t *)(lake + 64), 1, 0) == 0);
	member("one", wait_unnamed);
	member("other", wait_unnamed);
}

// ---- idle ----

// Both have sent to the other before; now both wait for more.
static void converse(const char *mine, const char *theirs)
{
	const mqd_t in = queue(mine, 2);
	const mqd_t out = queue(theirs, 2);

	put(out);
	get(in);
	meet();
	ready();
	get(in);
}

static void here(void)
{
	converse("/here", "/there");
}

static void there(void)
{
	converse("/there", "/here");
}

static void free_idle(void)
{
	meet_of(2);
	member("one", here);
	member("other", there);
}

static void produce(void)
{
	const mqd_t q = queue("/q", 2);

	ready();
	for (;;)
		put(q);
}

// Who receives has not come yet.
static void free_producers(void)
{
	member("one", produce);
	member("other", produce);
}

// ---- pipes: each writes into a full one that only the other reads ----

static int forth[2], back[2];

static void flood(int in, int out, int in_writes, int out_reads)
{
	char bytes[MEMORY];

	close(in_writes);
	close(out_reads);
	memset(bytes, 'x', sizeof bytes);
	ready();
	while (write(out, bytes, sizeof bytes) > 0)
		;
	(void)in;
}

static void flood_forth(void)
{
	flood(back[0], forth[1], back[1], forth[0]);
}

static void flood_back(void)
{
	queue("/q", 2); // without any object nobody would look at them
	flood(forth[0], back[1], forth[1], back[0]);
}

static void knot_pipes(void)
{
	NEEDED(pipe(forth) == 0 && pipe(back) == 0);
	member("one", flood_forth);
	member("other", flood_back);
	close(forth[0]);
	close(forth[1]);
	close(back[0]);
	close(back[1]);
}

// ---- borrowed ----

// Its whole depth is in one process's hands, and that one waits for who wants to send.
static void borrow(void)
{
	const mqd_t q = queue("/q", 1);
	sem_t *const s = semaphore("/s", PH_SEM_HOLDERS);
	struct ph_mq_loan loan;

	put(q);
	NEEDED(ph_mq_borrow(q, &loan) == 0);
	meet();
	meet();
	ready();
	take(s);
}

static void want_room(void)
{
	const mqd_t q = queue("/q", 1);
	sem_t *const s = semaphore("/s", PH_SEM_HOLDERS);

	take(s);
	meet();
	meet();
	ready();
	put(q);
}

static void knot_borrowed(void)
{
	meet_of(2);
	member("borrower", borrow);
	member("sender", want_room);
}

// ---- the table ----

static const struct {
	const char *name;
	void (*play)(void);
} scenes[] = {
	{"knot_three", knot_three},       {"knot_join", knot_join},
	{"knot_child", knot_child},       {"knot_cross", knot_cross},
	{"knot_pipes", knot_pipes},       {"knot_borrowed", knot_borrowed},
	{"free_deadline", free_deadline}, {"free_thread", free_thread},
	{"free_plain", free_plain},       {"free_unnamed", free_unnamed},
	{"free_idle", free_idle},         {"free_producers", free_producers},
};

static void (*scene_named(const char *name))(void)
{
	for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++)
		if (strcmp(scenes[i].name, name) == 0)
			return scenes[i].play;
	return NULL;
}

int main(int argc, char **argv)
{
	void (*const play)(void) = argc == 2 ? scene_named(argv[1]) : NULL;
	char byte;

	if (!play) {
		fprintf(stderr, "usage: party SCENE\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IONBF, 0);
	NEEDED(pipe(told) == 0);
	play();
	close(told[1]);
	for (int i = 0; i < members; i++)
		NEEDED(read(told[0], &byte, 1) == 1);
	puts("ready");
	for (;;)
		pause();
}
