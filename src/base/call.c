// SPDX-License-Identifier: MIT
//
// The look at the word and the entry into the kernel are four instructions, with names at both ends, so that a
// handler can tell from the program counter whether its thread stands between them. A call that the kernel restarts
// begins at its last one again: that is between them as well.
#include "base/call.h"

#include "base/atomic.h"

#include <errno.h>
#include <stddef.h>

#define REFUSED INT64_MIN

// Of the frames of one stack, the smallest that a signal makes is larger, and what is between the frame of
// phi_call_unless and the entry into the kernel is smaller.
#define FRAME_BYTES 512

long phi_call_raw(const uint32_t *word, const struct phi_call *call);
extern const char phi_call_begin[] __attribute__((visibility("hidden")));
extern const char phi_call_end[] __attribute__((visibility("hidden")));
extern const char phi_call_refused[] __attribute__((visibility("hidden")));

#define NAMES                    \
	".globl phi_call_raw\n"      \
	".hidden phi_call_raw\n"     \
	".hidden phi_call_begin\n"   \
	".hidden phi_call_end\n"     \
	".hidden phi_call_refused\n" \
	".globl phi_call_begin\n"    \
	".globl phi_call_end\n"      \
	".globl phi_call_refused\n"

_Static_assert(offsetof(struct phi_call, arg) == 8, "read by the code below");

#if defined(__x86_64__)

__asm__(".text\n" NAMES ".type phi_call_raw, @function\n"
        "phi_call_raw:\n"
        ".cfi_startproc\n"
        "	mov (%rsi), %rax\n"
        "	mov %rdi, %rcx\n"
        "	mov 8(%rsi), %rdi\n"
        "	mov 24(%rsi), %rdx\n"
        "	mov 32(%rsi), %r10\n"
        "	mov 40(%rsi), %r8\n"
        "	mov 48(%rsi), %r9\n"
        "	mov 16(%rsi), %rsi\n"
        "phi_call_begin:\n"
        "	cmpl $0, (%rcx)\n"
        "	jne phi_call_refused\n"
        "	syscall\n"
        "phi_call_end:\n"
        "	ret\n"
        "phi_call_refused:\n"
        "	movabs $0x8000000000000000, %rax\n"
        "	ret\n"
        ".cfi_endproc\n"
        ".size phi_call_raw, . - phi_call_raw\n");

#define PC(context) ((context)->uc_mcontext.gregs[REG_RIP])
#define SP(context) ((uintptr_t)(context)->uc_mcontext.gregs[REG_RSP])

#elif defined(__aarch64__)

__asm__(".text\n" NAMES ".type phi_call_raw, %function\n"
        "phi_call_raw:\n"
        ".cfi_startproc\n"
        "	mov x9, x0\n"
        "	ldr x8, [x1]\n"
        "	ldp x4, x5, [x1, 40]\n"
        "	ldp x2, x3, [x1, 24]\n"
        "	ldp x0, x1, [x1, 8]\n"
        "phi_call_begin:\n"
        "	ldr w10, [x9]\n"
        "	cbnz w10, phi_call_refused\n"
        "	svc 0\n"
        "phi_call_end:\n"
        "	ret\n"
        "phi_call_refused:\n"
        "	mov x0, 0x8000000000000000\n"
        "	ret\n"
        ".cfi_endproc\n"
        ".size phi_call_raw, . - phi_call_raw\n");

#define PC(context) ((context)->uc_mcontext.pc)
#define SP(context) ((uintptr_t)(context)->uc_mcontext.sp)

#else

// Elsewhere a handler that comes between the look and the call is too late for it.
#include <sys/syscall.h>
#include <unistd.h>

const char phi_call_begin[1], phi_call_end[1], phi_call_refused[1];

long phi_call_raw(const uint32_t *word, const struct phi_call *call)
{
	const long *a = call->arg;
	if (load_relaxed_u32(word) != 0)
		return REFUSED;
	long r = syscall(call->number, a[0], a[1], a[2], a[3], a[4], a[5]);
	return r < 0 ? -errno : r;
}

#define PC(context) (*(uintptr_t *)(context))
#define SP(context) ((uintptr_t)(context))

#endif

// Where the thread's innermost call was made: its frame.
static __thread uintptr_t begun;

__attribute__((noinline)) long phi_call_unless(const uint32_t *word, const struct phi_call *call,
                                               bool *refused)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	// A handler may call while its thread is in a call; one that it has jumped out of is forgotten.
	uintptr_t outer = begun > here ? begun : 0;
	store_relaxed_ptr(&begun, here);
	compiler_barrier();
	long r = phi_call_raw(word, call);
	compiler_barrier();
	store_relaxed_ptr(&begun, outer);
	*refused = r == REFUSED;
	return *refused ? -EINTR : r;
}

static bool is_between(const ucontext_t *context)
{
	uintptr_t pc = (uintptr_t)PC(context);
	return pc >= (uintptr_t)phi_call_begin && pc < (uintptr_t)phi_call_end;
}

void phi_call_break(ucontext_t *context)
{
	if (is_between(context))
		PC(context) = (uintptr_t)phi_call_refused;
}

static bool is_on(const stack_t *stack, uintptr_t sp)
{
	return sp - (uintptr_t)stack->ss_sp < stack->ss_size;
}

bool phi_call_beneath(const ucontext_t *context)
{
	uintptr_t at = load_relaxed_ptr(&begun), sp = SP(context);
	const stack_t *alternate = &context->uc_stack;
	if (at == 0 || is_between(context))
		return false;
	// On two stacks: else the call was made in a handler that has been jumped out of.
	if (is_on(alternate, sp) != is_on(alternate, at))
		return is_on(alternate, sp);
	return sp < at - FRAME_BYTES;
}
