// SPDX-License-Identifier: MIT
//
// cmd_shm_bytes.c - posthaste shm cat and shm write: bytes of shared memory to stdout, and from stdin. They go by
// the object's descriptor and not by a mapping, so that a size which changes meanwhile is only an end of file.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd_shm.h"
#include "shared.h"

enum { PIECE_BYTES = 256 * 1024 };

struct stretch {
	char name[NAME_WHOLE_MAX];
	uint64_t offset, bytes; // where, and how many at most
	bool grow;
	int fd;
};

static char piece[PIECE_BYTES];

static bool open_object(struct stretch *stretch, int oflag)
{
	stretch->fd = ph_shm_open(stretch->name, oflag, 0);
	if (stretch->fd < 0)
		shared_fail(stretch->name, errno);
	return stretch->fd >= 0;
}

static size_t next_piece(const struct stretch *stretch, uint64_t done)
{
	const uint64_t left = stretch->bytes - done;

	return left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
}

// ---- cat ----

static int copy_out(const struct stretch *stretch)
{
	for (uint64_t done = 0; done < stretch->bytes;) {
		const ssize_t n =
			pread(stretch->fd, piece, next_piece(stretch, done), (off_t)(stretch->offset + done));

		if (n < 0)
			return shared_fail(stretch->name, errno);
		if (n == 0)
			break;
		if (fwrite(piece, 1, (size_t)n, stdout) != (size_t)n)
			break; // main tells of stdout
		done += (uint64_t)n;
	}
	return STATUS_DONE;
}

static int cat(struct stretch *stretch)
{
	struct stat st;

	if (!open_object(stretch, O_RDONLY))
		return STATUS_REFUSED;
	const bool beyond = fstat(stretch->fd, &st) == 0 && stretch->offset > (uint64_t)st.st_size;
	const int status = beyond ? cli_fail(STATUS_REFUSED, stretch->name,
	                                     "has %jd bytes: there is nothing at offset %ju",
	                                     (intmax_t)st.st_size, (uintmax_t)stretch->offset)
	                          : copy_out(stretch);

	close(stretch->fd);
	return status;
}

// ---- write ----

// At least `end` bytes, with memory behind them; 0 or errno.
static int make_room(const struct stretch *stretch, uint64_t end)
{
	struct stat st;

	if (fstat(stretch->fd, &st) != 0)
		return errno;
	if ((uint64_t)st.st_size >= end)
		return 0;
	if (end > INT64_MAX)
		return EFBIG;
	return stretch->grow ? posix_fallocate(stretch->fd, st.st_size, (off_t)end - st.st_size)
	                     : ERANGE;
}

static int put(const struct stretch *stretch, uint64_t at, size_t size)
{
	for (size_t done = 0; done < size;) {
		const ssize_t n =
			pwrite(stretch->fd, piece + done, size - done, (off_t)(stretch->offset + at + done));

		if (n < 0)
			return errno;
		done += (size_t)n;
	}
	return 0;
}

static int fail_at(const struct stretch *stretch, int err, uint64_t done)
{
	if (err == ERANGE)
		return cli_fail(STATUS_REFUSED, stretch->name,
		                "too small: %ju bytes were written; let it grow with --grow",
		                (uintmax_t)done);
	return shared_fail(stretch->name, err);
}

// What fits is written, also of a piece that does not fit whole.
static size_t that_fits(const struct stretch *stretch, uint64_t at, size_t size)
{
	struct stat st;
	const uint64_t begin = stretch->offset + at;

	if (fstat(stretch->fd, &st) != 0 || (uint64_t)st.st_size <= begin)
		return 0;
	const uint64_t room = (uint64_t)st.st_size - begin;

	return room < size ? (size_t)room : size;
}

static int copy_in(const struct stretch *stretch)
{
	ssize_t n;

	for (uint64_t done = 0; (n = read(STDIN_FILENO, piece, PIECE_BYTES)) != 0;) {
		if (n < 0)
			return cli_fail(STATUS_REFUSED, "stdin", "%s", strerror(errno));
		const int short_of = make_room(stretch, stretch->offset + done + (uint64_t)n);
		const size_t size = short_of ? that_fits(stretch, done, (size_t)n) : (size_t)n;
		const int err = put(stretch, done, size);

		done += size;
		if (err != 0 || short_of != 0)
			return fail_at(stretch, err ? err : short_of, done);
	}
	return STATUS_DONE;
}

static int write_bytes(struct stretch *stretch)
{
	if (!open_object(stretch, O_RDWR))
		return STATUS_REFUSED;
	const int status = copy_in(stretch);

	close(stretch->fd);
	return status;
}

// ---- arguments ----

static const struct option cat_options[] = {
	{"offset", required_argument, NULL, 'o'},
	{"bytes", required_argument, NULL, 'b'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static const struct option write_options[] = {
	{"offset", required_argument, NULL, 'o'},
	{"grow", no_argument, NULL, 'g'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static int take_option(int opt, struct stretch *stretch)
{
	uint64_t *const value = opt == 'o' ? &stretch->offset : &stretch->bytes;

	if (opt == 'g') {
		stretch->grow = true;
		return 0;
	}
	if (cli_parse_bytes(optarg, value) && *value <= INT64_MAX / 2)
		return 0;
	return cli_usage_error("--%s %s is not a number of bytes, such as 4096, 64k, 1g",
	                       opt == 'o' ? "offset" : "bytes", optarg);
}

static int run_with(const char *known, const struct option *options, int argc, char **argv,
                    int (*work)(struct stretch *))
{
	struct stretch stretch = {.bytes = INT64_MAX / 2};
	int opt, status;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, known, options, NULL)) != -1) {
		if (opt == 'h' || opt == ':' || opt == '?')
			return cli_other_option(opt, argv);
		if ((status = take_option(opt, &stretch)) != 0)
			return status;
	}
	if (argc - optind != 1)
		return cli_usage_error("one name is needed");
	return shared_name(argv[optind], stretch.name) ? work(&stretch) : STATUS_USAGE;
}

static int run_cat(int argc, char **argv)
{
	return run_with(":o:b:h", cat_options, argc, argv, cat);
}

static int run_write(int argc, char **argv)
{
	return run_with(":o:gh", write_options, argc, argv, write_bytes);
}

const struct command shm_cat = {
	.name = "shm cat",
	.arguments = "NAME [--offset N] [--bytes N]",
	.summary = "Copy shared memory to stdout.",
	.help = "  -o, --offset N   from this byte on\n"
			"  -b, --bytes N    so many at most (default: to the end)\n",
	.run = run_cat,
};

const struct command shm_write = {
	.name = "shm write",
	.arguments = "NAME [--offset N] [--grow]",
	.summary = "Copy stdin into shared memory.",
	.help = "  -o, --offset N   to this byte and those behind it\n"
			"  -g, --grow       make it larger where the input needs it\n",
	.run = run_write,
};
