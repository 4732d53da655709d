/* Board port: a process on a pty, for rigs and demonstrations on a desk. The same core and link as on every board.
 * Arguments: the host's and the operator's key file. Prints the pty's path, then a record of every output at each change and at least
 * every 10 ms: `time_us actuator value mode`, time on CLOCK_MONOTONIC. Ends when its standard input closes. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "eg_device.h"

#define RECORD_PERIOD_US 10000u
#define RECORD_MAX 96
#define POLL_NS 500000L /* twice as often as the core asks for */

static const char *const NAMES[EG_ACTUATORS] = EG_ACTUATOR_NAMES;
static const char *const MODES[] = {"silent", "enabled", "fallback_only", "lockout"};

static eg_device device;

/* The free-running counter: it goes on while this process is late. */
static uint64_t clock_us(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return ((uint64_t)t.tv_sec * 1000000u) + ((uint64_t)t.tv_nsec / 1000u);
}

static int fail(const char *what) {
    (void)fprintf(stderr, "%s: %s\n", what, strerror(errno));
    return EXIT_FAILURE;
}

static int hex_digit(char c) {
    if ((c >= '0') && (c <= '9')) {
        return c - '0';
    }
    return ((c >= 'a') && (c <= 'f')) ? (c - 'a' + 10) : -1;
}

/* The last line of a key file that is no comment; its format is documented in edgeguard/link/keys.py. */
static bool load_key(const char *path, uint8_t key[EG_KEY_SIZE]) {
    char line[128];
    bool header = false;
    bool found = false;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return false;
    }
    while (!found && (fgets(line, sizeof line, file) != NULL)) {
        if (!header) {
            header = strcmp(line, "edgeguard-device-key-1\n") == 0;
            continue;
        }
        found = strspn(line, "0123456789abcdef") == (2u * EG_KEY_SIZE);
        for (size_t i = 0u; found && (i < EG_KEY_SIZE); i++) {
            key[i] = (uint8_t)((hex_digit(line[2u * i]) * 16) + hex_digit(line[(2u * i) + 1u]));
        }
        break;
    }
    (void)fclose(file);
    errno = EINVAL;
    return found;
}

/* Opens the line. This process also keeps the far end open, so that a host may come and go. */
static int open_line(char *name, size_t size) {
    const int line = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if ((line < 0) || (grantpt(line) != 0) || (unlockpt(line) != 0) || (ptsname_r(line, name, size) != 0)) {
        return -1;
    }
    const int far = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios settings;
    if ((far < 0) || (tcgetattr(far, &settings) != 0)) {
        return -1;
    }
    cfmakeraw(&settings);
    return (tcsetattr(far, TCSANOW, &settings) == 0) ? line : -1;
}

/* A record that finds no room is lost: the core never waits for whoever looks on. */
static void record(uint64_t now_us) {
    static int32_t last[EG_ACTUATORS];
    static uint8_t last_mode = 0xFFu;
    static uint64_t due_us = 0u;
    const bool all = (now_us >= due_us) || (device.outputs.mode != last_mode);
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        if (!all && (device.outputs.value[i] == last[i])) {
            continue;
        }
        char line[RECORD_MAX];
        const int length = snprintf(line, sizeof line, "%llu %s %.6f %s\n", (unsigned long long)now_us, NAMES[i],
                                    (double)device.outputs.value[i] / 1e6, MODES[device.outputs.mode]);
        (void)!write(STDOUT_FILENO, line, (size_t)length);
        last[i] = device.outputs.value[i];
    }
    if (all) {
        last_mode = device.outputs.mode;
        due_us = now_us + RECORD_PERIOD_US;
    }
}

static void receive(int line) {
    uint8_t data[512];
    const ssize_t got = read(line, data, sizeof data);
    for (ssize_t i = 0; i < got; i++) {
        eg_device_receive(&device, data[i], clock_us());
    }
}

static void transmit(int line) {
    static uint8_t data[256];
    static size_t used = 0u;
    if (used == 0u) {
        used = eg_device_take(&device, data, sizeof data);
    }
    if (used > 0u) {
        const ssize_t sent = write(line, data, used);
        if (sent > 0) {
            used -= (size_t)sent;
            (void)memmove(data, &data[sent], used);
        }
    }
}

/* A microcontroller has nobody to share its processor with. Without the right to ask for that, it runs as it is. */
static void be_punctual(void) {
#ifndef __SANITIZE_ADDRESS__ /* whose shadow memory is larger than any machine */
    (void)mlockall(MCL_CURRENT | MCL_FUTURE);
#endif
    (void)sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 20});
}

static int run(int line) {
    struct pollfd watched[2] = {{.fd = line, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    const struct timespec wait = {.tv_nsec = POLL_NS};
    for (;;) {
        (void)ppoll(watched, 2u, &wait, NULL);
        if ((watched[0].revents & POLLIN) != 0) {
            receive(line);
        }
        eg_device_tick(&device, clock_us());
        record(clock_us());
        transmit(line);
        char byte;
        if ((watched[1].revents != 0) && (read(STDIN_FILENO, &byte, 1u) <= 0)) {
            return EXIT_SUCCESS;
        }
    }
}

int main(int count, char **arguments) {
    eg_identity identity;
    char name[64];
    if ((count != 3) || !load_key(arguments[1], identity.keys.key[EG_HOST_KEY]) ||
        !load_key(arguments[2], identity.keys.key[EG_OPERATOR_KEY])) {
        return fail("cannot read the keys");
    }
    if (getrandom(identity.seed, sizeof identity.seed, 0u) != (ssize_t)sizeof identity.seed) {
        return fail("no random numbers");
    }
    const int line = open_line(name, sizeof name);
    if (line < 0) {
        return fail("cannot open a pty");
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)printf("%s\n", name);
    (void)fflush(stdout);
    (void)fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK);
    be_punctual();
    eg_device_init(&device, &identity, NULL, 1u, clock_us());
    return run(line);
}
