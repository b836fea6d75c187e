// SPDX-License-Identifier: MIT
//
// tests/signal/posix_fault.c - signals that the processor raises: delivered at once to the thread at fault, with
// the address; repaired, jumped out of, or deadly; whatever is blocked or ignored.
//
#include "signals.h"

#include <setjmp.h>
#include <sys/prctl.h>

static siginfo_t last;
static sigjmp_buf back;
static char *page;
static size_t page_bytes;

static void jump(int sig, siginfo_t *info, void *context)
{
	last = *info;
	note(sig, info, context);
	siglongjmp(back, 1);
}

static void repair(int sig, siginfo_t *info, void *context)
{
	last = *info;
	note(sig, info, context);
	CHECK_OK(mprotect(page, page_bytes, PROT_READ | PROT_WRITE));
}

static void make_page(int protection)
{
	page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	page = mmap(NULL, page_bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(page != MAP_FAILED);
}

static void touch(volatile char *place)
{
	*place = 'x';
}

// The processor refuses: the instruction that no machine has, a division by zero.
#if defined(__x86_64__)
static void do_illegal(void)
{
	__asm__ volatile("ud2");
}
#else
static void do_illegal(void)
{
	__asm__ volatile(".word 0");
}
#endif

TEST(fault_tells_the_address_and_why)
{
	handle(SIGSEGV, jump, 0);
	make_page(PROT_NONE);
	if (sigsetjmp(back, 1) == 0)
		touch(page + 77);
	CHECK_EQ(atomic_load(&noted), 1);
	CHECK(last.si_addr == page + 77);
	CHECK_EQ(last.si_code, SEGV_ACCERR);
	CHECK_OK(munmap(page, page_bytes));
	if (sigsetjmp(back, 1) == 0)
		touch(page + 99);
	CHECK_EQ(atomic_load(&noted), 2);
	CHECK(last.si_addr == page + 99);
	CHECK_EQ(last.si_code, SEGV_MAPERR);
}

TEST(handler_repairs_and_the_instruction_goes_on)
{
	handle(SIGSEGV, repair, 0);
	for (int i = 1; i <= 100; i++) {
		make_page(PROT_NONE);
		touch(page + i);
		CHECK_EQ(page[i], 'x');
		CHECK_EQ(atomic_load(&noted), i);
		CHECK(last.si_addr == page + i);
		CHECK_OK(munmap(page, page_bytes));
	}
}

TEST(illegal_instruction_is_sigill)
{
	handle(SIGILL, jump, 0);
	if (sigsetjmp(back, 1) == 0)
		do_illegal();
	CHECK_EQ(atomic_load(&noted), 1);
	CHECK(last.si_code == ILL_ILLOPN || last.si_code == ILL_ILLOPC);
	CHECK(last.si_addr != NULL);
}

#if defined(__x86_64__)
TEST(division_by_zero_is_sigfpe)
{
	static volatile int zero, many = 1000000;

	if (SANITIZED)
		SKIP("the sanitizer looks for a zero before the division");
	handle(SIGFPE, jump, 0);
	for (volatile int i = 0; i < 10; i = i + 1) {
		if (sigsetjmp(back, 1) == 0) {
			many = many / zero;
			CHECK(!"reached");
		}
		CHECK_EQ(last.si_code, FPE_INTDIV);
	}
	CHECK_EQ(atomic_load(&noted), 10);
}

TEST(breakpoint_is_sigtrap)
{
	note_signal(SIGTRAP);
	__asm__ volatile("int3");
	CHECK_EQ(atomic_load(&noted), 1);
	CHECK_EQ(notes[0].sig, SIGTRAP);
}
#endif

TEST(page_behind_the_end_of_a_file_is_sigbus)
{
	char name[] = "/tmp/posthaste-fault-XXXXXX";
	const int fd = (int)CHECK_OK(mkstemp(name));

	CHECK_OK(unlink(name));
	make_page(PROT_NONE);
	CHECK_OK(munmap(page, page_bytes));
	CHECK_OK(ftruncate(fd, (off_t)page_bytes));
	page = mmap(NULL, page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(page != MAP_FAILED);
	touch(page);
	CHECK_OK(ftruncate(fd, 0));
	handle(SIGBUS, jump, 0);
	for (volatile int i = 0; i < 3; i = i + 1) {
		if (sigsetjmp(back, 1) == 0) {
			touch(page + 5);
			CHECK(!"reached");
		}
		CHECK_EQ(last.si_code, BUS_ADRERR);
		CHECK(last.si_addr == page + 5);
	}
	CHECK_EQ(atomic_load(&noted), 3);
	CHECK_OK(munmap(page, page_bytes));
	CHECK_OK(close(fd));
}

/* ---- on another stack, in another thread, in a handler ---- */

static char other_stack[65536];

static void jump_from_other_stack(int sig, siginfo_t *info, void *context)
{
	const char *here = __builtin_frame_address(0);

	CHECK(here >= other_stack && here < other_stack + sizeof(other_stack));
	jump(sig, info, context);
}

TEST(fault_is_handled_on_the_alternate_stack)
{
	const stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof(other_stack)};

	CHECK_OK(sigaltstack(&stack, NULL));
	handle(SIGSEGV, jump_from_other_stack, SA_ONSTACK);
	make_page(PROT_READ);
	for (volatile int i = 0; i < 100; i = i + 1)
		if (sigsetjmp(back, 1) == 0)
			touch(page);
	CHECK_EQ(atomic_load(&noted), 100);
}

static void *fault_in_thread(void *arg)
{
	touch(arg);
	CHECK_EQ(notes[0].tid, gettid());
	return NULL;
}

TEST(fault_is_handled_by_the_thread_at_fault)
{
	pthread_t thread;

	handle(SIGSEGV, repair, 0);
	make_page(PROT_NONE);
	CHECK_EQ(pthread_create(&thread, NULL, fault_in_thread, page), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(atomic_load(&noted), 1);
	CHECK(notes[0].tid != gettid());
}

static void fault_inside(int sig, siginfo_t *info, void *context)
{
	touch(page);
	CHECK_EQ(notes[atomic_load(&noted) - 1].sig, SIGSEGV);
	note(sig, info, context);
	CHECK_OK(mprotect(page, page_bytes, PROT_NONE));
}

TEST(fault_inside_a_handler_is_delivered_at_once)
{
	handle(SIGSEGV, repair, 0);
	make_page(PROT_NONE);
	for (int i = 0; i < KINDS; i++) {
		sigset_t mask = all_signals();
		CHECK_OK(sigdelset(&mask, SIGSEGV));
		handle_masked(one_of_kind(i), fault_inside, 0, mask);
		block(SET(one_of_kind(i)));
		for (int n = 0; n < 10; n++)
			send_self(one_of_kind(i), n);
		unblock(SET(one_of_kind(i)));
	}
	CHECK_EQ(atomic_load(&noted), 22);
}

TEST(sigsegv_that_was_sent_is_a_signal_like_others)
{
	static const int those[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};

	for (int i = 0; i < 6; i++) {
		note_signal(those[i]);
		block(SET(those[i]));
		CHECK_OK(kill(getpid(), those[i]));
		send_self(those[i], 1);
		CHECK_EQ(atomic_load(&noted), i);
		unblock(SET(those[i]));
		CHECK_EQ(atomic_load(&noted), i + 1);
		CHECK_EQ(notes[i].code, SI_USER);
		CHECK_EQ(notes[i].pid, getpid());
	}
}

/* ---- deadly ---- */

static void prepare_to_die(void)
{
	const struct rlimit none = {0, 0};

	CHECK_OK(setrlimit(RLIMIT_CORE, &none));
	make_page(PROT_NONE);
}

static void fault_by_default(void *arg)
{
	(void)arg;
	dispose(SIGSEGV, SIG_DFL);
	touch(page);
}

static void fault_blocked(void *arg)
{
	(void)arg;
	note_signal(SIGSEGV);
	block(SET(SIGSEGV));
	touch(page);
}

static void fault_ignored(void *arg)
{
	(void)arg;
	dispose(SIGSEGV, SIG_IGN);
	touch(page);
}

static void fault_again(int sig, siginfo_t *info, void *context)
{
	note(sig, info, context);
	touch(page);
}

static void fault_in_own_handler(void *arg)
{
	(void)arg;
	handle(SIGSEGV, fault_again, 0);
	touch(page);
}

static void fault_after_one_shot(void *arg)
{
	(void)arg;
	handle(SIGSEGV, note, SA_RESETHAND); // does not repair: the instruction faults again
	touch(page);
}

static void fault_ignored_in_thread(void *arg)
{
	pthread_t thread;

	(void)arg;
	dispose(SIGSEGV, SIG_IGN);
	CHECK_EQ(pthread_create(&thread, NULL, fault_in_thread, page), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST(fault_that_is_not_handled_ends_the_process)
{
	prepare_to_die();
	expect_killed(test_fork(fault_by_default, NULL), SIGSEGV);
	expect_killed(test_fork(fault_blocked, NULL), SIGSEGV);
	expect_killed(test_fork(fault_ignored, NULL), SIGSEGV);
	expect_killed(test_fork(fault_in_own_handler, NULL), SIGSEGV);
	expect_killed(test_fork(fault_after_one_shot, NULL), SIGSEGV);
	expect_killed(test_fork(fault_ignored_in_thread, NULL), SIGSEGV);
}

// What is blocked by a handler of the library's, or by waiting, does not matter to a fault either.
static void fault_inside_full_mask(int sig, siginfo_t *info, void *context)
{
	note(sig, info, context);
	touch(page);
}

static void fault_in_masked_handler(void *arg)
{
	(void)arg;
	note_signal(SIGSEGV);
	handle_masked(RT0, fault_inside_full_mask, 0, all_signals());
	send_self(RT0, 1);
}

TEST(fault_inside_a_handler_that_blocks_it_ends_the_process)
{
	prepare_to_die();
	expect_killed(test_fork(fault_in_masked_handler, NULL), SIGSEGV);
}
