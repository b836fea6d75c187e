// SPDX-License-Identifier: MIT
//
// tree.c - see tree.h. Answers each call from the namespace as it is then.
//
// The root and the folders have fixed numbers. A file gets another one at each lookup: the kernel lets one write
// at a time into a file of one number, and a writer that waits for room would keep the others, even those with
// O_NONBLOCK, in a sleep that no signal ends.
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <posthaste/common.h>

#include "folders.h"
#include "messages.h"
#include "names.h"

#define FIRST_FOLDER (FUSE_ROOT_ID + 1)
// d_ino of a name in a listing: which number a file has, its own stat tells.
#define UNKNOWN_INO 0xffffffff

// A looked-up file; its address is its number. It lives until the kernel forgets it.
struct node {
	const struct folder *folder;
	char name[];
};

// An open file that is not of messages.
struct shown {
	int fd; // of the object's own file, or -1: the text
	size_t length;
	char text[FOLDER_TEXT_MAX];
};

static bool is_folder(fuse_ino_t ino)
{
	return ino >= FIRST_FOLDER && ino < FIRST_FOLDER + folder_count;
}

static const struct folder *folder_of(fuse_ino_t ino)
{
	return &folders[ino - FIRST_FOLDER];
}

static struct node *node_of(fuse_ino_t ino)
{
	return (struct node *)(uintptr_t)ino;
}

// Root and folders have the namespace's owner and mode. 0 or an errno.
static int stat_directory(fuse_ino_t ino, struct stat *st)
{
	char directory[PATH_MAX];

	if (ph_namespace(directory, sizeof directory) < 0 || stat(directory, st) != 0)
		return errno;
	st->st_ino = ino;
	st->st_nlink = ino == FUSE_ROOT_ID ? 2 + (nlink_t)folder_count : 2;
	st->st_size = 0;
	st->st_blocks = 0;
	return 0;
}

static int stat_any(fuse_ino_t ino, struct stat *st)
{
	if (ino == FUSE_ROOT_ID || is_folder(ino))
		return stat_directory(ino, st);
	return folder_stat(node_of(ino)->folder, node_of(ino)->name, st);
}

// ---- finding ----

static int find_folder(const char *name, struct fuse_entry_param *entry)
{
	for (size_t i = 0; i < folder_count; i++)
		if (strcmp(folders[i].name, name) == 0) {
			entry->ino = FIRST_FOLDER + i;
			return stat_directory(entry->ino, &entry->attr);
		}
	return ENOENT;
}

// A node for *entry, which is the caller's to free if nobody gets it.
static int find_file(const struct folder *folder, const char *name, struct fuse_entry_param *entry,
                     struct node **made)
{
	const int err = folder_stat(folder, name, &entry->attr);

	if (err != 0)
		return err;
	struct node *node = malloc(sizeof *node + strlen(name) + 1);

	if (!node)
		return ENOMEM;
	node->folder = folder;
	memcpy(node->name, name, strlen(name) + 1);
	entry->ino = (fuse_ino_t)(uintptr_t)node;
	*made = node;
	return 0;
}

static void tree_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {0};
	struct node *node = NULL;
	const int err = parent == FUSE_ROOT_ID ? find_folder(name, &entry)
	                : is_folder(parent)    ? find_file(folder_of(parent), name, &entry, &node)
	                                       : ENOTDIR;

	if (err != 0)
		fuse_reply_err(req, err);
	else if (fuse_reply_entry(req, &entry) != 0)
		free(node); // the kernel did not get it, and will not forget it
}

// Each node is looked up once, so it is forgotten once.
static void tree_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	(void)count;
	if (ino != FUSE_ROOT_ID && !is_folder(ino))
		free(node_of(ino));
	fuse_reply_none(req);
}

static void tree_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
	struct stat st;
	const int err = stat_any(ino, &st);

	(void)file;
	if (err != 0)
		fuse_reply_err(req, err);
	else
		fuse_reply_attr(req, &st, 0);
}

// `>FILE` cuts and `touch` dates what is of messages; neither means anything to a queue.
static void tree_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int set,
                         struct fuse_file_info *file)
{
	const int harmless = FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME |
	                     FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME_NOW | FUSE_SET_ATTR_CTIME;
	const bool messages = ino != FUSE_ROOT_ID && !is_folder(ino) && node_of(ino)->folder->messages;

	(void)attr;
	if (messages && (set & ~harmless) == 0)
		tree_getattr(req, ino, file);
	else
		fuse_reply_err(req, EPERM);
}

// ---- directories ----

static void add_root(struct listing *listing)
{
	listing->name = calloc(folder_count, sizeof *listing->name);
	for (size_t i = 0; listing->name && i < folder_count; i++) {
		listing->name[i] = strdup(folders[i].name);
		listing->count += listing->name[i] != NULL;
	}
}

// What is in a directory is found out when it is opened, so that a reader sees each name once.
static void tree_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
	struct listing *listing = calloc(1, sizeof *listing);

	if (!listing) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	if (ino == FUSE_ROOT_ID) {
		add_root(listing);
	} else if (!folder_list(folder_of(ino), listing)) {
		fuse_reply_err(req, EIO);
		free(listing);
		return;
	}
	file->fh = (uintptr_t)listing;
	if (fuse_reply_open(req, file) != 0) {
		folder_free(listing);
		free(listing);
	}
}

static void tree_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                         struct fuse_file_info *file)
{
	const struct listing *listing = (const struct listing *)(uintptr_t)file->fh;
	const struct stat st = {.st_ino = UNKNOWN_INO,
	                        .st_mode = ino == FUSE_ROOT_ID ? S_IFDIR : S_IFREG};
	char *buf = malloc(size);
	size_t used = 0;

	if (!buf) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	for (size_t i = (size_t)offset; i < listing->count; i++) {
		const size_t needed =
			fuse_add_direntry(req, buf + used, size - used, listing->name[i], &st, (off_t)(i + 1));

		if (needed > size - used)
			break;
		used += needed;
	}
	fuse_reply_buf(req, buf, used);
	free(buf);
}

static void tree_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
	struct listing *listing = (struct listing *)(uintptr_t)file->fh;

	(void)ino;
	folder_free(listing);
	free(listing);
	fuse_reply_err(req, 0);
}

static void tree_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const struct folder *folder = is_folder(parent) ? folder_of(parent) : NULL;

	if (!folder || !folder->remove)
		fuse_reply_err(req, EPERM);
	else
		fuse_reply_err(req, folder->remove(name) == 0 ? 0 : errno);
}

// Objects are made by programs and by `posthaste mk`, which say how large they are to be.
static void tree_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
	(void)parent, (void)name, (void)mode, (void)dev;
	fuse_reply_err(req, EPERM);
}

static void tree_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	(void)parent, (void)name, (void)mode;
	fuse_reply_err(req, EPERM);
}

static void tree_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent, (void)name;
	fuse_reply_err(req, EPERM);
}

static void tree_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
                        const char *newname, unsigned flags)
{
	(void)parent, (void)name, (void)newparent, (void)newname, (void)flags;
	fuse_reply_err(req, EPERM);
}

static void tree_statfs(fuse_req_t req, fuse_ino_t ino)
{
	char directory[PATH_MAX];
	struct statvfs st;

	(void)ino;
	if (ph_namespace(directory, sizeof directory) < 0 || statvfs(directory, &st) != 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_statfs(req, &st);
}

// ---- files ----

static void open_messages(fuse_req_t req, const struct node *node, struct fuse_file_info *file)
{
	struct channel *channel;
	const int err = channel_open(node->name, file->flags, &channel);

	if (err != 0) {
		fuse_reply_err(req, err);
		return;
	}
	file->fh = (uintptr_t)channel;
	file->nonseekable = 1;
	if (fuse_reply_open(req, file) != 0)
		channel_close(channel);
}

static int show(const struct node *node, struct shown *shown)
{
	shown->fd = -1;
	if (node->folder->text)
		shown->length = (size_t)node->folder->text(node->name, shown->text);
	else if ((shown->fd = folder_open(node->folder, node->name)) < 0)
		return errno;
	return 0;
}

static void free_shown(struct shown *shown)
{
	if (shown->fd >= 0)
		close(shown->fd);
	free(shown);
}

static void open_shown(fuse_req_t req, const struct node *node, struct fuse_file_info *file)
{
	struct shown *shown = calloc(1, sizeof *shown);
	const int err = !shown                                  ? ENOMEM
	                : (file->flags & O_ACCMODE) != O_RDONLY ? EPERM
	                                                        : show(node, shown);

	if (err != 0) {
		fuse_reply_err(req, err);
		free(shown);
		return;
	}
	file->fh = (uintptr_t)shown;
	if (fuse_reply_open(req, file) != 0)
		free_shown(shown);
}

static void tree_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
	const struct node *node = node_of(ino);

	file->direct_io = 1; // nothing is cached, and the size that stat tells is no bound
	if (node->folder->messages)
		open_messages(req, node, file);
	else
		open_shown(req, node, file);
}

static void read_own_file(fuse_req_t req, const struct shown *shown, size_t size, off_t offset)
{
	char *buf = malloc(size);
	const ssize_t n = buf ? pread(shown->fd, buf, size, offset) : -1;

	if (n < 0)
		fuse_reply_err(req, buf ? errno : ENOMEM);
	else
		fuse_reply_buf(req, buf, (size_t)n);
	free(buf);
}

static void tree_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                      struct fuse_file_info *file)
{
	const struct shown *shown = (const struct shown *)(uintptr_t)file->fh;

	if (node_of(ino)->folder->messages)
		channel_read((struct channel *)(uintptr_t)file->fh, req, size,
		             (file->flags & O_NONBLOCK) != 0);
	else if (shown->fd >= 0)
		read_own_file(req, shown, size, offset);
	else if ((size_t)offset >= shown->length)
		fuse_reply_buf(req, NULL, 0);
	else
		fuse_reply_buf(req, shown->text + offset,
		               size < shown->length - (size_t)offset ? size
		                                                     : shown->length - (size_t)offset);
}

static void tree_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
                       struct fuse_file_info *file)
{
	(void)offset;
	if (node_of(ino)->folder->messages)
		channel_write((struct channel *)(uintptr_t)file->fh, req, data, size,
		              (file->flags & O_NONBLOCK) != 0);
	else
		fuse_reply_err(req, EPERM);
}

static void tree_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
	if (node_of(ino)->folder->messages)
		channel_close((struct channel *)(uintptr_t)file->fh);
	else
		free_shown((struct shown *)(uintptr_t)file->fh);
	fuse_reply_err(req, 0);
}

static void tree_init(void *arg, struct fuse_conn_info *connection)
{
	(void)arg;
	channel_limit(connection->max_write);
}

const struct fuse_lowlevel_ops tree_operations = {
	.init = tree_init,
	.lookup = tree_lookup,
	.forget = tree_forget,
	.getattr = tree_getattr,
	.setattr = tree_setattr,
	.opendir = tree_opendir,
	.readdir = tree_readdir,
	.releasedir = tree_releasedir,
	.unlink = tree_unlink,
	.mknod = tree_mknod,
	.mkdir = tree_mkdir,
	.rmdir = tree_rmdir,
	.rename = tree_rename,
	.statfs = tree_statfs,
	.open = tree_open,
	.read = tree_read,
	.write = tree_write,
	.release = tree_release,
};
