// SPDX-License-Identifier: MIT
//
// show.h - figures as people read them.
#ifndef SHOW_H
#define SHOW_H

#include <stdint.h>
#include <sys/types.h>

enum { SHOW_MAX = 64 };

const char *show_bytes(char out[SHOW_MAX], uint64_t bytes);              // 512, 8k, 1.5m
const char *show_count(char out[SHOW_MAX], uint64_t count);              // 1,234,567
const char *show_age(char out[SHOW_MAX], int64_t age_ms);                // 20ms, 3.2s, 5m, 2h, 4d
const char *show_actor(char out[SHOW_MAX], int32_t pid, int64_t age_ms); // PID,AGE or -
const char *show_user(char out[SHOW_MAX], uid_t uid);                    // name, else number
const char *show_program(char out[SHOW_MAX], pid_t pid); // its command line, or "gone"

#endif
