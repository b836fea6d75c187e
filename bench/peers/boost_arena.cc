// SPDX-License-Identifier: MIT
//
// boost::interprocess::managed_shared_memory: the allocator in shared memory that C++ programs use today. A
// best-fit tree under one mutex that processes share; a killed holder leaves it locked.
#include <boost/interprocess/managed_shared_memory.hpp>

#include <cerrno>
#include <cstdint>
#include <new>

#include "peer.h"

using boost::interprocess::create_only;
using boost::interprocess::managed_shared_memory;
using boost::interprocess::open_only;
using boost::interprocess::shared_memory_object;

namespace
{

constexpr std::size_t arena_bytes = std::size_t{64} << 20;

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

managed_shared_memory *memory(const bench_end *end)
{
	return static_cast<managed_shared_memory *>(end->state);
}

int create(bench_end *end)
{
	return guarded([&] {
		managed_shared_memory made(create_only, plain(end), arena_bytes);
		return 0;
	});
}

void destroy(bench_end *end)
{
	shared_memory_object::remove(plain(end));
}

int attach(bench_end *end)
{
	return guarded([&] {
		end->state = new managed_shared_memory(open_only, plain(end));
		return 0;
	});
}

// A handle is an offset; never 0, where the segment's header stands.
std::uint64_t allocate(bench_end *end, std::size_t bytes)
{
	void *at = memory(end)->allocate(bytes, std::nothrow);
	if (at == nullptr) {
		errno = ENOMEM;
		return 0;
	}
	return static_cast<std::uint64_t>(memory(end)->get_handle_from_address(at));
}

void *address(bench_end *end, std::uint64_t block)
{
	return memory(end)->get_address_from_handle(
		static_cast<managed_shared_memory::handle_t>(block));
}

int deallocate(bench_end *end, std::uint64_t block)
{
	memory(end)->deallocate(address(end, block));
	return 0;
}

bench_ops make_ops()
{
	bench_ops ops = {};
	ops.name = "boost";
	ops.create = create;
	ops.destroy = destroy;
	ops.attach = attach;
	ops.allocate = allocate;
	ops.deallocate = deallocate;
	ops.address = address;
	return ops;
}

} // namespace

int main(int argc, char **argv)
{
	const bench_ops ops = make_ops();
	return peer_main(argc, argv, "shm", bench_arena_cases, &ops);
}
