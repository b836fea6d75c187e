// SPDX-License-Identifier: MIT
//
// tests/hostile/pipe_place.c - something else stands where the ring's file should be made, or nothing can be
// made there: the ring is refused, nothing is written where it does not belong, and the kernel's pipe
// carries the bytes. A file that nobody uses, and that may be removed, is no obstacle.
#include <posthaste/posthaste.h>

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "core/layout.h"
#include "pipe/pipe.h"
#include "pipe_ring.h"
#include "pipe_victim.h"
#include "runner.h"

enum { R, W, NOBODY = 65534 };

static void make(int fds[2])
{
	CHECK_OK(ph_pipe2(fds, O_NONBLOCK | O_CLOEXEC));
}

static void drop(const int fds[2])
{
	CHECK_OK(ph_close(fds[R]));
	CHECK_OK(ph_close(fds[W]));
}

static void works_by_the_kernel(const int fds[2])
{
	CHECK(phi_pipe_force_lease(fds[R]) <= 0);
	pipe_carries(fds);
}

// ---- other things than files ----

static void plant_directory(const char *path)
{
	CHECK_OK(mkdir(path, 0700));
}

static void plant_fifo(const char *path)
{
	CHECK_OK(mkfifo(path, 0600));
}

static void plant_socket(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	const int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
	if (strlen(path) >= sizeof(sun.sun_path))
		SKIP("the namespace's path is too long for a socket");
	strcpy(sun.sun_path, path);
	CHECK_OK(bind(fd, (struct sockaddr *)&sun, sizeof(sun)));
	CHECK_OK(close(fd));
}

static void plant_loop(const char *path)
{
	CHECK_OK(symlink(path, path));
}

static void stands_in_the_way(void (*plant)(const char *path))
{
	int fds[2];
	struct stat before, after;
	char path[PATH_MAX];
	make(fds);
	strcpy(path, ring_path(fds[R]));
	plant(path);
	CHECK_OK(lstat(path, &before));
	works_by_the_kernel(fds);
	drop(fds);
	CHECK_OK(lstat(path, &after));
	CHECK(before.st_ino == after.st_ino && before.st_mode == after.st_mode);
	CHECK_OK(remove(path));
}

TEST(a_directory_in_its_place_is_no_ring)
{
	stands_in_the_way(plant_directory);
}

TEST(a_fifo_in_its_place_is_no_ring)
{
	stands_in_the_way(plant_fifo);
}

TEST(a_socket_in_its_place_is_no_ring)
{
	stands_in_the_way(plant_socket);
}

TEST(a_symbolic_link_to_itself_is_no_ring)
{
	stands_in_the_way(plant_loop);
}

// ---- symbolic links to files ----

static char target[PATH_MAX];

static void make_target(size_t bytes)
{
	snprintf(target, sizeof(target), "%s/target", getenv("POSTHASTE_DIR"));
	const int fd = (int)CHECK_OK(open(target, O_RDWR | O_CREAT | O_EXCL, 0600));
	CHECK_OK(ftruncate(fd, (off_t)bytes));
	CHECK_OK(close(fd));
}

static void plant_link(const char *path)
{
	CHECK_OK(symlink(target, path));
}

TEST(a_symbolic_link_is_not_followed)
{
	struct stat st;
	const int fd = (make_target(PIPE_BYTES), (int)CHECK_OK(open(target, O_RDONLY)));
	stands_in_the_way(plant_link);
	CHECK_OK(fstat(fd, &st));
	CHECK(st.st_size == PIPE_BYTES && st.st_blocks == 0 && st.st_nlink == 1);
	CHECK_OK(close(fd));
	CHECK_OK(unlink(target));
}

static void plant_dangling(const char *path)
{
	CHECK_OK(symlink("nowhere", path));
}

TEST(a_dangling_symbolic_link_makes_no_file)
{
	char nowhere[PATH_MAX];
	snprintf(nowhere, sizeof(nowhere), "%s/nowhere", getenv("POSTHASTE_DIR"));
	stands_in_the_way(plant_dangling);
	CHECK(access(nowhere, F_OK) != 0);
}

// ---- files ----

// A ring as the library makes it, for this pipe, but with an owner and a mode. In use, or not.
struct forgery {
	int fds[2];
	uid_t uid;
	mode_t mode;
	bool in_use;
	int fd;
};

static void copy_ring(const char *from, const char *to)
{
	static uint8_t image[PIPE_PAGE];
	const int in = (int)CHECK_OK(open(from, O_RDONLY));
	const int out = (int)CHECK_OK(open(to, O_RDWR | O_CREAT | O_EXCL, 0600));
	CHECK_EQ(read(in, image, sizeof(image)), sizeof(image));
	CHECK_EQ(write(out, image, sizeof(image)), sizeof(image));
	CHECK_OK(ftruncate(out, PIPE_BYTES));
	CHECK_OK(close(in));
	CHECK_OK(close(out));
}

// The header of a ring of another pipe, with the numbers of this one.
static void forge(struct forgery *f)
{
	int other[2];
	char path[PATH_MAX];
	struct stat st;
	make(other);
	make(f->fds);
	pipe_lease(other[R]);
	strcpy(path, ring_path(other[R]));
	copy_ring(path, ring_path(f->fds[R]));
	drop(other);
	f->fd = (int)CHECK_OK(open(ring_path(f->fds[R]), O_RDWR | O_CLOEXEC));
	CHECK_OK(fstat(f->fds[R], &st));
	const uint64_t numbers[] = {st.st_dev, st.st_ino};
	CHECK_EQ(pwrite(f->fd, numbers, sizeof(numbers), offsetof(struct phi_region_header, geometry)),
	         sizeof(numbers));
	CHECK_OK(fchmod(f->fd, f->mode));
	CHECK_OK(fchown(f->fd, f->uid, (gid_t)-1));
	struct flock use = {.l_type = F_RDLCK, .l_start = PHI_LOCKBYTE_ATTACHED, .l_len = 1};
	if (f->in_use)
		CHECK_OK(fcntl(f->fd, F_OFD_SETLK, &use));
}

static void expect_no_bytes(int fd)
{
	static uint8_t data[PIPE_BYTES - PIPE_DATA_AT];
	CHECK_EQ(pread(fd, data, sizeof(data), PIPE_DATA_AT), sizeof(data));
	for (size_t i = 0; i < sizeof(data); i++)
		CHECK(data[i] == 0);
}

static void refuse_forgery(uid_t uid, mode_t mode)
{
	struct forgery f = {.uid = uid, .mode = mode, .in_use = true};
	forge(&f);
	works_by_the_kernel(f.fds);
	expect_no_bytes(f.fd);
	CHECK_OK(unlink(ring_path(f.fds[R])));
	CHECK_OK(close(f.fd));
	drop(f.fds);
}

TEST(a_ring_that_others_may_write_to_is_refused)
{
	refuse_forgery(geteuid(), 0666);
	refuse_forgery(geteuid(), 0620);
	refuse_forgery(geteuid(), 0602);
}

TEST(a_ring_that_others_may_read_is_refused)
{
	refuse_forgery(geteuid(), 0604);
	refuse_forgery(geteuid(), 0640);
}

TEST(a_ring_of_another_owner_is_refused)
{
	if (geteuid() != 0)
		SKIP("needs the privilege to give files away");
	refuse_forgery(NOBODY, 0600);
}

TEST(a_ring_that_nobody_uses_is_made_anew)
{
	struct forgery f = {.uid = geteuid(), .mode = 0666};
	struct stat st;
	forge(&f);
	pipe_lease(f.fds[R]);
	CHECK_OK(stat(ring_path(f.fds[R]), &st));
	CHECK_EQ(st.st_mode & 07777, 0600);
	pipe_carries(f.fds);
	expect_no_bytes(f.fd);
	CHECK_OK(close(f.fd));
	drop(f.fds);
}

static void refuse_header(size_t at, uint64_t value, size_t bytes)
{
	struct forgery f = {.uid = geteuid(), .mode = 0600, .in_use = true};
	forge(&f);
	CHECK_EQ(pwrite(f.fd, &value, bytes, (off_t)at), bytes);
	works_by_the_kernel(f.fds);
	expect_no_bytes(f.fd);
	CHECK_OK(unlink(ring_path(f.fds[R])));
	CHECK_OK(close(f.fd));
	drop(f.fds);
}

TEST(a_ring_with_a_wrong_header_is_refused)
{
	refuse_header(offsetof(struct phi_region_header, magic), 1, 8);
	refuse_header(offsetof(struct phi_region_header, kind), PHI_KIND_MQ, 4);
	refuse_header(offsetof(struct phi_region_header, layout), PIPE_LAYOUT + 1, 4);
	refuse_header(offsetof(struct phi_region_header, bytes), PIPE_BYTES * 2, 8);
	refuse_header(offsetof(struct phi_region_header, bytes), 0, 8);
	refuse_header(offsetof(struct phi_region_header, geometry), 1, 8);
	refuse_header(offsetof(struct phi_region_header, geometry) + 8, 1, 8);
}

static void refuse_size(off_t bytes)
{
	struct forgery f = {.uid = geteuid(), .mode = 0600, .in_use = true};
	forge(&f);
	CHECK_OK(ftruncate(f.fd, bytes));
	works_by_the_kernel(f.fds);
	CHECK_OK(unlink(ring_path(f.fds[R])));
	CHECK_OK(close(f.fd));
	drop(f.fds);
}

TEST(a_ring_of_a_wrong_size_is_refused)
{
	refuse_size(0);
	refuse_size(PHI_REGION_BODY);
	refuse_size(PIPE_PAGE);
	refuse_size(PIPE_BYTES - 1);
	refuse_size((off_t)PIPE_BYTES * 2);
}

// ---- the namespace ----

static void carry_without_ring(void)
{
	int fds[2];
	make(fds);
	works_by_the_kernel(fds);
	drop(fds);
}

TEST(without_a_namespace_the_kernel_carries_the_bytes)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/missing", getenv("POSTHASTE_DIR"));
	setenv("POSTHASTE_DIR", path, 1);
	carry_without_ring();
	setenv("POSTHASTE_DIR", "/dev/null", 1);
	carry_without_ring();
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	setenv("POSTHASTE_DIR", path, 1);
	carry_without_ring();
}

// Root may enter everywhere.
static void carry_as_nobody(void *arg)
{
	(void)arg;
	if (geteuid() == 0)
		CHECK_OK(setresuid(NOBODY, NOBODY, NOBODY));
	carry_without_ring();
}

TEST(in_a_namespace_that_is_closed_the_kernel_carries_the_bytes)
{
	const mode_t modes[] = {0, 0444, 0555};
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		CHECK_OK(chmod(getenv("POSTHASTE_DIR"), modes[i]));
		test_join(test_fork(carry_as_nobody, NULL));
	}
	CHECK_OK(chmod(getenv("POSTHASTE_DIR"), 0700));
}

// ---- memory ----

static void mount_small(void)
{
	if (unshare(CLONE_NEWNS) == -1 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount("none", getenv("POSTHASTE_DIR"), "tmpfs", 0, "size=256k,mode=1777") == -1)
		SKIP("needs the privilege to mount");
}

// Leave so many bytes free.
static void fill_up(size_t spare)
{
	static const uint8_t block[4096] = {1};
	char path[PATH_MAX];
	off_t bytes = 0;
	snprintf(path, sizeof(path), "%s/ballast", getenv("POSTHASTE_DIR"));
	const int fd = (int)CHECK_OK(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	while (write(fd, block, sizeof(block)) == sizeof(block))
		bytes += (off_t)sizeof(block);
	CHECK_EQ(errno, ENOSPC);
	CHECK_OK(ftruncate(fd, bytes - (off_t)spare));
	CHECK_OK(close(fd));
}

static void carry_in_little_room(void *spare)
{
	mount_small();
	fill_up((size_t)(uintptr_t)spare);
	carry_without_ring();
}

// Before anything of the ring is there; with the control page, but not the bytes; with a part of these.
TEST(in_a_full_file_system_the_kernel_carries_the_bytes)
{
	const size_t spare[] = {0, 4096, 8192, 40960, 65536};
	for (size_t i = 0; i < sizeof(spare) / sizeof(spare[0]); i++)
		test_join(test_fork(carry_in_little_room, (void *)spare[i]));
}

static void carry_with_a_full_file_system_behind(void *arg)
{
	int fds[2];
	static uint8_t much[PIPE_SIZE_MAX];
	(void)arg;
	mount_small();
	make(fds);
	pipe_lease(fds[R]);
	fill_up(0);
	const ssize_t n = ph_write(fds[W], much, sizeof(much));
	CHECK(n > 0);
	CHECK_EQ(ph_read(fds[R], much, sizeof(much)), n);
	pipe_carries(fds);
	CHECK_OK(ph_fcntl(fds[W], F_SETPIPE_SZ, 1 << 20)); // more than there is
	phi_pipe_force_lease(fds[R]);
	pipe_carries(fds);
	drop(fds);
}

TEST(a_ring_has_its_memory_before_it_is_used)
{
	test_join(test_fork(carry_with_a_full_file_system_behind, NULL));
}

// A hole in a full file system cannot be filled: the guard steps in.
static void carry_over_a_hole(void *arg)
{
	int fds[2];
	uint8_t buf[4096];
	struct ring r;
	(void)arg;
	mount_small();
	make(fds);
	pipe_lease(fds[R]);
	ring_open(&r, fds[R]);
	CHECK_OK(
		fallocate(r.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PIPE_DATA_AT, PIPE_SIZE_MAX));
	fill_up(0);
	for (int i = 0; i < 100; i++) {
		memset(buf, i, sizeof(buf));
		const ssize_t n = ph_write(fds[W], buf, sizeof(buf));
		CHECK(n == sizeof(buf) || errno == EAGAIN);
		CHECK(ph_read(fds[R], buf, sizeof(buf)) >= 0 || errno == EBADMSG || errno == EAGAIN);
	}
	while (ph_read(fds[R], buf, sizeof(buf)) > 0)
		;
	pipe_carries(fds);
	drop(fds);
	ring_close(&r);
}

TEST(a_hole_in_a_full_file_system_is_survived)
{
	test_join(test_fork(carry_over_a_hole, NULL));
}
