/* A cable with a length: carries Ethernet frames between the TAP devices bI, which
 * belongs on the bridge, and nI, which belongs into the namespace of node I, and
 * holds every frame back for a while. The kernel's own netem is not everywhere.
 *
 * usage: delay COUNT      makes b1, n1 ... here, says "ready"; then a line
 *                         `NODE DELAY_MS JITTER_MS` on stdin sets one cable. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    NODES_MAX = 16,         /* more than the script allows                      */
    FRAME_BYTES_MAX = 2048, /* an Ethernet frame of MTU 1500 and its header     */
    FRAMES_MAX = 4096,      /* on one cable one way; beyond, a router drops too */
    READS_PER_TURN = 64,    /* then the other cables                            */
};

struct frame {
    uint64_t due_us;
    size_t size;
    uint8_t bytes[FRAME_BYTES_MAX];
};

/* One direction of one cable: a ring, oldest first. Order is kept, as on a wire. */
struct way {
    int from;
    int to;
    size_t first;
    size_t count;
    uint64_t last_due_us;
    struct frame *frames;
};

struct cable {
    struct way ways[2];
    uint64_t delay_us;
    uint64_t jitter_us;
};

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void fail(const char *what)
{
    fprintf(stderr, "delay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int open_tap(char side, unsigned node)
{
    int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tap < 0)
        fail("/dev/net/tun");
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%c%u", side, node);
    if (ioctl(tap, TUNSETIFF, &request) != 0)
        fail(request.ifr_name);
    return tap;
}

static void open_cable(struct cable *cable, unsigned node)
{
    int bridge_end = open_tap('b', node);
    int node_end = open_tap('n', node);
    cable->ways[0] = (struct way){.from = bridge_end, .to = node_end};
    cable->ways[1] = (struct way){.from = node_end, .to = bridge_end};
    for (size_t i = 0; i < 2; i++) {
        cable->ways[i].frames = calloc(FRAMES_MAX, sizeof(struct frame));
        if (cable->ways[i].frames == NULL)
            fail("memory");
    }
}

static uint64_t drawn_delay_us(const struct cable *cable)
{
    uint64_t jitter_us = cable->jitter_us > 0 ? (uint64_t)rand() % cable->jitter_us : 0;
    return cable->delay_us + jitter_us;
}

static void take_in(const struct cable *cable, struct way *way)
{
    for (size_t reads = 0; reads < READS_PER_TURN; reads++) {
        uint8_t bytes[FRAME_BYTES_MAX];
        ssize_t size = read(way->from, bytes, sizeof bytes);
        if (size <= 0)
            return; /* nothing there, or the device is down for now */
        if (way->count == FRAMES_MAX)
            continue;
        struct frame *frame = &way->frames[(way->first + way->count++) % FRAMES_MAX];
        uint64_t due_us = now_us() + drawn_delay_us(cable);
        way->last_due_us = due_us > way->last_due_us ? due_us : way->last_due_us;
        frame->due_us = way->last_due_us;
        frame->size = (size_t)size;
        memcpy(frame->bytes, bytes, frame->size);
    }
}

static void let_out(struct way *way, uint64_t at_us)
{
    while (way->count > 0 && way->frames[way->first].due_us <= at_us) {
        const struct frame *frame = &way->frames[way->first];
        /* A device that is down loses frames, as a network does. */
        if (write(way->to, frame->bytes, frame->size) < 0 && errno == EBADF)
            fail("write");
        way->first = (way->first + 1) % FRAMES_MAX;
        way->count--;
    }
}

/* Milliseconds until the next frame is due, rounded up; -1 for none. */
static int wait_ms(const struct cable *cables, unsigned count, uint64_t at_us)
{
    uint64_t soonest_us = UINT64_MAX;
    for (unsigned i = 0; i < 2 * count; i++) {
        const struct way *way = &cables[i / 2].ways[i % 2];
        if (way->count > 0 && way->frames[way->first].due_us < soonest_us)
            soonest_us = way->frames[way->first].due_us;
    }
    if (soonest_us == UINT64_MAX)
        return -1;
    return soonest_us <= at_us ? 0 : (int)((soonest_us - at_us + 999) / 1000);
}

/* Reads one order; false at the end of stdin, which ends the program. Orders are
 * rare and written whole, so a read holds a line. */
static bool obey(struct cable *cables, unsigned count)
{
    char line[128];
    ssize_t size = read(STDIN_FILENO, line, sizeof line - 1);
    if (size <= 0)
        return false;
    line[size] = '\0';
    for (char *at = line; at != NULL && *at != '\0';) {
        unsigned node;
        unsigned delay_ms;
        unsigned jitter_ms;
        if (sscanf(at, "%u %u %u", &node, &delay_ms, &jitter_ms) == 3 && node >= 1 &&
            node <= count) {
            cables[node - 1].delay_us = delay_ms * UINT64_C(1000);
            cables[node - 1].jitter_us = jitter_ms * UINT64_C(1000);
        }
        at = strchr(at, '\n');
        at = at == NULL ? NULL : at + 1;
    }
    return true;
}

int main(int count_arguments, char **arguments)
{
    static struct cable cables[NODES_MAX];
    struct pollfd polled[1 + 2 * NODES_MAX];
    int count = count_arguments == 2 ? atoi(arguments[1]) : 0;
    if (count < 1 || count > NODES_MAX) {
        fprintf(stderr, "usage: delay COUNT (1 to %d)\n", NODES_MAX);
        return 64;
    }
    polled[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    for (unsigned i = 0; i < (unsigned)count; i++) {
        open_cable(&cables[i], i + 1);
        for (size_t way = 0; way < 2; way++)
            polled[1 + 2 * i + way] =
                (struct pollfd){.fd = cables[i].ways[way].from, .events = POLLIN};
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        nfds_t size = 1 + 2 * (nfds_t)count;
        if (poll(polled, size, wait_ms(cables, (unsigned)count, now_us())) < 0 && errno != EINTR)
            fail("poll");
        if (polled[0].revents != 0 && !obey(cables, (unsigned)count))
            return 0;
        for (unsigned i = 0; i < 2 * (unsigned)count; i++) {
            struct cable *cable = &cables[i / 2];
            if (polled[1 + i].revents != 0)
                take_in(cable, &cable->ways[i % 2]);
            let_out(&cable->ways[i % 2], now_us());
        }
    }
}
