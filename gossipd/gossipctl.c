/* gossipctl: makes keys and asks a running gossipd how it is. */
#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "gossipd/host/config.h"
#include "gossipd/host/directory.h"
#include "gossipd/host/identity.h"

#define SOCKET_DEFAULT "./gossipd-data/gossipd.sock"
#define ADDRESS_DEFAULT "127.0.0.1:6379"
#define ANSWER_SECONDS 5 /* a node that serves answers in milliseconds          */

enum exit_code {
    EXIT_DONE = 0,
    EXIT_NOT = 1,       /* failed, or not converged                             */
    EXIT_NO_ANSWER = 2,
    EXIT_SOME_DOWN = 3, /* converged with the members that answer               */
    EXIT_USAGE = 64,
};

/* What the command line says. */
struct request {
    const char *socket;
    const char *address;
    const char *dir;
    bool is_json;
};

struct command {
    const char *name;
    enum exit_code (*run)(const struct request *request);
    const char *help;
};

static enum exit_code say_usage(const char *text)
{
    fprintf(stderr, "gossipctl: %s; see gossipctl --help\n", text);
    return EXIT_USAGE;
}

static void print_key(const struct identity *identity)
{
    char key[IDENTITY_HEX_BYTES];
    identity_key_text(identity->key, key);
    puts(key);
}

static enum exit_code command_keygen(const struct request *request)
{
    struct identity identity;
    struct failure failure;
    if (request->dir == NULL) {
        return say_usage("keygen: expected --dir DIR");
    }
    if (!directory_make(request->dir, &failure) ||
        !identity_create(request->dir, &identity, &failure)) {
        fprintf(stderr, "gossipctl: %s\n", failure.text);
        return EXIT_NOT;
    }
    print_key(&identity);
    identity_close(&identity);
    return EXIT_DONE;
}

static enum exit_code command_pubkey(const struct request *request)
{
    struct identity identity;
    struct failure failure;
    if (request->dir == NULL) {
        return say_usage("pubkey: expected --dir DIR");
    }
    if (!identity_read(request->dir, &identity, &failure)) {
        fprintf(stderr, "gossipctl: %s\n", failure.text);
        return EXIT_NOT;
    }
    print_key(&identity);
    identity_close(&identity);
    return EXIT_DONE;
}

static redisContext *connect_address(const char *text)
{
    const struct timeval timeout = {.tv_sec = ANSWER_SECONDS};
    struct config_address address;
    if (!config_address_parse(text, &address)) {
        say_usage("--address: expected HOST:PORT");
        exit(EXIT_USAGE);
    }
    return redisConnectWithTimeout(address.host, atoi(address.port), timeout);
}

/* Without flags the socket of a node started here without flags comes first. */
static redisContext *connect_node(const struct request *request, const char **ret_where)
{
    const struct timeval timeout = {.tv_sec = ANSWER_SECONDS};
    const char *path = request->socket;
    if (path == NULL && request->address == NULL && access(SOCKET_DEFAULT, F_OK) == 0) {
        path = SOCKET_DEFAULT;
    }
    if (path != NULL) {
        *ret_where = path;
        return redisConnectUnixWithTimeout(path, timeout);
    }
    *ret_where = request->address != NULL ? request->address : ADDRESS_DEFAULT;
    return connect_address(*ret_where);
}

/* The JSON of CRDT.STATUS, or NULL after saying why; freed by the caller. */
static char *ask_status(const struct request *request)
{
    const struct timeval timeout = {.tv_sec = ANSWER_SECONDS};
    const char *where = NULL;
    redisContext *node = connect_node(request, &where);
    char *json = NULL;
    redisReply *reply = NULL;
    if (node != NULL && node->err == 0) {
        redisSetTimeout(node, timeout);
        reply = redisCommand(node, "CRDT.STATUS");
    }
    if (reply != NULL && reply->type == REDIS_REPLY_STRING) {
        json = strdup(reply->str);
    } else if (reply != NULL) {
        fprintf(stderr, "gossipctl: %s answers, but not as gossipd: %s\n", where,
            reply->type == REDIS_REPLY_ERROR ? reply->str : "unexpected reply");
    } else {
        fprintf(stderr, "gossipctl: no answer from %s: %s; is gossipd running there? "
            "--socket PATH or --address HOST:PORT names another node\n", where,
            node != NULL ? node->errstr : "out of memory");
    }
    freeReplyObject(reply);
    redisFree(node);
    return json;
}

static bool member_is(const json_t *member, const char *state)
{
    const char *is = json_string_value(json_object_get(member, "state"));
    return is != NULL && strcmp(is, state) == 0;
}

/* Nobody can have converged with a member that is down; what can be said then is
 * that nothing is missing between this node and those that answer. */
static enum exit_code judge(const json_t *status)
{
    size_t index = 0;
    json_t *member = NULL;
    bool has_down = false;
    bool is_missing = false;
    json_array_foreach(json_object_get(status, "members"), index, member) {
        bool is_down = member_is(member, "down") || member_is(member, "suspect");
        has_down = has_down || is_down;
        is_missing = is_missing ||
            (!is_down && (json_integer_value(json_object_get(member, "missing_here")) != 0 ||
                             json_integer_value(json_object_get(member, "missing_there")) != 0));
    }
    if (json_is_true(json_object_get(status, "converged"))) {
        return EXIT_DONE;
    }
    return has_down && !is_missing ? EXIT_SOME_DOWN : EXIT_NOT;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "?";
}

static json_int_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void print_members(const json_t *members)
{
    size_t index = 0;
    json_t *member = NULL;
    printf("%-20s %-8s %14s %14s %10s\n", "MEMBER", "STATE", "MISSING HERE", "MISSING THERE",
        "SINCE");
    json_array_foreach(members, index, member) {
        bool is_self = json_is_true(json_object_get(member, "self"));
        printf("%-20s %-8s %14" JSON_INTEGER_FORMAT " %14" JSON_INTEGER_FORMAT
               " %9" JSON_INTEGER_FORMAT "s%s\n",
            text_of(member, "name"), text_of(member, "state"),
            number_of(member, "missing_here"), number_of(member, "missing_there"),
            number_of(member, "since_ms") / 1000, is_self ? "  (this node)" : "");
    }
}

static void print_status(const json_t *status, enum exit_code verdict)
{
    const char *words = "no: operations are still on their way";
    if (verdict == EXIT_DONE) {
        words = "yes";
    } else if (verdict == EXIT_SOME_DOWN) {
        words = "yes, with the members that answer; some are down";
    }
    printf("converged: %s\ndigest:    %s\n", words, text_of(status, "digest"));
    print_members(json_object_get(status, "members"));
}

static enum exit_code command_status(const struct request *request)
{
    json_error_t error;
    char *text = ask_status(request);
    if (text == NULL) {
        return EXIT_NO_ANSWER;
    }
    json_t *status = json_loads(text, 0, &error);
    enum exit_code verdict = EXIT_NO_ANSWER;
    if (status == NULL) {
        fprintf(stderr, "gossipctl: the answer is not JSON: %s\n", error.text);
    } else {
        verdict = judge(status);
        if (request->is_json) {
            puts(text);
        } else {
            print_status(status, verdict);
        }
    }
    json_decref(status);
    free(text);
    return verdict;
}

static const struct command commands[] = {
    {"status", command_status, "has the cluster converged, and how are its members (--json)"},
    {"keygen", command_keygen, "make DIR/node.key, print the public key (--dir DIR)"},
    {"pubkey", command_pubkey, "print the public key of DIR/node.key (--dir DIR)"},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static void print_help(void)
{
    puts("usage: gossipctl [--socket PATH | --address HOST:PORT] COMMAND\n\nCommands:");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        printf("  %-8s %s\n", commands[i].name, commands[i].help);
    }
    puts("\nWithout --socket and --address it asks " SOCKET_DEFAULT " if that\n"
         "exists, else " ADDRESS_DEFAULT ".\n\n"
         "Exit codes: 0 done, or converged; 1 not; 2 no answer; 3 converged with the members\n"
         "that answer while some are down; 64 wrong usage.\n\n"
         "A new member: `gossipctl keygen --dir DIR` on it; the printed key goes into a `peer`\n"
         "section of every other member's configuration (see gossipd --help).");
}

/* Takes the flags, wherever they stand; what is left is the command. */
static enum exit_code read_flags(
    int count, char **arguments, struct request *request, const char **ret_command)
{
    const struct {
        const char *name;
        const char **value;
    } flags[] = {{"--socket", &request->socket}, {"--address", &request->address},
        {"--dir", &request->dir}};
    for (int i = 1; i < count; i++) {
        size_t which = 0;
        while (which < 3 && strcmp(arguments[i], flags[which].name) != 0) {
            which++;
        }
        if (which < 3 && i + 1 >= count) {
            return say_usage("expected a value behind the last flag");
        }
        if (which < 3) {
            *flags[which].value = arguments[++i];
        } else if (strcmp(arguments[i], "--json") == 0) {
            request->is_json = true;
        } else if (arguments[i][0] == '-' || *ret_command != NULL) {
            fprintf(stderr, "gossipctl: %s: not expected here; see gossipctl --help\n",
                arguments[i]);
            return EXIT_USAGE;
        } else {
            *ret_command = arguments[i];
        }
    }
    return EXIT_DONE;
}

static enum exit_code run(int count, char **arguments)
{
    struct request request = {0};
    const char *name = NULL;
    if (read_flags(count, arguments, &request, &name) != EXIT_DONE) {
        return EXIT_USAGE;
    }
    if (request.socket != NULL && request.address != NULL) {
        return say_usage("expected --socket or --address, not both");
    }
    if (name == NULL) {
        return say_usage("expected a command");
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return commands[i].run(&request);
        }
    }
    fprintf(stderr, "gossipctl: there is no command \"%s\"; see gossipctl --help\n", name);
    return EXIT_USAGE;
}

int main(int count, char **arguments)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--help") == 0 || strcmp(arguments[i], "-h") == 0) {
            print_help();
            return EXIT_DONE;
        }
        if (strcmp(arguments[i], "--version") == 0) {
            puts("gossipctl " GOSSIPD_VERSION);
            return EXIT_DONE;
        }
    }
    if (sodium_init() < 0) {
        fputs("gossipctl: libsodium cannot start: the kernel gives no randomness\n", stderr);
        return EXIT_NOT;
    }
    return (int)run(count, arguments);
}
