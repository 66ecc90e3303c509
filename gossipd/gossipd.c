/* gossipd: reads its configuration and runs the daemon. */
#include <stdio.h>

#include "gossipd/host/daemon.h"

int main(int count, char **arguments)
{
    struct config config;
    struct failure failure = {{0}};
    int exit_code = 0;
    switch (config_read(count, arguments, &config, &failure)) {
    case CONFIG_DONE:
        exit_code = daemon_run(&config);
        break;
    case CONFIG_HELP:
        config_help_print();
        break;
    case CONFIG_VERSION:
        printf("gossipd %s, wire format %d.%d\n", GOSSIPD_VERSION, CRDT_WIRE_MAJOR,
            CRDT_WIRE_MINOR);
        break;
    case CONFIG_BAD:
        fprintf(stderr, "gossipd: %s\n", failure.text);
        exit_code = 1;
        break;
    }
    config_close(&config);
    return exit_code;
}
