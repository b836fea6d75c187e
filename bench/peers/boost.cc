// SPDX-License-Identifier: MIT
//
// boost::interprocess::message_queue: the queue in shared memory that C++ programs use today. It
// has names and priorities, no recovery. Blocking calls, except where both sides run all the time
// anyway: there it is polled, which is the best it can do.
#include <boost/interprocess/ipc/message_queue.hpp>

#include <cerrno>
#include <new>

#include "peer.h"

using boost::interprocess::create_only;
using boost::interprocess::message_queue;
using boost::interprocess::open_only;

namespace
{

// The workloads are C: no exception may leave.
template <typename F> int guarded(F &&body)
{
	try {
		return body();
	} catch (const boost::interprocess::interprocess_exception &e) {
		errno = e.get_native_error() ? e.get_native_error() : EIO;
	} catch (const std::bad_alloc &) {
		errno = ENOMEM;
	}
	return -1;
}

const char *plain(const bench_end *end)
{
	return end->name + 1;
}

message_queue *queue(const bench_end *end)
{
	return static_cast<message_queue *>(end->state);
}

int create(bench_end *end)
{
	return guarded([&] {
		message_queue made(create_only, plain(end), end->depth, end->size);
		return 0;
	});
}

void destroy(bench_end *end)
{
	message_queue::remove(plain(end));
}

int attach(bench_end *end)
{
	return guarded([&] {
		end->state = new message_queue(open_only, plain(end));
		return 0;
	});
}

int send_message(bench_end *end, const void *data, size_t len, unsigned prio)
{
	return guarded([&] {
		if (!end->polled) {
			queue(end)->send(data, len, prio);
			return 0;
		}
		while (!queue(end)->try_send(data, len, prio)) {
		}
		return 0;
	});
}

ssize_t receive_message(bench_end *end, void *data, size_t room, unsigned *prio)
{
	message_queue::size_type got = 0;
	unsigned from = 0;
	const int status = guarded([&] {
		if (!end->polled) {
			queue(end)->receive(data, room, got, from);
			return 0;
		}
		while (!queue(end)->try_receive(data, room, got, from)) {
		}
		return 0;
	});
	if (status != 0)
		return -1;
	if (prio)
		*prio = from;
	return static_cast<ssize_t>(got);
}

} // namespace

int main(int argc, char **argv)
{
	bench_ops ops = {};
	ops.name = "boost";
	ops.create = create;
	ops.destroy = destroy;
	ops.attach = attach;
	ops.send = send_message;
	ops.receive = receive_message;
	return peer_main(argc, argv, "mq", bench_mq_cases, &ops);
}
