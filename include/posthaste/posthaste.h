// SPDX-License-Identifier: MIT
//
// posthaste/posthaste.h - every public header of the library.
#ifndef POSTHASTE_H
#define POSTHASTE_H

#include <posthaste/mqueue.h>
#include <posthaste/pipe.h>
#include <posthaste/semaphore.h>
#include <posthaste/shm.h>
#include <posthaste/signal.h>

#include <posthaste/common.h>

#endif
