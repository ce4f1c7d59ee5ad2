/* A clock that is wrong by CLOCK_IS_OFF_S seconds, for one program: loaded before its libraries (LD_PRELOAD).
 *
 * Only the time of day is; what counts up by itself (CLOCK_MONOTONIC) stays right, as on a machine whose clock was set.
 * It asks the system by itself and needs no memory, for an allocator may ask for the time before anything else runs.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long off_s(void) {
    static int is_read;
    static long seconds;
    if (!is_read) {
        const char *given = getenv("CLOCK_IS_OFF_S");
        seconds = given ? atol(given) : 0;
        is_read = 1;
    }
    return seconds;
}

int clock_gettime(clockid_t which, struct timespec *found) {
    long failed = syscall(SYS_clock_gettime, which, found);
    if (!failed && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) found->tv_sec += off_s();
    return (int)failed;
}

int gettimeofday(struct timeval *found, void *zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    found->tv_sec = now.tv_sec;
    found->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *found) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    if (found) *found = now.tv_sec;
    return now.tv_sec;
}
