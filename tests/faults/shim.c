/* Preloaded into a process: counts the calls that change files below a folder, and at the n-th
 * one fails, goes on failing, or kills the process before or after it.
 * gcc -shared -fPIC -O1 -o shim.so shim.c -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OFF, COUNT, FAIL_ONCE, FAIL_ON, KILL_BEFORE, KILL_AFTER };

static atomic_long seen;
static int mode = OFF, error_number;
static long at;
static char home[PATH_MAX];
static size_t home_length;
static char where[PATH_MAX + 32];

void faults_arm(int how, long number, int error, const char *below) {
    strncpy(home, below, sizeof home - 1);
    home_length = strlen(home);
    atomic_store(&seen, 0);
    at = number;
    error_number = error;
    mode = how;
}

long faults_seen(void) { return atomic_load(&seen); }

const char *faults_where(void) { return where; }

static int is_below(const char *path) {
    char joined[PATH_MAX];
    if (mode == OFF || path == NULL) return 0;
    if (path[0] != '/') {
        if (getcwd(joined, sizeof joined) == NULL) return 0;
        size_t used = strlen(joined);
        snprintf(joined + used, sizeof joined - used, "/%s", path);
        path = joined;
    }
    return strncmp(path, home, home_length) == 0;
}

static int path_of(int descriptor, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

static int fd_below(int descriptor, char *path) {
    return mode != OFF && path_of(descriptor, path) && is_below(path);
}

/* 0: go on; 1: fail with error_number; 2: go on, then die. */
static int turn(const char *call, const char *path) {
    long number = atomic_fetch_add(&seen, 1) + 1;
    if (number == at) snprintf(where, sizeof where, "%s %s", call, path);
    if (mode == COUNT) return 0;
    if (mode == FAIL_ON ? number >= at : number == at) {
        if (mode == KILL_BEFORE) kill(getpid(), SIGKILL);
        if (mode == KILL_AFTER) return 2;
        errno = error_number;
        return 1;
    }
    return 0;
}

#define REAL(type, name) \
    static __typeof__(type) real; \
    if (real == NULL) real = (__typeof__(type))dlsym(RTLD_NEXT, name)

#define ANSWER(call) \
    do { \
        __typeof__(call) answer = (call); \
        if (what == 2) kill(getpid(), SIGKILL); \
        return answer; \
    } while (0)

#define CHANGES(flags) ((flags) & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR))

#define MODE_OF(flags) \
    mode_t permissions = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        permissions = va_arg(rest, mode_t); \
        va_end(rest); \
    }

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int (*)(const char *, int, ...), #name); \
        MODE_OF(flags) \
        int what = CHANGES(flags) && is_below(path) ? turn(#name, path) : 0; \
        if (what == 1) return -1; \
        ANSWER(real(path, flags, permissions)); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        REAL(int (*)(int, const char *, int, ...), #name); \
        MODE_OF(flags) \
        int what = CHANGES(flags) && is_below(path) ? turn(#name, path) : 0; \
        if (what == 1) return -1; \
        ANSWER(real(folder, path, flags, permissions)); \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int descriptor, const void *data, size_t size) {
    REAL(ssize_t(*)(int, const void *, size_t), "write");
    char path[PATH_MAX];
    int what = fd_below(descriptor, path) ? turn("write", path) : 0;
    if (what == 1) return -1;
    ANSWER(real(descriptor, data, size));
}

#define PWRITE(name, offset_type) \
    ssize_t name(int descriptor, const void *data, size_t size, offset_type offset) { \
        REAL(ssize_t(*)(int, const void *, size_t, offset_type), #name); \
        char path[PATH_MAX]; \
        int what = fd_below(descriptor, path) ? turn(#name, path) : 0; \
        if (what == 1) return -1; \
        ANSWER(real(descriptor, data, size, offset)); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define SYNC(name) \
    int name(int descriptor) { \
        REAL(int (*)(int), #name); \
        char path[PATH_MAX]; \
        int what = fd_below(descriptor, path) ? turn(#name, path) : 0; \
        if (what == 1) return -1; \
        ANSWER(real(descriptor)); \
    }
SYNC(fsync)
SYNC(fdatasync)

#define TRUNCATE(name, offset_type) \
    int name(int descriptor, offset_type size) { \
        REAL(int (*)(int, offset_type), #name); \
        char path[PATH_MAX]; \
        int what = fd_below(descriptor, path) ? turn(#name, path) : 0; \
        if (what == 1) return -1; \
        ANSWER(real(descriptor, size)); \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

int rename(const char *from, const char *to) {
    REAL(int (*)(const char *, const char *), "rename");
    int what = is_below(to) ? turn("rename", to) : 0;
    if (what == 1) return -1;
    ANSWER(real(from, to));
}

int renameat(int a, const char *from, int b, const char *to) {
    REAL(int (*)(int, const char *, int, const char *), "renameat");
    int what = is_below(to) ? turn("renameat", to) : 0;
    if (what == 1) return -1;
    ANSWER(real(a, from, b, to));
}

int unlink(const char *path) {
    REAL(int (*)(const char *), "unlink");
    int what = is_below(path) ? turn("unlink", path) : 0;
    if (what == 1) return -1;
    ANSWER(real(path));
}

int mkdir(const char *path, mode_t permissions) {
    REAL(int (*)(const char *, mode_t), "mkdir");
    struct stat found;
    int what = is_below(path) && stat(path, &found) != 0 ? turn("mkdir", path) : 0;
    if (what == 1) return -1;
    ANSWER(real(path, permissions));
}

/* Copies go by write(), where they are counted. */
ssize_t copy_file_range(int in, off64_t *a, int out, off64_t *b, size_t size, unsigned flags) {
    (void)in, (void)a, (void)out, (void)b, (void)size, (void)flags;
    errno = EXDEV;
    return -1;
}
ssize_t sendfile(int out, int in, off_t *offset, size_t size) {
    (void)out, (void)in, (void)offset, (void)size;
    errno = EINVAL;
    return -1;
}
