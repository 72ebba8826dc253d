// A library for LD_PRELOAD: a file system on which some files cannot be written, and which may know no locks.
//
// BAD_DISK is a list "FOLDER|FILE|ERRNO;...": writing a file whose path holds both texts fails with that error; EXDEV
// (18) lets the file be written and fails when it is renamed. BAD_DISK_AFTER lets each process write to such files that
// many times before. BAD_DISK_FLOCK is the error with which every flock fails.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int failure_of(const char *path) {
    const char *rules = getenv("BAD_DISK");
    char folder[512], file[512];
    static int written;
    const char *allowed = getenv("BAD_DISK_AFTER");
    int error, length, after = allowed ? atoi(allowed) : 0;
    while (rules && sscanf(rules, "%511[^|]|%511[^|]|%d;%n", folder, file, &error, &length) == 3) {
        if (strstr(path, folder) && strstr(path, file)) return written++ < after ? 0 : error;
        rules += length;
    }
    return 0;
}

static int failure(int descriptor) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    int error = failure_of(path);
    return error == EXDEV ? 0 : error;
}

#define FAIL(error, value) \
    do { \
        int found = error; \
        if (found) { \
            errno = found; \
            return value; \
        } \
    } while (0)
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t size) {
    FAIL(failure(fd), -1);
    return REAL(write)(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    FAIL(failure(fd), -1);
    return REAL(writev)(fd, parts, count);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    FAIL(failure(fd), -1);
    return REAL(pwrite)(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    FAIL(failure(fd), -1);
    return REAL(pwrite64)(fd, data, size, at);
}

// The C library's own streams, with which TensorFlow writes event files, do not go through `write` above.
size_t fwrite(const void *data, size_t size, size_t count, FILE *file) {
    FAIL(failure(fileno(file)), 0);
    return REAL(fwrite)(data, size, count, file);
}

int fflush(FILE *file) {
    if (file) FAIL(failure(fileno(file)), EOF);
    return REAL(fflush)(file);
}

int rename(const char *old, const char *new) {
    FAIL(failure_of(new) == EXDEV ? EXDEV : 0, -1);
    return REAL(rename)(old, new);
}

int flock(int fd, int operation) {
    const char *error = getenv("BAD_DISK_FLOCK");
    FAIL(error ? atoi(error) : 0, -1);
    int (*real)(int, int) = dlsym(RTLD_NEXT, "flock");
    return real(fd, operation);
}
