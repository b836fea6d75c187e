// SPDX-License-Identifier: MIT
//
// Learning who polls. See poll.c.
#ifndef PHI_POSIX_POLL_H
#define PHI_POSIX_POLL_H

// A descriptor was opened. If this program's polls do not pass through us, be ready for them now.
// 0 or -errno.
int phi_polls_expected(int fd);

#endif
