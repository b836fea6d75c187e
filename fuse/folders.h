// SPDX-License-Identifier: MIT
//
// folders.h - what the mounted file system holds: a folder for each kind of object, a file for each object.
//
// Everything is looked up anew at each call: there is no cache that could differ from the namespace, and what a look
// costs others is what `posthaste info` costs them. Nothing here waits for anybody.
#ifndef FUSE_FOLDERS_H
#define FUSE_FOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

enum { FOLDER_TEXT_MAX = 256 };

struct listing {
	size_t count;
	char **name;
};

struct folder {
	const char *name; // of the folder
	const char
		*prefix;   // of its objects' files in the namespace; "" if a file goes by its whole name
	bool messages; // messages.c has the contents
	// What a file holds that is a line about its object; the length. NULL: the bytes of the object's own file.
	// An object that cannot be looked at is told of as such.
	int (*text)(const char *name, char text[FOLDER_TEXT_MAX]);
	// Times and size that the object's own file does not have. May be NULL.
	void (*stat)(const char *name, struct stat *st);
	int (*remove)(const char *name); // 0 or -1 with errno. NULL: not permitted
};

// In the order in which they are listed.
extern const struct folder folders[];
extern const size_t folder_count;

// The names in a folder; the caller frees them. False: the namespace cannot be read.
bool folder_list(const struct folder *folder, struct listing *listing);
void folder_free(struct listing *listing);

// The file of an object as it is shown, or an error: 0 or an errno.
int folder_stat(const struct folder *folder, const char *name, struct stat *st);

// The object's own file in the namespace, to read: a descriptor, or -1 with errno.
int folder_open(const struct folder *folder, const char *name);

#endif
