// SPDX-License-Identifier: MIT
//
// cmd_shm.h - the parts of posthaste shm that stand in files of their own.
#ifndef CMD_SHM_H
#define CMD_SHM_H

#include "cli.h"

extern const struct command shm_cat, shm_write; // cmd_shm_bytes.c
extern const struct command shm_info;           // cmd_info.c

#endif
