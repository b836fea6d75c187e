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

#define KERNEL_BYTES 48
#define MAGIC_AT 32
#define MAGIC UINT64_C(0x6c6c65622d737361) // "ass-bell"

// As the kernel has it: pid, uid and value behind the first 16 bytes.
#define PID_AT 16
#define UID_AT 20
#define VALUE_AT 24

// In the place of MAGIC: no bell, but sent to the whole process by this library.
#define PROCESS_MAGIC UINT64_C(0x636f72702d737361) // "ass-proc"

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

bool phi_bell_is(const siginfo_t *info)
{
	uint64_t magic;
	memcpy(&magic, (const uint8_t *)info + MAGIC_AT, sizeof magic);
	return magic == MAGIC && info->si_code == SI_QUEUE;
}

void phi_bell_mark_process(siginfo_t *info)
{
	const uint64_t magic = PROCESS_MAGIC;
	if (info->si_code == SI_QUEUE)
		memcpy(bytes_of(info) + MAGIC_AT, &magic, sizeof magic);
}

bool phi_bell_is_threads(const siginfo_t *info)
{
	uint64_t magic;
	memcpy(&magic, (const uint8_t *)info + MAGIC_AT, sizeof magic);
	return info->si_code == SI_TKILL ||
	       (info->si_code == SI_QUEUE && magic != PROCESS_MAGIC && info->si_pid == phi_self()->pid);
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
	memset(bytes_of(&copy) + MAGIC_AT, 0, copy.si_code == SI_QUEUE ? KERNEL_BYTES - MAGIC_AT : 0);
	phi_bell_mark_process(&copy);
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
