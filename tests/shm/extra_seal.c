// SPDX-License-Identifier: MIT
//
// tests/shm/extra_seal.c - objects without a name: handed over by descriptor, grown, sealed.
#include <posthaste/posthaste.h>

#include "object.h"

#define CHECK_NULL(call, err) (CHECK((call) == NULL), CHECK_EQ(errno, err))

static uint8_t *make(size_t size, size_t reach)
{
	uint8_t *p = ph_shm_map(NULL, size, 0, 0, reach);
	CHECK(p != NULL);
	return p;
}

static uint8_t *map_fd(int fd, int flags, size_t reach)
{
	uint8_t *p = ph_shm_map_fd(fd, 0, flags, reach);
	CHECK(p != NULL);
	return p;
}

static int seals_of(const void *p)
{
	struct ph_shm_info info;
	CHECK_OK(ph_shm_info(p, &info));
	return info.seals;
}

// ---- handing over ----

static void send_fd(int socket, int fd)
{
	char byte = 'x';
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	m.msg_control = control;
	m.msg_controllen = sizeof(control);
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	CHECK_EQ(sendmsg(socket, &m, 0), 1);
}

static int receive_fd(int socket)
{
	char byte;
	char control[CMSG_SPACE(sizeof(int))];
	int fd;
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	m.msg_control = control;
	m.msg_controllen = sizeof(control);
	CHECK_EQ(recvmsg(socket, &m, 0), 1);
	CHECK(CMSG_FIRSTHDR(&m) != NULL);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

static void use_received(void *arg)
{
	int fd = receive_fd(*(int *)arg);
	uint8_t *p = map_fd(fd, 0, 4 * PAGE);
	close(fd);
	check_pattern(p, 0, PAGE, 1);
	CHECK_OK(ph_shm_grow(p, 2 * PAGE));
	fill_pattern(p, PAGE, 2 * PAGE, 2);
	CHECK_OK(ph_shm_unmap(p));
}

TEST(an_object_without_a_name_is_handed_over_by_descriptor)
{
	int sockets[2];
	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	pid_t peer = test_fork(use_received, &sockets[1]);
	uint8_t *p = make(PAGE, 4 * PAGE);
	fill_pattern(p, 0, PAGE, 1);
	send_fd(sockets[0], ph_shm_fd(p));
	test_join(peer);
	CHECK_EQ(ph_shm_size(p), 2 * PAGE);
	check_pattern(p, PAGE, 2 * PAGE, 2);
	CHECK_OK(ph_shm_unmap(p));
	CHECK_EQ(count_names(), 0);
	close(sockets[0]);
	close(sockets[1]);
}

TEST(the_descriptor_stays_the_callers)
{
	uint8_t *p = make(PAGE, 0);
	int fd = dup(ph_shm_fd(p));
	uint8_t *q = map_fd(fd, 0, 0);
	CHECK_OK(ph_shm_unmap(p));
	CHECK_OK(ph_shm_unmap(q));
	CHECK_OK(close(fd));
}

TEST(a_new_one_is_zeros_reserved_and_marked_to_close)
{
	struct stat st;
	uint8_t *p = make(5 * PAGE + 1, 0);
	CHECK_OK(fstat(ph_shm_fd(p), &st));
	CHECK(st.st_blocks * 512 >= 5 * PAGE + 1);
	CHECK_EQ(fcntl(ph_shm_fd(p), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	check_zeros(p, 0, 5 * PAGE + 1);
	CHECK_OK(ph_shm_unmap(p));
}

TEST(errors_of_descriptors)
{
	int fds[2];
	uint8_t *p = make(PAGE, 0);
	int reader = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	CHECK_OK(reader);
	CHECK_OK(pipe(fds));
	CHECK_NULL(ph_shm_map_fd(-1, 0, 0, 0), EBADF);
	CHECK_NULL(ph_shm_map_fd(999, 0, 0, 0), EBADF);
	CHECK_NULL(ph_shm_map_fd(fds[0], PAGE, 0, 0), EINVAL);
	CHECK_NULL(ph_shm_map_fd(reader, 0, 0, 0), EACCES);
	CHECK_NULL(ph_shm_map_fd(reader, 0, PH_SHM_RDONLY | PH_SHM_SEALED, 0), EPERM);
	CHECK_NULL(ph_shm_map_fd(ph_shm_fd(p), 0, PH_SHM_CREATE, 0), EINVAL);
	CHECK_NULL(ph_shm_map_fd(ph_shm_fd(p), 0, PH_SHM_SEALED, 0), EPERM);
	CHECK_NULL(ph_shm_map_fd(ph_shm_fd(p), 2 * PAGE, PH_SHM_RDONLY, 0), EINVAL);
	close(fds[0]);
	close(fds[1]);
	close(reader);
	CHECK_OK(ph_shm_unmap(p));
}

// ---- seals ----

TEST(sealed_against_shrinking_it_cannot_be_cut)
{
	uint8_t *p = make(2 * PAGE, 0);
	CHECK_OK(ph_shm_seal(p, PH_SHM_SEAL_SHRINK));
	CHECK_EQ(seals_of(p), PH_SHM_SEAL_SHRINK);
	CHECK_ERR(ftruncate(ph_shm_fd(p), PAGE), EPERM);
	uint8_t *q = map_fd(ph_shm_fd(p), PH_SHM_SEALED, 0);
	fill_pattern(q, 0, 2 * PAGE, 1);
	CHECK_OK(ph_shm_unmap(q));
	CHECK_OK(ph_shm_unmap(p));
}

TEST(sealed_against_growing_growth_is_eperm)
{
	uint8_t *p = make(PAGE, 4 * PAGE);
	CHECK_OK(ph_shm_seal(p, PH_SHM_SEAL_GROW));
	CHECK_ERR(ph_shm_grow(p, 2 * PAGE), EPERM);
	CHECK_EQ(ph_shm_size(p), PAGE);
	CHECK_NULL(ph_shm_map_fd(ph_shm_fd(p), 2 * PAGE, 0, 0), EPERM);
	CHECK_OK(ph_shm_unmap(p));
}

TEST(sealed_seals_are_eperm)
{
	uint8_t *p = make(PAGE, 0);
	CHECK_OK(ph_shm_seal(p, PH_SHM_SEAL_SEAL | PH_SHM_SEAL_SHRINK));
	CHECK_ERR(ph_shm_seal(p, PH_SHM_SEAL_GROW), EPERM);
	CHECK_EQ(seals_of(p), PH_SHM_SEAL_SEAL | PH_SHM_SEAL_SHRINK);
	CHECK_OK(ph_shm_unmap(p));
}

TEST(writing_cannot_be_sealed_while_somebody_can_write)
{
	uint8_t *p = make(PAGE, 0);
	fill_pattern(p, 0, PAGE, 1);
	CHECK_ERR(ph_shm_seal(p, PH_SHM_SEAL_WRITE), EBUSY);
	CHECK_EQ(seals_of(p), 0);
	uint8_t *view = map_fd(ph_shm_fd(p), PH_SHM_RDONLY, 0);
	int fd = dup(ph_shm_fd(p));
	CHECK_ERR(ph_shm_seal(view, PH_SHM_SEAL_WRITE), EBUSY);
	CHECK_OK(ph_shm_unmap(p));
	CHECK_OK(ph_shm_seal(view, PH_SHM_SEAL_WRITE | PH_SHM_SEAL_SHRINK));
	check_pattern(view, 0, PAGE, 1);
	CHECK_ERR(pwrite(fd, "x", 1, 0), EPERM);
	CHECK_NULL(ph_shm_map_fd(fd, 0, 0, 0), EPERM);
	uint8_t *other = map_fd(fd, PH_SHM_RDONLY | PH_SHM_SEALED, 0);
	check_pattern(other, 0, PAGE, 1);
	CHECK_OK(ph_shm_unmap(other));
	CHECK_OK(ph_shm_unmap(view));
	close(fd);
}

TEST(sealed_against_future_writing_present_mappings_go_on)
{
	uint8_t *p = make(PAGE, 0);
	CHECK_OK(ph_shm_seal(p, PH_SHM_SEAL_FUTURE_WRITE));
	fill_pattern(p, 0, PAGE, 2);
	CHECK_NULL(ph_shm_map_fd(ph_shm_fd(p), 0, 0, 0), EPERM);
	uint8_t *view = map_fd(ph_shm_fd(p), PH_SHM_RDONLY, 0);
	check_pattern(view, 0, PAGE, 2);
	CHECK_OK(ph_shm_unmap(view));
	CHECK_OK(ph_shm_unmap(p));
}

TEST(a_view_of_a_new_object_can_be_sealed_at_once)
{
	uint8_t *view = ph_shm_map(NULL, PAGE, PH_SHM_RDONLY, 0, 0);
	CHECK(view != NULL);
	CHECK_OK(ph_shm_seal(view, PH_SHM_SEAL_WRITE));
	check_zeros(view, 0, PAGE);
	CHECK_OK(ph_shm_unmap(view));
}

TEST(named_objects_and_unknown_seals_are_einval)
{
	uint8_t *p = make(PAGE, 0);
	CHECK_ERR(ph_shm_seal(p, 0x1000), EINVAL);
	CHECK_OK(ph_shm_seal(p, 0));
	CHECK_OK(ph_shm_unmap(p));
	p = ph_shm_map(test_name(), PAGE, PH_SHM_CREATE, 0600, 0);
	CHECK(p != NULL);
	CHECK_ERR(ph_shm_seal(p, PH_SHM_SEAL_SHRINK), EINVAL);
	uint8_t *q = map_fd(ph_shm_fd(p), 0, 0);
	CHECK_ERR(ph_shm_seal(q, PH_SHM_SEAL_SHRINK), EINVAL);
	CHECK_EQ(seals_of(q), 0);
	CHECK_NULL(ph_shm_map_fd(ph_shm_fd(p), 0, PH_SHM_SEALED, 0), EPERM);
	CHECK_OK(ph_shm_unlink(test_name()));
	CHECK_ERR(ph_shm_seal(p, PH_SHM_SEAL_SHRINK), EINVAL);
	CHECK_OK(ph_shm_unmap(q));
	CHECK_OK(ph_shm_unmap(p));
}
