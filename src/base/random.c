// SPDX-License-Identifier: MIT
#include "base/random.h"

#include "base/clock.h"

#include <sys/random.h>
#include <unistd.h>

void phi_random_id(uint64_t id[2])
{
	if (getrandom(id, 16, GRND_NONBLOCK) == 16)
		return;
	// Early in boot, or a sandbox: time and pid still tell two objects of one machine apart.
	id[0] = (uint64_t)phi_clock_ns(CLOCK_REALTIME);
	id[1] = (uint64_t)phi_now_ns() << 22 ^ (uint64_t)getpid();
}
