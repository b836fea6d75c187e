// SPDX-License-Identifier: MIT
//
// tests/pipe/extra_habits_cxx.cc - other people's habits in C++ under <posthaste/posix.h>: the members of the standard
// library that have the names of system calls, classes with such members, and the calls from global scope.
#include <posthaste/posix.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>

#include "runner.h"

TEST(streams_of_the_standard_library_keep_their_members)
{
	const char *path = "/proc/self/status";
	char word[6] = {};
	std::ifstream in;
	in.open(path);
	CHECK(in.is_open());
	CHECK_EQ(in.read(word, 5).gcount(), 5);
	CHECK(std::string(word) == "Name:");
	in.close();
	std::ostringstream out;
	out.write("text", 4);
	CHECK(out.str() == "text");
	std::cout.write("", 0);
}

namespace
{

// As event loops and network libraries have them.
class channel
{
  public:
	channel()
	{
		CHECK_OK(::pipe(fds));
	}
	~channel()
	{
		close();
	}
	ssize_t read(void *to, size_t bytes)
	{
		return ::read(fds[0], to, bytes);
	}
	ssize_t write(const std::string &text)
	{
		return ::write(fds[1], text.data(), text.size());
	}
	void close()
	{
		if (fds[0] >= 0) {
			::close(fds[0]);
			::close(fds[1]);
		}
		fds[0] = -1;
	}

  private:
	int fds[2];
};

} // namespace

TEST(classes_may_have_members_of_the_names)
{
	channel c;
	char buf[8];
	std::thread writer([&c] { CHECK_EQ(c.write("hello"), 5); });
	CHECK_EQ(c.read(buf, sizeof buf), 5);
	writer.join();
	c.close();
}

TEST(functions_are_values)
{
	std::function<ssize_t(int, void *, size_t)> reader = ::read;
	auto *closer = &::close;
	int fds[2];
	char c = 0;
	CHECK(closer == ph_close);
	CHECK_OK(pipe2(fds, O_CLOEXEC));
	CHECK_EQ(write(fds[1], "x", 1), 1);
	CHECK_EQ(reader(fds[0], &c, 1), 1);
	CHECK_OK(closer(fds[0]));
	CHECK_OK(closer(fds[1]));
}
