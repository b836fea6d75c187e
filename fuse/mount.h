// SPDX-License-Identifier: MIT
//
// mount.h - between the command (cmd_mount.c) and the file system that it mounts (serve.c), which a build
// without libfuse3 does not have (absent.c).
#ifndef FUSE_MOUNT_H
#define FUSE_MOUNT_H

#include <stdbool.h>

// Mounts the namespace at `dir`, an absolute path, and serves it until it is unmounted: in this process, or in one
// that stays behind when this one has ended. Complains; returns the status.
int mount_serve(const char *dir, bool foreground);

#endif
