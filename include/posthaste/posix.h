// SPDX-License-Identifier: MIT
//
// posthaste/posix.h - the POSIX names, mapped onto this library.
//
// Compile an existing source file with `-include posthaste/posix.h` and link with -lposthaste; nothing
// else changes. Object-like macros, so that taking a function's address works too. The system's own
// headers come first, so that their declarations keep their names.
#ifndef POSTHASTE_POSIX_H
#define POSTHASTE_POSIX_H

#include <posthaste/posthaste.h>

#define mq_open ph_mq_open
#define mq_close ph_mq_close
#define mq_unlink ph_mq_unlink
#define mq_send ph_mq_send
#define mq_timedsend ph_mq_timedsend
#define mq_receive ph_mq_receive
#define mq_timedreceive ph_mq_timedreceive
#define mq_notify ph_mq_notify
#define mq_getattr ph_mq_getattr
#define mq_setattr ph_mq_setattr

#endif
