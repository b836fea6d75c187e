// SPDX-License-Identifier: MIT
//
// cmd_sem.h - the parts of posthaste sem that stand in cmd_sem_use.c.
#ifndef CMD_SEM_H
#define CMD_SEM_H

#include "cli.h"

extern const struct command sem_take, sem_post_units, sem_try, sem_value;

#endif
