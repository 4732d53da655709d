/* Board port: a process on a pty, for rigs and demonstrations on a desk. The same core and link as on every board.
 * Arguments: the host's key file, the operator's, and a file that stands for memory that survives a reset (optional).
 * Prints the pty's path, then the records of eg_board.c. Lines on standard input are measurements; its end is the end. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
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

#include "eg_port.h"

#define POLL_NS 500000L /* twice as often as the core asks for */
#define LINE_ROOM 128u
#define SENSE_CHUNK 256u /* characters in a step */

static const char *const ACTUATORS[EG_ACTUATORS] = EG_ACTUATOR_NAMES;
static const char *const SENSORS[EG_SENSORS_ROOM] = EG_SENSOR_NAMES;

static int line = -1;
static eg_identity identity;
static eg_retained no_file;
static eg_retained *retained = &no_file;

static int fail(const char *what) {
    (void)fprintf(stderr, "%s: %s\n", what, strerror(errno));
    return EXIT_FAILURE;
}

/* ---- measurements: `sensor NAME VALUE`, `measured NAME VALUE`, `stop`, `release` --------------------------------- */

/* What is no number, or none that fits, is a reading at fault. */
static eg_reading reading_of(const char *text, uint64_t now_us) {
    char *end = NULL;
    const double value = strtod(text, &end) * 1e6;
    const bool fits = (end != text) && isfinite(value) && (fabs(value) < (double)INT32_MAX);
    return (eg_reading){.at_us = now_us, .value = fits ? (int32_t)lround(value) : 0, .valid = fits ? 1u : 0u};
}

static void enter(eg_reading *readings, const char *const *names, uint32_t count, const char *name, eg_reading reading) {
    for (uint32_t i = 0u; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            readings[i] = reading;
        }
    }
}

static void take_line(const char *text, eg_senses *senses, uint64_t now_us) {
    char kind[16], name[40], value[40];
    const int words = sscanf(text, "%15s %39s %39s", kind, name, value);
    if ((words == 1) && (strcmp(kind, "stop") == 0)) {
        senses->stop_released = 0u;
    } else if ((words == 1) && (strcmp(kind, "release") == 0)) {
        senses->stop_released = 1u;
    } else if ((words == 3) && (strcmp(kind, "sensor") == 0)) {
        enter(senses->sensor, SENSORS, EG_SENSORS_ROOM, name, reading_of(value, now_us));
    } else if ((words == 3) && (strcmp(kind, "measured") == 0)) {
        enter(senses->measured, ACTUATORS, EG_ACTUATORS, name, reading_of(value, now_us));
    } else {
        /* no measurement: it changes nothing */
    }
}

/* ---- the ten functions of eg_port.h ----------------------------------------------------------------------------- */

uint64_t eg_port_clock_us(void) {
    struct timespec t; /* the free-running counter: it goes on while this process is late */
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return ((uint64_t)t.tv_sec * 1000000u) + ((uint64_t)t.tv_nsec / 1000u);
}

const eg_identity *eg_port_identity(void) {
    return &identity;
}

eg_retained *eg_port_retained(void) {
    return retained;
}

bool eg_port_receive(uint8_t *byte) {
    static uint8_t data[512];
    static ssize_t got = 0;
    static ssize_t used = 0;
    if (used >= got) {
        got = read(line, data, sizeof data);
        used = 0;
    }
    if (got <= 0) {
        return false;
    }
    *byte = data[used];
    used++;
    return true;
}

static size_t send(int to, const uint8_t *data, size_t length) {
    const ssize_t sent = (length > 0u) ? write(to, data, length) : 0;
    return (sent > 0) ? (size_t)sent : 0u;
}

size_t eg_port_send(const uint8_t *data, size_t length) {
    return send(line, data, length);
}

size_t eg_port_report(const uint8_t *data, size_t length) {
    return send(STDOUT_FILENO, data, length);
}

void eg_port_sense(eg_senses *senses, uint64_t now_us) {
    static char text[LINE_ROOM];
    static size_t used = 0u;
    char c;
    ssize_t got = 1;
    for (uint32_t taken = 0u; taken < SENSE_CHUNK; taken++) { /* whoever floods it stretches no deadline */
        got = read(STDIN_FILENO, &c, 1u);
        if (got != 1) {
            break;
        }
        if (c == '\n') {
            text[used] = '\0';
            take_line(text, senses, now_us);
            used = 0u;
        } else if (used < (LINE_ROOM - 1u)) {
            text[used] = c;
            used++;
        } else {
            /* the rest of a line that is too long */
        }
    }
    if ((got == 0) || ((got < 0) && (errno != EAGAIN) && (errno != EINTR))) {
        exit(EXIT_SUCCESS); /* whoever started this process is gone */
    }
}

/* There is no output stage: the records are what a rig moves its vehicle by. */
void eg_port_drive(uint32_t actuator, eg_drive_word which, uint32_t word) {
    (void)actuator;
    (void)which;
    (void)word;
}

/* The operating system has no watchdog for one process; a rig sees that the records stop. */
void eg_port_feed_watchdog(void) {
}

/* With something waiting, too: a line that nobody reads stays full, and must not keep the processor busy. */
void eg_port_sleep(bool waiting) {
    (void)waiting;
    struct pollfd watched[2] = {{.fd = line, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    (void)ppoll(watched, 2u, &(struct timespec){.tv_nsec = POLL_NS}, NULL);
}

/* ---- start ------------------------------------------------------------------------------------------------------ */

static int hex_digit(char c) {
    if ((c >= '0') && (c <= '9')) {
        return c - '0';
    }
    return ((c >= 'a') && (c <= 'f')) ? (c - 'a' + 10) : -1;
}

/* The last line of a key file that is no comment; its format is documented in edgeguard/link/keys.py. */
static bool load_key(const char *path, uint8_t key[EG_KEY_SIZE]) {
    char text[LINE_ROOM];
    bool header = false;
    bool found = false;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return false;
    }
    while (fgets(text, sizeof text, file) != NULL) {
        if (!header) {
            header = strcmp(text, "edgeguard-device-key-1\n") == 0;
            continue;
        }
        found = strspn(text, "0123456789abcdef") == (2u * EG_KEY_SIZE);
        for (size_t i = 0u; found && (i < EG_KEY_SIZE); i++) {
            key[i] = (uint8_t)((hex_digit(text[2u * i]) * 16) + hex_digit(text[(2u * i) + 1u]));
        }
        break;
    }
    (void)fclose(file);
    errno = EINVAL;
    return found;
}

/* Opens the line. This process also keeps the far end open, so that a host may come and go. */
static int open_line(char *name, size_t size) {
    const int near = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if ((near < 0) || (grantpt(near) != 0) || (unlockpt(near) != 0) || (ptsname_r(near, name, size) != 0)) {
        return -1;
    }
    const int far = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios settings;
    if ((far < 0) || (tcgetattr(far, &settings) != 0)) {
        return -1;
    }
    cfmakeraw(&settings);
    return (tcsetattr(far, TCSANOW, &settings) == 0) ? near : -1;
}

/* The file's pages outlive this process, as a part's RAM outlives a reset. */
static bool open_retained(const char *path) {
    const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if ((file < 0) || (ftruncate(file, (off_t)sizeof *retained) != 0)) {
        return false;
    }
    void *at = mmap(NULL, sizeof *retained, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    (void)close(file);
    if (at == MAP_FAILED) {
        return false;
    }
    retained = at;
    return true;
}

/* A microcontroller has nobody to share its processor with. Without the right to ask for that, it runs as it is. */
static void be_punctual(void) {
#ifndef __SANITIZE_ADDRESS__ /* whose shadow memory is larger than any machine */
    (void)mlockall(MCL_CURRENT | MCL_FUTURE);
#endif
    (void)sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 20});
}

int main(int count, char **arguments) {
    char name[64];
    if ((count != 3) && (count != 4)) {
        errno = EINVAL;
        return fail("arguments: the host's key file, the operator's, and perhaps a file to retain memory in");
    }
    for (uint32_t i = 0u; i < EG_KEYS; i++) {
        if (!load_key(arguments[1u + i], identity.keys.key[i])) {
            return fail((i == EG_HOST_KEY) ? "cannot read the device key" : "cannot read the operator's key");
        }
    }
    if ((count == 4) && !open_retained(arguments[3])) {
        return fail("cannot retain memory in that file");
    }
    if (getrandom(identity.seed, sizeof identity.seed, 0u) != (ssize_t)sizeof identity.seed) {
        return fail("no random numbers");
    }
    line = open_line(name, sizeof name);
    if (line < 0) {
        return fail("cannot open a pty");
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)printf("%s\n", name);
    (void)fflush(stdout);
    (void)fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK);
    (void)fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    be_punctual();
    eg_board_run();
}
