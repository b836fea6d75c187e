// SPDX-License-Identifier: MIT
//
// posthaste/posix.h - the POSIX names, mapped onto this library.
//
// Compile an existing source file with `-include posthaste/posix.h` and link with -lposthaste; nothing
// else changes. Object-like macros, so that taking a function's address works too. The system's own
// headers come first, so that their declarations keep their names.
//
// open, read, write and close are names of members as well, of std::fstream and of stdio's
// cookie_io_functions_t for example: as long as this header comes first, these four are no macros but
// the functions themselves, declared to be this library's under the linker's eyes. For that the two headers that
// declare them are read as without _FORTIFY_SOURCE and large files, which have further declarations
// of them; 64-bit machines have large files anyway.
//
// The source has not spoken yet when this header is read: what it will say of the features that it wants,
// `#define _GNU_SOURCE` or `#define _XOPEN_SOURCE 600` at its top, must still count. So the system's
// headers here are read with all features, and then features.h is opened again for the source's own.
#ifndef POSTHASTE_POSIX_H
#define POSTHASTE_POSIX_H

#if !defined(_FEATURES_H) && !defined(_GNU_SOURCE)
#define PH_POSIX_FEATURES 1
#pragma push_macro("_ISOC95_SOURCE")
#pragma push_macro("_ISOC99_SOURCE")
#pragma push_macro("_ISOC11_SOURCE")
#pragma push_macro("_ISOC2X_SOURCE")
#pragma push_macro("_POSIX_SOURCE")
#pragma push_macro("_POSIX_C_SOURCE")
#pragma push_macro("_XOPEN_SOURCE")
#pragma push_macro("_XOPEN_SOURCE_EXTENDED")
#pragma push_macro("_LARGEFILE64_SOURCE")
#pragma push_macro("_DEFAULT_SOURCE")
#pragma push_macro("_ATFILE_SOURCE")
#pragma push_macro("_DYNAMIC_STACK_SIZE_SOURCE")
#define _GNU_SOURCE 1
#endif

#if defined(__GNUC__) && !defined(_UNISTD_H) && !defined(_FCNTL_H)
#define PH_POSIX_BY_LABEL 1
#include <sys/types.h>
#pragma push_macro("__USE_FORTIFY_LEVEL")
#pragma push_macro("__USE_FILE_OFFSET64")
#undef __USE_FORTIFY_LEVEL
#undef __USE_FILE_OFFSET64
#define __USE_FORTIFY_LEVEL 0
#include <fcntl.h>
#include <unistd.h>
#pragma pop_macro("__USE_FILE_OFFSET64")
#pragma pop_macro("__USE_FORTIFY_LEVEL")
#endif

#include <posthaste/posthaste.h>

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/time.h>
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
#undef open // a macro already where large files make it one
#ifdef PH_POSIX_BY_LABEL
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
#ifdef __cplusplus
extern "C" {
#endif
int open(const char *path, int flags, ...) __asm__("ph_open");
ssize_t read(int fd, void *buf, size_t bytes) __asm__("ph_read");
ssize_t write(int fd, const void *buf, size_t bytes) __asm__("ph_write");
int close(int fd) __asm__("ph_close");
#ifdef __cplusplus
}
#endif
#pragma GCC diagnostic pop
#else
#define open ph_open
#define read ph_read
#define write ph_write
#define close ph_close
#endif
#undef openat
#define openat ph_openat
#define readv ph_readv
#define writev ph_writev
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

// The struct keeps its name: a function-like macro. To take the address, write ph_sigaction.
#define sigaction(sig, act, old) ph_sigaction(sig, act, old)
#define kill ph_kill
#define killpg ph_killpg
#define raise ph_raise
#define sigqueue ph_sigqueue
#define pthread_kill ph_pthread_kill
#define pthread_sigqueue ph_pthread_sigqueue
#define abort ph_abort
#define alarm ph_alarm
#define setitimer ph_setitimer
#define getitimer ph_getitimer
#define signal ph_signal
#define siginterrupt ph_siginterrupt
#define sigaltstack ph_sigaltstack
#define sigset ph_sigset
#define sighold ph_sighold
#define sigrelse ph_sigrelse
#define sigignore ph_sigignore
#undef sigpause // a macro already where the C library has two of them
#define sigpause ph_sigpause
#undef siglongjmp
#define siglongjmp ph_siglongjmp
#undef longjmp
#define longjmp ph_longjmp
#define sigprocmask ph_sigprocmask
#define pthread_sigmask ph_pthread_sigmask
#define sigpending ph_sigpending
#define sigemptyset ph_sigemptyset
#define sigfillset ph_sigfillset
#define sigaddset ph_sigaddset
#define sigdelset ph_sigdelset
#undef sigismember
#define sigismember ph_sigismember
#define sigsuspend ph_sigsuspend
#define pause ph_pause
#define sigwait ph_sigwait
#define sigwaitinfo ph_sigwaitinfo
#define sigtimedwait ph_sigtimedwait
#define signalfd ph_signalfd

#ifdef PH_POSIX_FEATURES
#undef PH_POSIX_FEATURES
#undef _GNU_SOURCE
#undef _FEATURES_H
#undef _SYS_CDEFS_H // which has what _FORTIFY_SOURCE asks for
#pragma pop_macro("_ISOC95_SOURCE")
#pragma pop_macro("_ISOC99_SOURCE")
#pragma pop_macro("_ISOC11_SOURCE")
#pragma pop_macro("_ISOC2X_SOURCE")
#pragma pop_macro("_POSIX_SOURCE")
#pragma pop_macro("_POSIX_C_SOURCE")
#pragma pop_macro("_XOPEN_SOURCE")
#pragma pop_macro("_XOPEN_SOURCE_EXTENDED")
#pragma pop_macro("_LARGEFILE64_SOURCE")
#pragma pop_macro("_DEFAULT_SOURCE")
#pragma pop_macro("_ATFILE_SOURCE")
#pragma pop_macro("_DYNAMIC_STACK_SIZE_SOURCE")
#endif

#endif
