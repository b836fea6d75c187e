// SPDX-License-Identifier: MIT
//
// A system call that is not made if a word is set, also if a signal handler sets the word right before the call. The
// handler helps: it tells where the thread it has interrupted stands.
//
//   the handler comes                          what ends the call
//   before the word is looked at               the look
//   after it, before the kernel is entered     phi_call_break: the thread goes on as if the look had found it set
//   in the kernel                              the kernel (the handler has no SA_RESTART): -EINTR
//   above another handler that has SA_RESTART  phi_call_beneath says so; the handler has to come again when the other
//                                              one is done, and the thread stands right before the restarted call
//
// Next: sync/asleep.h, the calls that are made so.
#ifndef PHI_BASE_CALL_H
#define PHI_BASE_CALL_H

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

struct phi_call {
	long number;
	long arg[6];
};

// What the kernel says, or -EINTR with *refused: the word is not 0, and nothing was done.
long phi_call_unless(const uint32_t *word, const struct phi_call *call, bool *refused);

// From a handler, with its context, after it has set the word.
void phi_call_break(ucontext_t *context);
bool phi_call_beneath(const ucontext_t *context);

#endif
