/* Preloaded into a process: counts the calls that change files below a folder, and at the n-th
 * one fails, goes on failing, kills the process before or after it, does half of it and kills, or
 * cuts the power: what no fsync had brought to the disk is taken back, then the process is killed.
 * gcc -shared -fPIC -O1 -o shim.so shim.c -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OFF, COUNT, FAIL_ONCE, FAIL_ON, KILL_BEFORE, KILL_AFTER, KILL_HALF, POWER_CUT };
enum { GO_ON, FAIL, THEN_DIE, HALF };

static atomic_long seen;
static int mode = OFF, error_number;
static long at;
static char home[PATH_MAX];
static size_t home_length;
static char where[PATH_MAX + 32];
static char letters[1 << 16]; /* the first letter of each call's name */

/* A disk that keeps only what was synced. The content of a file is its own as of its last fsync;
 * a name in a folder is as of the folder's last fsync; a syncfs does it for all. The newest change is taken back first. */
enum { MADE, RENAMED, REMOVED, CONTENT };
struct change {
    int kind, copy, own;
    char *path, *from;
    dev_t device;
    ino_t inode;
    struct change *before;
};
static struct change *newest;
static long copies;
static __thread int inside; /* calls of ours are not counted */
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;

void faults_arm(int how, long number, int error, const char *below) {
    strncpy(home, below, sizeof home - 1);
    home_length = strlen(home);
    atomic_store(&seen, 0);
    at = number;
    error_number = error;
    newest = NULL;
    mode = how;
}

long faults_seen(void) { return atomic_load(&seen); }

const char *faults_where(void) { return where; }

const char *faults_letters(void) { return letters; }

static int is_below(const char *path) {
    char joined[PATH_MAX];
    if (mode == OFF || path == NULL) return 0;
    if (path[0] != '/') {
        if (getcwd(joined, sizeof joined) == NULL) return 0;
        size_t used = strlen(joined);
        snprintf(joined + used, sizeof joined - used, "/%s", path);
        path = joined;
    }
    return strncmp(path, home, home_length) == 0 &&
        (path[home_length] == '/' || path[home_length] == 0);
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

static struct change *note(int kind, const char *path) {
    struct change *one = calloc(1, sizeof *one);
    one->kind = kind;
    one->copy = -1;
    one->path = strdup(path);
    one->before = newest;
    newest = one;
    return one;
}

static int copy_of(int descriptor) {
    /* The content of a file, in a file without a name. */
    char buffer[65536];
    FILE *kept = tmpfile();
    if (kept == NULL) abort();
    int out = fileno(kept);
    ssize_t got;
    off_t place = 0;
    while ((got = pread(descriptor, buffer, sizeof buffer, place)) > 0) {
        if (write(out, buffer, (size_t)got) != got) abort();
        place += got;
    }
    return out;
}

static void content(int descriptor) {
    /* Before the first change since its last fsync: what the file held. */
    struct stat found;
    char path[PATH_MAX];
    if (inside || mode != POWER_CUT || !fd_below(descriptor, path)) return;
    if (fstat(descriptor, &found) != 0 || !S_ISREG(found.st_mode)) return;
    pthread_mutex_lock(&changing);
    for (struct change *one = newest; one; one = one->before)
        if (one->kind == CONTENT && one->device == found.st_dev && one->inode == found.st_ino) {
            pthread_mutex_unlock(&changing);
            return;
        }
    inside = 1;
    struct change *one = note(CONTENT, path);
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", descriptor);
    /* Left open: closing it would give back the locks that SQLite holds on this file. */
    one->own = open(self, O_RDWR | O_CLOEXEC);
    if (one->own < 0) abort();
    one->copy = copy_of(one->own);
    one->device = found.st_dev;
    one->inode = found.st_ino;
    inside = 0;
    pthread_mutex_unlock(&changing);
}

static void name_gone(const char *path, int kind, const char *from) {
    /* Before ``path`` is replaced or removed: its file is kept under another name. */
    char kept[PATH_MAX + 40];
    struct stat found;
    if (inside || mode != POWER_CUT || !is_below(path)) return;
    pthread_mutex_lock(&changing);
    inside = 1;
    struct change *one = note(kind, path);
    if (from) one->from = strdup(from);
    if (lstat(path, &found) == 0 && !S_ISDIR(found.st_mode)) {
        snprintf(kept, sizeof kept, "%s.cut-%d-%ld", home, getpid(), ++copies);
        if (link(path, kept) == 0) one->copy = (int)copies;
    }
    inside = 0;
    pthread_mutex_unlock(&changing);
}

static void made(const char *path, int is_new) {
    if (!is_new || inside || mode != POWER_CUT || !is_below(path)) return;
    pthread_mutex_lock(&changing);
    note(MADE, path);
    pthread_mutex_unlock(&changing);
}

static int folder_of(const char *path, dev_t device, ino_t inode) {
    char folder[PATH_MAX];
    struct stat found;
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL) return 0;
    *slash = 0;
    return stat(folder, &found) == 0 && found.st_dev == device && found.st_ino == inode;
}

static void synced(int descriptor) {
    struct stat found;
    if (inside || mode != POWER_CUT || fstat(descriptor, &found) != 0) return;
    pthread_mutex_lock(&changing);
    for (struct change **next = &newest; *next;) {
        struct change *one = *next;
        int done = one->kind == CONTENT
            ? one->device == found.st_dev && one->inode == found.st_ino
            : S_ISDIR(found.st_mode) && folder_of(one->path, found.st_dev, found.st_ino);
        if (done) *next = one->before;
        else next = &one->before;
    }
    pthread_mutex_unlock(&changing);
}

static void cut(void) {
    char kept[PATH_MAX + 40], buffer[65536];
    pthread_mutex_lock(&changing);
    inside = 1;
    for (struct change *one = newest; one; one = one->before) {
        snprintf(kept, sizeof kept, "%s.cut-%d-%d", home, getpid(), one->copy);
        if (one->kind == MADE) {
            /* A folder is lost with all that is in it. */
            snprintf(kept, sizeof kept, "%s.cut-%d-made-%ld", home, getpid(), ++copies);
            rename(one->path, kept);
        } else if (one->kind == RENAMED) {
            rename(one->path, one->from);
            if (one->copy >= 0) rename(kept, one->path);
        } else if (one->kind == REMOVED) {
            if (one->copy >= 0) rename(kept, one->path);
        } else {
            ssize_t got;
            off_t place = 0;
            if (ftruncate(one->own, 0) != 0) abort();
            while ((got = pread(one->copy, buffer, sizeof buffer, place)) > 0) {
                if (pwrite(one->own, buffer, (size_t)got, place) != got) abort();
                place += got;
            }
        }
    }
    kill(getpid(), SIGKILL);
}

/* What becomes of this call. */
static int turn(const char *call, const char *path) {
    if (inside) return GO_ON;
    long number = atomic_fetch_add(&seen, 1) + 1;
    if (number < (long)sizeof letters) letters[number - 1] = call[0];
    if (number == at) snprintf(where, sizeof where, "%s %s", call, path);
    if (mode == COUNT) return GO_ON;
    if (mode == FAIL_ON ? number >= at : number == at) {
        if (mode == KILL_BEFORE) kill(getpid(), SIGKILL);
        if (mode == POWER_CUT) cut();
        if (mode == KILL_AFTER) return THEN_DIE;
        if (mode == KILL_HALF) return HALF;
        errno = error_number;
        return FAIL;
    }
    return GO_ON;
}

#define REAL(type, name) \
    static __typeof__(type) real; \
    if (real == NULL) real = (__typeof__(type))dlsym(RTLD_NEXT, name)

#define ANSWER(call) \
    do { \
        __typeof__(call) answer = (call); \
        if (what == THEN_DIE || what == HALF) kill(getpid(), SIGKILL); \
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

static int opening(int folder, const char *path, int flags) {
    /* Whether the file will be new; one that is emptied is kept as it was. */
    struct stat found;
    if (inside || mode != POWER_CUT || !CHANGES(flags) || flags & O_TMPFILE & ~O_DIRECTORY)
        return 0;
    if (fstatat(folder, path, &found, 0) != 0) return (flags & O_CREAT) != 0;
    if (flags & O_TRUNC && S_ISREG(found.st_mode) && is_below(path)) {
        inside = 1;
        int descriptor = open(path, O_RDWR | O_CLOEXEC);
        inside = 0;
        if (descriptor >= 0) content(descriptor), close(descriptor);
    }
    return 0;
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int (*)(const char *, int, ...), #name); \
        MODE_OF(flags) \
        int what = CHANGES(flags) && is_below(path) ? turn(#name, path) : GO_ON; \
        if (what == FAIL) return -1; \
        int is_new = opening(AT_FDCWD, path, flags); \
        int answer = real(path, flags, permissions); \
        if (answer >= 0) made(path, is_new); \
        if (what == THEN_DIE || what == HALF) kill(getpid(), SIGKILL); \
        return answer; \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        REAL(int (*)(int, const char *, int, ...), #name); \
        MODE_OF(flags) \
        int what = CHANGES(flags) && is_below(path) ? turn(#name, path) : GO_ON; \
        if (what == FAIL) return -1; \
        ANSWER(real(folder, path, flags, permissions)); \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int descriptor, const void *data, size_t size) {
    REAL(ssize_t(*)(int, const void *, size_t), "write");
    char path[PATH_MAX];
    int what = !inside && fd_below(descriptor, path) ? turn("write", path) : GO_ON;
    if (what == FAIL) return -1;
    content(descriptor);
    if (what == HALF) size = size / 2;
    ANSWER(real(descriptor, data, size));
}

#define PWRITE(name, offset_type) \
    ssize_t name(int descriptor, const void *data, size_t size, offset_type offset) { \
        REAL(ssize_t(*)(int, const void *, size_t, offset_type), #name); \
        char path[PATH_MAX]; \
        int what = !inside && fd_below(descriptor, path) ? turn(#name, path) : GO_ON; \
        if (what == FAIL) return -1; \
        content(descriptor); \
        if (what == HALF) size = size / 2; \
        ANSWER(real(descriptor, data, size, offset)); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define SYNC(name) \
    int name(int descriptor) { \
        REAL(int (*)(int), #name); \
        char path[PATH_MAX]; \
        int what = fd_below(descriptor, path) ? turn(#name, path) : GO_ON; \
        if (what == FAIL) return -1; \
        int answer = real(descriptor); \
        if (answer == 0) synced(descriptor); \
        if (what == THEN_DIE || what == HALF) kill(getpid(), SIGKILL); \
        return answer; \
    }
SYNC(fsync)
SYNC(fdatasync)

int syncfs(int descriptor) {
    /* All that is below the folder lies on one file system. */
    REAL(int (*)(int), "syncfs");
    char path[PATH_MAX];
    int what = fd_below(descriptor, path) ? turn("syncfs", path) : GO_ON;
    if (what == FAIL) return -1;
    int answer = real(descriptor);
    if (answer == 0 && !inside && mode == POWER_CUT) {
        pthread_mutex_lock(&changing);
        newest = NULL;
        pthread_mutex_unlock(&changing);
    }
    if (what == THEN_DIE || what == HALF) kill(getpid(), SIGKILL);
    return answer;
}

#define TRUNCATE(name, offset_type) \
    int name(int descriptor, offset_type size) { \
        REAL(int (*)(int, offset_type), #name); \
        char path[PATH_MAX]; \
        int what = fd_below(descriptor, path) ? turn(#name, path) : GO_ON; \
        if (what == FAIL) return -1; \
        content(descriptor); \
        ANSWER(real(descriptor, size)); \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

int rename(const char *from, const char *to) {
    REAL(int (*)(const char *, const char *), "rename");
    int what = !inside && is_below(to) ? turn("rename", to) : GO_ON;
    if (what == FAIL) return -1;
    name_gone(to, RENAMED, from);
    ANSWER(real(from, to));
}

int renameat(int a, const char *from, int b, const char *to) {
    REAL(int (*)(int, const char *, int, const char *), "renameat");
    int what = !inside && is_below(to) ? turn("renameat", to) : GO_ON;
    if (what == FAIL) return -1;
    name_gone(to, RENAMED, from);
    ANSWER(real(a, from, b, to));
}

int unlink(const char *path) {
    REAL(int (*)(const char *), "unlink");
    int what = !inside && is_below(path) ? turn("unlink", path) : GO_ON;
    if (what == FAIL) return -1;
    name_gone(path, REMOVED, NULL);
    ANSWER(real(path));
}

int unlinkat(int folder, const char *path, int flags) {
    REAL(int (*)(int, const char *, int), "unlinkat");
    char whole[2 * PATH_MAX] = "", above[PATH_MAX];
    if (path[0] == '/') snprintf(whole, sizeof whole, "%s", path);
    else if (mode != OFF && folder != AT_FDCWD && path_of(folder, above))
        snprintf(whole, sizeof whole, "%s/%s", above, path);
    int what = !inside && whole[0] && is_below(whole) ? turn("unlinkat", whole) : GO_ON;
    if (what == FAIL) return -1;
    if (whole[0] && !(flags & AT_REMOVEDIR)) name_gone(whole, REMOVED, NULL);
    ANSWER(real(folder, path, flags));
}

int mkdir(const char *path, mode_t permissions) {
    REAL(int (*)(const char *, mode_t), "mkdir");
    struct stat found;
    int what = is_below(path) && stat(path, &found) != 0 ? turn("mkdir", path) : GO_ON;
    if (what == FAIL) return -1;
    int answer = real(path, permissions);
    if (answer == 0) made(path, 1);
    if (what == THEN_DIE || what == HALF) kill(getpid(), SIGKILL);
    return answer;
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
