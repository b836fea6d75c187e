// SPDX-License-Identifier: MIT
//
// tests/mq/cxx_header.cc - the public headers in C++: they compile, link as C, and the POSIX names map.
#include <posthaste/posix.h>

#include <cstring>
#include <fcntl.h>

#include "runner.h"

namespace
{

mqd_t make_queue()
{
	struct mq_attr attr = {};
	attr.mq_maxmsg = 4;
	attr.mq_msgsize = 64;
	return static_cast<mqd_t>(CHECK_OK(mq_open(test_name(), O_RDWR | O_CREAT, 0600, &attr)));
}

void drop_queue(mqd_t q)
{
	CHECK_OK(mq_close(q));
	CHECK_OK(mq_unlink(test_name()));
}

} // namespace

TEST(posix_names_work_in_cxx)
{
	mqd_t q = make_queue();
	char buf[64];
	unsigned prio = 0;

	CHECK_OK(mq_send(q, "hello", 5, 7));
	CHECK_EQ(mq_receive(q, buf, sizeof(buf), &prio), 5);
	CHECK_EQ(prio, 7);
	CHECK(std::memcmp(buf, "hello", 5) == 0);
	drop_queue(q);
}

TEST(posix_names_can_be_taken_the_address_of_in_cxx)
{
	int (*send)(mqd_t, const char *, size_t, unsigned) = mq_send;
	ssize_t (*receive)(mqd_t, char *, size_t, unsigned *) = &mq_receive;
	mqd_t q = make_queue();
	char buf[64];

	CHECK_OK(send(q, "x", 1, 0));
	CHECK_EQ(receive(q, buf, sizeof(buf), nullptr), 1);
	drop_queue(q);
}

TEST(own_calls_work_in_cxx)
{
	mqd_t q = make_queue();
	struct ph_mq_loan loan = {};
	struct ph_mq_info info = {};

	CHECK_OK(ph_mq_reserve(q, &loan));
	std::memcpy(loan.data, "in place", 8);
	CHECK_OK(ph_mq_commit(q, &loan, 8, 3));
	CHECK_OK(ph_mq_info(test_name(), &info));
	CHECK_EQ(info.curmsgs, 1);
	CHECK_OK(ph_mq_borrow(q, &loan));
	CHECK_EQ(loan.size, 8);
	CHECK(std::memcmp(loan.data, "in place", 8) == 0);
	CHECK_OK(ph_mq_release(q, &loan));
	CHECK(std::strcmp(ph_version(), PH_VERSION) == 0);
	drop_queue(q);
}
