// SPDX-License-Identifier: MIT
//
// Bells: the kernel's signals that say "look into the port". One carries the siginfo of the signal that it is rung
// for, so that a program which gets it past the library (another library's handler, the program after an exec)
// sees what was sent. What makes it a bell stands behind the fields that programs know, in bytes 32 to 47, which
// the kernel keeps.
#include "signal/port.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAGIC_AT 32
#define MAGIC UINT64_C(0x6c6c65622d737361) // "ass-bell"

// As the kernel has it: pid, uid and value behind the first 16 bytes.
#define PID_AT 16
#define UID_AT 20
#define VALUE_AT 24

// In the place of MAGIC: no bell, but sent to the whole process by this library; and that by kill, which has no room to say so.
// Behind it: struct signal_seen.
#define PROCESS_MAGIC UINT64_C(0x636f72702d737361) // "ass-proc"
#define KILL_MAGIC UINT64_C(0x6c6c696b2d737361)    // "ass-kill"
#define SEEN_AT 40

static uint8_t *bytes_of(siginfo_t *info)
{
	return (uint8_t *)info;
}

void phi_bell_make(siginfo_t *info, const struct signal_record *rec)
{
	const uint64_t magic = MAGIC;
	memset(info, 0, sizeof *info);
	info->si_signo = rec->signo;
	info->si_code = SI_QUEUE; // what the kernel lets one process say to another
	memcpy(bytes_of(info) + PID_AT, &rec->pid, sizeof rec->pid);
	memcpy(bytes_of(info) + UID_AT, &rec->uid, sizeof rec->uid);
	memcpy(bytes_of(info) + VALUE_AT, &rec->value, sizeof rec->value);
	memcpy(bytes_of(info) + MAGIC_AT, &magic, sizeof magic);
}

static uint64_t word_at(const siginfo_t *info, size_t at)
{
	uint64_t word;
	memcpy(&word, (const uint8_t *)info + at, sizeof word);
	return word;
}

bool phi_bell_is(const siginfo_t *info)
{
	return word_at(info, MAGIC_AT) == MAGIC && info->si_code == SI_QUEUE;
}

static bool is_marked(const siginfo_t *info)
{
	uint64_t magic = word_at(info, MAGIC_AT);
	return info->si_code == SI_QUEUE && (magic == PROCESS_MAGIC || magic == KILL_MAGIC);
}

// SI_USER is the kernel's own word: it is not to be had in a queue.
void phi_bell_mark_process(siginfo_t *info, const struct signal_seen *seen)
{
	uint64_t magic = info->si_code == SI_USER ? KILL_MAGIC : PROCESS_MAGIC;
	if (info->si_code != SI_USER && info->si_code != SI_QUEUE)
		return;
	info->si_code = SI_QUEUE;
	memcpy(bytes_of(info) + MAGIC_AT, &magic, sizeof magic);
	memcpy(bytes_of(info) + SEEN_AT, seen, sizeof *seen);
}

bool phi_bell_seen(const siginfo_t *info, struct signal_seen *seen)
{
	memcpy(seen, (const uint8_t *)info + SEEN_AT, sizeof *seen);
	return is_marked(info) && seen->sequence != 0;
}

void phi_bell_unmark(siginfo_t *info)
{
	if (!is_marked(info))
		return;
	if (word_at(info, MAGIC_AT) == KILL_MAGIC)
		info->si_code = SI_USER;
	memset(bytes_of(info) + MAGIC_AT, 0, SIGNAL_KERNEL_BYTES - MAGIC_AT);
}

bool phi_bell_is_threads(const siginfo_t *info)
{
	return info->si_code == SI_TKILL ||
	       (info->si_code == SI_QUEUE && !is_marked(info) && info->si_pid == phi_self()->pid);
}

bool phi_bell_may_be(const siginfo_t *info)
{
	return info->si_code == SI_USER && info->si_pid == 0 && info->si_uid == 0;
}

static int to_this_thread(int signo, siginfo_t *info)
{
	struct phi_self *s = phi_self();
	return (int)syscall(SYS_rt_tgsigqueueinfo, s->pid, s->tid, signo, info);
}

// When the kernel's queue is full: of kill it always takes one more of a number, of tgkill it does not. Nobody has counted
// it: that it is to come is noted before.
static uint64_t bare;

bool phi_bell_was_bare(int signo)
{
	uint64_t bit = SIGNAL_BIT(signo);
	bool was = load_relaxed_u64(&bare) & bit;
	if (was)
		and_acq_rel_u64(&bare, ~bit);
	return was;
}

static void without_siginfo(int signo)
{
	or_acq_rel_u64(&bare, SIGNAL_BIT(signo));
	syscall(SYS_kill, phi_self()->pid, signo);
}

void phi_bell_self(int signo)
{
	const struct signal_record rec = {
		.signo = (uint16_t)signo, .code = SI_QUEUE, .pid = phi_self()->pid};
	siginfo_t info;
	phi_bell_make(&info, &rec);
	// Not to this thread alone: those come before all that are the process's, whatever their numbers.
	if (syscall(SYS_rt_sigqueueinfo, rec.pid, signo, &info) != 0)
		without_siginfo(signo);
}

bool phi_bell_return(const siginfo_t *info)
{
	siginfo_t copy = *info;
	memset(bytes_of(&copy) + MAGIC_AT, 0,
	       copy.si_code == SI_QUEUE ? SIGNAL_KERNEL_BYTES - MAGIC_AT : 0);
	if (copy.si_code == SI_QUEUE)
		phi_bell_mark_process(&copy, &(struct signal_seen){0, 0});
	return syscall(SYS_rt_sigqueueinfo, phi_self()->pid, copy.si_signo, &copy) == 0;
}

static bool comes_back(const sigset_t *set)
{
	const struct timespec none = {0, 0};
	siginfo_t info;
	memset(&info, 0, sizeof info);
	if (syscall(SYS_rt_sigtimedwait, set, &info, &none, 8) <= 0) // this thread's own come first
		return false;
	info.si_code = SI_QUEUE;
	return phi_bell_is(&info) && info.si_value.sival_ptr == (void *)MAGIC;
}

// Asked of the kernel once: a blocked signal to oneself, taken again.
bool phi_bell_works(void)
{
	static uint32_t answer; // 1 no, 2 yes
	if (load_relaxed_u32(&answer) == 0) {
		// Of a standard one, told as by kill, the kernel keeps the siginfo whatever the limit of its queue.
		const int signo = SIGURG;
		const struct signal_record rec = {
			.signo = (uint16_t)signo, .code = SI_QUEUE, .pid = phi_self()->pid, .value = MAGIC};
		sigset_t set, before;
		siginfo_t info;
		bool works = false;
		sigemptyset(&set);
		sigaddset(&set, signo);
		pthread_sigmask(SIG_BLOCK, &set, &before);
		phi_bell_make(&info, &rec);
		info.si_code = SI_USER;
		if (to_this_thread(signo, &info) == 0)
			works = comes_back(&set);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		store_relaxed_u32(&answer, works ? 2 : 1);
	}
	return load_relaxed_u32(&answer) == 2;
}
