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

#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

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

#define pipe ph_pipe
#define pipe2 ph_pipe2
#define mkfifo ph_mkfifo
#define mkfifoat ph_mkfifoat
#define mknod ph_mknod
#undef open // a macro already where a fortified libc or large files make it one
#define open ph_open
#undef openat
#define openat ph_openat
#define read ph_read
#define readv ph_readv
#define write ph_write
#define writev ph_writev
#define close ph_close
#define dup ph_dup
#define dup2 ph_dup2
#define dup3 ph_dup3
#undef fcntl
#define fcntl ph_fcntl
#define ioctl ph_ioctl
#undef fstat
#define fstat ph_fstat

#define sem_init ph_sem_init
#define sem_destroy ph_sem_destroy
#define sem_open ph_sem_open
#define sem_close ph_sem_close
#define sem_unlink ph_sem_unlink
#define sem_wait ph_sem_wait
#define sem_trywait ph_sem_trywait
#define sem_timedwait ph_sem_timedwait
#define sem_clockwait ph_sem_clockwait
#define sem_post ph_sem_post
#define sem_getvalue ph_sem_getvalue

#define shm_open ph_shm_open
#define shm_unlink ph_shm_unlink

#endif
