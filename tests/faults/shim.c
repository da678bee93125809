/* Preloaded into a process, counts the operations that change files below a folder, and lets one of them fail, end the
   process or interrupt it; or lets one opening to read fail; or records all of them with their data.

   It stands between the process and the C library, so that it sees what Python, SQLite and Arrow write alike. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum action { OFF, COUNT, FAIL, KILL, INTERRUPT, RECORD, REFUSE };
enum kind { OPEN, CREATE, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, MKDIR, RMDIR, LINK };
static const char *const NAMES[] = {"open",   "create", "write", "ftruncate", "fsync",
                                    "rename", "unlink", "mkdir", "rmdir",     "link"};

/* Shared with the process that waits for this one. */
struct tally {
    int64_t count;
    int64_t readings;
    int64_t hit;
    char what[512];
};

#define MOST_FILES 1024
static int opened[MOST_FILES]; /* A serial number for each descriptor of a file below the folder. */
static char paths[MOST_FILES][PATH_MAX];
static int last_serial;
static char folder[PATH_MAX];
static size_t folder_length;
static enum action action;
static int64_t wanted;
static int error_number, lasting, cut_short, paused;
static int recording = -1;
static struct tally own_tally, *tally = &own_tally;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void faults_arm(const char *below, int what, int64_t at, int error, int stays, const char *record, struct tally *shared) {
    tally = shared ? shared : &own_tally;
    memset(tally, 0, sizeof *tally);
    strncpy(folder, below, sizeof folder - 1);
    folder_length = strlen(folder);
    wanted = at;
    error_number = error;
    lasting = stays;
    cut_short = 0;
    if (record) recording = syscall(SYS_openat, AT_FDCWD, record, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    action = what;
}

/* Not to count for a while. */
void faults_pause(int pauses) {
    paused = pauses;
}

static int is_below(const char *path) {
    return !strncmp(path, folder, folder_length) && (path[folder_length] == '/' || !path[folder_length]);
}

/* Make a path absolute; returns whether it is below the folder. */
static int resolve(int directory, const char *path, char *out) {
    if (action == OFF) return 0;
    if (path[0] == '/') {
        snprintf(out, PATH_MAX, "%s", path);
    } else {
        char base[PATH_MAX / 2] = "", link[64];
        if (directory == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
            ssize_t length = readlink(link, base, sizeof base - 1);
            if (length < 0) return 0;
            base[length] = 0;
        }
        snprintf(out, PATH_MAX, "%s/%s", base, path);
    }
    return is_below(out);
}

static int serial_of(int descriptor) {
    return action != OFF && descriptor >= 0 && descriptor < MOST_FILES ? opened[descriptor] : 0;
}

struct header {
    int32_t kind, serial;
    int64_t number, offset, length;
    int32_t path_length, other_length;
};

static void put(const void *bytes, size_t length) {
    const char *at = bytes;
    while (length) {
        ssize_t n = syscall(SYS_write, recording, at, length);
        if (n <= 0) abort();
        at += n;
        length -= n;
    }
}

/* Record an operation that has succeeded. */
static void note(enum kind kind, int serial, int64_t offset, const void *bytes, int64_t length, const char *path,
                 const char *other) {
    if (action != RECORD) return;
    struct header header = {kind, serial, tally->count, offset, length, path ? strlen(path) : 0, other ? strlen(other) : 0};
    put(&header, sizeof header);
    if (path) put(path, header.path_length);
    if (other) put(other, header.other_length);
    if (bytes) put(bytes, length);
}

static void hit(int64_t n, enum kind kind, const char *path) {
    if (tally->hit) return;
    tally->hit = n;
    snprintf(tally->what, sizeof tally->what, "%s %s", NAMES[kind], path);
}

/* Count an opening to read, which changes nothing; returns an error number if it has to fail. */
static int count_reading(const char *path) {
    if (action == OFF || paused || ++tally->readings != wanted || action != REFUSE) return 0;
    hit(tally->readings, OPEN, path);
    return error_number;
}

/* Count an operation; returns an error number if it has to fail, -1 if a write has to be cut short. */
static int count(enum kind kind, const char *path, size_t length) {
    if (action == OFF || paused) return 0;
    int64_t n = ++tally->count;
    int is_hit = lasting ? n >= wanted : n == wanted;
    if (cut_short && kind == WRITE) { /* The rest of a write that filled the disk. */
        cut_short = 0;
        return error_number;
    }
    if (!is_hit || action == COUNT || action == RECORD || action == REFUSE) return 0;
    hit(n, kind, path);
    int can_cut = kind == WRITE && length > 1;
    switch (action) {
    case KILL:
        if (can_cut) return -1;
        kill(getpid(), SIGKILL);
        break;
    case INTERRUPT:
        kill(getpid(), SIGINT);
        break;
    case FAIL:
        if (lasting && (kind == UNLINK || kind == RENAME || kind == RMDIR)) return 0; /* What a full disk still does. */
        if (can_cut && error_number == ENOSPC && !lasting) {
            cut_short = 1;
            return -1;
        }
        return error_number;
    default:
        break;
    }
    return 0;
}

/* Of a write: how much to do of it, or -1 with errno set. */
static ssize_t allowed(int descriptor, size_t length) {
    int failure = count(WRITE, paths[descriptor], length);
    if (failure > 0) {
        errno = failure;
        return -1;
    }
    return failure < 0 ? (ssize_t)(length / 2) : (ssize_t)length;
}

/* After a write: end the process if that was wanted in the middle of it. */
static void after_write(ssize_t permitted, size_t length) {
    if (action == KILL && (size_t)permitted < length) kill(getpid(), SIGKILL);
}

#define HOLD pthread_mutex_lock(&lock)
#define RELEASE                                                                                                        \
    do {                                                                                                               \
        int kept = errno;                                                                                              \
        pthread_mutex_unlock(&lock);                                                                                   \
        errno = kept;                                                                                                  \
    } while (0)

static int open_at(int directory, const char *path, int flags, mode_t mode) {
    char full[PATH_MAX];
    if (!resolve(directory, path, full)) return syscall(SYS_openat, directory, path, flags, mode);
    HOLD;
    int descriptor = -1, writes = (flags & O_ACCMODE) != O_RDONLY;
    struct stat before;
    int exists = !syscall(SYS_newfstatat, AT_FDCWD, full, &before, 0);
    int failure = writes ? count(exists ? OPEN : CREATE, full, 0) : exists ? count_reading(full) : 0;
    if (failure > 0) {
        errno = failure;
    } else {
        descriptor = syscall(SYS_openat, directory, path, flags, mode);
        if (descriptor >= 0 && descriptor < MOST_FILES) {
            opened[descriptor] = ++last_serial;
            strcpy(paths[descriptor], full);
            /* The number that is recorded with it tells whether it is emptied, or only read. */
            note(exists ? OPEN : CREATE, last_serial, !writes ? 2 : exists && (flags & O_TRUNC), NULL, 0, full, NULL);
        }
    }
    RELEASE;
    return descriptor;
}

#define MODE                                                                                                           \
    mode_t mode = 0;                                                                                                   \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                                               \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode = va_arg(rest, mode_t);                                                                                   \
        va_end(rest);                                                                                                  \
    }

int open(const char *path, int flags, ...) {
    MODE return open_at(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    MODE return open_at(AT_FDCWD, path, flags, mode);
}
int openat(int directory, const char *path, int flags, ...) {
    MODE return open_at(directory, path, flags, mode);
}
int openat64(int directory, const char *path, int flags, ...) {
    MODE return open_at(directory, path, flags, mode);
}
int creat(const char *path, mode_t mode) {
    return open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}
int creat64(const char *path, mode_t mode) {
    return open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

int close(int descriptor) {
    if (serial_of(descriptor)) opened[descriptor] = 0;
    return syscall(SYS_close, descriptor);
}

static void copy_serial(int from, int to) {
    if (serial_of(from) && to >= 0 && to < MOST_FILES) {
        opened[to] = opened[from];
        memmove(paths[to], paths[from], PATH_MAX);
    }
}

int dup(int descriptor) {
    int other = syscall(SYS_dup, descriptor);
    copy_serial(descriptor, other);
    return other;
}

int fcntl64(int descriptor, int command, ...) {
    va_list rest;
    va_start(rest, command);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    int result = syscall(SYS_fcntl, descriptor, command, argument);
    if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) copy_serial(descriptor, result);
    return result;
}

ssize_t write(int descriptor, const void *bytes, size_t length) {
    int serial = serial_of(descriptor);
    if (!serial) return syscall(SYS_write, descriptor, bytes, length);
    HOLD;
    ssize_t done = -1, permitted = allowed(descriptor, length);
    if (permitted >= 0) {
        done = syscall(SYS_write, descriptor, bytes, permitted);
        after_write(permitted, length);
        if (done > 0) note(WRITE, serial, syscall(SYS_lseek, descriptor, 0, SEEK_CUR) - done, bytes, done, paths[descriptor], NULL);
    }
    RELEASE;
    return done;
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t length, off64_t offset) {
    int serial = serial_of(descriptor);
    if (!serial) return syscall(SYS_pwrite64, descriptor, bytes, length, offset);
    HOLD;
    ssize_t done = -1, permitted = allowed(descriptor, length);
    if (permitted >= 0) {
        done = syscall(SYS_pwrite64, descriptor, bytes, permitted, offset);
        after_write(permitted, length);
        if (done > 0) note(WRITE, serial, offset, bytes, done, paths[descriptor], NULL);
    }
    RELEASE;
    return done;
}
ssize_t pwrite(int descriptor, const void *bytes, size_t length, off_t offset) {
    return pwrite64(descriptor, bytes, length, offset);
}

ssize_t writev(int descriptor, const struct iovec *parts, int n_parts) {
    if (!serial_of(descriptor)) return syscall(SYS_writev, descriptor, parts, n_parts);
    ssize_t total = 0;
    for (int part = 0; part < n_parts; part++) {
        ssize_t done = write(descriptor, parts[part].iov_base, parts[part].iov_len);
        if (done < 0) return total ? total : -1;
        total += done;
        if ((size_t)done < parts[part].iov_len) break;
    }
    return total;
}

/* Copied through memory, so that what is written is seen. Python falls back to it for files, which are small here. */
ssize_t sendfile64(int to, int from, off64_t *offset, size_t length) {
    if (!serial_of(to)) return syscall(SYS_sendfile, to, from, offset, length);
    static char buffer[1 << 16];
    size_t most = length < sizeof buffer ? length : sizeof buffer;
    ssize_t n = offset ? syscall(SYS_pread64, from, buffer, most, *offset) : syscall(SYS_read, from, buffer, most);
    if (n <= 0) return n;
    n = write(to, buffer, n);
    if (n > 0 && offset) *offset += n;
    return n;
}
ssize_t sendfile(int to, int from, off_t *offset, size_t length) {
    return sendfile64(to, from, offset, length);
}
ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t length, unsigned flags) {
    if (!serial_of(to)) return syscall(SYS_copy_file_range, from, from_offset, to, to_offset, length, flags);
    errno = EXDEV;
    return -1;
}

int ftruncate64(int descriptor, off64_t length) {
    int serial = serial_of(descriptor);
    if (!serial) return syscall(SYS_ftruncate, descriptor, length);
    HOLD;
    int result = -1, failure = count(TRUNCATE, paths[descriptor], 0);
    if (failure > 0) {
        errno = failure;
    } else if (!(result = syscall(SYS_ftruncate, descriptor, length))) {
        note(TRUNCATE, serial, length, NULL, 0, paths[descriptor], NULL);
    }
    RELEASE;
    return result;
}
int ftruncate(int descriptor, off_t length) {
    return ftruncate64(descriptor, length);
}

/* Without this, space would be reserved unseen; SQLite and others then write instead. */
int fallocate64(int descriptor, int mode, off64_t offset, off64_t length) {
    if (!serial_of(descriptor)) return syscall(SYS_fallocate, descriptor, mode, offset, length);
    errno = EOPNOTSUPP;
    return -1;
}
int fallocate(int descriptor, int mode, off_t offset, off_t length) {
    return fallocate64(descriptor, mode, offset, length);
}
int posix_fallocate64(int descriptor, off64_t offset, off64_t length) {
    if (serial_of(descriptor)) return EOPNOTSUPP;
    return syscall(SYS_fallocate, descriptor, 0, offset, length) ? errno : 0;
}
int posix_fallocate(int descriptor, off_t offset, off_t length) {
    return posix_fallocate64(descriptor, offset, length);
}

static int sync_file(int descriptor, long call) {
    int serial = serial_of(descriptor);
    if (!serial) return syscall(call, descriptor);
    HOLD;
    int result = 0, failure = count(SYNC, paths[descriptor], 0);
    if (failure > 0) {
        errno = failure;
        result = -1;
    } else {
        /* The disk itself is not the matter of these tests, and would take most of their time. */
        note(SYNC, serial, 0, NULL, 0, paths[descriptor], NULL);
    }
    RELEASE;
    return result;
}
int fsync(int descriptor) {
    return sync_file(descriptor, SYS_fsync);
}
int fdatasync(int descriptor) {
    return sync_file(descriptor, SYS_fdatasync);
}

static int rename_at(int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
    char full[PATH_MAX], other[PATH_MAX];
    int counts = resolve(to_directory, to, other);
    if (!counts) return syscall(SYS_renameat2, from_directory, from, to_directory, to, flags);
    resolve(from_directory, from, full);
    HOLD;
    int result = -1, failure = count(RENAME, other, 0);
    if (failure > 0) {
        errno = failure;
    } else if (!(result = syscall(SYS_renameat2, from_directory, from, to_directory, to, flags))) {
        note(RENAME, 0, 0, NULL, 0, full, other);
    }
    RELEASE;
    return result;
}
int rename(const char *from, const char *to) {
    return rename_at(AT_FDCWD, from, AT_FDCWD, to, 0);
}
int renameat(int from_directory, const char *from, int to_directory, const char *to) {
    return rename_at(from_directory, from, to_directory, to, 0);
}
int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
    return rename_at(from_directory, from, to_directory, to, flags);
}

int linkat(int from_directory, const char *from, int to_directory, const char *to, int flags) {
    char full[PATH_MAX], other[PATH_MAX];
    int counts = resolve(to_directory, to, other);
    if (!counts) return syscall(SYS_linkat, from_directory, from, to_directory, to, flags);
    resolve(from_directory, from, full);
    HOLD;
    int result = -1, failure = count(LINK, other, 0);
    if (failure > 0) {
        errno = failure;
    } else if (!(result = syscall(SYS_linkat, from_directory, from, to_directory, to, flags))) {
        note(LINK, 0, 0, NULL, 0, full, other);
    }
    RELEASE;
    return result;
}
int link(const char *from, const char *to) {
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

static int unlink_at(int directory, const char *path, int flags) {
    char full[PATH_MAX];
    if (!resolve(directory, path, full)) return syscall(SYS_unlinkat, directory, path, flags);
    HOLD;
    enum kind kind = flags & AT_REMOVEDIR ? RMDIR : UNLINK;
    int result = -1, failure = count(kind, full, 0);
    if (failure > 0) {
        errno = failure;
    } else if (!(result = syscall(SYS_unlinkat, directory, path, flags))) {
        note(kind, 0, 0, NULL, 0, full, NULL);
    }
    RELEASE;
    return result;
}
int unlink(const char *path) {
    return unlink_at(AT_FDCWD, path, 0);
}
int unlinkat(int directory, const char *path, int flags) {
    return unlink_at(directory, path, flags);
}
int rmdir(const char *path) {
    return unlink_at(AT_FDCWD, path, AT_REMOVEDIR);
}
int remove(const char *path) {
    int result = unlink_at(AT_FDCWD, path, 0);
    return result && errno == EISDIR ? rmdir(path) : result;
}

static int make_directory(int directory, const char *path, mode_t mode) {
    char full[PATH_MAX];
    if (!resolve(directory, path, full)) return syscall(SYS_mkdirat, directory, path, mode);
    HOLD;
    struct stat before;
    int result = -1;
    /* Python makes folders that are there already, which changes nothing. */
    int exists = !syscall(SYS_newfstatat, AT_FDCWD, full, &before, 0);
    int failure = exists ? 0 : count(MKDIR, full, 0);
    if (failure > 0) {
        errno = failure;
    } else if (!(result = syscall(SYS_mkdirat, directory, path, mode))) {
        note(MKDIR, 0, 0, NULL, 0, full, NULL);
    }
    RELEASE;
    return result;
}
int mkdir(const char *path, mode_t mode) {
    return make_directory(AT_FDCWD, path, mode);
}
int mkdirat(int directory, const char *path, mode_t mode) {
    return make_directory(directory, path, mode);
}

/* NumPy writes arrays through a stream of the C library, whose own writes cannot be seen: they go around it. */
size_t fwrite(const void *bytes, size_t size, size_t n, FILE *stream) {
    int descriptor = fileno(stream);
    if (!serial_of(descriptor)) {
        flockfile(stream);
        size_t written = fwrite_unlocked(bytes, size, n, stream);
        funlockfile(stream);
        return written;
    }
    if (fflush(stream)) return 0;
    size_t length = size * n, total = 0;
    while (total < length) {
        ssize_t done = write(descriptor, (const char *)bytes + total, length - total);
        if (done < 0) break;
        total += done;
    }
    int failure = errno;
    fseeko(stream, syscall(SYS_lseek, descriptor, 0, SEEK_CUR), SEEK_SET);
    errno = failure;
    return size ? total / size : 0;
}
