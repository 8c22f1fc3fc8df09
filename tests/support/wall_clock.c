/* Shifts the wall clock of one process, for tests; preloaded with LD_PRELOAD.

   WALL_CLOCK_OFFSET names a file of 8 bytes: nanoseconds to add, a signed integer of the machine.
   It is mapped, so a change holds from the next call on. CLOCK_MONOTONIC and CLOCK_BOOTTIME are left
   alone, and so is every wait: CPython sleeps and waits for locks by the monotonic clock. The times
   of files are the kernel's and are not shifted. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)

typedef int (*clock_gettime_function)(clockid_t, struct timespec *);

static const volatile int64_t no_offset;
static const volatile int64_t *offset = &no_offset;
static clock_gettime_function real_clock_gettime;

__attribute__((constructor)) static void map_offset(void)
{
    const char *path = getenv("WALL_CLOCK_OFFSET");
    int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) {
        perror("wall_clock: WALL_CLOCK_OFFSET names no file that can be mapped");
        abort();
    }
    close(file);
    offset = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *result)
{
    /* Another library's constructor may come before ours. */
    if (real_clock_gettime == NULL)
        real_clock_gettime = (clock_gettime_function)dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real_clock_gettime(clock, result);
    if (failed || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return failed;
    int64_t shifted = (int64_t)result->tv_sec * SECOND + result->tv_nsec + *offset;
    result->tv_sec = shifted / SECOND;
    result->tv_nsec = shifted % SECOND;
    return 0;
}

int gettimeofday(struct timeval *restrict result, void *restrict zone)
{
    struct timespec now;
    (void)zone; /* Obsolete; glibc no longer fills it in. */
    if (clock_gettime(CLOCK_REALTIME, &now))
        return -1;
    result->tv_sec = now.tv_sec;
    result->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *result)
{
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now))
        return (time_t)-1;
    if (result != NULL)
        *result = now.tv_sec;
    return now.tv_sec;
}
