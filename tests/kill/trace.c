// SPDX-License-Identifier: MIT
//
// tests/kill/trace.c - stepping, running and killing a victim. See trace.h.
//
// What makes this subtle is sleep: a step over a system call ends only when the call does. So a tracer
// that waits for a stop also looks whether the victim is asleep, and then calls the scenario's wake
// hook. Tracer and victim share one CPU: while one runs the other does not, and yielding is enough to
// let the victim come to its stop.
#include "trace.h"

#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STUCK_MS = 4000, AGAIN_MS = 300, NEAR = 48, LOOK_AFTER = 3 };

// The marks are instructions of their own, so that a step is told from a mark by its address alone.
// The label stands on the trap: a step that arrives there has finished the operation.
__asm__(".text\n"
        ".globl kill_mark_begin\n"
        ".type kill_mark_begin, @function\n"
        "kill_mark_begin:\n\tint3\n\tret\n"
        ".size kill_mark_begin, . - kill_mark_begin\n"
        ".globl kill_mark_end\n"
        ".type kill_mark_end, @function\n"
        "kill_mark_end:\n\tint3\n\tret\n"
        ".size kill_mark_end, . - kill_mark_end\n");

void victim_offer(void)
{
	if (ptrace(PTRACE_TRACEME, 0, 0, 0) == -1)
		_exit(3);
}

static void die(const char *what)
{
	fprintf(stderr, "kill sweep: %s: %s\n", what, strerror(errno));
	_exit(3);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool stat_says_asleep(int stat_fd)
{
	char text[256];
	const ssize_t len = pread(stat_fd, text, sizeof(text) - 1, 0);

	if (len <= 0)
		return false;
	text[len] = 0;
	const char *paren = strrchr(text, ')');
	return paren && paren[1] == ' ' && paren[2] == 'S';
}

static void read_place(struct victim *v)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, v->pid, 0, &regs) == -1)
		die("PTRACE_GETREGS");
	v->pc = regs.rip;
	v->sp = regs.rsp;
	v->depth = (uint32_t)(v->base - regs.rsp);
}

// A breakpoint: the trap instruction in place of the byte that stood there. The victim's page is its own
// from then on, since text is mapped privately.
struct breakpoint {
	uint64_t pc;
	long word; // what stood there
};

static bool poke_text(const struct victim *v, uint64_t pc, long word)
{
	return ptrace(PTRACE_POKETEXT, v->pid, pc, word) == 0;
}

static bool set_breakpoint(const struct victim *v, struct breakpoint *b, uint64_t pc)
{
	errno = 0;
	*b = (struct breakpoint){pc, ptrace(PTRACE_PEEKTEXT, v->pid, pc, 0)};
	return errno == 0 && poke_text(v, pc, (b->word & ~0xffL) | 0xcc);
}

// After a move: one that has ended, or sleeps, is out of reach.
static void clear_breakpoint(struct victim *v, const struct breakpoint *b, enum moved moved)
{
	if (moved == MOVED_GONE || moved == MOVED_STUCK)
		return;
	if (!poke_text(v, b->pc, b->word))
		die("taking a breakpoint out");
	if (v->pc != b->pc + 1)
		return;
	v->pc = b->pc;
	if (ptrace(PTRACE_POKEUSER, v->pid, offsetof(struct user, regs.rip), v->pc) == -1)
		die("PTRACE_POKEUSER");
}

// A thread or child that nobody traces would die of the trap.
static bool is_alone(const struct victim *v)
{
	enum { LINKS_OF_ONE = 3 };
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)v->pid);
	return stat(path, &st) == 0 && st.st_nlink == LINKS_OF_ONE;
}

// The victim is asleep. Call its wake hook, and again after a while: the first wake-up may have gone
// to somebody else. False if that has gone on for too long.
static bool end_its_sleep(struct victim *v, int64_t *since, int64_t *next)
{
	const int64_t now = now_ms();

	if (v->left_asleep)
		return false;
	if (*since == 0)
		*since = *next = now;
	if (now >= *next && v->wake)
		v->wake(v->sleeps++);
	if (now >= *next)
		*next = now_ms() + AGAIN_MS;
	return now - *since < STUCK_MS;
}

// Wait for the next stop; wakes the victim if it sleeps.
static enum moved await_stop(struct victim *v)
{
	int64_t since = 0;
	int64_t next = 0;
	int tries = 0;

	for (;;) {
		const pid_t got = waitpid(v->pid, &v->status, __WALL | WNOHANG);
		if (got == v->pid)
			break;
		if (got == -1 && errno != EINTR)
			die("waitpid");
		sched_yield();
		if (++tries < LOOK_AFTER)
			continue;
		if (!stat_says_asleep(v->stat_fd))
			since = 0;
		else if (!end_its_sleep(v, &since, &next))
			return MOVED_STUCK;
	}
	if (!WIFSTOPPED(v->status)) {
		v->gone = true;
		return MOVED_GONE;
	}
	read_place(v);
	return v->pc == (uint64_t)kill_mark_end || v->pc == (uint64_t)kill_mark_end + 1 ? MOVED_END
	                                                                                : MOVED_THERE;
}

// Resume until a trap; other signals are the victim's own and are passed on.
static enum moved resume(struct victim *v, int request)
{
	int sig = 0;

	for (;;) {
		if (ptrace(request, v->pid, 0, sig) == -1)
			die("resuming the victim");
		const enum moved moved = await_stop(v);
		if (moved == MOVED_GONE || moved == MOVED_STUCK || WSTOPSIG(v->status) == SIGTRAP)
			return moved;
		sig = WSTOPSIG(v->status);
	}
}

void victim_adopt(struct victim *v, pid_t pid, void (*wake)(unsigned nth))
{
	char path[64];

	*v = (struct victim){.pid = pid};
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	v->stat_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (v->stat_fd == -1)
		die(path);
	if (await_stop(v) != MOVED_THERE || v->pc != (uint64_t)kill_mark_begin + 1) {
		fprintf(stderr, "kill sweep: the victim did not reach its begin mark (status %#x)\n",
		        v->status);
		_exit(3);
	}
	if (ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL) == -1)
		die("PTRACE_SETOPTIONS");
	v->base = v->sp;
	v->depth = 0;
	v->wake = wake;
}

// To the first visit from here on.
static enum moved run_to(struct victim *v, uint64_t pc)
{
	struct breakpoint b;

	if (!set_breakpoint(v, &b, pc))
		die("setting a breakpoint");
	const enum moved moved = resume(v, PTRACE_CONT);
	const bool astray = moved == MOVED_THERE && v->pc != pc + 1;
	clear_breakpoint(v, &b, moved);
	return astray ? MOVED_DIVERGED : moved;
}

// The kernel's page of code that reads the clock.
static bool in_vdso(uint64_t pc)
{
	static uint64_t start;
	static uint64_t end;

	if (end == 0) {
		start = getauxval(AT_SYSINFO_EHDR);
		const ElfW(Ehdr) *header = (const void *)start;
		const ElfW(Phdr) *segment = (const void *)(start + (header ? header->e_phoff : 0));
		end = header ? start + segment->p_memsz : 1;
	}
	return pc >= start && pc < end;
}

// It reads anew when the clock has ticked meanwhile, so a stepped reader might read for ever.
static enum moved leave_vdso(struct victim *v)
{
	return run_to(v, (uint64_t)ptrace(PTRACE_PEEKDATA, v->pid, v->sp, 0));
}

enum moved victim_step(struct victim *v)
{
	const bool inside = in_vdso(v->pc);

	if (inside && !v->in_vdso && is_alone(v))
		return leave_vdso(v);
	v->in_vdso = inside;
	return resume(v, PTRACE_SINGLESTEP);
}

enum moved victim_walk(struct victim *v, uint32_t steps)
{
	enum moved moved = MOVED_THERE;

	while (steps-- > 0 && moved == MOVED_THERE)
		moved = victim_step(v);
	return moved;
}

// Let it run into the system call before which it stands, and leave it there asleep.
enum moved victim_run_until_asleep(struct victim *v)
{
	const int64_t since = now_ms();

	if (ptrace(PTRACE_CONT, v->pid, 0, 0) == -1)
		die("resuming the victim");
	while (!stat_says_asleep(v->stat_fd)) {
		if (waitpid(v->pid, &v->status, __WALL | WNOHANG) == v->pid) {
			v->gone = !WIFSTOPPED(v->status);
			return v->gone ? MOVED_GONE : MOVED_DIVERGED;
		}
		if (now_ms() - since > STUCK_MS)
			return MOVED_DIVERGED;
		sched_yield();
	}
	return MOVED_THERE;
}

void victim_kill(struct victim *v)
{
	if (!v->gone) {
		kill(v->pid, SIGKILL);
		do {
			if (waitpid(v->pid, &v->status, __WALL) == -1 && errno != EINTR)
				die("waiting for the killed victim");
		} while (WIFSTOPPED(v->status));
	}
	close(v->stat_fd);
}

static bool is_rep_string(const uint8_t *p)
{
	if (*p != 0xf3 && *p != 0xf2)
		return false;
	p++;
	if ((*p & 0xf0) == 0x40)
		p++;
	return (*p >= 0xa4 && *p <= 0xa7) || (*p >= 0xaa && *p <= 0xaf);
}

void victim_release(struct victim *v)
{
	if (ptrace(PTRACE_DETACH, v->pid, 0, 0) == -1)
		die("PTRACE_DETACH");
	close(v->stat_fd);
}

// What kind of instruction stands at pc. Prefixes are looked through; a rare misreading costs a
// boundary of the short sweep more or less, never a wrong verdict.
static uint16_t classify(uint64_t pc)
{
	const uint8_t *p = (const uint8_t *)pc;

	if (is_rep_string(p))
		return STEP_REP;
	if (p[0] == 0x0f && (p[1] == 0x05 || p[1] == 0x34))
		return STEP_SYSCALL;
	while (*p == 0x66 || *p == 0x2e || *p == 0x3e || *p == 0x64 || *p == 0x65)
		p++;
	if (*p == 0xf0)
		return STEP_ATOMIC;
	if ((*p & 0xf0) == 0x40)
		p++;
	return (*p == 0x86 || *p == 0x87) && (p[1] & 0xc0) != 0xc0 ? STEP_ATOMIC : 0;
}

// A system call that makes a thread or a process, or another program of this one.
static bool is_about_to_spawn(const struct victim *v)
{
	const long call = ptrace(PTRACE_PEEKUSER, v->pid, offsetof(struct user, regs.rax), 0);

	return call == SYS_clone || call == SYS_fork || call == SYS_vfork || call == SYS_clone3 ||
	       call == SYS_execve || call == SYS_execveat;
}

static uint64_t after_rep(uint64_t pc)
{
	return pc + ((((const uint8_t *)pc)[1] & 0xf0) == 0x40 ? 3 : 2);
}

static enum moved step_over(struct victim *v)
{
	const uint64_t pc = v->pc;
	enum moved moved = MOVED_THERE;

	while (moved == MOVED_THERE && v->pc == pc)
		moved = victim_step(v);
	return moved;
}

// Finish a long repeated instruction without stopping at each iteration.
static enum moved skip_turns(struct victim *v)
{
	struct breakpoint b;

	if (!is_alone(v) || !set_breakpoint(v, &b, after_rep(v->pc)))
		return step_over(v);
	const enum moved moved = resume(v, PTRACE_CONT);
	clear_breakpoint(v, &b, moved);
	return moved;
}

// Note the instruction before which the victim stands.
static struct step *note_step(struct trace *t, const struct victim *v, bool same)
{
	struct step *s = &t->steps[t->count];
	const bool again = t->count > 0 && s[-1].pc == v->pc && s[-1].flags & STEP_REP;

	*s = (struct step){.pc = v->pc, .depth = v->depth, .flags = classify(v->pc)};
	s->turn = again ? s[-1].turn + 1 : 0;
	s->flags |= same ? STEP_SAME : 0;
	t->count++;
	return s;
}

enum moved victim_record(struct victim *v, struct trace *t, struct iovec shared)
{
	struct state state = {.pid = v->pid, .more = shared};
	enum moved moved = MOVED_THERE;
	bool same = false;

	state_look(&state);
	uint64_t hash = state_hash(&state);
	while (moved == MOVED_THERE && t->count < TRACE_MAX) {
		struct step *s = note_step(t, v, same);
		const unsigned sleeps = v->sleeps;
		if (s->flags & STEP_SYSCALL && is_about_to_spawn(v))
			s->flags |= STEP_SPAWN;
		moved = s->turn == TURNS_MAX ? skip_turns(v) : victim_step(v);
		if (v->sleeps != sleeps)
			s->flags |= STEP_ASLEEP;
		if (s->flags & STEP_SYSCALL)
			state_look(&state);
		const uint64_t before = hash;
		hash = v->gone ? 0 : state_hash(&state);
		same = hash == before && !(s->flags & STEP_SYSCALL);
	}
	t->steps[t->count] =
		(struct step){.pc = v->pc, .depth = v->depth, .flags = same ? STEP_SAME : 0};
	return moved;
}

struct count {
	uint64_t pc;
	uint32_t visits;
};

static struct count *count_of(struct count *table, size_t size, uint64_t pc)
{
	size_t at = pc * UINT64_C(0x9e3779b97f4a7c15) >> 32 & (size - 1);

	while (table[at].pc != 0 && table[at].pc != pc)
		at = (at + 1) & (size - 1);
	table[at].pc = pc;
	return &table[at];
}

void trace_count_visits(struct trace *t, uint32_t from)
{
	const size_t size = (size_t)TRACE_MAX * 2;
	struct count *table = calloc(size, sizeof(*table));

	if (!table)
		die("no memory");
	for (uint32_t i = from; i <= t->count; i++) {
		struct count *c = count_of(table, size, t->steps[i].pc);
		if (t->steps[i].turn == 0)
			c->visits++;
		t->steps[i].visit = c->visits;
	}
	free(table);
}

// From which step on to walk: the one with the fewest stops in all. Never one at the address where
// the victim stands: whether its breakpoint fires at once depends on how it came there.
static uint32_t choose_anchor(const struct trace *t, uint32_t from, uint32_t to)
{
	uint32_t best = from;
	uint64_t best_cost = to - from;
	const uint32_t low = to - from > NEAR ? to - NEAR : from + 1;

	for (uint32_t i = low; i <= to; i++) {
		const uint64_t cost = (uint64_t)t->steps[i].visit + (to - i) + 1;
		const bool fit = t->steps[i].turn == 0 && t->steps[i].pc != t->steps[from].pc;
		if (fit && cost < best_cost) {
			best = i;
			best_cost = cost;
		}
	}
	return best;
}

static enum moved run_to_visit(struct victim *v, const struct step *s)
{
	enum moved moved = run_to(v, s->pc);

	for (uint32_t i = 1; i < s->visit && moved == MOVED_THERE; i++) {
		moved = s->flags & STEP_REP ? skip_turns(v) : victim_step(v);
		if (moved == MOVED_THERE)
			moved = run_to(v, s->pc);
	}
	// A visit more or less on the way, and this is another caller's.
	return moved == MOVED_THERE && v->depth != s->depth ? MOVED_DIVERGED : moved;
}

// A step that walks a long repeated instruction skips as the recording did.
static enum moved walk_one(struct victim *v, const struct step *s)
{
	return s->turn == TURNS_MAX ? skip_turns(v) : victim_step(v);
}

// Whether breakpoints may stand in its text on the way.
static bool may_run(const struct victim *v, const struct trace *t, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		if (t->steps[i].flags & STEP_SPAWN)
			return false;
	return is_alone(v);
}

// Move from boundary `from`, where the victim stands, to boundary `to`.
enum moved victim_go(struct victim *v, const struct trace *t, uint32_t from, uint32_t to)
{
	uint32_t at = may_run(v, t, from, to) ? choose_anchor(t, from, to) : from;
	enum moved moved = at > from ? run_to_visit(v, &t->steps[at]) : MOVED_THERE;

	while (moved == MOVED_THERE && at < to) {
		moved = walk_one(v, &t->steps[at]);
		at++;
		if (moved == MOVED_THERE && (v->pc != t->steps[at].pc || v->depth != t->steps[at].depth))
			return MOVED_DIVERGED;
	}
	return moved == MOVED_END && at == to && to == t->count ? MOVED_THERE : moved;
}
