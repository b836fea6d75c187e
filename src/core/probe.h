// SPDX-License-Identifier: MIT
//
// USDT probes, where the library was built beside <sys/sdt.h> (systemtap-sdt-dev): a no-op in the code, and a note where
// it stands. Each has the object's key as entries have it (operations.h), and the result or -errno.
#ifndef PHI_CORE_PROBE_H
#define PHI_CORE_PROBE_H

#if defined(__has_include)
#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define PHI_PROBE(name, key, result) DTRACE_PROBE2(posthaste, name, key, result)
#endif
#endif

#ifndef PHI_PROBE
#define PHI_PROBE(name, key, result) ((void)0)
#endif

#endif
